// Questions to vendors' libraries, each in a process of its own with a time limit.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(
  new URL('../../../build/Release/scanbridge-gpu-probe', import.meta.url),
);
/** The program itself loads nothing and starts in milliseconds [ms]. */
const START_LIMIT_MS = 10_000;
/** Longest answer that is read [characters]; no driver has that much to say. */
const MAX_ANSWER = 256 * 1024;

/** What became of a question. `stage` is what the driver was doing when it hung or crashed. */
export type Answer<T> =
  | { readonly outcome: 'answered'; readonly result: T }
  | { readonly outcome: 'hung'; readonly stage: string; readonly limitMs: number }
  | { readonly outcome: 'crashed'; readonly stage: string; readonly how: string }
  /** The program itself cannot be run. */
  | { readonly outcome: 'unasked'; readonly reason: string };

export interface AskOptions {
  /** [ms] */
  readonly limitMs: number;
  readonly env?: NodeJS.ProcessEnv;
}

interface Line {
  readonly stage?: string;
  readonly result?: unknown;
}

function parse(line: string): Line {
  try {
    return JSON.parse(line) as Line;
  } catch {
    // Libraries print to standard output, too.
    return {};
  }
}

/**
 * Runs the program with these arguments. The limit counts from the program's first line: that a busy machine was slow to
 * start it says nothing of a driver. Never rejects; the process is gone, or killed, when it resolves.
 */
export function ask<T>(args: readonly string[], options: AskOptions): Promise<Answer<T>> {
  return new Promise((resolve) => {
    const child = spawn(PROGRAM, args, {
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    let timer: NodeJS.Timeout | undefined = setTimeout(giveUp, START_LIMIT_MS);
    function answer(how: 'late' | string): void {
      clearTimeout(timer);
      const lines = text.split('\n').map(parse);
      const result = lines.find((line) => line.result !== undefined)?.result;
      const stage = lines.findLast((line) => line.stage !== undefined)?.stage ?? 'starting';
      if (result !== undefined) resolve({ outcome: 'answered', result: result as T });
      else if (how === 'late') resolve({ outcome: 'hung', stage, limitMs: options.limitMs });
      else resolve({ outcome: 'crashed', stage, how });
    }
    function giveUp(): void {
      // What has come meanwhile is read first: this process may have been busy itself.
      setImmediate(() => {
        // A process that hangs within the kernel outlives SIGKILL: it is left to itself.
        child.kill('SIGKILL');
        child.stdout.destroy();
        child.unref();
        answer('late');
      });
    }
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (text === '') {
        clearTimeout(timer);
        timer = setTimeout(giveUp, options.limitMs);
      }
      if (text.length < MAX_ANSWER) text += chunk;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      timer = undefined;
      resolve({ outcome: 'unasked', reason: error.message });
    });
    child.on('close', (code, signal) => answer(signal ?? `exit code ${code}`));
  });
}

/** What a library says of itself before it says anything else. */
export interface LibraryAnswer {
  readonly library?: string;
  readonly loaded?: boolean;
  /** Where it was found. */
  readonly file?: string;
  readonly error?: string;
}

interface CodecAnswer {
  readonly codec: string;
  readonly maxWidth?: number;
  readonly maxHeight?: number;
}

export interface CudaAnswer extends LibraryAnswer {
  readonly version?: string;
  readonly devices?: readonly {
    readonly ordinal: number;
    readonly name?: string;
    readonly pci?: string;
    readonly error?: string;
    readonly encoder?: LibraryAnswer & {
      readonly version?: string;
      readonly session?: boolean;
      readonly codecs?: readonly CodecAnswer[];
    };
  }[];
}

export interface VaAnswer extends LibraryAnswer {
  readonly drm?: LibraryAnswer;
  readonly version?: string;
  readonly driver?: string;
  readonly encoders?: readonly (CodecAnswer & {
    readonly lowPower: boolean;
    readonly works: boolean;
    readonly error?: string;
  })[];
  readonly videoProcessor?: boolean;
}

export interface EglAnswer extends LibraryAnswer {
  readonly devices?: readonly {
    readonly software: boolean;
    readonly node?: string;
    readonly renderNode?: string;
    readonly cuda?: number;
    readonly vendor?: string;
    readonly error?: string;
    readonly imports?: boolean;
    readonly exports?: boolean;
    /** Modifiers that it imports, as "0x…", by DRM format. */
    readonly formats?: Readonly<Record<string, readonly string[]>>;
  }[];
}
