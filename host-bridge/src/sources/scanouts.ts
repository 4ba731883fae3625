// Sessions for the scanouts of a virtual machine: one for each that has a display connected.
import { basename } from 'node:path';
import { ScanoutFlag, type ScanoutInfo } from '@scanbridge/protocol/surface';
import type { Logger } from 'pino';
import { reasonOf, type ScanoutError } from '../errors.js';
import type { Session } from '../session.js';
import { idPart, type SessionFactory } from '../session-factory.js';
import { ScanoutLeases } from './scanout-leases.js';
import { SurfaceControl } from './surface-control.js';

/** Pauses between attempts to connect [ms]; the last one repeats. */
const RECONNECT_MS: readonly number[] = [100, 250, 500, 1000, 2000];
/** A display that somebody else disconnected keeps its session for this long: it may be a guest that reboots [ms]. */
const GONE_AFTER_MS = 5000;

/** Which virtual machine, and which of its displays to connect. */
export interface ScanoutOptions {
  /** Unix socket of QEMU's frame-export object. */
  readonly socket: string;
  /** First part of the session ids; made of the socket's name where absent. */
  readonly name?: string;
  /** Scanouts to connect a display to, besides those that have one. */
  readonly enable?: readonly number[];
  /** Preferred size of those [pixels]. */
  readonly size?: { readonly width: number; readonly height: number };
}

interface Mode {
  readonly width: number;
  readonly height: number;
  /** [mHz]; absent: the device's choice. */
  readonly refresh?: number;
}

interface Head {
  readonly session: Session;
  removal?: NodeJS.Timeout;
}

const DEFAULT_MODE: Mode = { width: 1280, height: 800 };

/** The message that connects a display, or (no mode) disconnects it. */
function request(scanout: number, mode: Mode | undefined) {
  const { width = 0, height = 0, refresh = 0 } = mode ?? {};
  return { scanout, enabled: mode ? 1 : 0, width, height, refresh, widthMm: 0, heightMm: 0 };
}

/** Follows one virtual machine through reboots and restarts; owns the sessions of its scanouts. */
export class ScanoutSource {
  readonly name: string;
  /** Which scanouts the agent in the VM has lent, and to whom. */
  readonly leases = new ScanoutLeases();
  readonly #wishes = new Map<number, Mode>();
  readonly #heads = new Map<number, Head>();
  #control: SurfaceControl | undefined;
  #generation: number | undefined;
  #attempts = 0;
  /** Whether it was ever there. */
  #met = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #log: Logger;

  constructor(
    private readonly options: ScanoutOptions,
    private readonly factory: SessionFactory,
    log: Logger,
    /** Whether the VM's agent may come: a viewer's input goes to the lease that it has on a scanout. */
    private readonly takesInput = false,
  ) {
    this.name = idPart(options.name ?? basename(options.socket).replace(/\.[^.]*$/, ''));
    this.#log = log.child({ vm: this.name });
    for (const scanout of options.enable ?? []) {
      this.#wishes.set(scanout, options.size ?? DEFAULT_MODE);
    }
    this.#connect();
  }

  /**
   * Connects a display with this mode, gives it another mode, or (absent) disconnects it, because the VM's agent says so.
   * @throws {ScanoutError} when QEMU cannot be asked, or refuses
   */
  async configure(scanout: number, mode: Mode | undefined): Promise<void> {
    if (!this.#control) throw new Error(`the bridge has no connection to ${this.name}`);
    await this.#control.configure(request(scanout, mode));
    if (mode) this.#wishes.set(scanout, mode);
    else this.#wishes.delete(scanout);
  }

  /** Unix socket of the VM's exporter. */
  get socket(): string {
    return this.options.socket;
  }

  /** Ends the control connection; displays that were connected stay so. The registry ends the sessions. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const head of this.#heads.values()) clearTimeout(head.removal);
    this.#control?.close();
  }

  #connect(): void {
    const control = new SurfaceControl(this.options.socket);
    this.#control = control;
    this.#generation = undefined;
    control.on('ready', (hello) => {
      this.#attempts = 0;
      this.#met = true;
      this.#log.info(
        { scanouts: hello.scanoutCount, server: hello.name },
        'virtual machine is there',
      );
      for (const scanout of this.#wishes.keys()) this.#configure(scanout);
    });
    control.on('scanout', (info) => this.#onInfo(info));
    control.on('lost', (error) => this.#onLost(error));
  }

  #onInfo(info: ScanoutInfo): void {
    const { scanout, flags, generation } = info;
    if (this.#generation !== undefined && generation !== this.#generation) {
      // A guest reset puts all scanouts back to the power-on state.
      this.#log.info({ generation }, 'the guest was reset');
      // What was lent is not lent any more; who lends it anew says so.
      for (const scanout of this.#wishes.keys()) {
        if (this.leases.has(scanout)) this.#wishes.delete(scanout);
      }
      this.leases.reset();
      for (const wanted of this.#wishes.keys()) this.#configure(wanted);
    }
    this.#generation = generation;
    this.leases.observe(info);
    if ((flags & ScanoutFlag.ENABLED) !== 0) this.#show(scanout);
    else if (!this.#wishes.has(scanout)) this.#remove(scanout);
  }

  #show(scanout: number): void {
    const source = { kind: 'scanout', socket: this.options.socket, scanout } as const;
    const head = this.#heads.get(scanout);
    if (head) {
      clearTimeout(head.removal);
      delete head.removal;
      if (head.session.held) head.session.resume(source);
      return;
    }
    const id = this.factory.freeId(`${this.name}-${scanout}`);
    const session = this.factory.create(id, `${this.name}, display ${scanout}`, source, {
      resize: (width, height) => {
        // Who lent the scanout keeps its mode.
        if (this.leases.resize(scanout, width, height)) return;
        this.#wishes.set(scanout, { width, height });
        this.#configure(scanout);
      },
      // The host has no way to a guest's seats but through the agent there, which may come later.
      ...(this.takesInput && {
        input: (events) => this.leases.input(scanout, events),
      }),
      lease: () => this.leases.report(scanout),
      end: () => {
        if (!this.leases.end(scanout)) this.#disconnect(scanout);
      },
    });
    this.#heads.set(scanout, { session });
  }

  #disconnect(scanout: number): void {
    this.#wishes.delete(scanout);
    this.#control
      ?.configure(request(scanout, undefined))
      .catch((error: unknown) => this.#log.warn({ scanout }, reasonOf(error)));
    const head = this.#heads.get(scanout);
    if (!head) return;
    this.#heads.delete(scanout);
    clearTimeout(head.removal);
    void this.factory.registry.remove(head.session, 'the display was disconnected');
  }

  #remove(scanout: number): void {
    const head = this.#heads.get(scanout);
    if (!head || head.removal) return;
    void head.session.hold(
      'DISPLAY_OFF',
      'the display is disconnected; the guest may be rebooting',
    );
    head.removal = setTimeout(() => {
      this.#heads.delete(scanout);
      void this.factory.registry.remove(head.session, 'the display was disconnected');
    }, GONE_AFTER_MS);
  }

  #configure(scanout: number): void {
    const mode = this.#wishes.get(scanout);
    if (!mode) return;
    this.#control
      ?.configure(request(scanout, mode))
      .catch((error: unknown) => this.#log.warn({ scanout, ...mode }, reasonOf(error)));
  }

  #onLost(error: ScanoutError): void {
    if (this.#closed) return;
    if (this.#attempts === 0) {
      // Before it was ever there, it is just not there yet.
      this.#log[this.#met ? 'warn' : 'info']({ code: error.code }, error.message);
    }
    for (const { session } of this.#heads.values()) {
      void session.hold('VM_GONE', 'the virtual machine is not running; waiting for it');
    }
    const wait = RECONNECT_MS[Math.min(this.#attempts, RECONNECT_MS.length - 1)];
    this.#attempts++;
    this.#retry = setTimeout(() => this.#connect(), wait);
  }
}
