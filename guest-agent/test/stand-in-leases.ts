// A stand-in for the lease manager, which needs a virtio-gpu device: test/vm runs the real one. It hands out numbers of
// scanouts, and has a folder for each lease, as the real one does.
import { EventEmitter } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Leases } from '../src/api/leases.js';
import {
  type Lease,
  LeaseError,
  type LeaseEvents,
  type LeaseRequest,
  type Scanout,
} from '../src/leases/index.js';

export class StandInLeases extends EventEmitter<LeaseEvents> {
  readonly #leases = new Map<string, Lease>();
  #count = 0;
  /** What allocate() waits for. */
  gate: Promise<void> = Promise.resolve();

  /** @param folder of the leases' folders  @param total scanouts, the console's among them */
  constructor(
    private readonly folder: string,
    private readonly total = 3,
  ) {
    super();
  }

  scanouts(): readonly Scanout[] {
    return Array.from({ length: this.total }, (_, scanout) => ({
      device: 0,
      scanout,
      card: '/dev/dri/card0',
      renderNode: undefined,
      connector: `Virtual-${scanout + 1}`,
      connected: scanout === 0,
      lease: this.list().find((lease) => lease.scanout === scanout)?.id,
    }));
  }

  list(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  get(id: string): Lease {
    const lease = this.#leases.get(id);
    if (!lease) throw new LeaseError('NO_SUCH_LEASE', `There is no lease ${id}.`);
    return lease;
  }

  async allocate(request: LeaseRequest, signal?: AbortSignal): Promise<Lease> {
    await this.gate;
    if (signal?.aborted) throw new LeaseError('ABORTED', 'It was withdrawn.');
    const free = this.scanouts().find(
      ({ scanout, lease }) => scanout > 0 && !lease && scanout === (request.scanout ?? scanout),
    );
    if (!free) throw new LeaseError('NO_SCANOUT_FREE', 'All scanouts are in use.');
    const id = `lease-${++this.#count}`;
    const directory = join(this.folder, id);
    mkdirSync(directory);
    const { owner, width, height, refresh = 0, uid = 0, gid = uid, keep = false } = request;
    const lease: Lease = {
      ...{ id, owner, width, height, refresh, uid, gid, keep, directory },
      ...{ device: 0, card: free.card, connector: free.connector, scanout: free.scanout },
      renderNode: '/dev/dri/renderD128',
      state: 'waiting',
      holder: undefined,
      inputs: ['/dev/input/event7'],
      environment: { SEATD_SOCK: `${directory}/seat` },
      createdAt: Date.now(),
    };
    this.#leases.set(id, lease);
    this.emit('created', lease);
    return lease;
  }

  async resize(id: string, mode: { width: number; height: number }): Promise<Lease> {
    const lease = { ...this.get(id), ...mode };
    this.#leases.set(id, lease);
    this.emit('changed', lease);
    return lease;
  }

  async release(id: string, reason = 'released'): Promise<void> {
    const lease = this.get(id);
    this.#leases.delete(id);
    rmSync(lease.directory, { recursive: true, force: true });
    this.emit('released', lease, reason);
  }
}

/** For what takes the real one's type. */
export const asLeases = (leases: StandInLeases): Leases => leases as unknown as Leases;
