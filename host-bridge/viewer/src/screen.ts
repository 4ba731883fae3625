// Where a picture is drawn: a canvas that fits into its element, and the way from the page's coordinates to the
// picture's. Queue: one picture; a newer one replaces it (the newest wins).
// A 2D canvas on the main thread: beside WebGL, ImageBitmap and a worker with an OffscreenCanvas it had the shortest way
// from received to drawn where there is no GPU, which is where it matters.
import { leaveTurn, takeTurn } from './thumbnail-painter.js';

export interface DrawHandler {
  /** The picture is in the canvas. @param wait how long it took since it left the decoder [ms] */
  drawn(wait: number): void;
}

interface Waiting {
  readonly frame: VideoFrame;
  readonly width: number;
  readonly height: number;
  readonly decodedAt: number;
  readonly handler: DrawHandler;
}

/** A factor so small that sharp pixels, or a clean edge, are worth more than the last pixels. */
const NEARLY_ONE = 1.02;

export class Screen {
  readonly element = document.createElement('div');
  readonly canvas = document.createElement('canvas');
  readonly #context: CanvasRenderingContext2D;
  readonly #observer: ResizeObserver;
  #waiting: Waiting | undefined;
  #frameRequest: number | undefined;
  #listeners = new Set<() => void>();
  #width = 1;
  #height = 1;

  /** Pictures that were replaced by newer ones before they were drawn. */
  superseded = 0;
  /** Pictures that were drawn. */
  drawn = 0;
  /** Where the picture lies in the element, and its scale [CSS pixels, CSS pixels per pixel of the picture]. */
  left = 0;
  top = 0;
  scale = 1;

  /** @param thumbnail a small picture among others: no more pixels than are seen, and drawn in turns with the others */
  constructor(readonly thumbnail = false) {
    this.element.className = 'screen';
    this.canvas.className = 'picture';
    this.canvas.width = this.canvas.height = 1;
    const context = this.canvas.getContext('2d', { alpha: false, desynchronized: true });
    if (!context) throw new Error('this browser has no canvas');
    this.#context = context;
    this.element.append(this.canvas);
    this.#observer = new ResizeObserver(() => this.#layout());
    this.#observer.observe(this.element);
  }

  /** Size of the picture [pixels]. */
  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  /** Calls `listener` whenever the picture's place or size has changed. */
  onLayout(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Shows a picture and closes its frame. Thumbnails take turns. Otherwise the first one in a display interval is drawn at
   * once, and of what comes while that one waits for the display, the newest in the next interval.
   * @param width visible part, from the left upper corner [pixels]
   */
  show(
    frame: VideoFrame,
    width: number,
    height: number,
    decodedAt: number,
    handler: DrawHandler,
  ): void {
    const next: Waiting = { frame, width, height, decodedAt, handler };
    if (!this.thumbnail && this.#frameRequest === undefined) {
      this.#draw(next);
      this.#frameRequest = requestAnimationFrame(this.#drawWaiting);
      return;
    }
    if (this.#waiting) {
      this.#waiting.frame.close();
      this.superseded++;
    }
    this.#waiting = next;
    if (this.thumbnail) takeTurn(this.#drawWaiting);
  }

  readonly #drawWaiting = () => {
    this.#frameRequest = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!waiting) return;
    this.#draw(waiting);
    if (!this.thumbnail) this.#frameRequest = requestAnimationFrame(this.#drawWaiting);
  };

  #draw({ frame, width, height, decodedAt, handler }: Waiting): void {
    const { canvas } = this;
    if (this.#width !== width || this.#height !== height) {
      this.#width = width;
      this.#height = height;
      this.#layout();
    }
    const shrink = this.thumbnail ? Math.min(1, this.scale * (devicePixelRatio || 1)) : 1;
    const canvasWidth = Math.max(1, Math.round(width * shrink));
    const canvasHeight = Math.max(1, Math.round(height * shrink));
    if (canvas.width !== canvasWidth || canvas.height !== canvasHeight) {
      canvas.width = canvasWidth;
      canvas.height = canvasHeight;
    }
    const w = Math.min(width, frame.displayWidth);
    const h = Math.min(height, frame.displayHeight);
    this.#context.drawImage(frame, 0, 0, w, h, 0, 0, canvasWidth, canvasHeight);
    frame.close();
    this.drawn++;
    handler.drawn(performance.now() - decodedAt);
  }

  /** Pixels of the canvas, R G B A, rows without padding. Slow; for tests. */
  pixels(x: number, y: number, width: number, height: number): Uint8ClampedArray {
    return this.#context.getImageData(x, y, width, height).data;
  }

  /** From the page's coordinates to the picture's, held inside it [pixels]. */
  toPicture(clientX: number, clientY: number): { x: number; y: number; inside: boolean } {
    const box = this.element.getBoundingClientRect();
    const x = (clientX - box.left - this.left) / this.scale;
    const y = (clientY - box.top - this.top) / this.scale;
    const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    const hold = (value: number, end: number) => Math.min(Math.max(value, 0), end - 1);
    return { x: hold(x, this.width), y: hold(y, this.height), inside };
  }

  close(): void {
    this.#observer.disconnect();
    if (this.#frameRequest !== undefined) cancelAnimationFrame(this.#frameRequest);
    this.#frameRequest = undefined;
    leaveTurn(this.#drawWaiting);
    this.#waiting?.frame.close();
    this.#waiting = undefined;
    this.#listeners.clear();
    this.element.remove();
  }

  #layout(): void {
    const { clientWidth, clientHeight } = this.element;
    const ratio = devicePixelRatio || 1;
    const fits = [clientWidth / this.width, clientHeight / this.height];
    let scale = Math.min(...fits);
    // A tile has the picture's shape but for fractions of a pixel: rather lose those than show a line beside it.
    const covers = Math.max(...fits);
    if (this.thumbnail && covers < scale * NEARLY_ONE) scale = covers;
    if (scale * ratio > 1 && scale * ratio < NEARLY_ONE) scale = 1 / ratio;
    this.scale = scale > 0 ? scale : 1;
    const snap = (value: number) => Math.round(value * ratio) / ratio;
    this.left = snap((clientWidth - this.width * this.scale) / 2);
    this.top = snap((clientHeight - this.height * this.scale) / 2);
    const { style } = this.canvas;
    style.left = `${this.left}px`;
    style.top = `${this.top}px`;
    style.width = `${this.width * this.scale}px`;
    style.height = `${this.height * this.scale}px`;
    // Whole multiples of a pixel stay sharp; everything else is better smoothed.
    style.imageRendering = Number.isInteger(this.scale * ratio) ? 'pixelated' : 'auto';
    for (const listener of this.#listeners) listener();
  }
}
