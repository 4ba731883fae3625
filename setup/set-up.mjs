import { existsSync } from 'node:fs';
import { ensurePackages } from './debian.mjs';
import { Failure } from './failure.mjs';
import { ensureNative } from './native.mjs';
import { checkNode } from './node-version.mjs';
import { ensureModules } from './npm.mjs';
import { ensureCompiled } from './typescript.mjs';

/** Programs of Homebrew that the build on macOS needs, by name of their formula. */
const BREW = ['cmake', 'ninja', 'pkg-config'];

/**
 * Brings the clone into a state in which it runs. Does nothing, in well under a second, when it is.
 * @param {readonly import('./debian.mjs').Group[]} groups Debian packages that are wanted
 * @param {'product' | 'all'} [scope] whether tests and benchmarks are compiled as well
 */
export async function setUp(groups, scope = 'product') {
  checkNode();
  if (process.platform === 'linux') await ensurePackages(groups);
  else if (process.platform === 'darwin') checkHomebrew();
  else
    throw new Failure(
      `Scanbridge runs on Linux and macOS; this is ${process.platform}. ` +
        'On Windows use WSL 2 with Debian or Ubuntu.',
    );
  await ensureModules();
  await ensureCompiled(scope);
  await ensureNative();
}

function checkHomebrew() {
  const path = (process.env.PATH ?? '').split(':');
  const missing = BREW.filter((name) => !path.some((folder) => existsSync(`${folder}/${name}`)));
  if (missing.length > 0)
    throw new Failure(
      `${missing.join(', ')} missing. Install with\n\n  brew install ${missing.join(' ')}\n\n` +
        'and, for the compiler, xcode-select --install',
    );
}
