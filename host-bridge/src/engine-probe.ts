// Which engines work on this machine: asked in a worker process, because a bad driver can end the process that asks.
import type { Logger } from 'pino';
import { WorkerError } from './errors.js';
import type { EngineReport } from './worker/messages.js';
import { WorkerProcess } from './worker/process.js';

/** A probe encodes with every path of every engine; more than this is a hang [ms]. */
const PROBE_LIMIT_MS = 30_000;
/** An answer is good for this long: drivers do not come and go [ms]. */
const GOOD_FOR_MS = 60_000;

/** Asks once, whoever wants to know meanwhile. */
export class EngineProbe {
  #answer: Promise<readonly EngineReport[]> | undefined;
  #expires = 0;
  #worker: WorkerProcess | undefined;

  /** @param limitMs the time for all of it; what has not answered by then hangs */
  constructor(
    private readonly log: Logger,
    private readonly limitMs = PROBE_LIMIT_MS,
  ) {}

  /** @throws {WorkerError} */
  engines(): Promise<readonly EngineReport[]> {
    if (!this.#answer || Date.now() > this.#expires) {
      this.#expires = Date.now() + GOOD_FOR_MS;
      this.#answer = this.#ask();
      this.#answer.catch(() => {
        this.#expires = 0;
      });
    }
    return this.#answer;
  }

  async close(): Promise<void> {
    await this.#worker?.end();
  }

  async #ask(): Promise<readonly EngineReport[]> {
    let timer: NodeJS.Timeout | undefined;
    let known: readonly EngineReport[] | undefined;
    try {
      return await new Promise<readonly EngineReport[]>((resolve, reject) => {
        const worker = new WorkerProcess(this.log, {
          unit: () => undefined,
          event: (event) => {
            if (event.type === 'engines' && event.complete) resolve(event.engines);
            if (event.type === 'engines') known = event.engines;
            if (event.type !== 'error') return;
            reject(new WorkerError(event.code, event.message, event.remedy));
          },
          gone: (how) => {
            // What was found before is true, and the path that was tried last is said to hang.
            if (known) resolve(known);
            const remedy = 'a driver may have ended it; look at the log with --log-level debug';
            reject(new WorkerError('PROBE_CRASHED', `the probe ended: ${how}`, remedy));
          },
        });
        this.#worker = worker;
        timer = setTimeout(() => worker.kill(), Math.max(this.limitMs, 1000));
        worker.send({ type: 'probe' });
      });
    } finally {
      clearTimeout(timer);
      await this.#worker?.end();
      this.#worker = undefined;
    }
  }
}
