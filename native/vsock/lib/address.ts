import { addon } from './addon.js';
import { fromErrno } from './errors.js';

/** Context ids with a meaning of their own (vsock(7)). */
export const VSOCK_CID_ANY = 0xffffffff;
export const VSOCK_CID_LOCAL = 1;
export const VSOCK_CID_HOST = 2;
/** As a port to listen on: any free one. */
export const VSOCK_PORT_ANY = 0xffffffff;

/** One end of a connection. */
export interface VsockAddress {
  /** Context id: 2 the host, 3 and more a guest. */
  readonly cid: number;
  readonly port: number;
}

/** `CID:PORT`, for messages. */
export function formatAddress({ cid, port }: VsockAddress): string {
  const shown = cid === VSOCK_CID_ANY ? 'any' : String(cid);
  return `${shown}:${port === VSOCK_PORT_ANY ? 'any' : port}`;
}

/**
 * Checks that both numbers fit.
 * @throws {RangeError} it would be another address for the kernel
 */
export function checkAddress(address: VsockAddress): void {
  for (const value of [address.cid, address.port]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new RangeError(`${value} is no vsock number: those are whole, 0 to 4294967295`);
    }
  }
}

/**
 * The CID of this machine, as its hypervisor gave it.
 * @throws {VsockError} UNSUPPORTED where there is no vsock device
 */
export function localCid(): number {
  const result = addon().localCid();
  if (result < 0) throw fromErrno(result, 'the CID of this machine');
  return result;
}
