// The C++ half as TypeScript sees it. Nothing outside lib/ uses these types.
import { createRequire } from 'node:module';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { CaptureFormat, CaptureState, CaptureStats } from './capture.js';
import type { Gpu } from './gpu.js';
import type { CursorMode } from './mutter.js';
import type { PortalStream } from './portal.js';
import type { SurfaceServerStats } from './surface-server.js';
import type {
  ResourceCaptureStats,
  ResourceFrame,
  ResourceGeometry,
  SourceBuffer,
  VirtioGpuNode,
} from './virtio-gpu.js';

export type NativeCaptureEvent =
  | { type: 'state'; state: CaptureState }
  | { type: 'format'; format: CaptureFormat }
  | { type: 'error'; code: string; message: string }
  | { type: 'end' };

export interface NativeCaptureOptions {
  node: number;
  /** Empty: the default daemon. */
  remote: string;
  /** -1: none. */
  fd: number;
  maxFps: number;
  /** 0: the source's choice. */
  width: number;
  height: number;
  /** "auto": the first render node; empty: none. */
  renderNode: string;
  connectTimeout: number;
}

export interface NativeCapture {
  stats(): CaptureStats;
  resize(width: number, height: number): void;
  close(): void;
}

export interface NativeSurfaceCapture extends NativeCapture {
  readonly id: number;
}

export type NativeResourceEvent =
  | NativeCaptureEvent
  | { type: 'started'; token: number }
  | ({ type: 'geometry' } & ResourceGeometry)
  | ({ type: 'frame' } & ResourceFrame)
  | { type: 'gone'; resource: number }
  | { type: 'pause' }
  | ({ type: 'buffer' } & SourceBuffer)
  | { type: 'fallback'; reason: string };

export interface NativeResourceCapture extends NativeCapture {
  stats(): ResourceCaptureStats;
  /** `started` with the same token comes before what follows from this. */
  start(token: number): void;
  stop(): void;
  release(sequence: number): void;
  avoidDmaBufs(reason: string): void;
}

export interface NativeVirtioGpu {
  readonly path: string;
  readonly rendering: boolean;
  resolve(dmabuf: number): { resource: number; size: number };
}

export interface NativeServer {
  addCapture(
    options: NativeCaptureOptions,
    event: (event: NativeCaptureEvent) => void,
  ): NativeSurfaceCapture;
  stats(): SurfaceServerStats;
  close(): void;
}

export type NativeSessionEvent =
  | { type: 'closed'; code: string; message: string }
  | { type: 'end' };

export interface NativeMutter {
  input(events: readonly InputEvent[]): boolean;
  close(): void;
}

export interface NativePortal {
  openPipeWireRemote(serial: number): void;
  close(): void;
}

interface Addon {
  SurfaceServer: new (path: string, name: string, maxClients: number) => NativeServer;
  Mutter: new (
    options: {
      busAddress: string;
      /** Empty and not virtual: the primary monitor. */
      monitor: string;
      virtual: boolean;
      cursor: CursorMode;
      input: boolean;
      timeout: number;
    },
    event: (event: { type: 'open'; nodeId: number } | NativeSessionEvent) => void,
  ) => NativeMutter;
  Portal: new (
    options: {
      busAddress: string;
      cursor: CursorMode;
      window: boolean;
      restoreToken: string;
      timeout: number;
    },
    event: (
      event:
        | { type: 'open'; streams: PortalStream[]; restoreToken: string }
        | { type: 'remote'; serial: number; fd: number }
        | { type: 'remote-failed'; serial: number; code: string; message: string }
        | NativeSessionEvent,
    ) => void,
  ) => NativePortal;
  VirtioGpu: new (path: string) => NativeVirtioGpu;
  ResourceCapture: new (
    gpu: NativeVirtioGpu,
    options: Omit<NativeCaptureOptions, 'renderNode'>,
    event: (event: NativeResourceEvent) => void,
  ) => NativeResourceCapture;
  listVirtioGpus(): VirtioGpuNode[];
  listGpus(): Gpu[];
}

const require = createRequire(import.meta.url);

/** The compiled addon; `npm run build` makes it. */
export const addon: Addon = require('../../build/Release/scanbridge_guest.node');
