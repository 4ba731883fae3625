// One lease from its making to its end: the seat, the input devices, and the kernel's lease while a compositor holds it.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNumber, openInput, revokeInput } from '@scanbridge/native-guest/lease';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import {
  type OpenedDevice,
  refusal,
  type SeatClient,
  type SeatDevices,
} from '../seat/seat-devices.js';
import { SeatdServer } from '../seat/seatd-server.js';
import { VirtualInputs } from '../seat/virtual-inputs.js';
import type { ScanoutDevice } from './device.js';
import type { Lease, LeaseHolder, LeaseRequest, LeaseState, ScanoutMode } from './lease.js';

export interface SlotEvents {
  /** State, holder or mode are others. */
  changed(): void;
  /** The holder ended, or gave its seat back. */
  holderGone(holder: LeaseHolder): void;
}

/** Has everything that belongs to one lease; close() frees it. */
export class Slot implements SeatDevices {
  readonly id = `lease-${randomBytes(6).toString('hex')}`;
  readonly nodes: readonly string[];
  readonly #directory: string;
  readonly #createdAt = Date.now();
  readonly #inputs: VirtualInputs;
  readonly #seatd: SeatdServer;
  #mode: ScanoutMode;
  /** The kernel's lease, and who holds it. */
  #lent: { lessee: number; holder: LeaseHolder } | undefined;
  #closed = false;

  /** @throws {SystemError} when the seat cannot be made */
  constructor(
    readonly request: Required<Pick<LeaseRequest, 'owner' | 'uid' | 'gid' | 'keep'>> & {
      mode: ScanoutMode;
    },
    readonly device: ScanoutDevice,
    readonly scanout: number,
    runtimeDirectory: string,
    private readonly events: SlotEvents,
    log: Logger,
  ) {
    const { uid, gid, mode } = request;
    this.#mode = mode;
    this.#directory = join(runtimeDirectory, this.id);
    this.#inputs = new VirtualInputs(this.id, `scanbridge/${this.id}`);
    this.nodes = [device.card, ...this.#inputs.nodes];
    try {
      // The folder is nobody's but ours: what is in it has its own owner.
      mkdirSync(this.#directory, { mode: 0o711 });
      const path = join(this.#directory, 'seat');
      this.#seatd = new SeatdServer({ path, uid, gid, devices: this, log });
    } catch (error) {
      this.#inputs.close();
      rmSync(this.#directory, { recursive: true, force: true });
      throw error;
    }
  }

  get mode(): ScanoutMode {
    return this.#mode;
  }

  set mode(mode: ScanoutMode) {
    this.#mode = mode;
    this.events.changed();
  }

  get state(): LeaseState {
    return this.#lent === undefined ? 'waiting' : 'active';
  }

  /** For messages: whose it is. */
  describe(): string {
    const { owner } = this.request;
    const holder = this.#lent?.holder;
    const who = holder === undefined ? 'not opened yet' : `process ${holder.pid}`;
    return `${this.device.head(this.scanout).name}: "${owner}", ${who}`;
  }

  snapshot(): Lease {
    const { owner, uid, gid, keep } = this.request;
    const { device, scanout } = this;
    return {
      id: this.id,
      owner,
      ...this.#mode,
      device: device.index,
      scanout,
      card: device.card,
      renderNode: device.renderNode,
      connector: device.head(scanout).name,
      uid,
      gid,
      keep,
      state: this.state,
      holder: this.#lent?.holder,
      directory: this.#directory,
      inputs: this.#inputs.nodes,
      environment: {
        LIBSEAT_BACKEND: 'seatd',
        SEATD_SOCK: join(this.#directory, 'seat'),
        // wlroots does not have to look for GPUs, which it would do by udev's data.
        WLR_DRM_DEVICES: device.card,
        XDG_SEAT: 'seat0',
        XDG_SESSION_TYPE: 'wayland',
      },
      createdAt: this.#createdAt,
    };
  }

  input(events: readonly InputEvent[]): void {
    this.#inputs.apply(events, this.#mode);
  }

  /** The kernel's leases have changed: ours may be over, when its holder has closed it. */
  reconcile(): void {
    if (this.#lent === undefined || this.device.lessees().has(this.#lent.lessee)) return;
    this.#lent = undefined;
    this.events.changed();
  }

  /** Takes the scanout back and ends the seat. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#seatd.close();
    this.#takeBack();
    this.#inputs.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  // The seat's side.

  open(path: string, client: SeatClient): OpenedDevice {
    if (path === this.device.card) return this.#lend(client);
    if (!this.#inputs.nodes.includes(path)) {
      throw refusal('EACCES', `${path} is not of ${this.id}`);
    }
    // The number is looked at by libinput and logind; that it can be is known here.
    deviceNumber(path);
    const descriptor = openInput(path);
    return {
      descriptor,
      close: () => {
        if (!descriptor.open) return;
        try {
          revokeInput(descriptor);
        } finally {
          descriptor.close();
        }
      },
    };
  }

  clientGone(client: SeatClient): void {
    if (this.#closed) return;
    this.#inputs.releaseAll();
    this.events.holderGone({ pid: client.pid, uid: client.uid });
  }

  #lend(client: SeatClient): OpenedDevice {
    this.reconcile();
    if (this.#lent !== undefined) {
      throw refusal('EBUSY', `process ${this.#lent.holder.pid} holds the scanout of ${this.id}`);
    }
    const { descriptor, lessee } = this.device.lend(this.scanout);
    this.#lent = { lessee, holder: { pid: client.pid, uid: client.uid } };
    // Our copy would keep the kernel's lease alive when its holder is dead; what is to be sent has been by then.
    setImmediate(() => descriptor.close());
    this.events.changed();
    return {
      descriptor,
      close: () => {
        descriptor.close();
        if (this.#lent?.lessee === lessee) this.#takeBack();
      },
    };
  }

  #takeBack(): void {
    if (this.#lent === undefined) return;
    const { lessee } = this.#lent;
    this.#lent = undefined;
    this.device.revoke(lessee);
    this.events.changed();
  }
}
