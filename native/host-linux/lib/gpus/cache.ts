// Answers of drivers, kept from one run to the next: a driver that is asked wakes a GPU that sleeps.
// An answer is good while the kernel's view, the driver's version and the library files are the same.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Answer, LibraryAnswer } from './ask.js';
import type { Device } from './sysfs.js';

/** Grows when what the answers mean changes. */
const VERSION = 1;

interface Entry {
  readonly files: Readonly<Record<string, string>>;
  readonly result: LibraryAnswer;
}

interface Content {
  readonly key: string;
  readonly answers: Record<string, Entry>;
}

export const cacheFile = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'scanbridge', 'gpus.json');

function stamp(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch {
    return 'gone';
  }
}

/** Where an answer says that libraries lie, at any depth. */
function filesOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) =>
    name === 'file' && typeof each === 'string' ? [each] : filesOf(each),
  );
}

/** What a chip will never do is known for good. */
const FINAL = /NO_ENCODE_DEVICE|UNSUPPORTED_DEVICE/;

/** A library that was not there, or that failed, may do better now: such an answer is asked for again. */
function lasting(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, each]) => {
    if (name === 'error') return typeof each === 'string' && FINAL.test(each);
    return !(name === 'loaded' && each === false) && lasting(each);
  });
}

/** One file. Without one, or with one that cannot be read or written, everything is asked anew. */
export class AnswerCache {
  readonly #key: string;
  #answers: Record<string, Entry> = {};
  #changed = false;

  constructor(
    readonly path: string,
    devices: readonly Device[],
    env: NodeJS.ProcessEnv,
  ) {
    const { LD_LIBRARY_PATH = '', LIBVA_DRIVER_NAME = '', LIBVA_DRIVERS_PATH = '' } = env;
    const facts = { VERSION, devices, LD_LIBRARY_PATH, LIBVA_DRIVER_NAME, LIBVA_DRIVERS_PATH };
    this.#key = createHash('sha256').update(JSON.stringify(facts)).digest('hex');
    try {
      const content = JSON.parse(readFileSync(path, 'utf8')) as Content;
      if (content.key === this.#key) this.#answers = content.answers;
    } catch {
      // None yet, or a broken one: it is written anew.
    }
  }

  /** The answer to a question, from the cache or by asking. */
  async get<T extends LibraryAnswer>(
    question: string,
    put: () => Promise<Answer<T>>,
  ): Promise<Answer<T>> {
    const entry = this.#answers[question];
    if (entry && Object.entries(entry.files).every(([path, was]) => stamp(path) === was)) {
      return { outcome: 'answered', result: entry.result as T };
    }
    const answer = await put();
    if (answer.outcome === 'answered' && lasting(answer.result)) {
      const files = Object.fromEntries(filesOf(answer.result).map((path) => [path, stamp(path)]));
      this.#answers[question] = { files, result: answer.result };
      this.#changed = true;
    }
    return answer;
  }

  /** Writes what is new. */
  save(): void {
    if (!this.#changed) return;
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      const next = `${this.path}.${process.pid}`;
      const content: Content = { key: this.#key, answers: this.#answers };
      writeFileSync(next, JSON.stringify(content), { mode: 0o600 });
      renameSync(next, this.path);
    } catch {
      // A home that cannot be written costs time, nothing else.
    }
  }
}
