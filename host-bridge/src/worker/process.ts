// One engine worker process: its start, its two channels, its end.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { reasonOf } from '../errors.js';
import { RecordKind, RecordReader } from './framing.js';
import { FromWorker, type ToWorker } from './messages.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
/** Time to end in an orderly way before the process is killed [ms]. */
const END_LIMIT_MS = 1000;
/** Longest line of a worker's stderr that is logged [characters]. */
const MAX_LINE = 500;
/** Lines of stderr that are logged per worker; libraries can be very talkative. */
const MAX_LINES = 200;

export interface WorkerProcessEvents {
  unit(message: Buffer, timeUs: number): void;
  event(event: FromWorker): void;
  /** Exactly once. */
  gone(how: string): void;
}

/** Owns one child process. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #gone = false;
  #failure: string | undefined;
  #lines = 0;

  constructor(
    private readonly log: Logger,
    private readonly events: WorkerProcessEvents,
  ) {
    this.#child = fork(MAIN, [], {
      execArgv: [],
      serialization: 'json',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
    });
    this.#exited = once(this.#child, 'close').catch(() => undefined);
    this.#child.on('error', (error) => this.#onGone(`cannot start: ${reasonOf(error)}`));
    // 'close' comes after the pipes are drained: what the worker said last is known by then.
    this.#child.on('close', (code, signal) => {
      this.#onGone(this.#failure ?? (signal ? `signal ${signal}` : `exit code ${code}`));
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#logLines(text));
    const reader = new RecordReader((kind, body, timeUs) => this.#onRecord(kind, body, timeUs));
    (this.#child.stdio[4] as Readable | null)
      ?.on('data', (chunk: Buffer) => {
        if (this.#failure === undefined) this.#guard(() => reader.push(chunk));
      })
      .on('error', () => this.kill());
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a command; a worker that is going away does not get it. */
  send(command: ToWorker): void {
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Ends it in an orderly way, or by force after END_LIMIT_MS; resolves when the process is gone. */
  async end(): Promise<void> {
    this.send({ type: 'stop' });
    const timer = setTimeout(() => this.kill(), END_LIMIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #onRecord(kind: RecordKind, body: Buffer, timeUs: number): void {
    if (kind === RecordKind.ACCESS_UNIT) this.events.unit(body, timeUs);
    else this.events.event(FromWorker.parse(JSON.parse(body.toString('utf8'))));
  }

  /** A worker that breaks the framing or the schema is ended: nothing after it can be trusted. */
  #guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.#failure = `it wrote nonsense (${reasonOf(error).slice(0, 200)})`;
      this.kill();
    }
  }

  #logLines(text: string): void {
    for (const line of text.split('\n')) {
      if (line.trim() === '' || this.#lines >= MAX_LINES) continue;
      this.#lines++;
      this.log.debug({ worker: this.pid }, line.slice(0, MAX_LINE));
    }
  }

  #onGone(how: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.events.gone(how);
  }
}
