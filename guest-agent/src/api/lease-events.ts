// Server-sent events about leases.
import type { ServerResponse } from 'node:http';
import type { LeaseEvent } from '@scanbridge/hydra/api';
import type { Lease } from '../leases/index.js';
import { ApiError } from './errors.js';
import type { Leases } from './leases.js';
import { viewLease } from './view.js';

/** A comment is sent this often, so that either side finds a connection that is half open [ms]. */
const HEARTBEAT = 15_000;
/** A reader with more waiting is disconnected; it opens another stream, which begins with all leases [bytes]. */
const MAX_BEHIND = 64 * 1024;
/** Streams at a time. */
const MAX_STREAMS = 16;

/** Owns the streams of events; one heartbeat for all. */
export class LeaseEvents {
  readonly #streams = new Set<ServerResponse>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #onCreated = (lease: Lease) => this.#tell({ type: 'created', lease: viewLease(lease) });
  readonly #onChanged = (lease: Lease) => this.#tell({ type: 'changed', lease: viewLease(lease) });
  readonly #onReleased = (lease: Lease, reason: string) =>
    this.#tell({ type: 'released', lease: viewLease(lease), reason });

  constructor(private readonly leases: Leases) {
    leases
      .on('created', this.#onCreated)
      .on('changed', this.#onChanged)
      .on('released', this.#onReleased);
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), HEARTBEAT);
  }

  /** Makes an answer a stream. @throws {ApiError} TOO_MANY_STREAMS */
  open(response: ServerResponse): void {
    if (this.#streams.size >= MAX_STREAMS) {
      const text = `${MAX_STREAMS} streams of events are open`;
      throw new ApiError('TOO_MANY_STREAMS', text, 'close one', 429);
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.on('error', () => response.destroy());
    response.once('close', () => this.#streams.delete(response));
    this.#streams.add(response);
    response.write(format({ type: 'leases', leases: this.leases.list().map(viewLease) }));
  }

  close(): void {
    clearInterval(this.#heartbeat);
    this.leases
      .off('created', this.#onCreated)
      .off('changed', this.#onChanged)
      .off('released', this.#onReleased);
    for (const response of this.#streams) response.destroy();
  }

  #tell(event: LeaseEvent): void {
    this.#write(format(event));
  }

  #write(text: string): void {
    for (const response of this.#streams) {
      if (response.writableLength > MAX_BEHIND) response.destroy();
      else response.write(text);
    }
  }
}

function format(event: LeaseEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
