// Which codecs this Mac encodes.
import { type Codec, Engine, type EngineName } from './engine.js';

/** One way of an engine from surfaces to access units. */
export interface PathReport {
  path: string;
  /** It encoded pictures a moment ago. */
  works: boolean;
  /** The media engine encodes, not the CPU. */
  hardware: boolean;
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

const PATH = 'IOSurface -> VideoToolbox';
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
  const report: PathReport = { path: PATH, works: false, hardware: false, elements: [] };
  const done = new Promise<void>((resolve) => {
    const limit = setTimeout(() => {
      report.reason = `Nothing was encoded within ${LIMIT_MS / 1000} s.`;
      resolve();
    }, LIMIT_MS);
    engine.on('chosen', ({ path, hardware }) => {
      report.path = path;
      report.hardware = hardware;
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

const CODECS: readonly Codec[] = ['h264', 'hevc'];
/** Stands for the answer of a codec that is being tried. */
const UNANSWERED = 'It was asked, and has not answered: its driver hangs.';

function unanswered(codec: Codec): EngineReport {
  const path = { path: PATH, works: false, hardware: false, elements: [], reason: UNANSWERED };
  return { engine: 'videotoolbox', codec, works: false, paths: [path] };
}

/**
 * Encodes a few pictures with each codec, one after the other. `progress` gets what is known so far, in which the codec
 * that is being tried is said to hang.
 * @param from codecs that are passed over, because they have been tried
 */
export async function probe(
  progress: (reports: EngineReport[]) => void = () => undefined,
  from = 0,
): Promise<EngineReport[]> {
  const reports: EngineReport[] = [];
  for (const codec of CODECS.slice(from)) {
    progress([...reports, unanswered(codec)]);
    reports.push(await probeCodec(codec));
  }
  return reports;
}
