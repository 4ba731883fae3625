// Unix sockets to listen on. Mode 0600: who may open one is this user, and QEMU when it runs as this user.
import { lstat, unlink } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { ListenError, reasonOf } from '../../errors.js';
import type { Accept, Transport, TransportSpec } from './transport.js';

/** @throws {ListenError} */
export async function listenUnix(path: string, accept: Accept): Promise<Transport> {
  const close = await listen(path, accept);
  return { name: `unix:${path}`, local: true, close };
}

/**
 * Listens where a virtio-vsock device that ends in Unix sockets brings a guest's connections to `port`.
 * @throws {ListenError}
 */
export async function listenVsockUnix(
  { base, port, vm }: Extract<TransportSpec, { kind: 'vsock-unix' }>,
  accept: Accept,
): Promise<Transport> {
  const path = `${base}_${port}`;
  const close = await listen(path, accept);
  return { name: `vsock-unix:${path}`, local: false, ...(vm && { vm }), close };
}

async function listen(path: string, accept: Accept): Promise<() => Promise<void>> {
  await removeStale(path);
  const server = createServer(accept);
  // The socket is bound within listen(): no other code of this process runs under the changed mask.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new ListenError(path, reasonOf(error))));
      server.listen(path, resolve);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** Removes what a bridge that was killed has left; never a file, and never the socket of one that lives. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw new ListenError(path, 'there is something that is not a socket');
  const alive = await new Promise<boolean>((resolve) => {
    const probe = createConnection({ path })
      .on('connect', () => {
        probe.destroy();
        resolve(true);
      })
      .on('error', () => resolve(false));
  });
  if (alive) throw new ListenError(path, 'another bridge listens there');
  await unlink(path).catch(() => undefined);
}
