// What a lease is, for everybody who handles one.

/** A display size that the host is asked to connect. */
export interface ScanoutMode {
  /** [pixels], 64 to 8192 */
  readonly width: number;
  readonly height: number;
  /** [mHz], 1,000 to 500,000; 0: the device's choice */
  readonly refresh: number;
}

/** A scanout of a virtio-gpu device of this machine: a connector, its CRTC and their planes. */
export interface Scanout {
  /** Which virtio-gpu device, counted from 0 in the order of their PCI addresses. */
  readonly device: number;
  /** Its index at the host: the device's scanout number in virtio-gpu's commands. */
  readonly scanout: number;
  /** The DRM node, "/dev/dri/card0". */
  readonly card: string;
  /** The device's render node, if it has one: "/dev/dri/renderD128". */
  readonly renderNode: string | undefined;
  /** The kernel's name, "Virtual-2". */
  readonly connector: string;
  /** Whether a display is connected. */
  readonly connected: boolean;
  /** The lease that holds it, if one does. */
  readonly lease: string | undefined;
}

/**
 * `waiting`: no compositor has opened the scanout yet, or (with `keep`) none has again.
 * `active`: a compositor holds the DRM lease.
 */
export type LeaseState = 'waiting' | 'active';

/** The process that took the scanout over the lease's seat. */
export interface LeaseHolder {
  readonly pid: number;
  readonly uid: number;
}

/** A scanout that belongs to an owner. An instance is a snapshot: it does not change. */
export interface Lease extends ScanoutMode {
  /** Made by the manager: "lease-" and 12 hexadecimal digits. */
  readonly id: string;
  /** Who asked for it, in the asker's words; 1 to 128 characters. */
  readonly owner: string;
  readonly device: number;
  readonly scanout: number;
  readonly card: string;
  readonly renderNode: string | undefined;
  readonly connector: string;
  /** The only user, beside root, who may connect to the seat. */
  readonly uid: number;
  readonly gid: number;
  /** Whether the lease outlives its holder. */
  readonly keep: boolean;
  readonly state: LeaseState;
  readonly holder: LeaseHolder | undefined;
  /** A folder of this lease alone. Its sockets `seat` (seatd) and `bus` (D-Bus, for logind) are the user's, mode 0600. */
  readonly directory: string;
  /** Nodes of input devices that are this lease's: a container shows them, and no others. */
  readonly inputs: readonly string[];
  /** What a compositor needs in its environment, where `directory` is at the same path. */
  readonly environment: Readonly<Record<string, string>>;
  /** When it was made [ms since the epoch]. */
  readonly createdAt: number;
}

export interface LeaseRequest {
  owner: string;
  width: number;
  height: number;
  /** [mHz]; default: the device's choice */
  refresh?: number;
  /** Whose the seat is. Default: the agent's own user. */
  uid?: number;
  gid?: number;
  /** A certain scanout (of `device`, default 0). Default: the first that is free. */
  scanout?: number;
  device?: number;
  /**
   * The lease goes back to `waiting` when its holder ends, so that the holder may be started again. Default: false, the
   * lease ends with its holder.
   */
  keep?: boolean;
}

export interface LeaseEvents {
  created: [Lease];
  /** State, holder or size are others. */
  changed: [Lease];
  /** `reason` is for people. */
  released: [Lease, reason: string];
  /** Scanouts were added, connected or disconnected. */
  scanouts: [];
}
