// Which codecs this Mac encodes.
import { type Codec, Engine, type EngineName } from './engine.js';

/** One way of an engine from surfaces to access units. */
export interface PathReport {
  path: string;
  /** It encoded pictures a moment ago. */
  works: boolean;
  /** What it is made of. */
  elements: string[];
  /** Why it does not work. */
  reason?: string;
  /** RFC 6381, of what it encoded. */
  codec?: string;
  /** Median time per picture of 640x360 [ms]. */
  millisecondsPerFrame?: number;
}

export interface EngineReport {
  engine: EngineName;
  /** Codec family. */
  codec: Codec;
  works: boolean;
  paths: PathReport[];
}

const PICTURES = 10;
/** A session that has encoded nothing after this time will not [ms]. */
const LIMIT_MS = 5000;

async function probeCodec(family: Codec): Promise<EngineReport> {
  const engine = new Engine({
    source: { kind: 'test-pattern', width: 640, height: 360, fps: 60 },
    engine: 'videotoolbox',
    codec: family,
    bitrateKbps: 2000,
    maxFps: 60,
    keepaliveMs: 0,
    cursor: false,
  });
  const report: PathReport = { path: 'IOSurface -> VideoToolbox', works: false, elements: [] };
  const done = new Promise<void>((resolve) => {
    const limit = setTimeout(() => {
      report.reason = `Nothing was encoded within ${LIMIT_MS / 1000} s.`;
      resolve();
    }, LIMIT_MS);
    engine.on('chosen', ({ path }) => {
      report.path = path;
    });
    engine.on('config', ({ codec }) => {
      report.codec = codec;
    });
    let pictures = 0;
    engine.on('video', () => {
      if (++pictures < PICTURES) return;
      report.works = true;
      report.millisecondsPerFrame = engine.stats().encode.p50 / 1000;
      clearTimeout(limit);
      resolve();
    });
    engine.on('end', (error) => {
      clearTimeout(limit);
      if (error) report.reason = `${error.message} ${error.remedy}`;
      resolve();
    });
  });
  await done;
  await engine.close();
  return { engine: 'videotoolbox', codec: family, works: report.works, paths: [report] };
}

/** Encodes a few pictures with each codec, one after the other. */
export async function probe(): Promise<EngineReport[]> {
  return [await probeCodec('h264'), await probeCodec('hevc')];
}
