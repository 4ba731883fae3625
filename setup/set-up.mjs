import { existsSync } from 'node:fs';
import { planPackages } from './debian.mjs';
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
  let installPackages = async () => {};
  if (process.platform === 'linux') installPackages = planPackages(groups);
  else if (process.platform === 'darwin') checkHomebrew();
  else
    throw new Failure(
      `Scanbridge runs on Linux and macOS; this is ${process.platform}. ` +
        'On Windows use WSL 2 with Debian or Ubuntu.',
    );
  const typescript = async () => {
    await ensureModules();
    await ensureCompiled(scope);
  };
  // Neither waits for the other: one is apt and the disk, the other the network and a compiler.
  const results = await Promise.allSettled([installPackages(), typescript()]);
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  await ensureNative(scope);
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
