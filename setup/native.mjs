import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';
import { compilerCache } from './compiler-cache.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';
import { fingerprint, isFresh, remember } from './stamp.mjs';

/** Compilers at once: two are what 2 GiB of memory bear with C++ of this size. */
const JOBS = '2';
const DESKTOP_APPS = 'guest-agent/desktop-apps';
const BENCH_PEERS = 'bench/peers';
/** Which addons are for which platform. */
const ADDONS = {
  linux: ['native/guest', 'native/host-linux', 'native/vsock'],
  darwin: ['native/host-macos'],
};
/** What every addon is built from beside its own folder. */
const SHARED = [
  'native/surface/include',
  'native/surface/src',
  'native/surface/CMakeLists.txt',
].concat('native/surface/cmake', 'protocol/include');

const SOURCES = /\.(c|cc|h|hh|m|mm|in|cmake|xml)$|CMakeLists\.txt$/;

/**
 * Builds the addons of this platform and, on Linux, the desktop's own programs.
 * @param {'product' | 'all'} scope whether the programs of benchmarks are built as well
 */
export async function ensureNative(scope) {
  const addons = (ADDONS[process.platform] ?? []).filter((folder) =>
    existsSync(inRoot(folder, 'CMakeLists.txt')),
  );
  for (const folder of addons) await ensureAddon(folder);
  if (process.platform !== 'linux') return;
  await ensurePrograms('desktop-apps', DESKTOP_APPS, 'scene');
  if (scope === 'all') await ensurePrograms('bench-peers', BENCH_PEERS, 'dbus-listener');
}

/** @param {string} folder */
async function ensureAddon(folder) {
  const state =
    fingerprint([folder, ...SHARED], (name) => SOURCES.test(name)) + process.versions.modules;
  const name = folder.replaceAll('/', '-');
  const release = join(folder, 'build/Release');
  const built = existsSync(inRoot(release)) && readdirSync(inRoot(release)).some(isAddon);
  if (built && isFresh(name, state)) return;
  const cmakeJs = JSON.parse(readFileSync(inRoot('node_modules/cmake-js/package.json'), 'utf8'));
  const program = inRoot('node_modules/cmake-js', cmakeJs.bin['cmake-js']);
  await step(`native code: ${folder}`, (update) =>
    run(name, process.execPath, [program, 'build', '--parallel', JOBS], {
      cwd: inRoot(folder),
      env: compilerCache(),
      onLine: (line) => compilerProgress(line, update),
    }),
  );
  remember(name, state);
}

const isAddon = (name) => name.endsWith('.node');

/**
 * Builds the small programs of a folder that has a CMake project of its own.
 * @param {string} name of the log and the stamp
 * @param {string} folder below the repository
 * @param {string} program one of those that come out of it
 */
async function ensurePrograms(name, folder, program) {
  if (!existsSync(inRoot(folder))) return;
  const build = join(folder, 'build');
  const state = fingerprint([folder], (file) => SOURCES.test(file));
  if (isFresh(name, state, [join(build, program)])) return;
  await step(`native code: ${folder}`, (update) => cmakeBuild(name, folder, build, [], update));
  remember(name, state);
}

/**
 * Configures and builds a CMake project in a folder of its own.
 * @param {string} name of the log
 * @param {string} source folder below the repository
 * @param {string} build folder below the repository
 * @param {readonly string[]} definitions "-DNAME=VALUE"
 * @param {(detail: string) => void} update
 * @param {Record<string, string>} [env]
 */
export async function cmakeBuild(name, source, build, definitions, update, env = {}) {
  // A build folder of another generator cannot be used with Ninja.
  const configured = existsSync(inRoot(build, 'CMakeCache.txt'));
  const generator = configured ? [] : ['-G', 'Ninja'];
  await run(
    `${name}-configure`,
    'cmake',
    ['-S', inRoot(source), '-B', inRoot(build), ...generator, ...definitions],
    { env: { ...compilerCache(), ...env } },
  );
  await run(name, 'cmake', ['--build', inRoot(build), '--parallel', JOBS], {
    env: compilerCache(),
    onLine: (line) => compilerProgress(line, update),
  });
}

/** Picks "[12/40]" (Ninja) or "[ 30%]" (Make) off a line. */
function compilerProgress(line, update) {
  const match = /^\[(\d+\/\d+| *\d+%)\]/.exec(line);
  if (match !== null) update(match[0]);
}
