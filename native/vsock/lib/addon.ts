// The C++ half as TypeScript sees it. Nothing outside lib/ uses these types.
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type { VsockAddress } from './address.js';
import { VsockError } from './errors.js';

/** Events of a poll, as libuv numbers them. */
export const READABLE = 1;
export const WRITABLE = 2;

/** Tells that one of the watched events is so; a negative status: the socket has an error, and is watched no more. */
export type Ready = (status: number, events: number) => void;

/** A non-blocking socket. Results below 0 are -errno. */
export interface NativeHandle {
  /** -EINPROGRESS until it is writable; then error() says how it went. */
  connect(cid: number, port: number): number;
  /** Opens a character device that can be polled. */
  openDevice(path: string): number;
  listen(cid: number, port: number, backlog: number): number;
  accept(into: NativeHandle): number;
  /** Tells `ready`, and nobody before it any more, for as long as `events` are watched; 0 ends it. */
  watch(events: number, ready: Ready): number;
  /** Bytes; 0: the stream has ended. */
  read(into: Uint8Array): number;
  /** Writes from the byte `skip` of all on, as much as the kernel takes at once. */
  write(from: readonly Uint8Array[], skip: number): number;
  shutdownWrite(): number;
  /** The pending error. */
  error(): number;
  local(): VsockAddress | number;
  peer(): VsockAddress | number;
  /** May be called again. */
  close(): void;
}

interface Addon {
  Handle: new () => NativeHandle;
  localCid(): number;
}

let loaded: Addon | undefined;

/**
 * The compiled addon, which `npm run build` makes. It is loaded when it is used first: a bridge on a
 * system without AF_VSOCK never needs it.
 * @throws {VsockError} UNSUPPORTED
 */
export function addon(): Addon {
  if (loaded) return loaded;
  if (process.platform !== 'linux') {
    throw new VsockError(
      'UNSUPPORTED',
      `${process.platform} has no vsock`,
      'use another transport',
    );
  }
  try {
    loaded = createRequire(import.meta.url)('../../build/Release/scanbridge_vsock.node') as Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = `the vsock addon cannot be loaded: ${reason}`;
    throw new VsockError('UNSUPPORTED', what, 'build it with: npm run build', { cause });
  }
  return loaded;
}

/** -errno of a name. */
export const negative = (name: keyof typeof constants.errno): number => -constants.errno[name];
