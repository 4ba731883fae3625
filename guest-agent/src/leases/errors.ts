/** What can go wrong with leases, for programs. */
export type LeaseErrorCode =
  /** A request that makes no sense: a size out of range, an empty owner. */
  | 'BAD_REQUEST'
  /** There is no virtio-gpu device, or another program is its DRM master. */
  | 'NO_DEVICE'
  /** There is no lease with this id. */
  | 'NO_SUCH_LEASE'
  /** There is no scanout of this number. */
  | 'NO_SUCH_SCANOUT'
  /** The scanout that was asked for belongs to a lease. */
  | 'SCANOUT_IN_USE'
  /** All scanouts belong to leases; the message names their owners. */
  | 'NO_SCANOUT_FREE'
  /** The host cannot be asked, or refused to switch the scanout. */
  | 'HOST_REFUSED'
  /** The host switched the scanout, but the kernel has not seen it within the limit. */
  | 'NO_HOTPLUG'
  /** The kernel refused; the message holds its reason. */
  | 'KERNEL_REFUSED'
  /** Seats cannot be made here: no runtime folder, or no uinput. */
  | 'SEAT_FAILED'
  /** The request was withdrawn, or the manager is closing. */
  | 'ABORTED';

/** A request about leases that failed; the message says what happened to whom and what to do. */
export class LeaseError extends Error {
  constructor(
    readonly code: LeaseErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'LeaseError';
  }
}
