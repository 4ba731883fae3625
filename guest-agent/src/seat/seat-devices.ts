import type { Descriptor } from '@scanbridge/native-guest/lease';

/** A program that uses a seat. */
export interface SeatClient {
  readonly pid: number;
  readonly uid: number;
}

/** A device that a client has. */
export interface OpenedDevice {
  readonly path: string;
  /** Whether it is the scanout: who has it is the lease's holder. */
  readonly holds: boolean;
  /** What the client got a copy of, until close(). */
  readonly descriptor: Descriptor | undefined;
  /** Takes the device from the client. */
  close(): void;
}

/** The devices of one seat: a scanout and its input devices. Both ways to a seat, seatd's and logind's, end here. */
export interface SeatDevices {
  /** Nodes that open() knows: "/dev/dri/card0", "/dev/input/event7". */
  readonly nodes: readonly string[];
  /** The one of them that has this device number. */
  nodeOf(major: number, minor: number): string | undefined;
  /**
   * Opens one of them.
   *
   * @throws {SystemError} EACCES for everything that is not of this seat, EBUSY when another client holds it
   */
  open(path: string, client: SeatClient): OpenedDevice & { readonly descriptor: Descriptor };
  /** A device that a client has got from an agent before this one. */
  adopt(path: string): OpenedDevice;
  /** The connection of a client that had opened the scanout is over. */
  clientGone(client: SeatClient): void;
}

/** What the kernel would say. */
export function refusal(code: 'EACCES' | 'EBUSY' | 'ENOENT', message: string): Error {
  return Object.assign(new Error(message), { code });
}
