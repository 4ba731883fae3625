// scanbridge-agent desktop: a desktop of our own, and an agent that streams it. The agent is a process
// of its own, just as it would be beside any other Mutter; this process keeps both alive.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Argv } from 'yargs';
import { type Desktop, startDesktop } from './desktop.js';
import type { DesktopError } from './errors.js';

const CLI = fileURLToPath(new URL('../cli.js', import.meta.url));
/** A desktop that fails this often within a minute will not get better by trying again. */
const MAX_FAILURES = 5;
const FAILURE_WINDOW_MS = 60_000;
/** Pause before an agent that ended is started again [ms]. */
const AGENT_PAUSE_MS = 300;
/** Time that the agent has to end in order [ms]. */
const AGENT_END_MS = 3000;

/** Options of the command; the bridge is passed on to the agent. */
export function desktopOptions(yargs: Argv) {
  return yargs
    .option('bridge', {
      type: 'string',
      demandOption: true,
      describe: 'where the bridge listens for agents, as unix:PATH',
    })
    .option('size', { type: 'string', default: '1280x720', describe: 'pixels, as 1280x720' })
    .option('fps', {
      type: 'number',
      default: 60,
      describe: 'pictures a second, 1 to 250; the monitor refreshes twice as often',
    })
    .option('log-level', {
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const,
      default: 'info' as const,
      describe: 'what the agent logs, as JSON lines, to standard error',
    })
    .option('empty', { type: 'boolean', default: false, describe: 'nothing runs on the desktop' });
}

type DesktopArguments = Awaited<ReturnType<typeof desktopOptions>['argv']>;

/** Runs a desktop and its agent until SIGINT, SIGTERM or SIGHUP. @throws DesktopError */
export async function runDesktop(args: DesktopArguments): Promise<void> {
  const asked = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => asked.abort());
  const failures: number[] = [];
  while (!asked.signal.aborted) {
    const error = await runOnce(args, asked.signal);
    if (error === undefined) return;
    const now = performance.now();
    failures.push(now);
    if (failures.filter((at) => now - at < FAILURE_WINDOW_MS).length >= MAX_FAILURES) throw error;
    process.stderr.write(`scanbridge-agent: ${error.message}\n  The desktop is started again.\n`);
  }
}

/** One life of the desktop: resolves with what ended it, or with undefined when it was asked to end. */
async function runOnce(
  args: DesktopArguments,
  asked: AbortSignal,
): Promise<DesktopError | undefined> {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(args.size) ?? [];
  const desktop = await startDesktop({
    width: Number(width),
    height: Number(height),
    // A consumer that asks Mutter for the refresh rate gets every other picture.
    refresh: 2 * args.fps,
    apps: args.empty ? 'none' : 'scene',
  });
  const over = new AbortController();
  const agents = keepAgent(desktop, args, over.signal);
  try {
    return await Promise.race([desktop.failed, aborted(asked)]);
  } finally {
    // The agent first: the bridge hears an orderly end, not a dead desktop.
    over.abort();
    await agents;
    await desktop.close();
  }
}

/** Keeps an agent running for `desktop` until `over`. */
async function keepAgent(
  desktop: Desktop,
  args: DesktopArguments,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const agent = startAgent(desktop, args);
    const exited = new Promise<void>((resolve) => agent.once('close', () => resolve()));
    await Promise.race([exited, aborted(over)]);
    if (over.aborted) await endAgent(agent, exited);
    else await delay(AGENT_PAUSE_MS, undefined, { signal: over }).catch(() => {});
  }
}

function startAgent(desktop: Desktop, args: DesktopArguments): ChildProcess {
  const options = [
    `--bridge=${args.bridge}`,
    `--mutter=${desktop.env.DBUS_SESSION_BUS_ADDRESS}`,
    `--pipewire=${desktop.runtimeDir}/pipewire-0`,
    `--max-fps=${args.fps}`,
    `--log-level=${args.logLevel}`,
  ];
  const command = [process.execPath, CLI, 'run', ...options];
  // It gets SIGTERM should this process be killed; that the terminal's Ctrl-C reaches it is harmless.
  return spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
    stdio: ['ignore', 'inherit', 'inherit'],
  }).on('error', () => {});
}

async function endAgent(agent: ChildProcess, exited: Promise<void>): Promise<void> {
  agent.kill('SIGTERM');
  const timer = setTimeout(() => agent.kill('SIGKILL'), AGENT_END_MS);
  await exited;
  clearTimeout(timer);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
