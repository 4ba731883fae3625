// The two clients: the container manager's, and a container's for its own lease.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  Health,
  Lease,
  LeaseEvent,
  type LeaseRequest,
  type ModeRequest,
  OwnLease,
  Scanout,
} from './api.js';
import { HydraError } from './errors.js';
import { EventStreamParser } from './event-stream.js';
import { Transport, type TransportOptions } from './transport.js';

/** Where the agent listens for the container manager. */
export const MANAGER_SOCKET = '/run/scanbridge/leases.sock';

export interface LeaseClientOptions {
  /** MANAGER_SOCKET where absent. */
  readonly socket?: string;
  /** An answer has to be there within this time [ms]; 10 s where absent. */
  readonly timeout?: number;
}

const path = (id: string) => `/v1/leases/${encodeURIComponent(id)}`;

/**
 * The container manager's view: all leases of a virtual machine. Every method throws a {@link HydraError}.
 *
 * ```ts
 * const client = new LeaseClient();
 * const lease = await client.create({ owner: 'web-1', width: 1280, height: 720, uid: 1000 });
 * // podman run --device ${lease.cdi} ...
 * await client.release(lease.id);
 * ```
 */
export class LeaseClient {
  readonly #transport: Transport;

  constructor(options: LeaseClientOptions = {}) {
    this.#transport = new Transport({ socket: MANAGER_SOCKET, ...options });
  }

  /** Takes a scanout; resolves when its display is connected. `NO_SCANOUT_FREE` names those who hold them. */
  create(request: LeaseRequest): Promise<Lease> {
    return this.#transport.ask('POST', '/v1/leases', Lease, request);
  }

  async list(): Promise<Lease[]> {
    const schema = z.object({ leases: z.array(Lease) });
    return (await this.#transport.ask('GET', '/v1/leases', schema)).leases;
  }

  get(id: string): Promise<Lease> {
    return this.#transport.ask('GET', path(id), Lease);
  }

  /** Changes the size of the display; the compositor sees a hotplug event with the new mode. */
  resize(id: string, mode: ModeRequest): Promise<Lease> {
    return this.#transport.ask('PATCH', path(id), Lease, mode);
  }

  /** Takes the scanout back, whatever its holder does. */
  release(id: string): Promise<Lease> {
    return this.#transport.ask('DELETE', path(id), Lease);
  }

  async scanouts(): Promise<Scanout[]> {
    const schema = z.object({ scanouts: z.array(Scanout) });
    return (await this.#transport.ask('GET', '/v1/scanouts', schema)).scanouts;
  }

  health(): Promise<Health> {
    return this.#transport.ask('GET', '/healthz', Health);
  }

  /**
   * Follows the leases until `signal` is aborted, which ends the loop without an error. The first event tells all
   * leases. When the connection is lost it throws: call it again, and its first event makes up for what was missed.
   */
  async *events(signal: AbortSignal): AsyncGenerator<LeaseEvent, void, undefined> {
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    try {
      const response = await this.#transport.open('/v1/events', either);
      const parser = new EventStreamParser();
      response.setEncoding('utf8');
      for await (const text of response as AsyncIterable<string>) {
        for (const data of parser.push(text)) yield LeaseEvent.parse(JSON.parse(data));
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof HydraError) throw error;
      const message = `the events ended: ${error instanceof Error ? error.message : error}`;
      throw new HydraError('BAD_ANSWER', message, 'open them again', { cause: error });
    } finally {
      // Also when the caller breaks out of its loop: the connection goes with it.
      ended.abort();
    }
    if (signal.aborted) return;
    throw new HydraError('NO_AGENT', 'the agent ended the events', 'open them again');
  }
}

/** A container's view: its own lease. Every method throws a {@link HydraError}. */
export class OwnLeaseClient {
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
  }

  /**
   * For a process in a container that was started with `--device`: takes the token that lies beside the socket.
   * @param folder the lease's; what $SCANBRIDGE_LEASE says where absent
   */
  static async open(folder = process.env.SCANBRIDGE_LEASE): Promise<OwnLeaseClient> {
    const remedy = 'start the container with the --device of its lease';
    if (folder === undefined) {
      throw new HydraError('NO_AGENT', 'SCANBRIDGE_LEASE is not set: there is no lease', remedy);
    }
    const token = await readFile(`${folder}/token`, 'utf8').catch((error: Error) => {
      throw new HydraError('NO_AGENT', `there is no lease here: ${error.message}`, remedy);
    });
    return new OwnLeaseClient({ socket: `${folder}/api`, token: token.trim() });
  }

  get(): Promise<OwnLease> {
    return this.#transport.ask('GET', '/v1/lease', OwnLease);
  }

  resize(mode: ModeRequest): Promise<OwnLease> {
    return this.#transport.ask('PATCH', '/v1/lease', OwnLease, mode);
  }

  /** Gives the scanout back; the compositor on it loses its display. */
  release(): Promise<OwnLease> {
    return this.#transport.ask('DELETE', '/v1/lease', OwnLease);
  }
}
