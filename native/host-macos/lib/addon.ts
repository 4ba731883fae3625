// The native part, and the types of what crosses into it. Nothing outside this package sees them.
import { createRequire } from 'node:module';
import type { EngineOptions, EngineStats } from './engine.js';
import type { IOSurfaceDescription } from './read-surface.js';

/** Events arrive in batches, in order, on the JavaScript thread; `type` names the event. */
export type NativeEvent = { type: string } & Record<string, unknown>;
type Listener = (events: NativeEvent[]) => void;

export interface NativeEngine {
  requestKeyFrame(): void;
  setBitrate(kbps: number): void;
  stats(): EngineStats;
  close(done: () => void): void;
}

interface Addon {
  Engine: new (options: EngineOptions, listener: Listener) => NativeEngine;
  /** CLOCK_UPTIME_RAW [ns]. */
  monotonicNow(): bigint;
  /** Throws a NativeError. */
  readSurface(surface: IOSurfaceDescription): Buffer;
}

/** Elsewhere than on macOS only tests load it, built on fakes, from where this says. */
const PATH =
  process.env.SCANBRIDGE_HOST_MACOS_ADDON ?? '../../build/Release/scanbridge_host_macos.node';

function load(): Addon {
  try {
    return createRequire(import.meta.url)(PATH) as Addon;
  } catch (cause) {
    throw new Error(
      'The native part of @scanbridge/native-host-macos cannot be loaded. Build it with "npm run build"; it needs macOS 13 or newer and the command line tools of Xcode.',
      { cause },
    );
  }
}

export const addon = load();
