// The container manager's socket: all leases.
import { rm } from 'node:fs/promises';
import { LeaseRequest, ModeRequest } from '@scanbridge/hydra/api';
import { openApiDocument } from '@scanbridge/hydra/openapi';
import type { PeerCredentials } from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import type { Lease, LeaseRequest as ManagerRequest } from '../leases/index.js';
import { readBody } from './body.js';
import { ApiError } from './errors.js';
import { LeaseEvents } from './lease-events.js';
import type { Leases } from './leases.js';
import { placeSocket } from './place.js';
import { ApiServer, type Call, type Route } from './server.js';
import { toMillihertz, viewLease, viewScanout } from './view.js';

/** Connections at a time, streams of events among them. */
const MAX_CONNECTIONS = 64;

export interface ManagerApiOptions {
  /** Where to listen; what is there is replaced. */
  readonly socket: string;
  readonly leases: Leases;
  /** Users who may come in, beside root and the agent's own. */
  readonly users?: readonly number[];
  /** Group of the socket, so that those users may open it; the agent's own where absent. */
  readonly group?: number;
  /** Resolves when a container can be started on a new lease: its files are there. */
  readonly prepared: (lease: Lease) => Promise<void>;
  /** Why leases cannot be had at present; none: they can. */
  readonly complaints: () => readonly string[];
  readonly log: Logger;
}

/** Serves the manager's API. */
export class ManagerApi {
  private constructor(
    private readonly options: ManagerApiOptions,
    private readonly server: ApiServer,
    private readonly events: LeaseEvents,
  ) {}

  /** @throws the system's error when the socket cannot be made */
  static async listen(options: ManagerApiOptions): Promise<ManagerApi> {
    const { leases, log, group } = options;
    const events = new LeaseEvents(leases);
    const users = new Set([0, process.getuid?.() ?? 0, ...(options.users ?? [])]);
    const admit = (peer: PeerCredentials) => {
      if (users.has(peer.uid)) return;
      const text = `user ${peer.uid} may not manage leases`;
      throw new ApiError('FORBIDDEN', text, 'ask as root, or start the agent with --user', 403);
    };
    try {
      const server = await placeSocket(
        options.socket,
        {
          uid: process.getuid?.() ?? 0,
          gid: group ?? process.getgid?.() ?? 0,
          mode: group === undefined ? 0o600 : 0o660,
        },
        (path) =>
          ApiServer.listen(path, {
            routes: routes(options, events),
            admit,
            maxConnections: MAX_CONNECTIONS,
            log,
          }),
      );
      return new ManagerApi(options, server, events);
    } catch (error) {
      events.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.events.close();
    await this.server.close();
    await rm(this.options.socket, { force: true });
  }
}

function routes(options: ManagerApiOptions, events: LeaseEvents): readonly Route[] {
  const { leases } = options;
  const document = openApiDocument();
  return [
    {
      path: /^\/v1\/leases$/,
      methods: {
        GET: async () => ({ status: 200, body: { leases: leases.list().map(viewLease) } }),
        POST: (call) => create(options, call),
      },
    },
    {
      path: /^\/v1\/leases\/([^/]+)$/,
      methods: {
        GET: async ({ id }) => ({ status: 200, body: viewLease(leases.get(id)) }),
        PATCH: async ({ id, request, gone }) => {
          leases.get(id);
          const mode = await readBody(request, ModeRequest);
          return { status: 200, body: viewLease(await resize(leases, id, mode, gone)) };
        },
        DELETE: async ({ id }) => {
          const lease = leases.get(id);
          await leases.release(id, 'the container manager took it back');
          return { status: 200, body: viewLease(lease) };
        },
      },
    },
    {
      path: /^\/v1\/scanouts$/,
      methods: {
        GET: async () => ({ status: 200, body: { scanouts: leases.scanouts().map(viewScanout) } }),
      },
    },
    {
      path: /^\/v1\/events$/,
      methods: {
        GET: async ({ response }) => {
          events.open(response);
          return undefined;
        },
      },
    },
    {
      path: /^\/healthz$/,
      methods: {
        GET: async () => {
          const reasons = options.complaints();
          const status = reasons.length === 0 ? 'ok' : 'degraded';
          const scanouts = leases.scanouts().length;
          return {
            status: 200,
            body: { status, reasons, scanouts, leases: leases.list().length },
          };
        },
      },
    },
    { path: /^\/openapi\.json$/, methods: { GET: async () => ({ status: 200, body: document }) } },
  ];
}

async function create({ leases, prepared }: ManagerApiOptions, { request, peer, gone }: Call) {
  const { refresh, uid, gid, ...rest } = await readBody(request, LeaseRequest);
  const lease = await leases.allocate(
    {
      ...(defined(rest) as Pick<ManagerRequest, 'owner' | 'width' | 'height'>),
      uid: uid ?? peer.uid,
      gid: gid ?? peer.gid,
      ...(refresh !== undefined && { refresh: toMillihertz(refresh) }),
    },
    gone,
  );
  await prepared(lease);
  if (gone.aborted) {
    // Nobody would know of it.
    await leases.release(lease.id, 'who asked for it went away');
    return undefined;
  }
  return { status: 201, body: viewLease(lease) };
}

/** Changes a lease's mode; what is not said stays. */
export function resize(
  leases: Leases,
  id: string,
  mode: ModeRequest,
  signal: AbortSignal,
): Promise<Lease> {
  const { width, height, refresh } = mode;
  const rate = refresh === undefined ? {} : { refresh: toMillihertz(refresh) };
  return leases.resize(id, { width, height, ...rate }, signal);
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}
