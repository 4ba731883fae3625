import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';
import { type Account, findProgram } from './account.js';
import { DesktopError } from './errors.js';
import type { RuntimeDir } from './runtime-dir.js';

const LOG_TAIL_BYTES = 4096;
/** How long a program may take to end after SIGTERM before it is killed, in milliseconds. */
const TERM_GRACE_MS = 1000;

/** How long to wait for the output of a program that has ended, in milliseconds. */
const LAST_WORDS_MS = 100;

/** How a program ended. */
export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Where and as whom the programs of one desktop run. */
export interface Surroundings {
  readonly account: Account;
  readonly runtimeDir: RuntimeDir;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * One running program of a desktop: it has a process group of its own, so that the terminal's Ctrl-C
 * does not reach it and its children end with it; its output is read and the tail of it is kept.
 */
export class Program {
  /** Resolves when the program has ended; never rejects. */
  readonly exited: Promise<ProgramExit>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #news = new EventEmitter();
  #exit: ProgramExit | undefined;
  #tail = '';

  private constructor(
    readonly name: string,
    child: ChildProcessByStdio<null, Readable, Readable>,
    runtimeDir: RuntimeDir,
  ) {
    this.#child = child;
    const pid = child.pid as number;
    runtimeDir.guard(pid);
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        runtimeDir.release(pid);
        // Its last words may still be in the pipe, and a child of it may hold the pipe open for ever.
        const ended = (): void => {
          clearTimeout(timer);
          resolve({ code, signal });
        };
        const timer = setTimeout(ended, LAST_WORDS_MS);
        child.once('close', ended);
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        this.#tail = (this.#tail + text).slice(-LOG_TAIL_BYTES);
        this.#news.emit('text');
      });
      stream.on('error', () => {});
    }
  }

  /**
   * Starts `program` (a name on PATH or an absolute path).
   * @throws DesktopError `program-missing` or `program-failed`.
   */
  static async start(
    surroundings: Surroundings,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const { account, runtimeDir } = surroundings;
    const name = program.slice(program.lastIndexOf('/') + 1);
    const path = findProgram(program);
    if (path === undefined)
      throw new DesktopError('program-missing', name, `${name} is not installed (not on PATH)`);
    const child = spawn(path, args, {
      cwd: runtimeDir.path,
      env: { ...surroundings.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(account.foreign ? { uid: account.uid, gid: account.gid } : {}),
    });
    if (child.pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error];
      throw new DesktopError('program-failed', name, `cannot start ${name}: ${error.message}`);
    }
    return new Program(name, child, runtimeDir);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The last output, stdout and stderr together, at most 4 KiB. */
  get logTail(): string {
    return this.#tail;
  }

  /**
   * Waits until `pattern` matches what the program wrote (its last 4 KiB) and returns the match.
   * @throws DesktopError `program-failed` when it ends first, `not-ready` after `limitMs`.
   */
  async output(pattern: RegExp, limitMs = 10_000): Promise<RegExpMatchArray> {
    const abort = new AbortController();
    void this.exited.then(() => abort.abort());
    const timer = setTimeout(() => abort.abort(), limitMs);
    try {
      for (;;) {
        const match = this.#tail.match(pattern);
        if (match !== null) return match;
        if (abort.signal.aborted)
          throw this.running
            ? this.#silent(pattern, limitMs)
            : this.failure(`ended before it wrote ${pattern}`);
        await once(this.#news, 'text', { signal: abort.signal }).catch(() => {});
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #silent(pattern: RegExp, limitMs: number): DesktopError {
    return new DesktopError(
      'not-ready',
      this.name,
      `${this.name} did not write ${pattern} within ${limitMs / 1000} s`,
      this.#tail,
    );
  }

  /** The error that says how this program ended. */
  failure(what = 'ended unexpectedly'): DesktopError {
    const how = this.#exit?.signal ?? `exit code ${this.#exit?.code ?? 'unknown'}`;
    return new DesktopError(
      'program-failed',
      this.name,
      `${this.name} ${what} (${how})`,
      this.#tail,
    );
  }

  /** Ends the program and what it started: SIGTERM, and SIGKILL when that does not help. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    if (this.running) {
      const timer = setTimeout(() => this.#signal('SIGKILL'), TERM_GRACE_MS);
      await this.exited;
      clearTimeout(timer);
    }
    this.#signal('SIGKILL'); // what is left of its group
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // Nobody is left in the group.
    }
  }
}
