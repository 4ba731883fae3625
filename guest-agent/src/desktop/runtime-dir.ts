import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { type Account, reachableByOthers } from './account.js';
import { DesktopError } from './errors.js';

/**
 * Waits for its stdin to end, which happens when this process ends, however it ends. Then it kills the
 * process groups that it was told of and removes the directory. It ignores the terminal's signals, as
 * Ctrl-C is just the time when it is needed. It is `rm` that removes, as it follows no link that
 * the desktop's user may have put there.
 */
const REAPER = `
trap '' HUP INT TERM QUIT
groups=
while read -r verb group; do
  case $verb in
    add) groups="$groups $group " ;;
    del) groups=$(printf %s "$groups" | sed "s/ $group / /g") ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
`;

/** What a new runtime directory holds. */
export interface Contents {
  /** Text by path relative to the directory. */
  readonly files: Readonly<Record<string, string>>;
  /** Programs that are copied to `bin/`. */
  readonly programs: readonly string[];
}

/**
 * A private directory (mode 0700, owned by the desktop's user) for sockets, configuration and HOME of
 * one desktop, together with the promise that neither it nor a process group registered here
 * outlives this process.
 */
export class RuntimeDir {
  readonly #reaper: ChildProcessByStdio<Writable, null, null>;

  private constructor(readonly path: string) {
    this.#reaper = spawn('/bin/sh', ['-c', REAPER, 'scanbridge-reaper', path], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' }, // it has to work whatever PATH this process was given
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#reaper.on('error', () => {});
    this.#reaper.stdin.on('error', () => {});
    this.#reaper.unref();
    (this.#reaper.stdin as Writable & { unref?: () => void }).unref?.();
  }

  /** Creates the directory where `account` can reach it and where a socket's name stays short. */
  static create(account: Account, contents: Contents): RuntimeDir {
    const parent = parentFor(account);
    let directory: RuntimeDir | undefined;
    try {
      directory = new RuntimeDir(mkdtempSync(join(parent, 'scanbridge-')));
      fill(directory.path, contents);
      // Last: from here on the user may put links where we would write.
      handOver(directory.path, account);
      return directory;
    } catch (error) {
      void directory?.remove();
      throw new DesktopError(
        'no-runtime-dir',
        'desktop',
        `cannot create a runtime directory in ${parent}: ${(error as Error).message}`,
      );
    }
  }

  /** Registers a process group to be killed if this process ends without having stopped it. */
  guard(processGroup: number): void {
    this.#reaper.stdin.write(`add ${processGroup}\n`);
  }

  /** Takes a process group that has ended off the list: its number may be used again. */
  release(processGroup: number): void {
    if (this.#reaper.stdin.writable) this.#reaper.stdin.write(`del ${processGroup}\n`);
  }

  /** Removes the directory and kills what is still registered. Safe to call again. */
  async remove(): Promise<void> {
    if (this.#reaper.exitCode !== null || this.#reaper.pid === undefined) return;
    this.#reaper.ref();
    this.#reaper.stdin.end();
    await once(this.#reaper, 'exit');
  }
}

function fill(path: string, { files, programs }: Contents): void {
  for (const name of ['home', 'config', 'bin']) mkdirSync(join(path, name), { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true, mode: 0o700 });
    writeFileSync(join(path, name), text, { mode: 0o600 });
  }
  for (const program of programs) {
    const copy = join(path, 'bin', basename(program));
    copyFileSync(program, copy);
    chmodSync(copy, 0o700);
  }
}

function handOver(path: string, account: Account): void {
  if (!account.foreign) return;
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }))
    chownSync(join(path, name), account.uid, account.gid);
  chownSync(path, account.uid, account.gid);
}

function parentFor(account: Account): string {
  const own = process.env.XDG_RUNTIME_DIR;
  if (!account.foreign && own !== undefined && isOwnDirectory(own, account.uid)) return own;
  const candidates = [tmpdir(), '/tmp', '/var/tmp'];
  const found = candidates.find((path) => !account.foreign || reachableByOthers(path));
  if (found !== undefined) return found;
  throw new DesktopError(
    'no-runtime-dir',
    'desktop',
    `none of ${candidates.join(', ')} can be entered by the user ${account.name}; ` +
      'set TMPDIR to a directory that can',
  );
}

function isOwnDirectory(path: string, uid: number): boolean {
  try {
    const stat = statSync(path);
    // The longest socket below it, "/scanbridge-XXXXXX/pipewire-0-manager.lock", has to fit sun_path.
    return stat.isDirectory() && stat.uid === uid && path.length < 64;
  } catch {
    return false;
  }
}
