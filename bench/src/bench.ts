// What a benchmark is, and the form of its result.
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';

/** One measured case. */
export interface Case {
  readonly case: string;
  readonly metrics: Readonly<Record<string, number>>;
}

export interface Options {
  /** Short rounds: says whether it works and roughly how fast; not a figure to publish. */
  readonly quick: boolean;
  /** Tells the person who waits what is going on. Goes to stderr. */
  readonly progress: (text: string) => void;
}

/** A benchmark: measures its cases, side by side in one run. */
export interface Benchmark {
  readonly about: string;
  run(options: Options): Promise<Case[]>;
}

/** The one object that --json prints. */
export interface Result {
  readonly bench: string;
  readonly env: Readonly<Record<string, string | number | boolean>>;
  readonly cases: readonly Case[];
}

function firstLine(command: string, ...args: string[]): string {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    const output = execFileSync(command, args, { encoding: 'utf8', stdio: [...stdio] });
    return output.split('\n', 1)[0]?.trim() ?? '';
  } catch {
    return 'none';
  }
}

/** Where a figure was measured. */
export function environment(quick: boolean): Result['env'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    gstreamer: firstLine('gst-launch-1.0', '--version'),
    chromium: firstLine('chromium', '--version'),
    quick,
  };
}
