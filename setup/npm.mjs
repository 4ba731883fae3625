import { existsSync, readFileSync } from 'node:fs';
import { run } from './command.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';

/** Installs the packages of package-lock.json; no network when node_modules holds just those. */
export async function ensureModules() {
  if (modulesMatchLock()) return;
  const total = Object.keys(readLock('package-lock.json')).length;
  await step(`npm packages: ${total}`, async (update) => {
    let fetched = 0; // metadata and archive of each package
    await run(
      'npm-ci',
      'npm',
      ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=http'],
      {
        onLine: (line) => {
          if (line.includes('http fetch')) update(`${++fetched} requests of about ${2 * total}`);
        },
        hint: 'npm needs a registry that it can reach (npm config get registry).',
      },
    );
  });
}

/** @param {string} path @returns {Record<string, { version?: string, optional?: boolean }>} */
function readLock(path) {
  return JSON.parse(readFileSync(inRoot(path), 'utf8')).packages;
}

/** npm leaves a lock file of what it installed; it lacks packages for other platforms. */
function modulesMatchLock() {
  const hidden = 'node_modules/.package-lock.json';
  if (!existsSync(inRoot(hidden))) return false;
  const installed = readLock(hidden);
  const wanted = readLock('package-lock.json');
  for (const [path, { version, link, optional, peer }] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    if (link) {
      // A workspace that came with a later version of the project.
      if (!existsSync(inRoot(path))) return false;
      continue;
    }
    const have = installed[path];
    if (have === undefined ? !(optional || peer) : have.version !== version) return false;
  }
  return Object.keys(installed).every(
    (path) => !path.includes('node_modules/') || wanted[path] !== undefined,
  );
}
