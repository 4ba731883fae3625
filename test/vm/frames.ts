import type { FrameEvent, SurfaceClient, SurfaceEvent } from '@scanbridge/native-host-linux';
import { VmError } from './error.js';
import type { Picture } from './picture.js';

/** How long a frame may take to come; generous, for an emulated guest on a busy machine. */
const FRAME_SECONDS = 30;

const fourcc = (name: string) => Buffer.from(name).readUInt32LE();

/** Where red, green and blue lie in a pixel's four bytes, by DRM format. */
const CHANNELS = new Map<number, readonly [number, number, number]>([
  [fourcc('XR24'), [2, 1, 0]],
  [fourcc('AR24'), [2, 1, 0]],
  [fourcc('XB24'), [0, 1, 2]],
  [fourcc('AB24'), [0, 1, 2]],
]);

/** A frame with its pixels, not yet released. */
export interface Frame extends FrameEvent {
  surfaceInfo: SurfaceEvent;
  picture: Picture;
}

/**
 * One stream of the frame exporter, read frame by frame: a frame is released when the next one is
 * asked for, so its reader sets the pace.
 */
export class FrameReader {
  readonly stream: number;
  readonly #client: SurfaceClient;
  readonly #surfaces = new Map<number, SurfaceEvent>();
  /** At most one, as the protocol has it: the frame that is outstanding and that nobody has taken yet. */
  #arrived: FrameEvent | undefined;
  #taken: FrameEvent | undefined;
  #wake: (() => void) | undefined;

  private constructor(client: SurfaceClient, stream: number) {
    this.#client = client;
    this.stream = stream;
  }

  /**
   * Opens a stream.
   *
   * @param subscribe opens it; the events that precede its end are not lost.
   * @throws EngineError what the exporter answers.
   */
  static async open(
    client: SurfaceClient,
    subscribe: (client: SurfaceClient) => Promise<number>,
  ): Promise<FrameReader> {
    client.setMaxListeners(0); // one set of listeners a stream
    const early: (() => void)[] = [];
    let reader: FrameReader | undefined;
    const later = (event: { stream: number }, handle: (reader: FrameReader) => void) => {
      if (!reader) {
        early.push(() => {
          if (event.stream === reader?.stream) handle(reader);
        });
      } else if (event.stream === reader.stream) {
        handle(reader);
      }
    };
    client.on('surface', (event) => later(event, (r) => r.#surfaces.set(event.surface, event)));
    client.on('surface-gone', (event) => later(event, (r) => r.#surfaces.delete(event.surface)));
    client.on('reset', (event) => later(event, (r) => r.#forget()));
    client.on('stream-end', (event) => later(event, (r) => r.#forget()));
    client.on('frame', (event) => later(event, (r) => r.#arrive(event)));
    reader = new FrameReader(client, await subscribe(client));
    for (const handle of early) handle();
    return reader;
  }

  /** Opens the stream of a scanout. */
  static scanout(client: SurfaceClient, scanout: number, cursor = false): Promise<FrameReader> {
    return FrameReader.open(client, (it) => it.subscribeScanout(scanout, { cursor }));
  }

  #forget(): void {
    this.#surfaces.clear();
    this.#arrived = undefined;
    this.#taken = undefined;
  }

  #arrive(frame: FrameEvent): void {
    if (this.#arrived || this.#taken) {
      throw new VmError('CHANNEL_BROKEN', 'the exporter sent a frame before a release');
    }
    this.#arrived = frame;
    this.#wake?.();
  }

  /** Releases the frame that was read last. */
  release(): void {
    if (this.#taken) {
      this.#client.release(this.#taken);
      this.#taken = undefined;
    }
  }

  /**
   * Releases the last frame and waits for the next one.
   *
   * @throws VmError if none comes.
   */
  async next(): Promise<Frame> {
    this.release();
    if (!this.#arrived) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          this.#wake = undefined;
          reject(new VmError('CHANNEL_BROKEN', `no frame came within ${FRAME_SECONDS} s`));
        }, FRAME_SECONDS * 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    const frame = this.#arrived as FrameEvent;
    this.#arrived = undefined;
    this.#taken = frame;
    const surfaceInfo = this.#surfaces.get(frame.surface);
    if (!surfaceInfo) {
      throw new VmError('CHANNEL_BROKEN', `a frame names surface ${frame.surface}, which is gone`);
    }
    const picture = toRgb(this.#client.readPixels(frame), frame, surfaceInfo.format);
    return { ...frame, surfaceInfo, picture };
  }

  /** The picture of the frame that was read last and is not released, as its memory is now. */
  again(): Picture {
    const surface = this.#taken && this.#surfaces.get(this.#taken.surface);
    if (!this.#taken || !surface) {
      throw new VmError('CHANNEL_BROKEN', 'no frame was read, or it is released');
    }
    return toRgb(this.#client.readPixels(this.#taken), this.#taken, surface.format);
  }

  /** Reads frames until one is as wanted. */
  async until(wanted: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (wanted(frame)) {
        return frame;
      }
    }
  }
}

function toRgb(pixels: Buffer, frame: FrameEvent, format: number): Picture {
  const { width, height } = frame.crop;
  const channels = CHANNELS.get(format);
  if (!channels) {
    throw new VmError('CHANNEL_BROKEN', `a surface has the unknown format ${format.toString(16)}`);
  }
  const [red, green, blue] = channels;
  const rgb = Buffer.alloc(width * height * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    rgb[to] = pixels[from + red] as number;
    rgb[to + 1] = pixels[from + green] as number;
    rgb[to + 2] = pixels[from + blue] as number;
  }
  return { width, height, rgb };
}
