import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { VmError } from './error.js';
import { hostCommand } from './host-command.js';

/** The keys that sign Debian's releases, from the package debian-archive-keyring. */
export const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The Debian release that the guest runs. */
export const GUEST_SUITE = 'trixie';

/**
 * The Debian mirror that this machine's apt uses; the environment variable DEBIAN_MIRROR overrides
 * it.
 *
 * @throws VmError `BUILD_FAILED` if apt knows none.
 */
export async function debianMirror(): Promise<string> {
  if (process.env.DEBIAN_MIRROR) {
    return process.env.DEBIAN_MIRROR;
  }
  const targets = await hostCommand("cannot read apt's configuration", 'apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
  ]);
  const mirror = targets.split('\n')[0]?.trim();
  if (!mirror) {
    throw new VmError(
      'BUILD_FAILED',
      'apt on this machine has no package source; set DEBIAN_MIRROR to the address of a Debian mirror',
    );
  }
  return mirror;
}

/**
 * Packages of one Debian release, of any release, on any host with apt: a private set of apt's lists,
 * checked against Debian's keys. Needs no root.
 */
export class DebianPackages {
  readonly #directory: string;
  readonly #options: string[];

  private constructor(directory: string, options: string[]) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Fetches the release's list of packages into the existing folder `directory`. */
  static async open(suite: string, directory: string): Promise<DebianPackages> {
    const state = join(directory, 'state');
    const cache = join(directory, 'cache');
    await mkdir(join(state, 'lists', 'partial'), { recursive: true });
    await mkdir(join(cache, 'archives', 'partial'), { recursive: true });
    await writeFile(join(state, 'status'), '');
    const sources = join(directory, 'sources.list');
    await writeFile(
      sources,
      `deb [arch=amd64 signed-by=${DEBIAN_KEYRING}] ${await debianMirror()} ${suite} main\n`,
    );
    const settings = {
      'Dir::State': state,
      'Dir::State::status': join(state, 'status'),
      'Dir::Cache': cache,
      'Dir::Etc::SourceList': sources,
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::Etc::Preferences': '/dev/null',
      'Dir::Etc::PreferencesParts': '/dev/null',
      'APT::Architecture': 'amd64',
      'APT::Architectures': 'amd64',
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const packages = new DebianPackages(directory, options);
    await hostCommand(`cannot read the package list of Debian ${suite}`, 'apt-get', [
      ...options,
      '-qq',
      'update',
    ]);
    return packages;
  }

  /** The packages that a package depends on directly. */
  async dependencies(name: string): Promise<string[]> {
    const text = await hostCommand(`cannot look up the package ${name}`, 'apt-cache', [
      ...this.#options,
      'depends',
      '--important',
      name,
    ]);
    return [...text.matchAll(/^\s*\|?Depends: ([^\s<]+)$/gm)].map((match) => match[1] as string);
  }

  /** Downloads a package and unpacks its files into the folder `target`. */
  async unpack(name: string, target: string): Promise<void> {
    const purpose = `cannot download the package ${name}`;
    const uri = await hostCommand(
      purpose,
      'apt-get',
      [...this.#options, '-q', '--print-uris', 'download', name],
      { cwd: this.#directory },
    );
    const file = /^'[^']+' (\S+) /m.exec(uri)?.[1];
    if (!file) {
      throw new VmError('BUILD_FAILED', `${purpose}: apt-get printed "${uri.trim()}"`);
    }
    await hostCommand(purpose, 'apt-get', [...this.#options, '-qq', 'download', name], {
      cwd: this.#directory,
    });
    await hostCommand(`cannot unpack the package ${name}`, 'dpkg-deb', [
      '-x',
      join(this.#directory, file),
      target,
    ]);
  }
}
