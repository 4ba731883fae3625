// Keeps one engine worker alive: starts it, watches it, restarts it with back-off, and ends it.
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import { reasonOf, WorkerError } from '../errors.js';
import type { EngineSpec, FromWorker, SourceSpec, ToWorker } from './messages.js';
import { WorkerProcess } from './process.js';
import { StartGate } from './start-gate.js';

/** Pauses before the first, second, ... restart in a row [ms]; the last one repeats. */
export const RESTART_DELAYS_MS: readonly number[] = [20, 300, 1000, 2000, 5000, 10_000];
/** A worker that ran this long was healthy: the next restart is a first one again [ms]. */
const HEALTHY_AFTER_MS = 10_000;
/** A ping is sent this often [ms]. */
const PING_INTERVAL_MS = 400;
/** A worker that has not answered for this long hangs [ms]. */
const HANG_AFTER_MS = 2000;
/** A worker may take this long until it is ready: a first start may scan GStreamer's plug-ins [ms]. */
const START_LIMIT_MS = 20_000;

/** Engines whose drivers run in the worker's process. */
const GPU_ENGINES: ReadonlySet<string> = new Set(['nvidia', 'vaapi', 'qsv']);

/** All workers of this bridge start through it. */
const gate = new StartGate(Math.max(2, availableParallelism()));

/** What a supervisor tells its session. */
export interface SupervisorEvents {
  /** A complete binary viewer message, and when the worker had it [us, CLOCK_MONOTONIC]. */
  unit(message: Buffer, timeUs: number): void;
  event(event: FromWorker): void;
  /** A worker takes commands; its access units start anew. */
  up(): void;
  /** A worker is gone; the next one starts in `retryMs`. */
  down(error: WorkerError, retryMs: number): void;
}

/** Owns the worker processes of one session, one at a time. */
export class WorkerSupervisor {
  #worker: WorkerProcess | undefined;
  #stopped = true;
  #inRow = 0;
  #readyAt = 0;
  #startedAt = 0;
  #answeredAt = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #leaveGate: () => void = () => undefined;
  #watch: NodeJS.Timeout | undefined;
  #lastError: WorkerError | undefined;
  /** The path that is starting, or that began not long ago. */
  #trying: { engine: string; path: string; hardware: boolean; at: number } | undefined;
  #ending: Promise<void> = Promise.resolve();
  /** Workers started after the first one. */
  restarts = 0;

  constructor(
    private source: SourceSpec,
    private engine: EngineSpec,
    private readonly events: SupervisorEvents,
    private readonly log: Logger,
  ) {}

  /** Process id of the worker, if there is one. */
  get pid(): number | undefined {
    return this.#worker?.pid;
  }

  get ready(): boolean {
    return this.#readyAt > 0;
  }

  /** Starts a worker; no effect when one is wanted already. */
  start(source = this.source): void {
    this.source = source;
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#inRow = 0;
    this.#enter();
  }

  /** Ends the worker; resolves when its process is gone. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restartTimer);
    this.#drop();
    await this.#ending;
  }

  /** Ends the worker and starts another one, because of what `error` says. */
  restart(error: WorkerError): void {
    this.#lastError = error;
    this.#worker?.kill();
  }

  send(command: ToWorker): void {
    if (command.type === 'codec') this.engine = { ...this.engine, codec: command.codec };
    if (command.type === 'bitrate') this.engine = { ...this.engine, bitrateKbps: command.kbps };
    this.#worker?.send(command);
  }

  #enter(): void {
    this.#leaveGate = gate.enter(() => this.#spawn());
  }

  #spawn(): void {
    this.#readyAt = 0;
    this.#startedAt = this.#answeredAt = Date.now();
    this.#lastError = undefined;
    const worker = new WorkerProcess(this.log, {
      unit: (message, timeUs) => {
        if (this.#worker === worker) this.events.unit(message, timeUs);
      },
      event: (event) => {
        if (this.#worker === worker) this.#onEvent(event);
      },
      gone: (how) => {
        if (this.#worker === worker) this.#onGone(how);
      },
    });
    this.#worker = worker;
    this.#watch = setInterval(() => this.#check(), PING_INTERVAL_MS);
    worker.send({ type: 'start', source: this.source, engine: this.engine });
  }

  #onEvent(event: FromWorker): void {
    this.#answeredAt = Date.now();
    if (event.type === 'pong') return;
    if (event.type === 'ready') {
      this.#readyAt = Date.now();
      this.#leaveGate();
      this.events.up();
    }
    if (event.type === 'trying') {
      const { engine, path } = event;
      this.#trying = { engine, path, hardware: GPU_ENGINES.has(engine), at: Date.now() };
    }
    if (event.type === 'error' && event.fatal) {
      this.#lastError = new WorkerError(event.code, event.message, event.remedy);
    }
    this.events.event(event);
  }

  #check(): void {
    const now = Date.now();
    this.#worker?.send({ type: 'ping', token: now });
    const limit = this.ready ? HANG_AFTER_MS : START_LIMIT_MS;
    const since = this.ready ? this.#answeredAt : this.#startedAt;
    if (now - since <= limit) return;
    this.restart(
      new WorkerError(
        this.ready ? 'ENGINE_HUNG' : 'ENGINE_START_TIMEOUT',
        `the engine worker gave no answer for ${limit / 1000} s`,
        'it is restarted; if it happens again, choose another engine with --engine',
      ),
    );
  }

  #onGone(how: string): void {
    this.#drop();
    if (this.#stopped) return;
    if (this.#readyAt > 0 && Date.now() - this.#readyAt > HEALTHY_AFTER_MS) this.#inRow = 0;
    this.#readyAt = 0;
    const delay = RESTART_DELAYS_MS[Math.min(this.#inRow, RESTART_DELAYS_MS.length - 1)] as number;
    this.#inRow++;
    this.#restartTimer = setTimeout(() => {
      this.restarts++;
      this.#enter();
    }, delay);
    this.#blame(how);
    const error =
      this.#lastError ??
      new WorkerError(
        'ENGINE_CRASHED',
        `the engine worker ended: ${how}`,
        'it is restarted; if it happens again, choose another engine with --engine',
      );
    this.log.warn({ code: error.code, retryMs: delay }, reasonOf(error));
    this.events.down(error, delay);
  }

  /** A driver that ended the worker soon after its path had begun would do so again. */
  #blame(how: string): void {
    const path = this.#trying;
    this.#trying = undefined;
    if (!path?.hardware || Date.now() - path.at > HEALTHY_AFTER_MS) return;
    const reason = `It ended the engine worker (${how}).`;
    const { avoid = [] } = this.engine;
    this.engine = {
      ...this.engine,
      avoid: [...avoid, { engine: path.engine, path: path.path, reason }].slice(-64),
    };
    this.log.warn({ engine: path.engine, path: path.path, how }, 'this path is not taken again');
  }

  #drop(): void {
    this.#leaveGate();
    clearInterval(this.#watch);
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker) this.#ending = Promise.all([this.#ending, worker.end()]).then(() => undefined);
  }
}
