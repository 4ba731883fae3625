import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, STATE } from './root.mjs';

const IGNORED = new Set(['node_modules', 'dist', 'build', 'coverage', '.git', '.setup']);

/**
 * A fingerprint of the files below `paths` by name, size and modification time: cheap enough to take
 * on every start, and a false alarm costs no more than an incremental build.
 * @param {readonly string[]} paths files or folders below the repository; missing ones count as empty
 * @param {(name: string) => boolean} [wanted] filters by file name
 */
export function fingerprint(paths, wanted = () => true) {
  const hash = createHash('sha256');
  const add = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory()) {
      for (const entry of readdirSync(path).sort()) if (!IGNORED.has(entry)) add(join(path, entry));
    } else if (wanted(path)) {
      hash.update(`${relative(ROOT, path)}\0${stat.size}\0${stat.mtimeMs}\n`);
    }
  };
  for (const path of paths) add(join(ROOT, path));
  return hash.digest('hex');
}

const stampFile = (name) => join(STATE, `${name}.stamp`);

/**
 * Whether `name` was last made from what `value` stands for and its products still exist.
 * @param {string} name
 * @param {string} value
 * @param {readonly string[]} [products] paths below the repository
 */
export function isFresh(name, value, products = []) {
  if (!products.every((path) => existsSync(join(ROOT, path)))) return false;
  return existsSync(stampFile(name)) && readFileSync(stampFile(name), 'utf8') === value;
}

/** Remembers what `name` was made from. @param {string} name @param {string} value */
export function remember(name, value) {
  mkdirSync(STATE, { recursive: true });
  writeFileSync(stampFile(name), value);
}
