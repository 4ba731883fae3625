// One virtio-gpu device: its master descriptor, its heads, and how they are switched on.
import {
  createLease,
  currentMode,
  type Descriptor,
  type DisplayMode,
  type Head,
  listHeads,
  listLessees,
  revokeLease,
  type VirtioGpu,
} from '@scanbridge/native-guest/lease';
import { LeaseError } from './errors.js';
import type { Hotplug } from './hotplug.js';
import type { ScanoutMode } from './lease.js';
import type { ScanoutHost } from './scanout-host.js';

/** How long the kernel may take to see what the host has done; generous, for an emulated guest under load [ms]. */
const HOTPLUG_LIMIT = 10_000;
/**
 * After this time without a hotplug the host is asked once more [ms]. Linux (6.12) clears virtio-gpu's display event after it has asked
 * what changed, so a change at that very moment is lost on it.
 */
const HOTPLUG_PATIENCE = 1000;

/** Whether a head shows what the host was asked for. */
function shows(head: Head, mode: ScanoutMode | null): boolean {
  if (mode === null) return !head.connected;
  const preferred = head.modes.find((m) => m.preferred);
  return head.connected && preferred?.width === mode.width && preferred.height === mode.height;
}

/** A device whose DRM master this process is. It never sets a mode: that is the lessees' affair. */
export class ScanoutDevice {
  readonly card: string;
  readonly renderNode: string | undefined;
  /** Whether it renders (virgl), or only shows. */
  readonly renders: boolean;
  #heads: readonly Head[];
  /** Configurations wait for one another, as the kernel may lose a change that comes right after another. */
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param index among the devices of this machine, as the host counts them
   * @param master is closed by close()
   */
  constructor(
    readonly index: number,
    gpu: VirtioGpu,
    private readonly master: Descriptor,
    private readonly hotplug: Hotplug,
    private readonly host: ScanoutHost,
  ) {
    this.card = gpu.card;
    this.renderNode = gpu.renderNode === '' ? undefined : gpu.renderNode;
    this.renders = gpu.renders;
    this.#heads = listHeads(master, 0);
  }

  /** What was found when the device was last looked at. */
  get heads(): readonly Head[] {
    return this.#heads;
  }

  /** The head of a scanout; objects of the kernel never change while the device is there. */
  head(scanout: number): Head {
    const head = this.#heads.find((h) => h.scanout === scanout);
    if (head === undefined) {
      throw new LeaseError('NO_SUCH_SCANOUT', `${this.card} has no scanout ${scanout}.`);
    }
    return head;
  }

  /**
   * Asks the host for a display of this mode (`null`: for none) and resolves when the kernel has seen it.
   *
   * @throws {LeaseError} HOST_REFUSED, NO_HOTPLUG, ABORTED
   */
  configure(scanout: number, mode: ScanoutMode | null, signal: AbortSignal): Promise<void> {
    const turn = this.#turn.then(() => this.#configure(scanout, mode, signal));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** @throws {SystemError} */
  lend(scanout: number): { descriptor: Descriptor; lessee: number } {
    return createLease(this.master, this.head(scanout));
  }

  /** Ends a lease of the kernel, if it is not over. */
  revoke(lessee: number): void {
    revokeLease(this.master, lessee);
  }

  lessees(): ReadonlySet<number> {
    return new Set(listLessees(this.master));
  }

  /** What the compositor has set; width 0: nothing. */
  modeOf(scanout: number): DisplayMode {
    return currentMode(this.master, this.head(scanout).crtc);
  }

  /** Looks at the displays anew. */
  refresh(): void {
    this.#heads = listHeads(this.master, 0);
  }

  /** Ends all leases of the kernel. */
  close(): void {
    this.master.close();
  }

  async #configure(scanout: number, mode: ScanoutMode | null, signal: AbortSignal): Promise<void> {
    const { name, connector } = this.head(scanout);
    const done = new AbortController();
    const limit = AbortSignal.timeout(HOTPLUG_LIMIT);
    const seen = this.#seen(connector, mode, AbortSignal.any([signal, limit, done.signal]));
    // It may end before it is waited for.
    seen.catch(() => undefined);
    try {
      for (let attempt = 0; ; attempt++) {
        await this.#ask(scanout, nudged(mode, attempt), signal);
        if (await Promise.race([seen, pause(HOTPLUG_PATIENCE, signal)])) return;
      }
    } catch (error) {
      if (error instanceof LeaseError) throw error;
      if (signal.aborted) throw new LeaseError('ABORTED', `${name} was not configured: aborted.`);
      const wanted = mode === null ? 'no display' : `a display of ${mode.width}x${mode.height}`;
      throw new LeaseError(
        'NO_HOTPLUG',
        `The host gave ${name} (scanout ${scanout}) ${wanted}, but the kernel has not seen it within ${HOTPLUG_LIMIT / 1000} s. Is it the scanout of this VM that the host switched?`,
      );
    } finally {
      done.abort();
    }
  }

  async #ask(scanout: number, mode: ScanoutMode | null, signal: AbortSignal): Promise<void> {
    try {
      await this.host.configure(this.index, scanout, mode, signal);
    } catch (cause) {
      if (signal.aborted) throw new LeaseError('ABORTED', 'The request was withdrawn.', { cause });
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LeaseError(
        'HOST_REFUSED',
        `The host did not switch scanout ${scanout} of ${this.card}: ${reason}`,
        { cause },
      );
    }
  }

  /** Resolves (true) when the head shows the mode: now, or after a hotplug. */
  #seen(connector: number, mode: ScanoutMode | null, signal: AbortSignal): Promise<true> {
    return new Promise((resolve, reject) => {
      const look = () => {
        this.#heads = listHeads(this.master, connector);
        const head = this.#heads.find((h) => h.connector === connector);
        if (head === undefined || !shows(head, mode)) return;
        stop();
        resolve(true);
      };
      const onHotplug = (card: string) => {
        if (card === this.card) look();
      };
      const onAbort = () => {
        stop();
        reject(signal.reason);
      };
      const stop = () => {
        this.hotplug.off('hotplug', onHotplug).off('lost', look);
        signal.removeEventListener('abort', onAbort);
      };
      this.hotplug.on('hotplug', onHotplug).on('lost', look);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else look();
    });
  }
}

/**
 * The host tells its device only what differs from what it told last; a refresh rate that is another by a thousandth of
 * a hertz makes it tell again. A display that is to go has no such thing, and asking again does no harm.
 */
function nudged(mode: ScanoutMode | null, attempt: number): ScanoutMode | null {
  if (mode === null || attempt === 0) return mode;
  const refresh = (mode.refresh === 0 ? 60_000 : mode.refresh) + (attempt % 2);
  return { ...mode, refresh };
}

/** Resolves (false) after a time. */
function pause(milliseconds: number, signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve(false);
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end, { once: true });
  });
}
