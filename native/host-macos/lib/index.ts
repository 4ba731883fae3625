// IOSurfaces in, access units out: the encoder of an engine worker on macOS.
import { addon } from './addon.js';

export {
  type ChosenPath,
  type Codec,
  type CursorEvent,
  Engine,
  type EngineName,
  type EngineOptions,
  type EngineState,
  type EngineStats,
  type Percentiles,
  type Source,
  type VideoConfig,
} from './engine.js';
export { EngineError, type EngineErrorCode } from './errors.js';
export { type EngineReport, type PathReport, probe } from './probe.js';
export { type IOSurfaceDescription, readSurface } from './read-surface.js';

/** CLOCK_UPTIME_RAW [ns], the clock of the surface protocol's pts. */
export const monotonicNow = (): bigint => addon.monotonicNow();
