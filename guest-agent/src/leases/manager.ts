// The lease manager's face; see LeaseManager.
import type { EventEmitter } from 'node:events';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { Lease, LeaseEvents, LeaseRequest, Scanout } from './lease.js';

/** Gives the scanouts of this machine's virtio-gpu devices to owners, one each. */
export interface Leases extends EventEmitter<LeaseEvents> {
  /** All scanouts, in the order of device and number. Those that no lease may have (index 0 is the console) are among them. */
  scanouts(): readonly Scanout[];
  /** All leases, oldest first. */
  list(): readonly Lease[];
  /** @throws {LeaseError} NO_SUCH_LEASE */
  get(id: string): Lease;
  /**
   * Switches a scanout on at the host, waits until the kernel has seen it, and opens a seat for it.
   *
   * @throws {LeaseError} BAD_REQUEST, NO_SUCH_SCANOUT, SCANOUT_IN_USE, NO_SCANOUT_FREE, HOST_REFUSED, NO_HOTPLUG,
   *   SEAT_FAILED, ABORTED
   */
  allocate(request: LeaseRequest, signal?: AbortSignal): Promise<Lease>;
  /**
   * Gives the display another mode, and resolves when the compositor shows it, or (`waiting`) when the kernel has seen it.
   *
   * @throws {LeaseError} BAD_REQUEST, NO_SUCH_LEASE, HOST_REFUSED, NO_HOTPLUG, ABORTED
   */
  resize(
    id: string,
    mode: { width: number; height: number; refresh?: number },
    signal?: AbortSignal,
  ): Promise<Lease>;
  /**
   * Revokes the DRM lease, ends the seat, and switches the scanout off at the host.
   *
   * @throws {LeaseError} NO_SUCH_LEASE; a host that cannot be asked is no error, it is told as soon as it can be
   */
  release(id: string, reason?: string): Promise<void>;
  /**
   * Input of a viewer for the desktop on this lease; dropped when there is no such lease.
   */
  input(id: string, events: readonly InputEvent[]): void;
  /** Releases everything. */
  close(): Promise<void>;
}
