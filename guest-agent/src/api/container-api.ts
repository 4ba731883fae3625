// A socket for each lease, by which a container reaches its own lease and nothing else.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { ModeRequest } from '@scanbridge/hydra/api';
import type { PeerCredentials } from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import type { Lease } from '../leases/index.js';
import { readBody } from './body.js';
import { ApiError } from './errors.js';
import type { Leases } from './leases.js';
import { resize } from './manager-api.js';
import { placeFile, placeSocket } from './place.js';
import { ApiServer, type Route } from './server.js';
import { viewOwnLease } from './view.js';

/** Names in the lease's folder. */
const SOCKET = 'api';
const TOKEN = 'token';
/** Connections of one container at a time. */
const MAX_CONNECTIONS = 8;
const TOKEN_BYTES = 24;

/** Makes and ends the containers' sockets as leases come and go. */
export class ContainerApis {
  readonly #servers = new Map<string, Promise<ApiServer | undefined>>();
  readonly #onCreated = (lease: Lease) => this.#open(lease);
  readonly #onReleased = (lease: Lease) => void this.#end(lease.id);

  constructor(
    private readonly leases: Leases,
    private readonly log: Logger,
  ) {
    leases.on('created', this.#onCreated).on('released', this.#onReleased);
    for (const lease of leases.list()) this.#open(lease);
  }

  /** Resolves when the socket of a lease is there, or can not be; the log says why. */
  async ready(id: string): Promise<void> {
    await this.#servers.get(id);
  }

  async close(): Promise<void> {
    this.leases.off('created', this.#onCreated).off('released', this.#onReleased);
    await Promise.all([...this.#servers.keys()].map((id) => this.#end(id)));
  }

  #open(lease: Lease): void {
    const opening = listen(this.leases, lease, this.log).catch((error: Error) => {
      this.log.error({ lease: lease.id }, `its container has no API: ${error.message}`);
      return undefined;
    });
    this.#servers.set(lease.id, opening);
  }

  async #end(id: string): Promise<void> {
    const opening = this.#servers.get(id);
    this.#servers.delete(id);
    // The files go with the lease's folder.
    await (await opening)?.close();
  }
}

async function listen(leases: Leases, lease: Lease, log: Logger): Promise<ApiServer> {
  const { id, uid, gid, directory } = lease;
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const scratch = dirname(directory);
  await placeFile(join(directory, TOKEN), { uid, gid, mode: 0o400 }, `${token}\n`, scratch);
  return await placeSocket(
    join(directory, SOCKET),
    { uid, gid, mode: 0o600 },
    (path) =>
      ApiServer.listen(path, {
        routes: routes(leases, id),
        admit: (peer, request) => admit(uid, token, peer, request),
        maxConnections: MAX_CONNECTIONS,
        log: log.child({ lease: id }),
      }),
    scratch,
  );
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * The user is checked because a token may be found, the token because one user may have many containers.
 * @throws {ApiError}
 */
function admit(uid: number, token: string, peer: PeerCredentials, request: IncomingMessage): void {
  if (peer.uid !== uid && peer.uid !== 0) {
    const text = `user ${peer.uid} may not use a lease of user ${uid}`;
    throw new ApiError('FORBIDDEN', text, 'ask as the user that the lease was made for', 403);
  }
  const given = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined && timingSafeEqual(digest(given), digest(token))) return;
  const text = given === undefined ? 'no token was shown' : 'this is not the token of the lease';
  const remedy = 'send "Authorization: Bearer" with the contents of $SCANBRIDGE_LEASE/token';
  throw new ApiError('UNAUTHORIZED', text, remedy, 401);
}

function routes(leases: Leases, id: string): readonly Route[] {
  let busy = false;
  /** One change at a time: a container can not keep the host busy. */
  const alone = async <T>(change: () => Promise<T>): Promise<T> => {
    if (busy) {
      throw new ApiError('BUSY', 'another change of this lease goes on', 'wait for its end', 429);
    }
    busy = true;
    try {
      return await change();
    } finally {
      busy = false;
    }
  };
  return [
    {
      path: /^\/v1\/lease$/,
      methods: {
        GET: async () => ({ status: 200, body: viewOwnLease(leases.get(id)) }),
        PATCH: async ({ request, gone }) => {
          const mode = await readBody(request, ModeRequest);
          const lease = await alone(() => resize(leases, id, mode, gone));
          return { status: 200, body: viewOwnLease(lease) };
        },
        DELETE: async ({ response }) => {
          const lease = leases.get(id);
          // The answer goes first: this socket ends with the lease.
          response.once('finish', () => {
            leases.release(id, 'its container gave it back').catch(() => undefined);
          });
          return { status: 200, body: viewOwnLease(lease) };
        },
      },
    },
  ];
}
