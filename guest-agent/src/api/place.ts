// Sockets and files in folders that belong to users who are not trusted. Such a user may put a link where the agent, as
// root, is about to change owner or mode; so each is made in a folder that is the agent's alone, finished there, and
// renamed to its place, which replaces what is there and follows no link.
import { chmod, lchown, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Access {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

async function place(
  path: string,
  scratch: string,
  access: Access,
  make: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(scratch, '.new-'));
  try {
    const made = join(folder, 'x');
    await make(made);
    await chmod(made, access.mode);
    await lchown(made, access.uid, access.gid);
    await rename(made, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a file. @param scratch a folder of the agent's own on the same file system */
export function placeFile(
  path: string,
  access: Access,
  text: string,
  scratch = dirname(path),
): Promise<void> {
  return place(path, scratch, access, (made) => writeFile(made, text, { flag: 'wx', mode: 0o600 }));
}

/**
 * Puts a listening socket at `path`; gives what `listen` gave.
 * @param listen is given another path, which it has to listen on
 * @param scratch a folder of the agent's own on the same file system
 */
export async function placeSocket<T extends { close(): Promise<void> }>(
  path: string,
  access: Access,
  listen: (path: string) => Promise<T>,
  scratch = dirname(path),
): Promise<T> {
  let server: T | undefined;
  try {
    await place(path, scratch, access, async (made) => {
      server = await listen(made);
    });
    return server as T;
  } catch (error) {
    await server?.close();
    throw error;
  }
}
