// The pixels of an IOSurface, for tests and for the acceptance script.
import { addon } from './addon.js';
import { EngineError, type NativeError } from './errors.js';

/** What a SURFACE message says of an IOSurface. */
export interface IOSurfaceDescription {
  surface: number;
  iosurfaceId: number;
  /** [pixels] */
  width: number;
  height: number;
  /** DRM fourcc. */
  format: number;
  /** enum sb_surface_flag. */
  flags: number;
}

/** height rows of width * 4 bytes (B, G, R, A), upper row first. Throws EngineError. */
export function readSurface(surface: IOSurfaceDescription): Buffer {
  try {
    return addon.readSurface(surface);
  } catch (error) {
    throw new EngineError(error as NativeError);
  }
}
