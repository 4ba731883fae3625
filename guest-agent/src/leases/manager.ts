// Gives scanouts to owners: which is whose, and when it is free again.
import { EventEmitter } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, listVirtioGpus, openMaster } from '@scanbridge/native-guest/lease';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import { ScanoutDevice } from './device.js';
import { LeaseError } from './errors.js';
import { Hotplug } from './hotplug.js';
import { Keeper, type Kept } from './keeper.js';
import type { Lease, LeaseEvents, LeaseRequest, Scanout, ScanoutMode } from './lease.js';
import type { ScanoutHost } from './scanout-host.js';
import { Shelf } from './shelf.js';
import { planSlot, Slot, type SlotPlan } from './slot.js';

export const DEFAULT_RUNTIME_DIRECTORY = '/run/scanbridge/leases';
/** Scanout 0 is the console: it is on at power-on, and the kernel's own messages are there. */
const CONSOLE = 0;
/** How long a compositor may take to follow its display's new size by itself [ms]. */
const FOLLOW_LIMIT = 1000;
/** The same after its display was taken away and came back. */
const RETURN_LIMIT = 5000;
const FOLLOW_INTERVAL = 20;
/** What a CRTC has that shows nothing. */
const OFF: ScanoutMode = { width: 0, height: 0, refresh: 0 };

export interface LeaseManagerOptions {
  host: ScanoutHost;
  /** Where leases have their folders. */
  runtimeDirectory?: string;
  /** Socket of the process that keeps descriptors for an agent that dies. Default: beside the runtime directory. */
  keeper?: string;
  /**
   * Tells a lease's holder that its connector has another display, or none. A compositor in a network namespace of its own does not
   * hear of that by itself.
   */
  announce?: (lease: Lease) => Promise<void>;
  log: Logger;
}

/** Gives the scanouts of this machine's virtio-gpu devices to owners, one each. */
export class LeaseManager extends EventEmitter<LeaseEvents> {
  readonly #hotplug = new Hotplug();
  readonly #devices: ScanoutDevice[] = [];
  readonly #slots = new Map<string, Slot>();
  /** Scanouts that are being switched, as "device/scanout": nobody may have them meanwhile. */
  readonly #busy = new Set<string>();
  /** Scanouts that the host should have switched off, and could not be asked. */
  readonly #toSwitchOff = new Set<string>();
  /** Those of them that are being disconnected. */
  readonly #switching = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  readonly #directory: string;

  #shelf = new Shelf(undefined, new Map());
  #keeper: Keeper | undefined;

  private constructor(private readonly options: LeaseManagerOptions) {
    super();
    this.#directory = options.runtimeDirectory ?? DEFAULT_RUNTIME_DIRECTORY;
  }

  /**
   * Becomes the DRM master of all virtio-gpu devices. Leases of an agent that was killed go on, with their ids.
   *
   * @throws {LeaseError} NO_DEVICE, SEAT_FAILED
   */
  static async open(options: LeaseManagerOptions): Promise<LeaseManager> {
    const manager = new LeaseManager(options);
    try {
      await manager.#open();
      return manager;
    } catch (error) {
      manager.#free();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const kept = await this.#connectKeeper();
    this.#shelf = new Shelf(this.#keeper, kept);
    const masters = this.#shelf.within('master');
    for (const [index, gpu] of listVirtioGpus().entries()) {
      try {
        const name = gpu.card.replaceAll('/', '-');
        const master = masters.take(name)?.descriptor ?? openMaster(gpu.card);
        masters.keep(name, gpu.card, master);
        const { host } = this.options;
        this.#devices.push(new ScanoutDevice(index, gpu, master, this.#hotplug, host));
      } catch (cause) {
        if (!isSystemError(cause)) throw cause;
        throw new LeaseError(
          'NO_DEVICE',
          `${cause.message}. Another program drives it (a compositor, a seat daemon or another agent): end that first.`,
          { cause },
        );
      }
    }
    if (this.#devices.length === 0) {
      throw new LeaseError(
        'NO_DEVICE',
        'This machine has no virtio-gpu device that this user may open: leases are for virtual machines whose display is virtio-gpu, and need root.',
      );
    }
    this.#hotplug.on('lease', () => this.#reconcile());
    this.#hotplug.on('hotplug', (card) => this.#onHotplug(card));
    this.#hotplug.on('lost', () => {
      this.#reconcile();
      for (const device of this.#devices) this.#onHotplug(device.card);
    });
    await this.#takeUp();
    // What is still on, and nobody's, was an agent's that was killed.
    for (const device of this.#devices) {
      for (const { scanout, connected } of device.heads) {
        const key = keyOf(device, scanout);
        const taken = [...this.#slots.values()].some((s) => keyOf(s.device, s.scanout) === key);
        if (scanout !== CONSOLE && connected && !taken) this.#toSwitchOff.add(key);
      }
    }
  }

  /** What an agent before this one has left. */
  async #connectKeeper(): Promise<Map<string, Kept>> {
    const { log, keeper = join(dirname(this.#directory), 'keeper.sock') } = this.options;
    try {
      mkdirSync(this.#directory, { recursive: true });
      chmodSync(this.#directory, 0o755);
      const connected = await Keeper.connect(keeper, (reason) =>
        log.error(`leases will not outlive this agent: the keeper of descriptors: ${reason}`),
      );
      this.#keeper = connected.keeper;
      return connected.kept;
    } catch (cause) {
      throw seatFailed(cause);
    }
  }

  /** Goes on with the leases of an agent that was killed. What it has left else is nobody's. */
  async #takeUp(): Promise<void> {
    const all = this.#shelf.within('lease');
    const plans = all
      .names()
      .map((id) => all.within(id).take('plan')?.value as SlotPlan | undefined)
      .filter((plan) => plan !== undefined)
      .sort((one, other) => one.createdAt - other.createdAt);
    for (const plan of plans) {
      const { id } = plan;
      const device = this.#devices[plan.device];
      if (device === undefined) continue;
      try {
        const slot = this.#makeSlot(plan, device);
        this.#slots.set(id, slot);
        this.options.log.info({ lease: id, owner: plan.owner }, 'taken up');
        if (plan.lent !== undefined && slot.state !== 'active') this.#holderGone(slot);
      } catch (error) {
        this.options.log.error({ lease: id, error }, 'a lease could not be taken up');
      }
    }
    this.#shelf.forgetRest();
    try {
      for (const name of readdirSync(this.#directory)) {
        if (this.#slots.has(name)) continue;
        rmSync(join(this.#directory, name), { recursive: true, force: true });
      }
    } catch (cause) {
      throw seatFailed(cause);
    }
  }

  /** All scanouts, in the order of device and number; the consoles, which are never leased, are among them. */
  scanouts(): readonly Scanout[] {
    const holders = new Map(
      [...this.#slots.values()].map((slot) => [keyOf(slot.device, slot.scanout), slot.id]),
    );
    return this.#devices.flatMap((device) =>
      device.heads.map((head) => ({
        device: device.index,
        scanout: head.scanout,
        card: device.card,
        renderNode: device.renderNode,
        connector: head.name,
        connected: head.connected,
        lease: holders.get(keyOf(device, head.scanout)),
      })),
    );
  }

  /** All leases, oldest first. */
  list(): readonly Lease[] {
    return [...this.#slots.values()].map((slot) => slot.snapshot());
  }

  /** @throws {LeaseError} NO_SUCH_LEASE */
  get(id: string): Lease {
    return this.#slot(id).snapshot();
  }

  /**
   * Switches a scanout on at the host, waits until the kernel has seen it, and opens a seat for it.
   *
   * @throws {LeaseError} BAD_REQUEST, NO_SUCH_SCANOUT, SCANOUT_IN_USE, NO_SCANOUT_FREE, HOST_REFUSED, NO_HOTPLUG,
   *   SEAT_FAILED, ABORTED
   */
  async allocate(request: LeaseRequest, signal?: AbortSignal): Promise<Lease> {
    const { owner, uid = process.getuid?.() ?? 0, gid = uid, keep = false } = request;
    if (owner.length < 1 || owner.length > 128) {
      throw new LeaseError('BAD_REQUEST', 'The owner of a lease has 1 to 128 characters.');
    }
    const mode = checkedMode(request);
    const { device, scanout } = await this.#chooseOrWait(request);
    const key = keyOf(device, scanout);
    this.#busy.add(key);
    let slot: Slot | undefined;
    try {
      const plan = planSlot({ owner, uid, gid, keep }, mode, device.index, scanout);
      slot = this.#makeSlot(plan, device);
      await device.configure(scanout, mode, this.#signal(signal));
      this.#toSwitchOff.delete(key);
      this.#slots.set(slot.id, slot);
      const lease = slot.snapshot();
      this.options.log.info({ lease: lease.id, owner, connector: lease.connector }, 'leased');
      this.emit('created', lease);
      return lease;
    } catch (error) {
      slot?.close();
      // The host may have switched it on before it went wrong.
      this.#toSwitchOff.add(key);
      throw error;
    } finally {
      this.#busy.delete(key);
      void this.#switchOff();
    }
  }

  /**
   * Gives the display another mode. Resolves when the compositor shows it; when it does not follow by itself, its display is
   * taken away and given back with the new mode, which every compositor understands.
   *
   * @throws {LeaseError} BAD_REQUEST, NO_SUCH_LEASE, HOST_REFUSED, NO_HOTPLUG, ABORTED
   */
  async resize(
    id: string,
    request: { width: number; height: number; refresh?: number },
    signal?: AbortSignal,
  ): Promise<Lease> {
    const slot = this.#slot(id);
    const { device, scanout } = slot;
    const mode = checkedMode(request);
    const either = this.#signal(signal);
    await device.configure(scanout, mode, either);
    slot.mode = mode;
    await this.options.announce?.(slot.snapshot());
    if (slot.state === 'active' && !(await this.#follows(slot, mode, FOLLOW_LIMIT))) {
      await device.configure(scanout, null, either);
      await this.options.announce?.(slot.snapshot());
      // One that is told of both at once sees no difference.
      await this.#follows(slot, OFF, FOLLOW_LIMIT);
      await device.configure(scanout, mode, either);
      await this.options.announce?.(slot.snapshot());
      if (!(await this.#follows(slot, mode, RETURN_LIMIT))) {
        this.options.log.warn({ lease: id }, 'the compositor does not follow its display');
      }
    }
    return slot.snapshot();
  }

  /**
   * Takes the scanout back, ends the seat, and switches the scanout off at the host. A host that cannot be asked is told when
   * synchronize() is called.
   *
   * @throws {LeaseError} NO_SUCH_LEASE
   */
  async release(id: string, reason = 'released'): Promise<void> {
    const slot = this.#slot(id);
    const { device, scanout } = slot;
    this.#slots.delete(id);
    const last = slot.snapshot();
    slot.close();
    this.#toSwitchOff.add(keyOf(device, scanout));
    this.options.log.info({ lease: id, owner: last.owner, connector: last.connector }, reason);
    this.emit('released', last, reason);
    await this.#switchOff();
  }

  /** Input of a viewer for the desktop on this lease; dropped when there is no such lease. */
  input(id: string, events: readonly InputEvent[]): void {
    this.#slots.get(id)?.input(events);
  }

  /** The host is there, again perhaps: it is told what it may have missed. */
  async synchronize(): Promise<void> {
    const { signal } = this.#stop;
    const asked = [...this.#slots.values()].map((slot) =>
      slot.device.configure(slot.scanout, slot.mode, signal),
    );
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'rejected') this.options.log.warn(String(result.reason));
    }
    await this.#switchOff();
  }

  /** Releases everything. */
  async close(): Promise<void> {
    const released = [...this.#slots.keys()].map((id) => this.release(id, 'the agent ends'));
    await Promise.allSettled(released);
    this.#free();
  }

  #free(): void {
    this.#stop.abort();
    this.#hotplug.close();
    for (const device of this.#devices) {
      this.#shelf.within('master').forget(device.card.replaceAll('/', '-'));
      device.close();
    }
    this.#keeper?.close();
  }

  #slot(id: string): Slot {
    const slot = this.#slots.get(id);
    if (slot === undefined) throw new LeaseError('NO_SUCH_LEASE', `There is no lease ${id}.`);
    return slot;
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  /** A scanout whose display is just being disconnected is as good as free. */
  async #chooseOrWait(request: LeaseRequest): Promise<{ device: ScanoutDevice; scanout: number }> {
    for (;;) {
      try {
        return this.#choose(request);
      } catch (error) {
        const switching = [...this.#switching.values()];
        if (switching.length === 0) throw error;
        await Promise.race(switching);
      }
    }
  }

  #choose(request: LeaseRequest): { device: ScanoutDevice; scanout: number } {
    const taken = new Set([...this.#slots.values()].map((s) => keyOf(s.device, s.scanout)));
    const isFree = (device: ScanoutDevice, scanout: number) => {
      const key = keyOf(device, scanout);
      return scanout !== CONSOLE && !taken.has(key) && !this.#busy.has(key);
    };
    if (request.scanout !== undefined) {
      const { scanout, device: index = 0 } = request;
      const device = this.#devices[index];
      if (device === undefined || scanout === CONSOLE) {
        throw new LeaseError(
          'NO_SUCH_SCANOUT',
          `Device ${index} has no scanout ${scanout} to lease.`,
        );
      }
      device.head(scanout);
      if (!isFree(device, scanout)) {
        throw new LeaseError('SCANOUT_IN_USE', `Scanout ${scanout} is in use: ${this.#holders()}.`);
      }
      return { device, scanout };
    }
    for (const device of this.#devices) {
      if (request.device !== undefined && device.index !== request.device) continue;
      const head = device.heads.find(({ scanout }) => isFree(device, scanout));
      if (head !== undefined) return { device, scanout: head.scanout };
    }
    throw new LeaseError(
      'NO_SCANOUT_FREE',
      `All scanouts are in use (${this.#holders()}). Release one, give the VM another virtio-gpu device, or use another VM.`,
    );
  }

  #holders(): string {
    return [...this.#slots.values()].map((slot) => slot.describe()).join('; ');
  }

  #makeSlot(plan: SlotPlan, device: ScanoutDevice): Slot {
    const { log } = this.options;
    const events = {
      changed: () => {
        if (this.#slots.has(plan.id)) this.emit('changed', slot.snapshot());
      },
      holderGone: () => this.#holderGone(slot),
    };
    const shelf = this.#shelf.within('lease').within(plan.id);
    const runtimeDirectory = this.#directory;
    let slot: Slot;
    try {
      slot = new Slot(plan, { device, runtimeDirectory, shelf, events, log });
    } catch (cause) {
      throw seatFailed(cause);
    }
    return slot;
  }

  #holderGone(slot: Slot): void {
    if (slot.outlives || !this.#slots.has(slot.id)) return;
    this.release(slot.id, 'its holder is gone').catch((error) =>
      this.options.log.error({ error }, 'a lease could not be released'),
    );
  }

  #reconcile(): void {
    for (const slot of this.#slots.values()) slot.reconcile();
  }

  #onHotplug(card: string): void {
    this.#devices.find((device) => device.card === card)?.refresh();
    this.emit('scanouts');
  }

  /** Switches off what is nobody's any more, as far as the host can be asked. */
  async #switchOff(): Promise<void> {
    for (const key of [...this.#toSwitchOff]) {
      if (this.#busy.has(key)) continue;
      this.#busy.add(key);
      this.#toSwitchOff.delete(key);
      const switching = this.#disconnect(key).finally(() => {
        this.#busy.delete(key);
        this.#switching.delete(key);
      });
      this.#switching.set(key, switching);
    }
    await Promise.all(this.#switching.values());
  }

  /** Never rejects: a display that stays is tried again when synchronize() is called. */
  async #disconnect(key: string): Promise<void> {
    const { device, scanout } = this.#parse(key);
    try {
      await device.configure(scanout, null, this.#stop.signal);
    } catch (error) {
      const { message } = error as Error;
      this.#toSwitchOff.add(key);
      this.options.log.warn(`a scanout stays on: ${message}`);
    }
  }

  #parse(key: string): { device: ScanoutDevice; scanout: number } {
    const [device, scanout] = key.split('/').map(Number) as [number, number];
    return { device: this.#devices[device] as ScanoutDevice, scanout };
  }

  /** Whether the compositor sets this mode within the limit. The kernel has no event for it. */
  async #follows(slot: Slot, mode: ScanoutMode, limit: number): Promise<boolean> {
    const until = performance.now() + limit;
    for (;;) {
      const { width, height } = slot.device.modeOf(slot.scanout);
      if (width === mode.width && height === mode.height) return true;
      if (performance.now() >= until || slot.state !== 'active' || this.#stop.signal.aborted) {
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_INTERVAL));
    }
  }
}

function keyOf(device: ScanoutDevice, scanout: number): string {
  return `${device.index}/${scanout}`;
}

function seatFailed(cause: unknown): LeaseError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new LeaseError('SEAT_FAILED', `A seat cannot be made: ${reason}`, { cause });
}

/** @throws {LeaseError} BAD_REQUEST */
function checkedMode(mode: { width: number; height: number; refresh?: number }): ScanoutMode {
  const { width, height, refresh = 0 } = mode;
  const within = (value: number, low: number, high: number) =>
    Number.isInteger(value) && value >= low && value <= high;
  if (!within(width, 64, 8192) || !within(height, 64, 8192)) {
    throw new LeaseError(
      'BAD_REQUEST',
      `${width}x${height}: a display has 64 to 8192 pixels a side.`,
    );
  }
  if (refresh !== 0 && !within(refresh, 1000, 500_000)) {
    throw new LeaseError(
      'BAD_REQUEST',
      `A refresh rate of ${refresh} mHz: it has 1,000 to 500,000.`,
    );
  }
  return { width, height, refresh };
}
