// Which engines work on this machine.
import { addon } from './addon.js';
import type { EngineName } from './engine.js';
import { EngineError } from './errors.js';

/** One way of an engine from surfaces to access units. */
export interface PathReport {
  path: string;
  /** It encoded pictures a moment ago. */
  works: boolean;
  /** GStreamer elements that it is made of. */
  elements: string[];
  /** Why it does not work. */
  reason?: string;
  /** Debian packages that would bring missing elements. */
  install?: string[];
  /** RFC 6381, of what it encoded. */
  codec?: string;
  /** Mean time per picture of 640x360 [ms]. */
  millisecondsPerFrame?: number;
}

export interface EngineReport {
  engine: EngineName;
  /** Codec family. */
  codec: 'h264';
  /** At least one path works; the first that does is used. */
  works: boolean;
  /** In the order in which they are tried. */
  paths: PathReport[];
}

/** Tries every path of every engine with a few pictures, in the order in which `auto` prefers them. */
export function probe(): Promise<EngineReport[]> {
  return new Promise((resolve, reject) => {
    addon.probe((error, reports) => {
      if (error) reject(new EngineError(error));
      else resolve(reports);
    });
  });
}
