import type { Descriptor } from '@scanbridge/native-guest/lease';

/** A program that uses a seat. */
export interface SeatClient {
  readonly pid: number;
  readonly uid: number;
}

/** A device that was opened for a client. */
export interface OpenedDevice {
  /** For the client. */
  readonly descriptor: Descriptor;
  /** Takes the device from the client, and closes the descriptor. */
  close(): void;
}

/** The devices of one seat: a scanout and its input devices. Both ways to a seat, seatd's and logind's, end here. */
export interface SeatDevices {
  /** Nodes that open() knows: "/dev/dri/card0", "/dev/input/event7". */
  readonly nodes: readonly string[];
  /**
   * Opens one of them.
   *
   * @throws {SystemError} EACCES for everything that is not of this seat, EBUSY when another client holds it
   */
  open(path: string, client: SeatClient): OpenedDevice;
  /** The last connection of a client that had opened devices is over. */
  clientGone(client: SeatClient): void;
}

/** What the kernel would say. */
export function refusal(code: 'EACCES' | 'EBUSY' | 'ENOENT', message: string): Error {
  return Object.assign(new Error(message), { code });
}
