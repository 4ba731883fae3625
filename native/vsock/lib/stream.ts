import { Duplex } from 'node:stream';
import { type NativeHandle, negative, READABLE, WRITABLE } from './addon.js';
import { fromErrno, VsockError } from './errors.js';

/** Bytes that wait on either side of the stream until `read` stops asking, and `write` says false. */
const HIGH_WATER_MARK = 64 * 1024;
/** Memory for what is read is taken in pieces of this size [bytes]. */
const SLAB = 64 * 1024;
/** A piece with less left is not used further [bytes]. */
const SLAB_REST = 4096;
const EAGAIN = negative('EAGAIN');

/** Node's callback for the end of a write. */
export type Done = (error: Error | null) => void;

/**
 * A descriptor as a stream. It reads from the kernel only what the stream was asked for, so that a peer that sends too
 * fast waits for its credit; and it gives the kernel only what that takes: the rest waits in the
 * stream's own queue, whose fill `write()` and `writableLength` tell.
 */
export abstract class HandleStream extends Duplex {
  readonly #handle: NativeHandle;
  #watched = 0;
  /** Bytes that the stream wants [bytes]; 0: none. */
  #wanted = 0;
  #slab = Buffer.alloc(0);
  readonly #onReady = (status: number, events: number) => this.#ready(status, events);
  #write: { parts: readonly Uint8Array[]; sent: number; size: number; done: Done } | undefined;

  /**
   * @param handle is this stream's from here on
   * @param what the subject of its errors
   */
  constructor(
    handle: NativeHandle,
    private readonly what: string,
    allowHalfOpen: boolean,
  ) {
    super({ allowHalfOpen, highWaterMark: HIGH_WATER_MARK });
    this.#handle = handle;
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
    return fromErrno(errno, this.what);
  }
}
