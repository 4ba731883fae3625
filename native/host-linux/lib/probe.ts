// Which engines work on this machine.
import { addon } from './addon.js';
import type { Codec, EngineName } from './engine.js';
import { EngineError } from './errors.js';

/** One way of an engine from surfaces to access units, as the table of engines has it. */
export interface NativePath {
  readonly engine: EngineName;
  readonly path: string;
  readonly codec: Codec;
  /** A GPU encodes. */
  readonly hardware: boolean;
  /** `dmabuf`: pictures stay on the GPU; `system`: they are read from system memory. */
  readonly input: 'dmabuf' | 'system';
  /** GStreamer elements that it is made of. */
  readonly elements: string[];
}

/** What came of an attempt. */
export interface ProbeResult {
  /** It encoded pictures a moment ago. */
  works: boolean;
  /** Its elements are there; whether it works shows with a compositor's own dma-buf. */
  untried?: boolean;
  /** Why it does not work. */
  reason?: string;
  /** Debian packages that would bring missing elements. */
  install?: string[];
  /** RFC 6381, of what it encoded. */
  codec?: string;
  /** Mean time per picture of 640x360 [ms]. */
  millisecondsPerFrame?: number;
}

export interface PathReport extends ProbeResult {
  path: string;
  /** GStreamer elements that it is made of. */
  elements: string[];
  hardware: boolean;
  input: 'dmabuf' | 'system';
}

/** An engine with one codec. */
export interface EngineReport {
  engine: EngineName;
  codec: Codec;
  /** At least one path works; the first that does is used. */
  works: boolean;
  /** In the order in which they are tried. */
  paths: PathReport[];
}

/** An element that takes dma-bufs into a GPU, and the formats that its caps on this machine name. */
export interface Importer {
  readonly element: string;
  /** "/dev/dri/renderD128", where the element is of one GPU. */
  readonly renderNode?: string;
  /** "XR24:0x0300000000606010" or "BGRx"; empty: none, whatever the version of the plug-in. */
  readonly dmabuf: string[];
}

/** What takes dma-bufs here. */
export const importers = (): Importer[] => addon.importers();

function probePath(index: number): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    addon.probePath(index, (error, report) => {
      if (error) reject(new EngineError(error));
      else resolve(report);
    });
  });
}

/** Stands for the answer of a path that is being tried. */
const UNANSWERED = 'It was asked, and has not answered: its driver hangs.';

/**
 * Tries every path of every engine with a few pictures, in the order in which `auto` prefers them. A driver may keep it
 * for ever, and end the process: `progress` gets what is known so far, in which the path that is being tried is said to
 * hang.
 * @param from paths that are passed over, because they have been tried
 */
export async function probe(
  progress: (reports: EngineReport[]) => void = () => undefined,
  from = 0,
): Promise<EngineReport[]> {
  const reports: EngineReport[] = [];
  for (const [index, { engine, codec, ...path }] of addon.paths().entries()) {
    if (index < from) continue;
    let report = reports.find((each) => each.engine === engine && each.codec === codec);
    if (!report) {
      report = { engine, codec, works: false, paths: [] };
      reports.push(report);
    }
    report.paths.push({ ...path, works: false, reason: UNANSWERED });
    progress(reports);
    const result = await probePath(index);
    report.paths[report.paths.length - 1] = { ...path, ...result };
    report.works ||= result.works;
  }
  return reports;
}
