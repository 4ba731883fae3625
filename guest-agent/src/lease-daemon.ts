// The daemon that lends scanouts to containers: lease manager, API, CDI specification, bridge.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { ContainerApis, ManagerApi, viewLease } from './api/index.js';
import { CdiFile } from './cdi/index.js';
import { ContainerUdev } from './container-udev.js';
import { LeaseBridge } from './lease-bridge.js';
import { type Lease, LeaseManager } from './leases/index.js';
import type { BridgeAddress } from './transports.js';

export interface LeaseDaemonOptions {
  /** Where the bridge may be; tried in this order. */
  readonly bridge: readonly BridgeAddress[];
  /** Of this agent, for people; at most 64 characters. */
  readonly name: string;
  /** The manager's socket. */
  readonly socket: string;
  /** Where leases have their folders. */
  readonly runtimeDirectory: string;
  /** Folder of the CDI specification; absent: none is made. */
  readonly cdi?: string;
  /** Users who may manage leases, beside root. */
  readonly users: readonly number[];
  /** Group of the manager's socket; absent: only root may open it. */
  readonly group?: number;
  readonly log: Logger;
}

/** Owns everything from start() to close(). */
export class LeaseDaemon {
  readonly #bridge: LeaseBridge;
  readonly #cdi: CdiFile | undefined;
  readonly #udev: ContainerUdev;
  #leases: LeaseManager | undefined;
  #containers: ContainerApis | undefined;
  #api: ManagerApi | undefined;
  /** What is wrong with the specification's file. */
  #cdiFailure: string | undefined;

  private constructor(private readonly options: LeaseDaemonOptions) {
    const { bridge, name, cdi, log } = options;
    this.#bridge = new LeaseBridge(bridge, name, log);
    this.#udev = new ContainerUdev(log);
    this.#cdi = cdi === undefined ? undefined : new CdiFile(cdi);
  }

  /**
   * Takes the virtual GPUs and begins to serve.
   * @throws {LeaseError} NO_DEVICE, SEAT_FAILED
   * @throws the system's error when a socket or file cannot be made
   */
  static async start(options: LeaseDaemonOptions): Promise<LeaseDaemon> {
    const daemon = new LeaseDaemon(options);
    try {
      await daemon.#start();
      return daemon;
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  /** Ends all leases, and leaves nothing behind. */
  async close(): Promise<void> {
    await this.#api?.close();
    // While the bridge can still be told.
    await this.#leases?.close();
    await this.#containers?.close();
    if (this.#leases) {
      // After the writes that the leases' ends began; and never another daemon's file, which has the devices when this one
      // could not be started.
      await this.#writeCdi();
      await this.#cdi?.remove();
    }
    await this.#bridge.close();
  }

  async #start(): Promise<void> {
    const { socket, runtimeDirectory, users, group, log } = this.options;
    await mkdir(dirname(socket), { recursive: true, mode: 0o755 });
    const leases = await LeaseManager.open({
      host: this.#bridge,
      runtimeDirectory,
      announce: (lease) => this.#udev.announce(lease),
      log,
    });
    this.#leases = leases;
    this.#containers = new ContainerApis(leases, log);
    for (const event of ['created', 'changed', 'released'] as const) {
      leases.on(event, () => void this.#writeCdi());
    }
    await this.#writeCdi();
    this.#bridge.attach(leases);
    this.#api = await ManagerApi.listen({
      socket,
      leases,
      users,
      ...(group !== undefined && { group }),
      prepared: (lease) => this.#prepared(lease),
      complaints: () => this.#complaints(),
      log,
    });
  }

  async #prepared(lease: Lease): Promise<void> {
    await Promise.all([
      this.#containers?.ready(lease.id),
      this.#udev.prepare(lease),
      this.#writeCdi(),
    ]);
  }

  async #writeCdi(): Promise<void> {
    if (!this.#cdi || !this.#leases) return;
    try {
      await this.#cdi.write(this.#leases.list().map(viewLease));
      this.#cdiFailure = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#cdiFailure = `containers cannot be started with --device: ${reason}`;
      this.options.log.error(this.#cdiFailure);
    }
  }

  #complaints(): string[] {
    const complaints: string[] = [];
    if (!this.#bridge.connected) {
      complaints.push('no bridge is connected, so displays cannot be switched on');
    }
    if (this.#cdiFailure !== undefined) complaints.push(this.#cdiFailure);
    return complaints;
  }
}
