// One encoded stream of one desktop. The interface is that of @scanbridge/native-host-linux.
import { EventEmitter } from 'node:events';
import type { ColorSpace } from '@scanbridge/protocol/viewer';
import { addon, type NativeEngine, type NativeEvent } from './addon.js';
import { EngineError, type NativeError } from './errors.js';

/** Where the pictures come from. */
export type Source =
  /** A scanout that QEMU's `frame-export` serves at the Unix socket `socket`; 0 is the console. */
  | { kind: 'scanout'; socket: string; scanout: number }
  /** Resources of a virtio-gpu. Not served on macOS yet: each one is refused. */
  | { kind: 'resource'; socket: string }
  /** A capture that an agent serves; there is none on macOS, so that the producer refuses it. */
  | { kind: 'capture'; socket: string; capture: number }
  /** A moving pattern made here; needs nothing. Sizes in pixels. */
  | { kind: 'test-pattern'; width: number; height: number; fps: number };

export type EngineName = 'videotoolbox';
export type Codec = 'h264' | 'hevc';

export interface EngineOptions {
  source: Source;
  engine: 'auto' | EngineName;
  /** h264 when left out. */
  codec?: Codec | undefined;
  /** Target of the rate control, 100 to 200,000. */
  bitrateKbps: number;
  /** Pictures above this rate are dropped before they are encoded, 1 to 240. */
  maxFps: number;
  /** A still picture is encoded again after this time [ms], 100 to 60,000; 0: never. 1000 is a good choice. */
  keepaliveMs: number;
  /** Ask the producer for the cursor, which then comes as events and is not in the picture. */
  cursor: boolean;
}

/** Describes the access units that carry its `id` in their header. */
export interface VideoConfig {
  /** 1 to 65535, grows with each change. */
  id: number;
  /** RFC 6381, made from the sequence parameter set: "avc1.640028". */
  codec: string;
  /** Visible part, in the upper left corner of the decoded picture [pixels]. */
  width: number;
  height: number;
  /** What a decoder gives out [pixels]. */
  codedWidth: number;
  codedHeight: number;
  /** What the samples mean, in the words of WebCodecs. */
  colorSpace: ColorSpace;
}

export interface EngineState {
  /** `starting`: no picture yet; `live`; `blank`: the desktop switched its display off; `waiting`: the source is paused. */
  state: 'starting' | 'live' | 'blank' | 'waiting';
  /** Set when all surfaces went away and the stream goes on. */
  reset?: 'guest-reset' | 'renegotiated' | 'source-lost';
}

export interface CursorEvent {
  visible: boolean;
  /** Of the hot spot [pixels of the picture]. */
  x: number;
  y: number;
  /** Present when it changed. */
  shape?: {
    hotX: number;
    hotY: number;
    width: number;
    height: number;
    /** width * height * 4 bytes: B, G, R, A; premultiplied (DRM AR24). */
    pixels: Buffer;
  };
}

/** Which path encodes. */
export interface ChosenPath {
  engine: EngineName;
  path: string;
  codec: Codec;
  /** The media engine encodes, not the CPU. */
  hardware: boolean;
  tried: { engine: EngineName; path: string; reason: string }[];
}

/** Percentiles of the last 1024 values [us]; 0 before the first. */
export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** Counted since the engine started. */
export interface EngineStats {
  /** Pictures that the source made: received ones and those that newer ones replaced. */
  framesIn: number;
  /** Access units that came out. */
  encoded: number;
  keyFrames: number;
  /** Access units that encode an unchanged picture anew. */
  keepalives: number;
  /** Pictures that newer ones replaced before they were encoded. */
  droppedBeforeEncode: number;
  /** Pictures that VideoToolbox left out, to keep to the bitrate. */
  droppedByEncoder: number;
  /** Pictures are not compared: always 0. */
  skippedUnchanged: number;
  /** Of all access units. */
  bytes: number;
  /** Pictures are not compared: always 0. */
  tilesCompared: number;
  tilesChanged: number;
  /** Pictures that had to be copied before: a part of a surface, an odd size, upside down. */
  copies: number;
  /** Sessions that were made anew after the encoder service had failed. */
  rebuilds: number;
  /** Present target [kbit/s]. */
  bitrateKbps: number;
  /** Make a picture ready [us]. */
  convert: Percentiles;
  /** Picture handed to the encoder until its access unit came out [us]. */
  encode: Percentiles;
  /** Picture reached this process until its access unit came out; without keepalives [us]. */
  latency: Percentiles;
}

interface EngineEvents {
  /** A complete binary message of the viewer protocol (header and access unit); its field `bridge` is 0. */
  video: [message: Buffer];
  /** Before the first access unit that carries its id. */
  config: [config: VideoConfig];
  state: [state: EngineState];
  cursor: [cursor: CursorEvent];
  chosen: [chosen: ChosenPath];
  /** A frame that showFrame named is not used any more. */
  released: [token: number];
  /** A resource cannot be shown, and why. */
  refused: [resource: number, error: EngineError];
  /** What made the engine end; `end` follows. */
  error: [error: EngineError];
  /** Last event, once. The error is absent after close() and after an orderly end of the stream. */
  end: [error: EngineError | undefined];
}

/**
 * Encodes one source until close(), the source's end, or an error. Starts at once; events come from the next turn
 * of the event loop on. A picture is dropped before it is encoded, never after: while JavaScript does not take
 * the access units (4 are under way at most), nothing is encoded.
 */
export class Engine extends EventEmitter<EngineEvents> {
  readonly #codec: Codec;
  /** Absent for a source that needs no native part. */
  readonly #native: NativeEngine | undefined;
  #closing: Promise<void> | undefined;
  #ended = false;

  /** Throws EngineError BAD_OPTION. */
  constructor(options: EngineOptions) {
    super();
    checkOptions(options);
    this.#codec = options.codec ?? 'h264';
    if (options.source.kind === 'resource') return;
    this.#native = new addon.Engine(options, (events) => {
      for (const event of events) this.#dispatch(event);
    });
  }

  /** The next access unit is a key frame, also when the picture stands still. Requests until then are merged. */
  requestKeyFrame(): void {
    this.#native?.requestKeyFrame();
  }

  /** Changes the target without a key frame, 100 to 200,000 kbit/s. */
  setBitrate(kbps: number): void {
    checkRange('bitrateKbps', kbps, 100, 200_000);
    this.#native?.setBitrate(kbps);
  }

  /** Always refused, on a later turn: resources are not served on macOS yet. */
  addResource({ resource }: { resource: number }): void {
    const error = new EngineError({
      code: 'SURFACE_UNSUPPORTED',
      message: `Resource ${resource} cannot be shown: streams of resources are not served on macOS.`,
      remedy: 'Show the desktop on a scanout of its own.',
    });
    setImmediate(() => this.#ended || this.emit('refused', resource, error));
  }

  removeResource(_resource: number): void {
    // None was added.
  }

  /** Gives the frame back, on a later turn. */
  showFrame({ token }: { token: number }): void {
    setImmediate(() => this.#ended || this.emit('released', token));
  }

  stats(): EngineStats {
    return { ...NO_STATS, ...this.#native?.stats() };
  }

  /**
   * Stops, frees everything and closes the connection. `end` comes before the promise settles. Not needed after `end`,
   * and harmless.
   */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      const done = () => {
        this.#end(undefined);
        resolve();
      };
      if (this.#native) this.#native.close(done);
      else setImmediate(done);
    });
    return this.#closing;
  }

  #dispatch(event: NativeEvent): void {
    if (this.#ended || this.#closing) return;
    switch (event.type) {
      case 'video':
        this.emit('video', event.message as Buffer);
        break;
      case 'config':
        this.emit('config', event.config as VideoConfig);
        break;
      case 'state':
        this.emit('state', event.state as EngineState);
        break;
      case 'cursor':
        this.emit('cursor', event.cursor as CursorEvent);
        break;
      case 'chosen': {
        const chosen = event.chosen as Omit<ChosenPath, 'codec' | 'hardware'>;
        const hardware = chosen.path.includes('(hardware');
        this.emit('chosen', { ...chosen, codec: this.#codec, hardware });
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
    // An 'error' without a listener is thrown by EventEmitter; 'end' carries it too, so nothing is lost.
    if (error && this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('end', error);
  }
}

const NOTHING: Percentiles = { p50: 0, p95: 0, p99: 0 };
const NO_STATS: EngineStats = {
  framesIn: 0,
  encoded: 0,
  keyFrames: 0,
  keepalives: 0,
  droppedBeforeEncode: 0,
  droppedByEncoder: 0,
  skippedUnchanged: 0,
  bytes: 0,
  tilesCompared: 0,
  tilesChanged: 0,
  copies: 0,
  rebuilds: 0,
  bitrateKbps: 0,
  convert: NOTHING,
  encode: NOTHING,
  latency: NOTHING,
};

function bad(message: string, remedy: string): EngineError {
  return new EngineError({ code: 'BAD_OPTION', message, remedy });
}

function checkRange(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw bad(`${name} is ${value}.`, `Use a whole number from ${low} to ${high}.`);
}

/** sun_path of macOS, without its NUL [bytes]. */
const MAX_SOCKET = 103;

function checkOptions(options: EngineOptions): void {
  const { source, engine } = options;
  if (engine !== 'auto' && engine !== 'videotoolbox') {
    throw bad(`There is no engine ${engine} on macOS.`, 'Use auto, or videotoolbox.');
  }
  if (options.codec !== undefined && options.codec !== 'h264' && options.codec !== 'hevc') {
    throw bad(`VideoToolbox does not encode ${options.codec}.`, 'Use h264, or hevc.');
  }
  checkRange('bitrateKbps', options.bitrateKbps, 100, 200_000);
  checkRange('maxFps', options.maxFps, 1, 240);
  if (options.keepaliveMs !== 0) checkRange('keepaliveMs', options.keepaliveMs, 100, 60_000);
  if (source.kind !== 'test-pattern' && Buffer.byteLength(source.socket) > MAX_SOCKET) {
    throw bad(
      `The socket's path has more than ${MAX_SOCKET} bytes: ${source.socket}`,
      'Use a shorter path, or start the bridge in the folder of the socket and name it alone.',
    );
  }
  switch (source.kind) {
    case 'test-pattern':
      checkRange('source.width', source.width, 2, 16_384);
      checkRange('source.height', source.height, 2, 16_384);
      checkRange('source.fps', source.fps, 1, 240);
      break;
    case 'scanout':
      checkRange('source.scanout', source.scanout, 0, 0xffff_ffff);
      break;
    case 'capture':
      checkRange('source.capture', source.capture, 1, 0xffff_ffff);
      break;
  }
}
