// One encoded stream of one desktop.
import { EventEmitter } from 'node:events';
import type { ColorSpace } from '@scanbridge/protocol/viewer';
import { addon, type NativeEngine, type NativeEvent } from './addon.js';
import { EngineError, type NativeError } from './errors.js';
import type { Rect } from './surface-client.js';

/** Where the pictures come from. */
export type Source =
  /** A scanout that a producer (QEMU's `frame-export`) serves at the Unix socket `socket`; 0 is the console. */
  | { kind: 'scanout'; socket: string; scanout: number }
  /** Resources of a virtio-gpu that QEMU's `frame-export` serves at `socket`: addResource and showFrame say which. */
  | { kind: 'resource'; socket: string }
  /** A capture that the agent on bare metal serves. */
  | { kind: 'capture'; socket: string; capture: number }
  /** A moving pattern made here; needs nothing. Sizes in pixels. */
  | { kind: 'test-pattern'; width: number; height: number; fps: number };

/** How the pixels of a virtio-gpu resource lie. */
export interface ResourceLayout {
  /** Its id, 1 to 2^32 - 1. */
  resource: number;
  /** [pixels] */
  width: number;
  height: number;
  /** DRM fourcc. */
  format: number;
  /** [bytes] */
  stride: number;
  /** Of the first pixel [bytes]. */
  offset: bigint;
  /** DRM format modifier; 0 is linear. */
  modifier: bigint;
  /** The newest pixels are in the guest's memory: drawn there, and not transferred to the host. */
  backing: boolean;
}

/** A picture in a resource. */
export interface ShownFrame {
  /** Comes back in `released`, once; 0 to 2^32 - 1. */
  token: number;
  resource: number;
  /** When it was complete, in the time of monotonicNow() [ns]. */
  pts: bigint;
  /** What changed since the frame that was shown before [pixels of the resource]; absent: all of it. */
  damage?: Rect;
}

/** Engines of GPUs first, in the order in which `auto` tries them. */
export const ENGINES = [
  'nvidia',
  'vaapi',
  'qsv',
  'x264',
  'openh264',
  'x265',
  'aom',
  'vpx',
] as const;
export type EngineName = (typeof ENGINES)[number];

export const CODECS = ['h264', 'hevc', 'av1', 'vp9'] as const;
export type Codec = (typeof CODECS)[number];

/**
 * Which paths may be taken, whatever works: `zerocopy` only those on which pictures stay on the GPU, `native` only the
 * GPU's own encoder, `shm` only those that read pictures from system memory.
 */
export const MODES = ['auto', 'zerocopy', 'native', 'shm'] as const;
export type PathMode = (typeof MODES)[number];

/** A path that is not taken, and why. */
export interface TriedPath {
  engine: EngineName;
  path: string;
  reason: string;
}

export interface EngineOptions {
  source: Source;
  /** `auto` takes the first that works, in the order of probe(). */
  engine: 'auto' | EngineName;
  /** `h264` where absent. */
  codec?: Codec | undefined;
  /** `auto` where absent. */
  mode?: PathMode | undefined;
  /** Of VA-API, for a GPU that is not the first: "renderD129". */
  renderNode?: string | undefined;
  /** Of CUDA, the number of the GPU; 0 where absent. */
  cuda?: number | undefined;
  /** Paths that are not to be tried, with the reason that is told. */
  avoid?: readonly { engine: string; path: string; reason: string }[] | undefined;
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
  /** RFC 6381, made from the sequence parameter set: "avc1.42c01f". */
  codec: string;
  /** Visible part, in the upper left corner of the decoded picture [pixels]. */
  width: number;
  height: number;
  /** What a decoder gives out: width and height, rounded up to even [pixels]. */
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

/** Which path encodes, and which were tried before it. */
export interface ChosenPath {
  engine: EngineName;
  path: string;
  codec: Codec;
  /** A GPU encodes. */
  hardware: boolean;
  tried: TriedPath[];
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
  /** Pictures in which not one pixel had changed. */
  skippedUnchanged: number;
  /** Of all access units. */
  bytes: number;
  /** 64x64 tiles that were compared and that had changed. */
  tilesCompared: number;
  tilesChanged: number;
  /** Pictures that the processor copied to other memory, in whole pictures; conversions are not counted. */
  copies: number;
  /** Present target [kbit/s]. */
  bitrateKbps: number;
  /** Compare, copy and convert a picture [us]. */
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
  /** A path is about to start: if the process dies now, it was this one. */
  trying: [path: { engine: EngineName; path: string }];
  /** A shown frame is no longer read: encoded, replaced by a newer one, or its resource is gone. */
  released: [token: number];
  /** A resource cannot be read, and why; its frames are released unread until it is added again. */
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
  readonly #native: NativeEngine;
  #closing: Promise<void> | undefined;
  #ended = false;

  /** Throws EngineError BAD_OPTION. */
  constructor(options: EngineOptions) {
    super();
    checkOptions(options);
    const { codec = 'h264', mode = 'auto', renderNode = '', cuda = 0, avoid = [] } = options;
    const complete = { ...options, codec, mode, renderNode, cuda, avoid };
    this.#native = new addon.Engine(complete, (events) => {
      for (const event of events) this.#dispatch(event);
    });
  }

  /** The next access unit is a key frame, also when the picture stands still. Requests until then are merged. */
  requestKeyFrame(): void {
    this.#native.requestKeyFrame();
  }

  /** Changes the target without a key frame, 100 to 200,000 kbit/s. */
  setBitrate(kbps: number): void {
    checkRange('bitrateKbps', kbps, 100, 200_000);
    this.#native.setBitrate(kbps);
  }

  /**
   * For a source of resources: makes one known, or says anew how its pixels lie. The exporter checks it against the
   * real one and `refused` tells if they differ.
   * @throws EngineError BAD_OPTION for what no resource can be, and for the 33rd
   */
  addResource(layout: ResourceLayout): void {
    checkRange('resource', layout.resource, 1, 0xffff_ffff);
    checkRange('width', layout.width, 1, 16_384);
    checkRange('height', layout.height, 1, 16_384);
    checkRange('format', layout.format, 0, 0xffff_ffff);
    checkRange('stride', layout.stride, 1, 1_048_576);
    if (this.#native.addResource(layout)) return;
    throw new EngineError({
      code: 'BAD_OPTION',
      message: 'There are 32 resources already.',
      remedy: 'Remove those that are not used.',
    });
  }

  /** Frames in it that are not released yet are released. */
  removeResource(resource: number): void {
    this.#native.removeResource(resource);
  }

  /** Encodes what is in a resource now. A frame shown before that was not read yet is released. */
  showFrame(frame: ShownFrame): void {
    this.#native.showFrame(frame);
  }

  stats(): EngineStats {
    return this.#native.stats();
  }

  /**
   * Stops, frees everything and closes the connection. `end` comes before the promise settles. Not needed after `end`,
   * and harmless.
   */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#native.close(() => {
        this.#end(undefined);
        resolve();
      });
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
      case 'trying':
        this.emit('trying', { engine: event.engine as EngineName, path: event.path as string });
        break;
      case 'chosen':
        this.emit('chosen', event.chosen as ChosenPath);
        break;
      case 'released':
        this.emit('released', event.token as number);
        break;
      case 'refused':
        this.emit('refused', event.resource as number, new EngineError(event.error as NativeError));
        break;
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

function checkRange(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new EngineError({
      code: 'BAD_OPTION',
      message: `${name} is ${value}.`,
      remedy: `Use a whole number from ${low} to ${high}.`,
    });
  }
}

function checkOptions(options: EngineOptions): void {
  checkRange('bitrateKbps', options.bitrateKbps, 100, 200_000);
  checkRange('maxFps', options.maxFps, 1, 240);
  if (options.keepaliveMs !== 0) checkRange('keepaliveMs', options.keepaliveMs, 100, 60_000);
  const { source } = options;
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
    case 'resource':
      break;
  }
}
