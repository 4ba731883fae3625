// Starts the command lines that a user starts, and reads what they cost.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A child process that said what it had to say before it was used. */
export class Started {
  private constructor(
    readonly child: ChildProcess,
    /** What the pattern matched. */
    readonly match: RegExpMatchArray,
  ) {}

  get pid(): number {
    return this.child.pid as number;
  }

  /**
   * Runs `node SCRIPT ARGS` and waits for a line on its standard output.
   * @throws Error with the end of its output when it ends first, or after the limit
   */
  static node(
    script: URL,
    args: readonly string[],
    pattern: RegExp,
    env: NodeJS.ProcessEnv = process.env,
    limitMs = 20_000,
  ): Promise<Started> {
    const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    return new Promise((resolve, reject) => {
      let output = '';
      const fail = (why: string) => reject(new Error(`${script.pathname} ${why}:\n${output}`));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(`was not ready within ${limitMs} ms`);
      }, limitMs);
      const onData = (text: Buffer) => {
        output = (output + text).slice(-4000);
        const match = output.match(pattern);
        if (!match) return;
        clearTimeout(timer);
        resolve(new Started(child, match));
      };
      child.stdout?.on('data', onData);
      child.stderr?.on('data', onData);
      child.once('exit', (code) => {
        clearTimeout(timer);
        fail(`ended with ${code}`);
      });
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 8000);
    await ended;
    clearTimeout(timer);
  }
}

/** Processor time that a process has used so far, all threads together [ns]. */
export function cpuTime(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ', 1)[0]);
    } catch {
      // A thread that has just ended.
    }
  }
  return sum;
}

/** The bridge's command line. */
export const BRIDGE_CLI = new URL('./cli.js', import.meta.resolve('@scanbridge/bridge'));
/** The agent's command line. */
export const AGENT_CLI = new URL('./cli.js', import.meta.resolve('@scanbridge/agent'));

/** Starts `scanbridge serve` on a free port. */
export async function startServe(
  args: readonly string[],
): Promise<{ bridge: Started; url: string }> {
  const all = ['serve', '--port', '0', '--log-level', 'warn', ...args];
  const bridge = await Started.node(BRIDGE_CLI, all, /Scanbridge is at (\S+)/);
  return { bridge, url: bridge.match[1] as string };
}

/** What GET /v1/sessions/ID says. */
export interface SessionSummary {
  readonly id: string;
  readonly state: string;
  readonly encoded: number;
  readonly accessUnits: number;
  readonly dropped: number;
  readonly workerPid?: number;
}

/** The sessions of a running bridge. */
export async function sessionsOf(url: string): Promise<SessionSummary[]> {
  const response = await fetch(new URL('v1/sessions', url));
  return ((await response.json()) as { sessions: SessionSummary[] }).sessions;
}

/** Waits until a bridge has a session that is there to be watched, and gives its id. */
export async function waitForSession(url: string, limitMs = 15_000): Promise<string> {
  const end = performance.now() + limitMs;
  for (;;) {
    const [session] = await sessionsOf(url);
    if (session && session.state === 'live') return session.id;
    if (performance.now() > end) {
      throw new Error(`no live session at ${url} within ${limitMs} ms: ${JSON.stringify(session)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The address of a session's stream. */
export function streamUrl(url: string, session: string): string {
  const stream = new URL(`v1/sessions/${encodeURIComponent(session)}/stream`, url);
  stream.protocol = 'ws:';
  return stream.href;
}
