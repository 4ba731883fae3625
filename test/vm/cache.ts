import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { VmError } from './error.js';
import type { Progress } from './host-command.js';

/** The folder of everything that the test VM builds and keeps. */
export function cacheDirectory(): string {
  const base =
    process.env.SCANBRIDGE_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'scanbridge');
  return join(base, 'vm');
}

/** The key of a thing that is made from exactly these inputs. */
export function recipeKey(inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) {
    hash.update(`${Buffer.byteLength(input)}:${input}`);
  }
  return hash.digest('hex').slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Holds the cache's lock while `work` runs. The lock is a `flock` of a child process, so it
 * ends with us however we end.
 */
async function withLock<T>(
  directory: string,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  const holder = spawn('flock', [join(directory, 'lock'), 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  const waiting = setTimeout(() => progress('waiting for another build of the test VM'), 1000);
  try {
    const [answer] = await Promise.race([
      once(holder.stdout, 'data'),
      ended.then(() => {
        throw new VmError('BUILD_FAILED', `cannot lock ${directory}: flock ended`);
      }),
    ]);
    if (String(answer).trim() !== 'locked') {
      throw new VmError('BUILD_FAILED', `cannot lock ${directory}: flock said "${answer}"`);
    }
    clearTimeout(waiting);
    return await work();
  } finally {
    clearTimeout(waiting);
    holder.stdin.end();
    await ended.catch(() => undefined);
  }
}

/**
 * Returns the folder of a cached thing, and makes it first if its recipe has changed.
 *
 * The folder appears by a rename, so it is complete or not there at all. Folders of the same name that
 * other recipes made are removed: only the newest is kept.
 *
 * @param name what it is: "image", "kernel-6.12".
 * @param key from {@link recipeKey}.
 * @param make fills the empty folder that it is given.
 */
export async function cached(
  name: string,
  key: string,
  progress: Progress,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const root = cacheDirectory();
  const wanted = join(root, `${name}-${key}`);
  if (await exists(wanted)) {
    return wanted;
  }
  await mkdir(root, { recursive: true });
  await withLock(join(root), progress, async () => {
    if (await exists(wanted)) {
      return;
    }
    const started = performance.now();
    const partial = await mkdtemp(join(root, `partial-${name}-`));
    try {
      await make(partial);
      await rename(partial, wanted);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    for (const entry of await readdir(root)) {
      const old =
        entry.startsWith(`${name}-`) && /^[0-9a-f]{16}$/.test(entry.slice(name.length + 1));
      if ((old && entry !== `${name}-${key}`) || entry.startsWith(`partial-${name}-`)) {
        await rm(join(root, entry), { recursive: true, force: true });
      }
    }
    progress(`${name}: made in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  });
  return wanted;
}
