import { EventEmitter } from 'node:events';
import type { NativeCapture, NativeCaptureEvent, NativeCaptureOptions } from './addon.js';
import { CaptureError, type CaptureErrorCode } from './errors.js';

export interface CaptureOptions {
  /** PipeWire node id of the source. */
  node: number;
  /** PipeWire socket, as a path or as a name in XDG_RUNTIME_DIR. Default: the user's own daemon. */
  remote?: string;
  /** Connection to PipeWire that the portal handed out; owned by the capture from here on, also when it fails. */
  fd?: number;
  /** Most pictures per second that are asked of the source. 1 to 1000. */
  maxFps: number;
  /**
   * Size to ask for [pixels]. Only a source that leaves the size to its consumer follows (a virtual monitor of
   * Mutter); any other source keeps its own.
   */
  size?: { width: number; height: number };
  /** Time until the first buffers must be there [ms]. Default 5000. */
  connectTimeout?: number;
}

/** `connecting`: negotiating; `waiting`: paused, no picture; `active`: pictures come when something changes. */
export type CaptureState = 'connecting' | 'waiting' | 'active' | 'ended';

export interface CaptureFormat {
  /** Size of a buffer [pixels]. */
  width: number;
  height: number;
  /** DRM fourcc, e.g. "XR24". */
  format: string;
  /** DRM format modifier; 0n is linear. */
  modifier: bigint;
  kind: 'memfd' | 'dmabuf';
  explicitSync: boolean;
}

/** Counters since the capture began. */
export interface CaptureStats {
  /** Pictures that PipeWire delivered. */
  pictures: number;
  /** Pictures of these that were replaced by a newer one before any client took them. */
  replaced: number;
  /** Frames sent, over all clients. */
  frames: number;
  /** Streams of clients that are open now. */
  streams: number;
  /** Buffers of the source's pool. */
  buffers: number;
  /** Buffers that are not with the source at this moment. */
  held: number;
  /** Buffers taken back from clients that kept them while the source had none left. */
  reclaimed: number;
  /** Pictures that could not be used (see BAD_BUFFER); the capture ends when they do not stop. */
  bad: number;
}

interface CaptureEvents {
  state: [CaptureState];
  /** Before the first picture, and again whenever the source changes it. */
  format: [CaptureFormat];
  /** The capture is over because of this; `end` follows. */
  error: [CaptureError];
  /** Nothing follows. Clients were told. */
  end: [];
}

/** What the C++ half is given of CaptureOptions. */
export function nativeOptions(options: CaptureOptions): Omit<NativeCaptureOptions, 'renderNode'> {
  return {
    node: options.node,
    maxFps: options.maxFps,
    connectTimeout: options.connectTimeout ?? 5000,
    remote: options.remote ?? '',
    fd: options.fd ?? -1,
    width: options.size?.width ?? 0,
    height: options.size?.height ?? 0,
  };
}

/** One PipeWire stream, as long as it lasts. */
export abstract class Capture<
  Native extends NativeCapture = NativeCapture,
> extends EventEmitter<CaptureEvents> {
  protected readonly native: Native;
  readonly #ended: Promise<void>;
  #state: CaptureState = 'connecting';

  protected constructor(open: (event: (event: NativeCaptureEvent) => void) => Native) {
    super();
    let end: () => void = () => {};
    this.#ended = new Promise((resolve) => {
      end = resolve;
    });
    this.native = open((event) => {
      if (event.type === 'end') end();
      this.#handle(event);
    });
  }

  get state(): CaptureState {
    return this.#state;
  }

  stats(): CaptureStats {
    return this.native.stats();
  }

  /** Asks a source that leaves the size to its consumer for another one [pixels]. */
  resize(width: number, height: number): void {
    this.native.resize(width, height);
  }

  /** Ends the capture; resolves when every descriptor is closed. */
  async close(): Promise<void> {
    this.native.close();
    await this.#ended;
  }

  #handle(event: NativeCaptureEvent): void {
    switch (event.type) {
      case 'state':
        this.#state = event.state;
        this.emit('state', event.state);
        break;
      case 'format':
        this.emit('format', event.format);
        break;
      case 'error':
        this.emit('error', new CaptureError(event.code as CaptureErrorCode, event.message));
        break;
      case 'end':
        this.#state = 'ended';
        this.emit('end');
        break;
    }
  }
}

/** Whoever captures PipeWire streams and passes their pictures on. */
export interface CaptureHost<C extends Capture = Capture> {
  /** Begins to capture at once. Failures are events of the capture. */
  addCapture(options: CaptureOptions): C;
  /** Ends all captures. */
  close(): Promise<void>;
}
