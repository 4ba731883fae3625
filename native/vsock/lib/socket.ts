import { addon, type NativeHandle, negative, WRITABLE } from './addon.js';
import { checkAddress, formatAddress, VSOCK_CID_HOST, type VsockAddress } from './address.js';
import { fromConnectErrno, fromErrno, VsockError } from './errors.js';
import { type Done, HandleStream } from './stream.js';

export interface VsockConnectOptions {
  /** The host (2) where absent. */
  cid?: number;
  port: number;
  /** Time for the connection [ms]; 5000 where absent. The kernel itself gives up after two seconds. */
  timeout?: number;
  /** Ends the attempt. */
  signal?: AbortSignal;
  /** Whether this side may go on writing when the other has ended; false where absent, as in node:net. */
  allowHalfOpen?: boolean;
}

/** A connection. `end()` ends this side's direction; with `allowHalfOpen` the other goes on. */
export class VsockSocket extends HandleStream {
  /** VSOCK_CID_ANY as its CID where the kernel chose it; localCid() tells it. */
  readonly localAddress: VsockAddress;
  readonly remoteAddress: VsockAddress;
  readonly #handle: NativeHandle;

  /** @internal Made by connectVsock and VsockServer, with a connected handle that it owns from here on. */
  constructor(handle: NativeHandle, allowHalfOpen: boolean) {
    const remote = addressOf(handle.peer());
    super(handle, `the connection to ${formatAddress(remote)}`, allowHalfOpen);
    this.#handle = handle;
    this.localAddress = addressOf(handle.local());
    this.remoteAddress = remote;
  }

  override _final(done: Done): void {
    const result = this.#handle.shutdownWrite();
    // The peer may have gone before; whoever reads is told.
    const gone = result === negative('ENOTCONN') || result === negative('EPIPE');
    done(result < 0 && !gone ? fromErrno(result, 'the end of a vsock connection') : null);
  }
}

function addressOf(result: VsockAddress | number): VsockAddress {
  // Only of a socket whose peer is gone before anyone could ask.
  return typeof result === 'number' ? { cid: 0, port: 0 } : result;
}

/**
 * Connects to a port of another machine, or of this one (CID 1).
 * @throws {VsockError} REFUSED, TIMEOUT, UNSUPPORTED, NO_SUCH_CID, DENIED, EXHAUSTED, ABORTED, FAILED
 * @throws {RangeError} numbers that are no address
 */
export async function connectVsock(options: VsockConnectOptions): Promise<VsockSocket> {
  const address = { cid: options.cid ?? VSOCK_CID_HOST, port: options.port };
  checkAddress(address);
  const handle = new (addon().Handle)();
  const what = `vsock ${formatAddress(address)}`;
  const { signal } = options;
  if (signal?.aborted) throw aborted(what);
  const begun = handle.connect(address.cid, address.port);
  if (begun < 0 && begun !== negative('EINPROGRESS')) throw fromConnectErrno(begun, what);
  try {
    if (begun < 0) await connected(handle, what, options.timeout ?? 5000, signal);
    return new VsockSocket(handle, options.allowHalfOpen ?? false);
  } catch (error) {
    handle.close();
    throw error;
  }
}

const aborted = (what: string) => new VsockError('ABORTED', `${what}: given up`, 'connect again');

function connected(
  handle: NativeHandle,
  what: string,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: VsockError) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      if (error) reject(error);
      else resolve();
    };
    const abort = () => end(aborted(what));
    const timer = setTimeout(() => end(fromErrno(negative('ETIMEDOUT'), what)), timeout);
    signal?.addEventListener('abort', abort, { once: true });
    const watched = handle.watch(WRITABLE, (status) => {
      handle.watch(0, () => undefined);
      const error = handle.error();
      if (error < 0) end(fromConnectErrno(error, what));
      else if (status < 0) end(fromConnectErrno(negative('ECONNRESET'), what));
      else end();
    });
    if (watched < 0) end(fromErrno(watched, what));
  });
}
