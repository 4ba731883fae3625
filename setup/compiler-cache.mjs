// A clean clone compiles nothing that another one on this machine has compiled already.

import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT } from './root.mjs';

/** Room for the objects of all sanitizers, several times over. */
const MAX_SIZE = '1G';

/**
 * Environment of CMake and its compilers: ccache, where it is installed (it comes with what builds QEMU).
 * @returns {Record<string, string>}
 */
export function compilerCache() {
  if (!isInstalled('ccache')) return {};
  const cache =
    process.env.SCANBRIDGE_CACHE ||
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'scanbridge');
  return {
    CMAKE_C_COMPILER_LAUNCHER: 'ccache',
    CMAKE_CXX_COMPILER_LAUNCHER: 'ccache',
    CCACHE_DIR: join(cache, 'ccache'),
    CCACHE_MAXSIZE: MAX_SIZE,
    // Paths below the clone count as relative ones, and debug information may name the other clone.
    CCACHE_BASEDIR: ROOT,
    CCACHE_NOHASHDIR: '1',
  };
}

function isInstalled(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
