// Which engines work on this machine: asked in a worker process, because a bad driver can end the process that asks.
import type { Logger } from 'pino';
import { WorkerError } from './errors.js';
import type { EngineReport, Importer } from './worker/messages.js';
import { WorkerProcess } from './worker/process.js';

/** A path of a GPU has this long for its first pictures [ms]. */
const PATIENCE_MS = 2000;
/** A path without a GPU, and the start of the worker: GStreamer may have to look at its plug-ins [ms]. */
const SOFTWARE_LIMIT_MS = 20_000;
/** An answer is good for this long: drivers do not come and go [ms]. */
const GOOD_FOR_MS = 60_000;

/** Asks once, whoever wants to know meanwhile. */
export class EngineProbe {
  #answer: Promise<readonly EngineReport[]> | undefined;
  #expires = 0;
  #worker: WorkerProcess | undefined;
  #importers: readonly Importer[] = [];

  /** @param patienceMs a path of a GPU that has not answered by then hangs */
  constructor(
    private readonly log: Logger,
    private readonly patienceMs = PATIENCE_MS,
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

  /** What takes dma-bufs into a GPU, once the engines are known. */
  get importers(): readonly Importer[] {
    return this.#importers;
  }

  async close(): Promise<void> {
    await this.#worker?.end();
  }

  async #ask(): Promise<readonly EngineReport[]> {
    let all: EngineReport[] = [];
    for (let tried = 0; ; ) {
      const { engines, complete } = await this.#round(tried);
      all = merge(all, engines);
      const count = engines.reduce((sum, { paths }) => sum + paths.length, 0);
      if (complete || count === 0) return all;
      // The path that was being tried is counted, and said to hang: the others still have a right to be asked.
      tried += count;
    }
  }

  /** One worker's answers: all of them, or those until a path kept it. */
  async #round(from: number): Promise<{ engines: readonly EngineReport[]; complete: boolean }> {
    let timer: NodeJS.Timeout | undefined;
    let known: readonly EngineReport[] = [];
    try {
      return await new Promise((resolve, reject) => {
        const worker = new WorkerProcess(this.log, {
          unit: () => undefined,
          event: (event) => {
            if (event.type === 'error') {
              reject(new WorkerError(event.code, event.message, event.remedy));
            }
            if (event.type !== 'engines') return;
            known = event.engines;
            this.#importers = event.importers ?? this.#importers;
            if (event.complete) resolve({ engines: known, complete: true });
            wait();
          },
          gone: (how) => {
            if (known.length > 0) resolve({ engines: known, complete: false });
            const remedy = 'a driver may have ended it; look at the log with --log-level debug';
            reject(new WorkerError('PROBE_CRASHED', `the probe ended: ${how}`, remedy));
          },
        });
        // Software that is slow is slow because the machine is busy; a GPU is not given that long.
        const wait = () => {
          clearTimeout(timer);
          const gpu = known.at(-1)?.paths.at(-1)?.hardware === true;
          timer = setTimeout(() => worker.kill(), gpu ? this.patienceMs : SOFTWARE_LIMIT_MS);
        };
        this.#worker = worker;
        wait();
        worker.send({ type: 'probe', from });
      });
    } finally {
      clearTimeout(timer);
      await this.#worker?.end();
      this.#worker = undefined;
    }
  }
}

/** Paths of one engine and codec may come from two workers. */
function merge(known: readonly EngineReport[], more: readonly EngineReport[]): EngineReport[] {
  const all = [...known];
  for (const report of more) {
    const at = all.findIndex((r) => r.engine === report.engine && r.codec === report.codec);
    const before = all[at];
    if (!before) all.push(report);
    else {
      const works = before.works || report.works;
      all[at] = { ...before, works, paths: [...before.paths, ...report.paths] };
    }
  }
  return all;
}
