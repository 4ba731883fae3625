// The Unix socket that agents of this machine connect to. Mode 0600: who may open it is this user.
import { lstat, unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { ListenError, reasonOf } from '../errors.js';
import { AgentConnection, type AgentConnectionEvents } from './connection.js';

/** Connections at a time, also those that have not said hello. */
const MAX_CONNECTIONS = 64;

/** Owns the listening socket and the sockets it accepts. */
export class AgentListener {
  readonly #sockets = new Set<Socket>();
  #count = 0;

  private constructor(private readonly server: Server) {}

  /** @throws {ListenError} */
  static async listen(
    path: string,
    events: AgentConnectionEvents,
    log: Logger,
  ): Promise<AgentListener> {
    await removeStale(path);
    const server = createServer();
    server.maxConnections = MAX_CONNECTIONS;
    const self = new AgentListener(server);
    server.on('connection', (socket) => {
      self.#sockets.add(socket);
      socket.once('close', () => self.#sockets.delete(socket));
      self.#count++;
      new AgentConnection(socket, `agent-${self.#count}`, true, events, log);
    });
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
    return self;
  }

  /** Ends all connections and removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, 500);
    await closed;
    clearTimeout(cut);
  }
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
