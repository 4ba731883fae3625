// The viewer page as a test sees it: through window.scanbridge and the document, never through its code.
import { setTimeout as delay } from 'node:timers/promises';
import type { BrowserContext, Page } from 'playwright-core';

/** What tests use of window.scanbridge's stats (host-bridge/viewer/src/stream.ts, StreamStats). */
export interface Stats {
  readonly received: number;
  readonly decoded: number;
  readonly drawn: number;
  readonly lastSequence?: number;
  readonly gaps: number;
  readonly skips: number;
  readonly decoderRestarts: number;
  readonly connects: number;
  readonly codec?: string;
  readonly width: number;
  readonly height: number;
  readonly bridge?: { readonly engine: string; readonly viewers: number; readonly rtt?: number };
  readonly timings?: {
    readonly frames: number;
    readonly stages: Readonly<Record<string, Spread>>;
    readonly total: Spread;
  };
}

export interface Spread {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
}

/** A decoded picture, as the page's observer reported it. */
export interface Seen {
  readonly sequence: number;
  readonly flags: number;
  /** The number that the test pattern painted into the picture. */
  readonly number: number;
}

/** Polls until `probe` gives something; what it waits for is in the error, and so is what it saw last. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
    await delay(50);
  }
}

/** Side of a block of the test pattern's number, and how many there are. */
const BLOCK = 8;
const BITS = 32;

export class ViewerPage {
  /** What the browser complained about: scripts, styles or requests that its policy refused, exceptions. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly id: string,
  ) {
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
  }

  /**
   * Opens a new page.
   * @param hash address within the page; the full view of `id` where absent
   * @param init script that runs before the page's own
   */
  static async open(
    context: BrowserContext,
    url: string,
    id: string,
    { hash = `#/s/${id}`, init }: { hash?: string; init?: string } = {},
  ): Promise<ViewerPage> {
    const page = await context.newPage();
    if (init) await page.addInitScript(init);
    const viewer = new ViewerPage(page, id);
    await page.goto(new URL(hash, url).href);
    return viewer;
  }

  /** Runs an expression in the page. */
  evaluate<T>(expression: string): Promise<T> {
    return this.page.evaluate<T>(expression);
  }

  stats(): Promise<Stats | undefined> {
    return this.evaluate(`window.scanbridge?.stats(${JSON.stringify(this.id)})`);
  }

  /** Id of the reason why there is no picture. */
  reason(): Promise<string | undefined> {
    return this.evaluate(`window.scanbridge?.reason(${JSON.stringify(this.id)})`);
  }

  /** The reason that a person reads, if one is shown. */
  async shownReason(): Promise<{ id: string; text: string } | undefined> {
    return this.evaluate(`(() => {
      const notice = [...document.querySelectorAll('.notice')].find((node) => !node.hidden);
      return notice && { id: notice.dataset.reason, text: notice.innerText };
    })()`);
  }

  /** Waits for a current picture, and at least `more` decoded ones after now. */
  async picture(more = 1): Promise<Stats> {
    const before = (await this.stats())?.decoded ?? 0;
    return until(`${more} pictures of ${this.id}`, async () => {
      const stats = await this.stats();
      if (!stats || stats.decoded < before + more || (await this.reason())) return undefined;
      return stats;
    });
  }

  /** The number in the picture that is on the canvas now. */
  number(): Promise<number | undefined> {
    const id = JSON.stringify(this.id);
    return this.evaluate(`(() => {
      const data = scanbridge.pixels(${id}, 0, 0, ${BLOCK * BITS}, ${BLOCK});
      return data && (${readNumber})(data, ${BLOCK * BITS});
    })()`);
  }

  /** Red, green, blue of a pixel on the canvas. */
  async pixel(x: number, y: number): Promise<number[]> {
    const id = JSON.stringify(this.id);
    return this.evaluate(`[...(scanbridge.pixels(${id}, ${x}, ${y}, 1, 1) ?? [])].slice(0, 3)`);
  }

  /** Observes `count` decoded pictures. */
  async observe(count: number): Promise<Seen[]> {
    const id = JSON.stringify(this.id);
    await this.evaluate(`(() => {
      window.seen = [];
      const canvas = new OffscreenCanvas(${BLOCK * BITS}, ${BLOCK});
      const context = canvas.getContext('2d', { willReadFrequently: true });
      const end = scanbridge.observe(${id}, ({ frame, sequence, flags }) => {
        context.drawImage(frame, 0, 0);
        const { data } = context.getImageData(0, 0, canvas.width, 1);
        window.seen.push({ sequence, flags, number: (${readNumber})(data, canvas.width) });
        if (window.seen.length >= ${count}) end();
      });
    })()`);
    return until(`${count} observed pictures`, async () => {
      const seen = await this.evaluate<Seen[]>('window.seen');
      return seen.length >= count && seen;
    });
  }

  close(): Promise<void> {
    return this.page.close();
  }
}

/** Reads the number from rows of RGBA pixels: 32 blocks, most significant bit first, white for 1. Runs in the page. */
const readNumber = `(data, width) => {
  const row = data.length / 4 / width > 4 ? 4 : 0;
  let number = 0;
  for (let bit = 0; bit < ${BITS}; bit++) {
    number = number * 2 + (data[(row * width + bit * ${BLOCK} + ${BLOCK / 2}) * 4] > 127 ? 1 : 0);
  }
  return number;
}`;
