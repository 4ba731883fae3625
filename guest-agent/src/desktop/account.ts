import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/**
 * Who runs a desktop. A desktop never runs as root: programs on it take input from viewers, and some
 * compositors refuse root anyway.
 */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  /** Whether this is another user than the one of this process (only root can have that). */
  readonly foreign: boolean;
}

/** This process's user, or `nobody` when that is root. */
export function desktopAccount(): Account {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  if (uid !== 0) return { uid, gid, name: String(uid), foreign: false };
  const nobody = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'nobody');
  return {
    uid: Number(nobody?.[2] ?? 65534),
    gid: Number(nobody?.[3] ?? 65534),
    name: 'nobody',
    foreign: true,
  };
}

/** Whether a user other than the owner can reach what lies in `directory`. */
export function reachableByOthers(directory: string): boolean {
  for (let at = directory; ; at = dirname(at)) {
    try {
      if ((statSync(at).mode & 0o001) === 0) return false;
    } catch {
      return false;
    }
    if (at === dirname(at)) return true;
  }
}

/** Absolute path of a program on PATH, or undefined. */
export function findProgram(program: string): string | undefined {
  if (program.includes('/')) return program;
  for (const directory of (process.env.PATH ?? '/usr/bin:/bin').split(delimiter)) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}
