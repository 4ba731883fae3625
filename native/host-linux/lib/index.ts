// Surfaces in, access units out: the encoder of an engine worker on Linux, and a client of the surface protocol.
import { addon } from './addon.js';

export {
  type ChosenPath,
  CODECS,
  type Codec,
  type CursorEvent,
  ENGINES,
  Engine,
  type EngineName,
  type EngineOptions,
  type EngineState,
  type EngineStats,
  MODES,
  type PathMode,
  type Percentiles,
  type ResourceLayout,
  type ShownFrame,
  type Source,
  type TriedPath,
  type VideoConfig,
} from './engine.js';
export { EngineError, type EngineErrorCode } from './errors.js';
export {
  type EngineReport,
  type Importer,
  importers,
  type PathReport,
  probe,
} from './probe.js';
export {
  type FrameEvent,
  type Rect,
  type ScanoutInfo,
  type ScanoutMode,
  SurfaceClient,
  type SurfaceClientOptions,
  type SurfaceEvent,
  type SurfaceHello,
} from './surface-client.js';

/** CLOCK_MONOTONIC [ns], the clock of `FrameEvent.pts` and `receivedAt`. */
export const monotonicNow = (): bigint => addon.monotonicNow();
