// Debian and Ubuntu packages. Every folder that needs some lists them in a debian-packages.txt:
//
//   # comment
//   [run] | [build] | [test] | [qemu]   what the lines below are for; before the first one: "test" in
//                                       test/, "qemu" in qemu-patches/, else "build"
//   name | other-name                   alternatives, the best first, for names that differ between
//                                       releases

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';
import { Failure } from './failure.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';
import { isFresh, remember } from './stamp.mjs';

const DPKG_STATUS = '/var/lib/dpkg/status';
const APT_ENV = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };

/** @typedef {'run' | 'build' | 'test' | 'qemu'} Group */

/**
 * Looks which packages of `groups` are missing, and says how to install them where it cannot.
 * @param {readonly Group[]} groups
 * @returns {() => Promise<void>} installs them
 */
export function planPackages(groups) {
  const lists = packageLists();
  const nothing = async () => {};
  if (!existsSync(DPKG_STATUS)) {
    tellOtherDistribution(lists, groups);
    return nothing;
  }
  const state = createHash('sha256')
    .update(JSON.stringify([lists, groups, statSync(DPKG_STATUS).mtimeMs]))
    .digest('hex');
  const stamp = `debian-${groups.join('-')}`;
  if (isFresh(stamp, state)) return nothing;
  const missing = missingEntries(wantedEntries(lists, groups));
  if (missing.length > 0) {
    const prefix = rootPrefix() ?? refuse(missing);
    return () => install(missing, prefix);
  }
  remember(stamp, state);
  return nothing;
}

/** @returns {{ file: string, text: string }[]} */
function packageLists() {
  const children = (folder) =>
    existsSync(inRoot(folder)) ? readdirSync(inRoot(folder)).map((name) => join(folder, name)) : [];
  const folders = [
    'setup',
    'qemu-patches',
    'protocol',
    'host-bridge',
    'bench',
    'test',
    'guest-agent',
  ]
    .concat(children('native'), children('test'), children('guest-agent'))
    .map((folder) => join(folder, 'debian-packages.txt'));
  return folders
    .filter((file) => existsSync(inRoot(file)))
    .map((file) => ({ file, text: readFileSync(inRoot(file), 'utf8') }));
}

/** @returns {string[][]} entries, each a list of alternatives, without duplicates */
function wantedEntries(lists, groups) {
  const entries = new Map();
  for (const { file, text } of lists) {
    let group = file.startsWith('test') ? 'test' : file.startsWith('qemu') ? 'qemu' : 'build';
    for (const raw of text.split('\n')) {
      const line = raw.replace(/#.*/, '').trim();
      const header = /^\[(run|build|test|qemu)\]$/.exec(line);
      if (header !== null) group = header[1];
      else if (line.startsWith('['))
        throw new Failure(`${file}: unknown group ${line}, known are [run] [build] [test] [qemu]`);
      else if (line !== '' && groups.includes(group))
        entries.set(
          line,
          line.split('|').map((name) => name.trim()),
        );
    }
  }
  return [...entries.values()];
}

/** @param {string[][]} entries @returns {string[][]} those of which no alternative is installed */
function missingEntries(entries) {
  const names = [...new Set(entries.flat())];
  if (names.length === 0) return [];
  const installed = new Set();
  // Exits with 1 when it does not know one of the names; what it knows is printed all the same.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
  const format = '${db:Status-Status} ${Package}\n';
  const text = outputOf('dpkg-query', ['-W', '-f', format, ...names]);
  for (const line of text.split('\n')) {
    const [status, name] = line.split(' ');
    if (status === 'installed') installed.add(name);
  }
  return entries.filter((names) => !names.some((name) => installed.has(name)));
}

function outputOf(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    return error.stdout ?? '';
  }
}

/** The first alternative of each entry that apt can install; undefined where there is none. */
function choose(entries) {
  const policy = outputOf('apt-cache', ['policy', ...new Set(entries.flat())]);
  const known = new Set();
  let name = '';
  for (const line of policy.split('\n')) {
    if (/^\S/.test(line)) name = line.replace(/:$/, '');
    else if (/^ {2}Candidate: (?!\(none\))/.test(line)) known.add(name);
  }
  return entries.map((names) => names.find((each) => known.has(each)));
}

function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  try {
    execFileSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
    return ['sudo', '-n', '--preserve-env=DEBIAN_FRONTEND,LC_ALL'];
  } catch {
    return undefined;
  }
}

/** @param {string[][]} entries @returns {never} */
function refuse(entries) {
  const names = choose(entries).map((name, i) => name ?? entries[i][0]);
  throw new Failure(
    `Debian packages are missing (${names.length}). Install them and start again:\n\n` +
      `  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names.join(' ')}\n`,
  );
}

/** @param {string[][]} entries @param {string[]} prefix what makes a command run as root */
async function install(entries, prefix) {
  const [program, ...before] = [...prefix, 'apt-get'];
  const apt = (name, args, options) =>
    run(name, program, [...before, ...args], { env: APT_ENV, ...options });
  let names = choose(entries);
  await step(`Debian packages: ${entries.length} to install`, async (update) => {
    if (names.includes(undefined)) {
      update('reading the package lists');
      await apt('apt-update', ['update', '-q']);
      names = choose(entries);
    }
    const unknown = entries.filter((_, i) => names[i] === undefined);
    if (unknown.length > 0)
      throw new Failure(
        `no package source of this machine has ${unknown.map((e) => e.join(' or ')).join(', ')}. ` +
          'Debian 12 or newer and Ubuntu 24.04 or newer do (on Ubuntu with "universe").',
      );
    await apt(
      'apt-install',
      ['install', '-y', '-q', '--no-install-recommends', '-o', 'APT::Status-Fd=3', ...names],
      { onStatus: (line) => update(aptStatus(line)), hint: 'Is another apt running?' },
    ).catch(async (error) => {
      // The lists may name versions that the mirror no longer has.
      update('refreshing the package lists');
      await apt('apt-update', ['update', '-q']);
      if (!/Unable to fetch|404/.test(error.output ?? '')) throw error;
      await apt('apt-install', ['install', '-y', '-q', '--no-install-recommends', ...names]);
    });
  });
}

/** @param {string} line "dlstatus:3:43.2:Retrieving file 3 of 9" or "pmstatus:foo:57.1:Unpacking foo" */
function aptStatus(line) {
  const [kind, , percent, text] = line.split(':');
  const phase = kind === 'dlstatus' ? 'fetching' : 'installing';
  return `${phase} ${Math.round(Number(percent) || 0)} %, ${text ?? ''}`;
}

function tellOtherDistribution(lists, groups) {
  const stamp = `packages-${groups.join('-')}`;
  const state = createHash('sha256').update(JSON.stringify(lists)).digest('hex');
  if (isFresh(stamp, state)) return;
  const names = wantedEntries(lists, groups).map(([name]) => name);
  process.stdout.write(
    'This is neither Debian nor Ubuntu, so nothing was installed. Where a build or a start fails, ' +
      `install what these Debian packages hold:\n  ${names.join(' ')}\n`,
  );
  remember(stamp, state);
}
