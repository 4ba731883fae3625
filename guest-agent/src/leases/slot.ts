// One lease from its making to its end: the seat, the input devices, and the kernel's lease while a compositor holds it.
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  buffersLibrary,
  type Descriptor,
  deviceNumber,
  openForBuffers,
  openInput,
  revokeInput,
} from '@scanbridge/native-guest/lease';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import { LoginBus } from '../seat/login-bus.js';
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
import type { Shelf } from './shelf.js';

/** Name of the library in a lease's folder, where a container sees it as well. */
const BUFFERS_LIBRARY = 'libscanbridge-buffers.so';
/** After the node's path: what a client gets can make buffers and nothing else. */
const FOR_BUFFERS = '?buffers';

export interface SlotEvents {
  /** State, holder or mode are others. */
  changed(): void;
  /** The holder ended, or gave its seat back. */
  holderGone(holder: LeaseHolder): void;
}

/** What a slot is made of, and what an agent after this one makes it of again. */
export interface SlotPlan {
  readonly id: string;
  readonly owner: string;
  readonly uid: number;
  readonly gid: number;
  readonly keep: boolean;
  readonly mode: ScanoutMode;
  readonly device: number;
  readonly scanout: number;
  readonly createdAt: number;
  /** The kernel's lease, and who holds it. */
  readonly lent: { lessee: number; holder: LeaseHolder } | undefined;
}

export interface SlotOptions {
  device: ScanoutDevice;
  /** The folder of all leases' folders. */
  runtimeDirectory: string;
  /** For an agent after this one; this lease's part of it. */
  shelf: Shelf;
  events: SlotEvents;
  log: Logger;
}

/** A plan for a new lease. */
export function planSlot(
  request: Required<Pick<LeaseRequest, 'owner' | 'uid' | 'gid' | 'keep'>>,
  mode: ScanoutMode,
  device: number,
  scanout: number,
): SlotPlan {
  const id = `lease-${randomBytes(6).toString('hex')}`;
  return { ...request, id, mode, device, scanout, createdAt: Date.now(), lent: undefined };
}

/** Has everything that belongs to one lease; close() frees it. */
export class Slot implements SeatDevices {
  readonly nodes: readonly string[];
  readonly device: ScanoutDevice;
  readonly #directory: string;
  readonly #inputs: VirtualInputs;
  readonly #seatd: SeatdServer;
  #login: LoginBus | undefined;
  #plan: SlotPlan;
  #closed = false;

  /**
   * Makes the seat, or takes it up from the shelf.
   *
   * @throws {SystemError} when the seat cannot be made
   */
  constructor(
    plan: SlotPlan,
    private readonly options: SlotOptions,
  ) {
    const { device, shelf, log } = options;
    const { id, uid, gid } = plan;
    this.#plan = plan;
    this.device = device;
    this.#directory = join(options.runtimeDirectory, id);
    this.#inputs = new VirtualInputs(id, `scanbridge/${id}`, shelf.within('input'));
    this.nodes = [device.card, ...this.#inputs.nodes];
    try {
      // The folder is nobody's but ours: what is in it has its own owner.
      mkdirSync(this.#directory, { mode: 0o711, recursive: true });
      if (!device.renders) {
        copyFileSync(buffersLibrary, join(this.#directory, BUFFERS_LIBRARY));
      }
      const path = join(this.#directory, 'seat');
      if (plan.lent !== undefined && !device.lessees().has(plan.lent.lessee)) {
        this.#plan = { ...plan, lent: undefined };
      }
      this.#keep();
      this.#seatd = new SeatdServer({ path, uid, gid, devices: this, shelf, log });
      // Nobody waits for it: compositors that need it take longer to start.
      void this.#startLogin();
    } catch (error) {
      shelf.forget('plan');
      this.#inputs.close();
      rmSync(this.#directory, { recursive: true, force: true });
      throw error;
    }
  }

  get id(): string {
    return this.#plan.id;
  }

  get scanout(): number {
    return this.#plan.scanout;
  }

  /** Whether the lease outlives its holder. */
  get outlives(): boolean {
    return this.#plan.keep;
  }

  /** Starts the bus that Mutter needs, or takes it up. Without it (no dbus-daemon is installed) the seat is libseat's alone. */
  async #startLogin(): Promise<void> {
    const { id: session, uid, gid } = this.#plan;
    const { log, shelf } = this.options;
    const directory = this.#directory;
    try {
      const bus = await LoginBus.start({
        ...{ directory, session, uid, gid, devices: this, shelf, log },
      });
      if (this.#closed) bus.close();
      else this.#login = bus;
    } catch (error) {
      if (this.#closed) return;
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ lease: session }, `no logind for Mutter, only seatd: ${reason}`);
    }
  }

  get mode(): ScanoutMode {
    return this.#plan.mode;
  }

  set mode(mode: ScanoutMode) {
    this.#change({ mode });
  }

  get state(): LeaseState {
    return this.#plan.lent === undefined ? 'waiting' : 'active';
  }

  /** For messages: whose it is. */
  describe(): string {
    const { owner, lent } = this.#plan;
    const who = lent === undefined ? 'not opened yet' : `process ${lent.holder.pid}`;
    return `${this.device.head(this.scanout).name}: "${owner}", ${who}`;
  }

  snapshot(): Lease {
    const { id, owner, uid, gid, keep, mode, scanout, lent, createdAt } = this.#plan;
    const { device } = this;
    return {
      id,
      owner,
      ...mode,
      device: device.index,
      scanout,
      card: device.card,
      renderNode: device.renderNode,
      connector: device.head(scanout).name,
      uid,
      gid,
      keep,
      state: this.state,
      holder: lent?.holder,
      directory: this.#directory,
      inputs: this.#inputs.nodes,
      environment: {
        LIBSEAT_BACKEND: 'seatd',
        SEATD_SOCK: join(this.#directory, 'seat'),
        // wlroots does not have to look for GPUs, which it would do by udev's data.
        WLR_DRM_DEVICES: device.card,
        // Its input devices may come a moment later: udev looks at them first.
        WLR_LIBINPUT_NO_DEVICES: '1',
        XDG_SEAT: 'seat0',
        XDG_SESSION_TYPE: 'wayland',
        // wlroots opens the device a second time when it renders in software.
        ...(!device.renders && {
          LD_PRELOAD: join(this.#directory, BUFFERS_LIBRARY),
          SCANBRIDGE_BUFFERS: `${device.card}${FOR_BUFFERS}`,
        }),
        DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(this.#directory, 'bus')}`,
      },
      createdAt,
    };
  }

  input(events: readonly InputEvent[]): void {
    this.#inputs.apply(events, this.#plan.mode);
  }

  /** The kernel's leases have changed: ours may be over, when its holder has closed it or has died. */
  reconcile(): void {
    const { lent } = this.#plan;
    if (lent === undefined || this.device.lessees().has(lent.lessee)) return;
    this.#change({ lent: undefined });
  }

  /** Takes the scanout back and ends the seat. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#seatd.close();
    this.#login?.close();
    this.#takeBack();
    this.#inputs.close();
    this.options.shelf.forget('plan');
    rmSync(this.#directory, { recursive: true, force: true });
  }

  // The seat's side.

  nodeOf(major: number, minor: number): string | undefined {
    return this.nodes.find((node) => {
      const number = deviceNumber(node);
      return number.major === major && number.minor === minor;
    });
  }

  open(path: string, client: SeatClient): OpenedDevice & { readonly descriptor: Descriptor } {
    if (path === this.device.card) return this.#lend(client);
    if (path === `${this.device.card}${FOR_BUFFERS}`) {
      const descriptor = openForBuffers(this.device.card);
      return { path, holds: false, descriptor, close: () => descriptor.close() };
    }
    if (!this.#inputs.nodes.includes(path)) {
      throw refusal('EACCES', `${path} is not of ${this.id}`);
    }
    const descriptor = openInput(path);
    const close = () => {
      if (!descriptor.open) return;
      try {
        revokeInput(descriptor);
      } finally {
        descriptor.close();
      }
    };
    return { path, holds: false, descriptor, close };
  }

  adopt(path: string): OpenedDevice {
    const { lent } = this.#plan;
    // An input device ends with the lease; the agent that could have revoked it is dead.
    const close =
      path === this.device.card && lent !== undefined
        ? () => this.#takeBack(lent.lessee)
        : () => undefined;
    return { path, holds: path === this.device.card, descriptor: undefined, close };
  }

  clientGone(client: SeatClient): void {
    if (this.#closed) return;
    this.#inputs.releaseAll();
    this.options.events.holderGone({ pid: client.pid, uid: client.uid });
  }

  #lend(client: SeatClient): OpenedDevice & { readonly descriptor: Descriptor } {
    this.reconcile();
    const { lent } = this.#plan;
    if (lent !== undefined) {
      throw refusal('EBUSY', `process ${lent.holder.pid} holds the scanout of ${this.id}`);
    }
    const { descriptor, lessee } = this.device.lend(this.scanout);
    // Our copy would keep the kernel's lease alive when its holder is dead; what is to be sent has been by then.
    setImmediate(() => descriptor.close());
    this.#change({ lent: { lessee, holder: { pid: client.pid, uid: client.uid } } });
    const close = () => {
      descriptor.close();
      this.#takeBack(lessee);
    };
    return { path: this.device.card, holds: true, descriptor, close };
  }

  /** @param lessee only this one's lease */
  #takeBack(lessee = this.#plan.lent?.lessee): void {
    if (lessee === undefined || this.#plan.lent?.lessee !== lessee) return;
    this.device.revoke(lessee);
    this.#change({ lent: undefined });
  }

  #change(part: Partial<SlotPlan>): void {
    this.#plan = { ...this.#plan, ...part };
    if (this.#closed) return;
    this.#keep();
    this.options.events.changed();
  }

  #keep(): void {
    this.options.shelf.keep('plan', this.#plan);
  }
}
