// What tests and benchmarks see of the page: `window.scanbridge`. It reads and never changes anything.
import { type Observation, openStreams, type StreamStats } from './stream.js';

export interface Inspection {
  /** Version of this interface. */
  readonly version: 1;
  /** Sessions with an open stream on the page. */
  streams(): string[];
  /** Counters, rates and latency of a stream: see StreamStats. */
  stats(id: string): StreamStats | undefined;
  /** Id of the reason why there is no current picture; undefined when there is one. */
  reason(id: string): string | undefined;
  /** Pixels of the canvas: R G B A, rows without padding; undefined before the first picture. */
  pixels(
    id: string,
    x: number,
    y: number,
    width: number,
    height: number,
  ): Uint8ClampedArray | undefined;
  /** The cursor that is drawn over the picture, in pixels of the picture; undefined when none is. */
  cursor(id: string): { x: number; y: number; width: number; height: number } | undefined;
  /** Calls `observer` with every picture as it leaves the decoder, before it is drawn; returns a function that ends it. */
  observe(id: string, observer: (observation: Observation) => void): (() => void) | undefined;
}

const inspection: Inspection = Object.freeze<Inspection>({
  version: 1,
  streams: () => [...openStreams.keys()],
  stats: (id) => openStreams.get(id)?.stats,
  reason: (id) => openStreams.get(id)?.reason?.id,
  pixels: (id, x, y, width, height) => {
    const stream = openStreams.get(id);
    return stream?.hasPicture ? stream.screen.pixels(x, y, width, height) : undefined;
  },
  cursor: (id) => openStreams.get(id)?.cursor.drawn,
  observe: (id, observer) => openStreams.get(id)?.observe(observer),
});

/** Puts the interface where tests find it. */
export function exposeInspection(): void {
  Object.defineProperty(window, 'scanbridge', { value: inspection, enumerable: true });
}
