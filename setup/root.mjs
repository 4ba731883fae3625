import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** What set-up remembers between runs: stamps and logs. */
export const STATE = join(ROOT, '.setup');

/** @param {string[]} parts path below the repository */
export const inRoot = (...parts) => join(ROOT, ...parts);
