// Leases and the bridge: the bridge switches scanouts, is told who holds which, and passes on what viewers want.
import { randomUUID } from 'node:crypto';
import type { ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import { BridgeConnection } from './connection.js';
import type { Lease, LeaseManager, ScanoutHost, ScanoutMode } from './leases/index.js';
import type { BridgeAddress } from './transports.js';

/** The bridge answers within this time [ms]; a connection that is not there has as long to come. */
const ANSWER_LIMIT = 5000;
/** Requests without an answer at a time: each of a VM's scanouts, twice. */
const MAX_PENDING = 64;

interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

/** Owns a connection to the bridge, which comes back by itself; all that the bridge has to know is then told anew. */
export class LeaseBridge implements ScanoutHost {
  readonly #connection: BridgeConnection;
  readonly #pending = new Map<number, Pending>();
  readonly #waiting = new Set<() => void>();
  #leases: LeaseManager | undefined;
  #serial = 0;

  constructor(
    addresses: readonly BridgeAddress[],
    name: string,
    private readonly log: Logger,
  ) {
    this.#connection = new BridgeConnection(
      { addresses, name, instance: randomUUID() },
      {
        connected: () => this.#onConnected(),
        message: (message) => this.#onMessage(message),
        disconnected: () => this.#failAll('the connection to the bridge was lost'),
      },
      log,
    );
  }

  get connected(): boolean {
    return this.#connection.connected;
  }

  /** From now on the bridge is told of these leases. */
  attach(leases: LeaseManager): void {
    this.#leases = leases;
    leases.on('created', (lease) => this.#claim(lease));
    leases.on('changed', (lease) => this.#claim(lease));
    leases.on('released', ({ id }) => this.#connection.send({ type: 'lease-release', lease: id }));
    if (this.connected) this.#onConnected();
  }

  async configure(
    device: number,
    scanout: number,
    mode: ScanoutMode | null,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#whenConnected(signal);
    await this.#ask(device, scanout, mode, signal);
  }

  async close(): Promise<void> {
    await this.#connection.close();
    this.#failAll('the agent is shutting down');
  }

  #ask(
    device: number,
    scanout: number,
    mode: ScanoutMode | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new Error(`the bridge owes ${MAX_PENDING} answers`));
    }
    this.#serial = this.#serial >= 0xffffffff ? 1 : this.#serial + 1;
    const serial = this.#serial;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT)]);
    return new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        const why = signal.aborted ? 'the request was withdrawn' : 'the bridge does not answer';
        this.#pending.get(serial)?.reject(new Error(why));
      };
      const settle = (done: () => void) => {
        this.#pending.delete(serial);
        limit.removeEventListener('abort', onAbort);
        done();
      };
      this.#pending.set(serial, {
        resolve: () => settle(resolve),
        reject: (error) => settle(() => reject(error)),
      });
      if (limit.aborted) onAbort();
      else limit.addEventListener('abort', onAbort);
      this.#connection.send({
        type: 'scanout-configure',
        ...{ serial, device, scanout },
        ...(mode && { mode: { width: mode.width, height: mode.height, refresh: mode.refresh } }),
      });
    });
  }

  #whenConnected(signal: AbortSignal): Promise<void> {
    if (this.connected) return Promise.resolve();
    return new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(settle);
        if (error) reject(error);
        else resolve();
      };
      const onAbort = () => settle(new Error('the request was withdrawn'));
      const timer = setTimeout(() => {
        settle(new Error('no bridge is connected, and it is the bridge that switches scanouts'));
      }, ANSWER_LIMIT);
      this.#waiting.add(settle);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  }

  #onConnected(): void {
    // The bridge may have started anew, or missed what happened while it was away.
    void this.#leases?.synchronize();
    for (const lease of this.#leases?.list() ?? []) this.#claim(lease);
    for (const go of [...this.#waiting]) go();
  }

  #claim({ id, owner, device, scanout, width, height }: Lease): void {
    this.#connection.send({
      type: 'lease-claim',
      ...{ lease: id, owner, device, scanout, width, height },
    });
  }

  #onMessage(message: ToAgent): void {
    switch (message.type) {
      case 'scanout-configured':
        this.#pending.get(message.serial)?.resolve();
        break;
      case 'scanout-refused':
        this.#pending.get(message.serial)?.reject(new Error(`the bridge says: ${message.message}`));
        break;
      case 'lease-refused':
        this.log.warn({ lease: message.lease }, `the bridge doubts it: ${message.message}`);
        break;
      case 'lease-resize':
        this.#leases
          ?.resize(message.lease, { width: message.width, height: message.height })
          .catch((error: Error) => this.log.warn({ lease: message.lease }, error.message));
        break;
      case 'lease-input':
        this.#leases?.input(message.lease, message.events);
        break;
      case 'lease-end':
        this.#leases
          ?.release(message.lease, message.message)
          .catch((error: Error) => this.log.warn({ lease: message.lease }, error.message));
        break;
    }
  }

  #failAll(reason: string): void {
    for (const { reject } of [...this.#pending.values()]) reject(new Error(reason));
  }
}
