// One desktop, kept open: when its source is lost it is opened again as soon as it is back.
import { setTimeout as sleep } from 'node:timers/promises';
import type { CaptureHost } from '@scanbridge/native-guest';
import type { Logger } from 'pino';
import { Backoff } from './backoff.js';
import type { OpenSource, Source } from './sources/source.js';

const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 5000;

export interface SessionEvents {
  /** The desktop can be shown. */
  opened(session: Session): void;
  /** It cannot be shown any more; another `opened` follows when it can. */
  lost(session: Session, reason: Error): void;
}

export class Session {
  #open: OpenSource | undefined;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    readonly source: Source,
    private readonly host: CaptureHost,
    private readonly events: SessionEvents,
    private readonly log: Logger,
  ) {
    this.#running = this.#run();
  }

  /** What is captured now; undefined while the source is away. */
  get open(): OpenSource | undefined {
    return this.#open;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff(FIRST_PAUSE, LONGEST_PAUSE);
    const stopped = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    let told = '';
    while (!signal.aborted) {
      let opened: OpenSource;
      try {
        opened = await this.source.open(this.host, signal);
      } catch (error) {
        const reason = error as Error & { code?: string };
        // The same reason again and again is said once.
        if (reason.message !== told && !signal.aborted) {
          this.log.warn(
            { code: reason.code },
            `cannot open the source, will try on: ${reason.message}`,
          );
          told = reason.message;
        }
        await sleep(backoff.next(), undefined, { signal }).catch(() => {});
        continue;
      }
      told = '';
      backoff.reset();
      this.#open = opened;
      if (!signal.aborted) this.events.opened(this);
      const reason = await Promise.race([opened.lost, stopped]);
      this.#open = undefined;
      if (reason !== undefined) {
        this.log.warn({ code: (reason as { code?: string }).code }, reason.message);
        this.events.lost(this, reason);
      }
      await opened.close();
    }
  }
}
