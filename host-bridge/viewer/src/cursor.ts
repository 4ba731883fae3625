// The desktop's cursor, drawn by the viewer so that it never waits for a picture.
// While this viewer's own pointer works on the desktop, the browser's cursor takes the desktop's shape (the fastest
// there is); otherwise the shape lies over the picture where the desktop has it.
import type { Message } from './messages.js';
import type { Screen } from './screen.js';

/** Browsers ignore larger cursors [CSS pixels]. */
const MAX_CSS_CURSOR = 128;

type Shape = NonNullable<Message<'cursor'>['shape']>;

function pixelsOf(shape: Shape): ImageData | undefined {
  let binary: string;
  try {
    binary = atob(shape.rgba);
  } catch {
    return undefined;
  }
  if (binary.length !== shape.width * shape.height * 4) return undefined;
  const data = new Uint8ClampedArray(binary.length);
  for (let i = 0; i < binary.length; i++) data[i] = binary.charCodeAt(i);
  return new ImageData(data, shape.width, shape.height);
}

export class Cursor {
  readonly #overlay = document.createElement('canvas');
  #shape: Shape | undefined;
  #visible = false;
  #x = 0;
  #y = 0;
  #own = false;

  constructor(readonly screen: Screen) {
    this.#overlay.className = 'cursor';
    this.#overlay.width = this.#overlay.height = 1;
    this.#overlay.hidden = true;
    screen.element.append(this.#overlay);
    screen.onLayout(() => this.#apply());
  }

  /** Whether the viewer's own pointer stands for the cursor. */
  set own(own: boolean) {
    if (own === this.#own) return;
    this.#own = own;
    this.#apply();
  }

  /** For tests: what is drawn over the picture, in pixels of the picture. */
  get drawn(): { x: number; y: number; width: number; height: number } | undefined {
    if (this.#overlay.hidden || !this.#shape) return undefined;
    const { hotX, hotY, width, height } = this.#shape;
    return { x: this.#x - hotX, y: this.#y - hotY, width, height };
  }

  update(message: Message<'cursor'>): void {
    this.#visible = message.visible;
    this.#x = message.x;
    this.#y = message.y;
    if (message.shape) {
      const pixels = pixelsOf(message.shape);
      if (pixels) {
        this.#shape = message.shape;
        this.#overlay.width = pixels.width;
        this.#overlay.height = pixels.height;
        this.#overlay.getContext('2d')?.putImageData(pixels, 0, 0);
      }
      this.#apply();
    } else {
      this.#place();
    }
  }

  /** The connection is gone: so is the cursor, until the bridge sends it again. */
  clear(): void {
    this.#visible = false;
    this.#shape = undefined;
    this.#apply();
  }

  #apply(): void {
    const { style } = this.screen.canvas;
    style.cursor = '';
    // Of the forms, the last one that the browser understands stays.
    if (this.#own) for (const form of this.#css()) style.cursor = form;
    this.#place();
  }

  #place(): void {
    const shape = this.#shape;
    this.#overlay.hidden = !shape || !this.#visible || this.#own;
    if (!shape || this.#overlay.hidden) return;
    const { left, top, scale } = this.screen;
    const { style } = this.#overlay;
    style.width = `${shape.width * scale}px`;
    style.height = `${shape.height * scale}px`;
    style.transform = `translate(${left + (this.#x - shape.hotX) * scale}px, ${
      top + (this.#y - shape.hotY) * scale
    }px)`;
  }

  #css(): string[] {
    const shape = this.#shape;
    if (!shape) return ['default'];
    if (!this.#visible) return ['none'];
    const ratio = devicePixelRatio || 1;
    const largest = Math.max(shape.width, shape.height);
    const scale = Math.min(this.screen.scale, MAX_CSS_CURSOR / largest);
    const image = document.createElement('canvas');
    image.width = Math.max(1, Math.round(shape.width * scale * ratio));
    image.height = Math.max(1, Math.round(shape.height * scale * ratio));
    const context = image.getContext('2d');
    if (!context) return ['default'];
    context.drawImage(this.#overlay, 0, 0, image.width, image.height);
    const hot = `${Math.round(shape.hotX * scale)} ${Math.round(shape.hotY * scale)}`;
    const url = `url(${image.toDataURL()})`;
    const plain = ratio === 1 ? `${url} ${hot}, default` : 'default';
    return [plain, `image-set(${url} ${ratio}x) ${hot}, default`];
  }
}
