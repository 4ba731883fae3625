// The scanouts of this machine as Kubernetes' devices, over the lease API.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lease, LeaseClient, type Scanout } from '@scanbridge/hydra';
import type { Logger } from 'pino';
import { Backoff } from '../backoff.js';
import type { Device } from './grpc.js';

/** Owners of leases that were made for Kubernetes begin so. */
const OWNER = 'kubernetes/';

export interface ScanoutPoolOptions {
  /** The manager's socket. */
  readonly socket?: string;
  /** Size of the displays until a viewer or the container asks for another [pixels]. */
  readonly width: number;
  readonly height: number;
  /** User of the containers, as the node sees it: securityContext.runAsUser where there are no user namespaces. */
  readonly uid: number;
}

/** Name of a scanout in Kubernetes. It stays the same for as long as the GPU has its place. */
export function deviceId({ device, scanout }: { device: number; scanout: number }): string {
  return `gpu${device}-scanout${scanout}`;
}

function parseId(id: string): { device: number; scanout: number } | undefined {
  const match = /^gpu(\d{1,2})-scanout(\d{1,2})$/.exec(id);
  return match ? { device: Number(match[1]), scanout: Number(match[2]) } : undefined;
}

/** Knows the scanouts and their health, and leases them. */
export class ScanoutPool {
  readonly #client: LeaseClient;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #devices: readonly Device[] = [];

  /** @param changed is called when `devices` has others, or others' health */
  constructor(
    private readonly options: ScanoutPoolOptions,
    private readonly changed: () => void,
    private readonly log: Logger,
  ) {
    this.#client = new LeaseClient(options.socket === undefined ? {} : { socket: options.socket });
    this.#running = this.#follow();
  }

  /** All scanouts that the agent has ever named; unhealthy are those which cannot be leased now. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  /**
   * Leases a scanout for a new container; gives its CDI name. Who had it before has ended: the kubelet says so by
   * giving it away.
   * @throws {HydraError}
   */
  async allocate(id: string): Promise<string> {
    const place = parseId(id);
    if (place === undefined) throw new RangeError(`"${id}" is no scanout of this node`);
    const before = (await this.#client.list()).find(
      (lease) => deviceId(lease) === id && lease.owner.startsWith(OWNER),
    );
    if (before) await this.#client.release(before.id);
    const { width, height, uid } = this.options;
    // A container that is started again is not allocated again: its lease waits for it.
    const lease = await this.#client.create({
      owner: `${OWNER}${id}`,
      ...{ ...place, width, height, uid, keep: true },
    });
    return lease.cdi;
  }

  /** Gives a scanout back that allocate() leased for a container that will not be. */
  async release(id: string): Promise<void> {
    for (const lease of await this.#client.list()) {
      if (deviceId(lease) === id && lease.owner.startsWith(OWNER)) {
        await this.#client.release(lease.id);
      }
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff(100, 5000);
    let told = '';
    while (!signal.aborted) {
      try {
        for await (const _ of this.#client.events(signal)) {
          const [scanouts, leases] = await Promise.all([
            this.#client.scanouts(),
            this.#client.list(),
          ]);
          this.#update(scanouts, leases);
          backoff.reset();
          told = '';
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== told) this.log.warn(`the scanouts cannot be leased now: ${reason}`);
        told = reason;
        this.#set(this.#devices.map(({ id }) => ({ id, health: 'Unhealthy' })));
      }
      await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
    }
  }

  #update(scanouts: readonly Scanout[], leases: readonly Lease[]): void {
    const foreign = new Set(
      leases.filter(({ owner }) => !owner.startsWith(OWNER)).map(({ id }) => id),
    );
    this.#set(
      scanouts
        // Index 0 is the console's.
        .filter(({ scanout }) => scanout !== 0)
        .map((one) => ({
          id: deviceId(one),
          health: one.lease !== undefined && foreign.has(one.lease) ? 'Unhealthy' : 'Healthy',
        })),
    );
  }

  #set(devices: readonly Device[]): void {
    if (JSON.stringify(devices) === JSON.stringify(this.#devices)) return;
    this.#devices = devices;
    this.changed();
  }
}
