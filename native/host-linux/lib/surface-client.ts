// A client of the surface protocol (docs/protocols/surface.md) that gives out what arrives: for tests, benchmarks
// and the control of scanouts. Engines have their own client inside native code.
import { EventEmitter } from 'node:events';
import { addon, type NativeEvent, type NativeSurfaceClient } from './addon.js';
import type { CursorEvent } from './engine.js';
import { EngineError, type NativeError } from './errors.js';

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface SurfaceHello {
  versionMajor: number;
  versionMinor: number;
  /** Bits of `enum sb_capability`. */
  capabilities: bigint;
  scanoutCount: number;
  maxStreams: number;
  name: string;
}

export interface SurfaceEvent {
  stream: number;
  surface: number;
  kind: 'memfd' | 'dmabuf';
  width: number;
  height: number;
  /** DRM fourcc. */
  format: number;
  modifier: bigint;
  flags: number;
  planes: { offset: bigint; size: bigint; stride: number }[];
}

export interface FrameEvent {
  stream: number;
  surface: number;
  sequence: bigint;
  /** When the picture was made, CLOCK_MONOTONIC [ns]. */
  pts: bigint;
  /** When its message was received by native code, CLOCK_MONOTONIC [ns]. */
  receivedAt: bigint;
  /** First after a reset, a resize or a pause. */
  discontinuity: boolean;
  /** The picture within the surface. */
  crop: Rect;
  /** Within the surface; empty: all of the crop. */
  damage: Rect[];
}

export interface ScanoutInfo {
  scanout: number;
  enabled: boolean;
  active: boolean;
  width: number;
  height: number;
  preferredWidth: number;
  preferredHeight: number;
  /** [mHz] */
  refresh: number;
  generation: number;
}

interface SurfaceClientEvents {
  surface: [SurfaceEvent];
  'surface-gone': [{ stream: number; surface: number }];
  frame: [FrameEvent];
  cursor: [CursorEvent & { stream: number }];
  reset: [{ stream: number; reason: 'guest-reset' | 'renegotiated' | 'source-lost' }];
  state: [{ stream: number; state: 'active' | 'blank' | 'waiting' }];
  'scanout-info': [ScanoutInfo];
  /** A stream is over; the error is absent after an orderly end. */
  'stream-end': [{ stream: number; error: EngineError | undefined }];
  /** The connection broke; `end` follows. */
  error: [EngineError];
  /** The connection is over: last event. */
  end: [EngineError | undefined];
}

export interface SurfaceClientOptions {
  /** Who this is, for the producer's log; at most 31 bytes. */
  name?: string;
  /** Release each frame when the listeners of `frame` have returned. */
  autoRelease?: boolean;
}

export interface ScanoutMode {
  /** Preferred mode [pixels]. */
  width: number;
  height: number;
  /** [mHz]; 0: the device's choice. */
  refresh?: number;
  /** Physical size [mm]; 0: unknown. */
  widthMm?: number;
  heightMm?: number;
}

interface Answer {
  resolve: (event: NativeEvent) => void;
  reject: (error: EngineError) => void;
}

/** One connection to a producer of surfaces; up to 32 streams. */
export class SurfaceClient extends EventEmitter<SurfaceClientEvents> {
  readonly #native: NativeSurfaceClient;
  readonly #autoRelease: boolean;
  readonly #answers = new Map<number, Answer>();
  #hello: SurfaceHello | undefined;
  #ended = false;
  #closing: Promise<void> | undefined;

  /** Connects to the socket at `path` and greets. Rejects with EngineError. */
  static async connect(path: string, options: SurfaceClientOptions = {}): Promise<SurfaceClient> {
    const client = new SurfaceClient(path, options);
    // The hello is the request with serial 0.
    client.#hello = (await client.#answer(0)) as unknown as SurfaceHello;
    return client;
  }

  private constructor(path: string, options: SurfaceClientOptions) {
    super();
    this.#autoRelease = options.autoRelease ?? false;
    this.#native = new addon.SurfaceClient(path, options.name ?? 'scanbridge', (events) => {
      for (const event of events) this.#dispatch(event);
    });
  }

  /** What the producer said of itself. */
  get hello(): SurfaceHello {
    if (!this.#hello) throw new Error('the producer has not answered the hello');
    return this.#hello;
  }

  /** Resolves with the number of the new stream. Events of the stream may come before it does. */
  async subscribeScanout(scanout: number, options: { cursor?: boolean } = {}): Promise<number> {
    const { serial, stream } = this.#native.subscribeScanout(scanout, options.cursor ?? false);
    await this.#answer(serial);
    return stream;
  }

  /** Opens a stream of a virtio-gpu resource. Sizes in pixels and bytes, `format` a DRM fourcc. */
  async subscribeResource(
    resource: {
      resource: number;
      width: number;
      height: number;
      format: number;
      stride: number;
      offset: bigint;
      modifier: bigint;
    },
    options: { cursor?: boolean } = {},
  ): Promise<number> {
    const r = resource;
    const { serial, stream } = this.#native.subscribeResource(
      r.resource,
      r.width,
      r.height,
      r.format,
      r.stride,
      r.offset,
      r.modifier,
      options.cursor ?? false,
    );
    await this.#answer(serial);
    return stream;
  }

  async subscribeCapture(capture: number, options: { cursor?: boolean } = {}): Promise<number> {
    const { serial, stream } = this.#native.subscribeCapture(capture, options.cursor ?? false);
    await this.#answer(serial);
    return stream;
  }

  /** Nothing of the stream comes after the promise has settled. */
  async unsubscribe(stream: number): Promise<void> {
    await this.#answer(this.#native.unsubscribe(stream));
  }

  /** Connects, resizes (`mode`) or disconnects (`null`) the display of a scanout. */
  async configureScanout(scanout: number, mode: ScanoutMode | null): Promise<void> {
    const serial = this.#native.configureScanout(
      scanout,
      mode !== null,
      mode?.width ?? 0,
      mode?.height ?? 0,
      mode?.refresh ?? 0,
      mode?.widthMm ?? 0,
      mode?.heightMm ?? 0,
    );
    await this.#answer(serial);
  }

  /** Resolves after the producer has handled all that was sent before. */
  async ping(): Promise<void> {
    await this.#answer(this.#native.ping());
  }

  /** Copies the crop of a frame that is not released: crop.height rows of crop.width * 4 bytes, upper row first. */
  readPixels(frame: FrameEvent): Buffer {
    try {
      return this.#native.readPixels(frame.stream, frame.sequence);
    } catch (error) {
      throw isNativeError(error) ? new EngineError(error) : error;
    }
  }

  /** Lets the producer send the next frame. Does nothing when the frame is already released or its stream is over. */
  release(frame: FrameEvent): void {
    this.#native.release(frame.stream, frame.sequence);
  }

  /** Closes the connection. `end` comes before the promise settles. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#native.close(() => {
        this.#end(undefined);
        resolve();
      });
    });
    return this.#closing;
  }

  #answer(serial: number): Promise<NativeEvent> {
    if (this.#ended) return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.#answers.set(serial, { resolve, reject }));
  }

  #dispatch(event: NativeEvent): void {
    if (this.#ended) return;
    switch (event.type) {
      case 'answer': {
        const serial = event.serial as number;
        const answer = this.#answers.get(serial);
        this.#answers.delete(serial);
        const error = event.error as NativeError | undefined;
        if (error) answer?.reject(new EngineError(error));
        else answer?.resolve(event);
        break;
      }
      case 'surface':
        this.emit('surface', event as unknown as SurfaceEvent);
        break;
      case 'surface-gone':
        this.emit('surface-gone', event as unknown as { stream: number; surface: number });
        break;
      case 'frame': {
        const frame = event as unknown as FrameEvent;
        this.emit('frame', frame);
        if (this.#autoRelease) this.release(frame);
        break;
      }
      case 'cursor':
        this.emit('cursor', event as unknown as CursorEvent & { stream: number });
        break;
      case 'reset':
        this.emit('reset', event as unknown as SurfaceClientEvents['reset'][0]);
        break;
      case 'state':
        this.emit('state', event as unknown as SurfaceClientEvents['state'][0]);
        break;
      case 'scanout-info':
        this.emit('scanout-info', event as unknown as ScanoutInfo);
        break;
      case 'stream-end': {
        const error = event.error as NativeError | undefined;
        this.emit('stream-end', {
          stream: event.stream as number,
          error: error && new EngineError(error),
        });
        break;
      }
      case 'end': {
        const error = event.error as NativeError | undefined;
        this.#end(error && new EngineError(error));
        // Nothing more will come: frees the native part, so that the process may end.
        void this.close();
        break;
      }
    }
  }

  #end(error: EngineError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const answer of this.#answers.values()) answer.reject(error ?? closedError());
    this.#answers.clear();
    if (error && this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('end', error);
  }
}

function closedError(): EngineError {
  return new EngineError({
    code: 'SURFACE_CLOSED',
    message: 'The connection to the producer of surfaces is closed.',
    remedy: 'Connect again.',
  });
}

function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && 'code' in error && 'remedy' in error;
}
