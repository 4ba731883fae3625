// Chromium as an instrument: decodes what a bridge sends, and tells when each picture was there and what was in it.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { type Chromium, startChromium } from '../harness/chromium.js';
import type { Stamp } from '../harness/pattern.js';
import type { Mark } from '../vm/pattern.js';
import type { Decoded, Watched } from './page.js';

export type { Decoded, Watched } from './page.js';

const HTML = `<!doctype html><meta charset="utf-8"><title>probe</title>
<script type="importmap">{"imports":{"@scanbridge/protocol/viewer/video":"/protocol/viewer-video.js"}}</script>
<script type="module" src="/test/probe/page.js"></script>`;

/** Serves the probe's compiled modules, and nothing outside the two folders. */
function serve(): Promise<Server> {
  const roots: Record<string, URL> = {
    test: new URL('../', import.meta.url),
    protocol: new URL('./', import.meta.resolve('@scanbridge/protocol/viewer/video')),
  };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    const [, root = '', ...rest] = path.split('/');
    const base = roots[root];
    if (!base) {
      response.setHeader('content-type', 'text/html').end(HTML);
      return;
    }
    try {
      const file = new URL(rest.join('/'), base);
      if (!file.href.startsWith(base.href)) throw new Error('outside');
      response
        .setHeader('content-type', 'text/javascript')
        .end(await readFile(fileURLToPath(file)));
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** A decoded picture, 4 bytes a pixel, R G B A. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Buffer;
  readonly stamp?: Stamp;
  readonly mark?: Mark;
}

/** One Chromium with the probe page in it; `close` ends it. */
export class Probe {
  private constructor(
    readonly server: Server,
    readonly chromium: Chromium,
    readonly page: Page,
  ) {}

  /** The Origin that the page's WebSockets carry; the bridge has to allow it. */
  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  static async launch(): Promise<Probe> {
    const server = await serve();
    const chromium = await startChromium();
    const page = chromium.context.pages()[0] ?? (await chromium.context.newPage());
    const probe = new Probe(server, chromium, page);
    await page.goto(probe.origin);
    await page.waitForFunction(() => window.probe !== undefined);
    return probe;
  }

  /** Watches a session. @param url WebSocket URL. @param keep keeps the newest picture for `picture`. */
  async watch(name: string, url: string, keep = false): Promise<void> {
    await this.page.evaluate(([n, u, k]) => window.probe.watch(n, u, k), [
      name,
      url,
      keep,
    ] as const);
  }

  /** What a watched session gave so far. */
  async collect(name: string): Promise<Watched> {
    const watched = await this.page.evaluate((n) => window.probe.collect(n), name);
    if (!watched) throw new Error(`the probe does not watch ${name}`);
    return watched;
  }

  /** Waits until a watched session fulfils a condition. */
  async until(
    name: string,
    condition: (watched: Watched) => boolean,
    limitMs = 20_000,
  ): Promise<Watched> {
    const end = performance.now() + limitMs;
    for (;;) {
      const watched = await this.collect(name);
      if (condition(watched)) return watched;
      if (performance.now() > end) {
        const { decoded, ...rest } = watched;
        throw new Error(
          `not within ${limitMs} ms: ${decoded.length} pictures, ${JSON.stringify(rest)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The newest kept picture. */
  async picture(): Promise<Picture> {
    const picture = await this.page.evaluate(() => window.probe.pixels());
    if (!picture) throw new Error('the probe has no picture');
    return { ...picture, rgba: Buffer.from(picture.rgba, 'base64') };
  }

  /** Time from a new connection to the first picture out of the decoder [ms]. */
  join(url: string, limitMs = 10_000): Promise<number> {
    return this.page.evaluate(([u, l]) => window.probe.join(u, l), [url, limitMs] as const);
  }

  /** Ends all watching. */
  async stop(): Promise<void> {
    await this.page.evaluate(() => window.probe.stop());
  }

  async close(): Promise<void> {
    await this.chromium.close();
    this.server.close();
  }
}

/** Latencies of freshly painted pictures [ms]: what was decoded a second time is not counted. */
export function paintedToDecoded(decoded: readonly Decoded[]): number[] {
  const seen = new Set<number>();
  const latencies: number[] = [];
  for (const { stamp, decodedUs, keepalive } of decoded) {
    if (!stamp || keepalive || seen.has(stamp.sequence)) continue;
    seen.add(stamp.sequence);
    latencies.push((decodedUs - stamp.realtimeUs) / 1000);
  }
  return latencies;
}

/** Painted pictures between the first and the last decoded one that were never decoded. */
export function sequenceGaps(decoded: readonly Decoded[]): number {
  const painted = decoded.flatMap(({ stamp }) => (stamp ? [stamp.sequence] : []));
  if (painted.length === 0) return 0;
  const first = Math.min(...painted);
  const last = Math.max(...painted);
  return last - first + 1 - new Set(painted).size;
}
