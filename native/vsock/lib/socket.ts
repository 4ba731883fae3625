import { Duplex } from 'node:stream';
import { addon, type NativeHandle, negative, READABLE, WRITABLE } from './addon.js';
import { checkAddress, formatAddress, VSOCK_CID_HOST, type VsockAddress } from './address.js';
import { fromConnectErrno, fromErrno, VsockError } from './errors.js';

/** Bytes that wait on either side of the stream until `read` stops asking, and `write` says false. */
const HIGH_WATER_MARK = 64 * 1024;
/** Memory for what is read is taken in pieces of this size [bytes]. */
const SLAB = 64 * 1024;
/** A piece with less left is not used further [bytes]. */
const SLAB_REST = 4096;
const EAGAIN = negative('EAGAIN');

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

/**
 * A connection. It reads from the kernel only what the stream was asked for, so that a peer that sends too
 * fast waits for its credit; and it gives the kernel only what that takes: the rest waits in the
 * stream's own queue, whose fill `write()` and `writableLength` tell.
 */
export class VsockSocket extends Duplex {
  readonly localAddress: VsockAddress;
  readonly remoteAddress: VsockAddress;
  readonly #handle: NativeHandle;
  #watched = 0;
  /** Bytes that the stream wants [bytes]; 0: none. */
  #wanted = 0;
  #slab = Buffer.alloc(0);
  readonly #onReady = (status: number, events: number) => this.#ready(status, events);
  #write: { parts: readonly Uint8Array[]; sent: number; size: number; done: Done } | undefined;

  /** @internal Made by connectVsock and VsockServer, with a connected handle that it owns from here on. */
  constructor(handle: NativeHandle, allowHalfOpen: boolean) {
    super({ allowHalfOpen, highWaterMark: HIGH_WATER_MARK });
    this.#handle = handle;
    this.localAddress = addressOf(handle.local());
    this.remoteAddress = addressOf(handle.peer());
  }

  override _read(size: number): void {
    this.#wanted = size;
    this.#watch(this.#watched | READABLE);
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void {
    this.#begin([chunk], done);
  }

  override _writev(chunks: readonly { chunk: Uint8Array }[], done: Done): void {
    this.#begin(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    const result = this.#handle.shutdownWrite();
    // The peer may have gone before; whoever reads is told.
    const gone = result === negative('ENOTCONN') || result === negative('EPIPE');
    done(result < 0 && !gone ? this.#error(result) : null);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#handle.close();
    this.#slab = Buffer.alloc(0);
    const write = this.#write;
    this.#write = undefined;
    write?.done(error ?? new VsockError('ABORTED', 'the socket was closed', 'connect again'));
    done(error);
  }

  #begin(parts: readonly Uint8Array[], done: Done): void {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    this.#write = { parts, sent: 0, size, done };
    this.#flush();
  }

  /** Gives the kernel as much as it takes, and waits for the rest. */
  #flush(): void {
    const write = this.#write;
    if (!write) return;
    while (write.sent < write.size) {
      const result = this.#handle.write(write.parts, write.sent);
      if (result === EAGAIN) {
        this.#watch(this.#watched | WRITABLE);
        return;
      }
      if (result < 0) {
        this.#write = undefined;
        write.done(this.#error(result));
        return;
      }
      write.sent += result;
    }
    this.#write = undefined;
    if (this.#watched & WRITABLE) this.#watch(this.#watched & ~WRITABLE);
    write.done(null);
  }

  #ready(status: number, events: number): void {
    if (status < 0) {
      this.#watched = 0;
      this.#onError();
      return;
    }
    if (events & WRITABLE) this.#flush();
    if (events & READABLE && !this.destroyed) this.#fill();
  }

  /** One read for each turn of the event loop, so that a fast peer does not keep others waiting. */
  #fill(): void {
    if (this.#wanted === 0) {
      this.#watch(this.#watched & ~READABLE);
      return;
    }
    if (this.#slab.length < SLAB_REST) this.#slab = Buffer.allocUnsafeSlow(SLAB);
    const room = this.#slab.subarray(0, Math.min(this.#wanted, this.#slab.length));
    const result = this.#handle.read(room);
    if (result === EAGAIN) return;
    if (result < 0) {
      this.destroy(this.#error(result));
      return;
    }
    this.#wanted = 0;
    if (result === 0) {
      // At its end a stream is always readable.
      this.#watch(this.#watched & ~READABLE);
      this.push(null);
      return;
    }
    this.#slab = this.#slab.subarray(result);
    this.push(room.subarray(0, result));
  }

  /** The socket has an error; what came before it is delivered first. */
  #onError(): void {
    for (;;) {
      const room = Buffer.allocUnsafeSlow(SLAB);
      const result = this.#wanted > 0 ? this.#handle.read(room) : EAGAIN;
      if (result > 0) {
        this.push(room.subarray(0, result));
        continue;
      }
      const pending = result === EAGAIN || result === 0 ? this.#handle.error() : result;
      this.destroy(this.#error(pending === 0 ? negative('ECONNRESET') : pending));
      return;
    }
  }

  #watch(events: number): void {
    if (events === this.#watched || this.destroyed) return;
    this.#watched = events;
    const result = this.#handle.watch(events, this.#onReady);
    if (result < 0) this.destroy(this.#error(result));
  }

  #error(errno: number): VsockError {
    return fromErrno(errno, `the connection to ${formatAddress(this.remoteAddress)}`);
  }
}

type Done = (error: Error | null) => void;

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
