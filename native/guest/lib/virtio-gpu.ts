import { EventEmitter } from 'node:events';
import {
  addon,
  type NativeResourceCapture,
  type NativeResourceEvent,
  type NativeVirtioGpu,
} from './addon.js';
import {
  Capture,
  type CaptureHost,
  type CaptureOptions,
  type CaptureStats,
  nativeOptions,
} from './capture.js';
import { VirtioGpuError, type VirtioGpuErrorCode } from './errors.js';

/** How the pixels of a resource lie. */
export interface ResourceGeometry {
  /** virtio-gpu resource id. */
  resource: number;
  /** Pixels. */
  width: number;
  height: number;
  /** Bytes. */
  stride: number;
  offset: number;
  /** DRM fourcc. */
  format: number;
  /** DRM format modifier. */
  modifier: bigint;
  /** The pixels are in the guest's memory, and the host has no newer copy of them. */
  backing: boolean;
}

/** A complete picture. */
export interface ResourceFrame {
  resource: number;
  /** Grows within a capture; a gap counts pictures that newer ones replaced. */
  sequence: number;
  /** CLOCK_MONOTONIC [us]. */
  pts: number;
  /** What changed since the frame before [pixels of the picture]; absent: all of it. */
  damage?: { x: number; y: number; width: number; height: number };
}

/** A buffer of the source's pool. */
export interface SourceBuffer {
  kind: 'dmabuf' | 'memfd';
  /** What the host calls it; 0 for memory that it does not know. */
  resource: number;
}

export interface ResourceCaptureStats extends CaptureStats {
  /** Bytes copied out of shared memory. */
  copied: number;
  /** Frames that were not released within a second, so that their buffers went back without. */
  late: number;
  /** Pictures given up because the GPU did not finish them within a second. */
  stuck: number;
}

interface FrameEvents {
  /** Before a resource's first frame, and when it changes. */
  geometry: [ResourceGeometry];
  /** Release it, or none follows. */
  frame: [ResourceFrame];
  /** No further frame uses the resource. One that is not released counts as released. */
  gone: [resource: number];
  /** There is no picture for now; the next frame ends that. */
  pause: [];
  /** PipeWire has added a buffer. */
  buffer: [SourceBuffer];
  /** The source's dma-bufs are of no use, and it was asked for shared memory. */
  fallback: [reason: string];
}

/** A capture's pictures as resource ids. */
export class ResourceFrames extends EventEmitter<FrameEvents> {
  readonly #native: () => NativeResourceCapture;
  #starts = 0;
  /** Events are those of the last start, not of one before. */
  #current = false;

  /** @internal */
  constructor(native: () => NativeResourceCapture) {
    super();
    this.#native = native;
  }

  /** The host is there and knows nothing: the present picture follows, and its geometry before it. */
  start(): void {
    this.#current = false;
    this.#starts = (this.#starts + 1) >>> 0;
    this.#native().start(this.#starts);
  }

  /** The host is away: no frame follows, and the source has its buffers back. */
  stop(): void {
    this.#current = false;
    this.#starts = (this.#starts + 1) >>> 0;
    this.#native().stop();
  }

  /** The host has read the frame. Others than the last one are ignored. */
  release(sequence: number): void {
    this.#native().release(sequence);
  }

  /** The host cannot use the source's dma-bufs: from here on it is asked for shared memory, which is copied. */
  avoidDmaBufs(reason: string): void {
    this.#native().avoidDmaBufs(reason);
  }

  /** @internal Takes an event that is about frames; false for others. */
  take(event: NativeResourceEvent): event is FrameEvent {
    switch (event.type) {
      case 'started':
        this.#current = event.token === this.#starts;
        return true;
      case 'frame':
        if (this.#current) this.emit('frame', event);
        return true;
      case 'geometry':
        if (this.#current) this.emit('geometry', event);
        return true;
      case 'gone':
        if (this.#current) this.emit('gone', event.resource);
        return true;
      case 'pause':
        if (this.#current) this.emit('pause');
        return true;
      case 'buffer':
        this.emit('buffer', event);
        return true;
      case 'fallback':
        this.emit('fallback', event.reason);
        return true;
      default:
        return false;
    }
  }
}

type FrameEvent = Extract<NativeResourceEvent, { type: keyof FrameEvents | 'started' }>;

/** A capture in a VM: its pictures are told as resource ids. */
export class ResourceCapture extends Capture<NativeResourceCapture> {
  readonly frames: ResourceFrames;

  /** @internal Made by VirtioGpu.addCapture. */
  constructor(gpu: NativeVirtioGpu, options: CaptureOptions) {
    const frames = new ResourceFrames(() => this.native);
    super(
      (event) =>
        new addon.ResourceCapture(gpu, nativeOptions(options), (e) => {
          if (!frames.take(e)) event(e);
        }),
    );
    this.frames = frames;
  }

  override stats(): ResourceCaptureStats {
    return this.native.stats();
  }
}

/** The VM's GPU, whose resources the host knows. */
export class VirtioGpu implements CaptureHost<ResourceCapture> {
  readonly #native: NativeVirtioGpu;
  readonly #captures = new Set<ResourceCapture>();

  /**
   * @param path DRM render node; the first one of a virtio-gpu where it is left out
   * @throws {VirtioGpuError}
   */
  constructor(path = '') {
    this.#native = coded(() => new addon.VirtioGpu(path));
  }

  /** DRM render node. */
  get path(): string {
    return this.#native.path;
  }

  /** The host renders for the guest (virgl, venus); else resources are plain memory. */
  get rendering(): boolean {
    return this.#native.rendering;
  }

  /**
   * What the host calls the memory of a dma-buf. The id is valid for as long as somebody holds the dma-buf.
   * @param dmabuf stays the caller's
   * @throws {VirtioGpuError}
   */
  resolve(dmabuf: number): { resource: number; size: number } {
    return coded(() => this.#native.resolve(dmabuf));
  }

  addCapture(options: CaptureOptions): ResourceCapture {
    const capture = new ResourceCapture(this.#native, options);
    this.#captures.add(capture);
    capture.once('end', () => this.#captures.delete(capture));
    return capture;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#captures].map((capture) => capture.close()));
  }
}

function coded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { code, message } = error as { code: VirtioGpuErrorCode; message: string };
    throw new VirtioGpuError(code, message);
  }
}

/** A render node of a virtio-gpu, or one that could not be looked at. */
export interface VirtioGpuNode {
  path: string;
  /** Why it cannot be used. */
  error?: string;
}

/** Lists this machine's virtio-gpus. */
export function listVirtioGpus(): VirtioGpuNode[] {
  return addon.listVirtioGpus();
}
