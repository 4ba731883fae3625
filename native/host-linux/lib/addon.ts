// The native part, and the types of what crosses into it. Nothing outside this package sees them.
import { createRequire } from 'node:module';
import type { EngineOptions, EngineStats, ResourceLayout, ShownFrame } from './engine.js';
import type { NativeError } from './errors.js';
import type { Importer, NativePath, ProbeResult } from './probe.js';

/** Events arrive in batches, in order, on the JavaScript thread; `type` names the event. */
export type NativeEvent = { type: string } & Record<string, unknown>;
type Listener = (events: NativeEvent[]) => void;

export interface NativeEngine {
  requestKeyFrame(): void;
  setBitrate(kbps: number): void;
  /** False: there are too many. */
  addResource(resource: ResourceLayout): boolean;
  removeResource(resource: number): void;
  showFrame(frame: ShownFrame): void;
  stats(): EngineStats;
  close(done: () => void): void;
}

export interface NativeSurfaceClient {
  /** Each request answers through an event `{type:'answer', serial, error?, ...}` with the serial returned here. */
  subscribeScanout(scanout: number, cursor: boolean): { serial: number; stream: number };
  subscribeResource(
    resource: number,
    width: number,
    height: number,
    format: number,
    stride: number,
    offset: bigint,
    modifier: bigint,
    cursor: boolean,
  ): { serial: number; stream: number };
  subscribeCapture(capture: number, cursor: boolean): { serial: number; stream: number };
  unsubscribe(stream: number): number;
  configureScanout(
    scanout: number,
    enabled: boolean,
    width: number,
    height: number,
    refresh: number,
    widthMm: number,
    heightMm: number,
  ): number;
  ping(): number;
  release(stream: number, sequence: bigint): void;
  /** Throws a NativeError. */
  readPixels(stream: number, sequence: bigint): Buffer;
  close(done: () => void): void;
}

export interface Addon {
  Engine: new (options: EngineOptions, listener: Listener) => NativeEngine;
  SurfaceClient: new (path: string, name: string, listener: Listener) => NativeSurfaceClient;
  paths(): NativePath[];
  probePath(path: number, done: (error: NativeError | null, report: ProbeResult) => void): void;
  importers(): Importer[];
  /** CLOCK_MONOTONIC [ns]. */
  monotonicNow(): bigint;
}

function load(): Addon {
  const path = '../../build/Release/scanbridge_host_linux.node';
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw new Error(
      'The native part of @scanbridge/native-host-linux cannot be loaded. Build it with "npm run build"; it needs Linux and the packages in native/host-linux/debian-packages.txt.',
      { cause },
    );
  }
}

export const addon = load();
