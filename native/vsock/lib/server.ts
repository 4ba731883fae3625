import { EventEmitter } from 'node:events';
import { addon, type NativeHandle, negative, READABLE } from './addon.js';
import { checkAddress, formatAddress, VSOCK_CID_ANY, type VsockAddress } from './address.js';
import { fromErrno, type VsockError } from './errors.js';
import { VsockSocket } from './socket.js';

/** Connections that one turn of the event loop accepts. */
const ACCEPT_BURST = 16;
/** Pause after the process has run out of descriptors [ms]; the kernel keeps who waits. */
const EXHAUSTED_PAUSE_MS = 100;

export interface VsockListenOptions {
  /** VSOCK_PORT_ANY: a free one. Those below 1024 are for root. */
  port: number;
  /** CID to be reached at; all of this machine's where absent. */
  cid?: number;
  /** Connections that wait to be accepted, in the kernel; 128 where absent. */
  backlog?: number;
  /** Connections at a time; one more is closed at once. No limit where absent. */
  maxConnections?: number;
  /** As in node:net; false where absent. */
  allowHalfOpen?: boolean;
}

interface ServerEvents {
  connection: [VsockSocket];
  /** Connections cannot be accepted; EXHAUSTED: it goes on by itself. */
  error: [VsockError];
  close: [];
}

/** Listens on a port, from its making on until close(). */
export class VsockServer extends EventEmitter<ServerEvents> {
  /** Where it listens. */
  readonly address: VsockAddress;
  readonly #handle: NativeHandle;
  readonly #sockets = new Set<VsockSocket>();
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  /** @internal Made by listenVsock, with a listening handle that it owns from here on. */
  constructor(
    handle: NativeHandle,
    private readonly options: VsockListenOptions,
    address: VsockAddress,
  ) {
    super();
    this.#handle = handle;
    this.address = address;
    this.#watch();
  }

  /** Accepts no more; connections go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#handle.close();
    process.nextTick(() => this.emit('close'));
  }

  #watch(): void {
    this.#handle.watch(READABLE, () => this.#accept());
  }

  #accept(): void {
    for (let i = 0; i < ACCEPT_BURST && !this.#closed; i++) {
      const handle = new (addon().Handle)();
      const result = this.#handle.accept(handle);
      // One that has gone again before it was accepted is no error of ours.
      if (result === negative('EAGAIN') || result === negative('ECONNABORTED')) return;
      if (result < 0) {
        this.#rest(fromErrno(result, `vsock ${formatAddress(this.address)} cannot accept`));
        return;
      }
      this.#welcome(handle);
    }
  }

  #welcome(handle: NativeHandle): void {
    const { maxConnections = Number.POSITIVE_INFINITY, allowHalfOpen = false } = this.options;
    if (this.#sockets.size >= maxConnections) {
      handle.close();
      return;
    }
    const socket = new VsockSocket(handle, allowHalfOpen);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.emit('connection', socket);
  }

  /** The listener stays readable while it fails: without a pause the process would spin. */
  #rest(error: VsockError): void {
    this.#handle.watch(0, () => undefined);
    this.#pause = setTimeout(() => this.#watch(), EXHAUSTED_PAUSE_MS);
    this.emit('error', error);
  }
}

/**
 * Listens on a port of this machine.
 * @throws {VsockError} IN_USE, DENIED, NO_SUCH_CID, UNSUPPORTED, EXHAUSTED, FAILED
 * @throws {RangeError} numbers that are no address
 */
export function listenVsock(options: VsockListenOptions): VsockServer {
  const address = { cid: options.cid ?? VSOCK_CID_ANY, port: options.port };
  checkAddress(address);
  const handle = new (addon().Handle)();
  const result = handle.listen(address.cid, address.port, options.backlog ?? 128);
  if (result < 0) throw fromErrno(result, `cannot listen on vsock ${formatAddress(address)}`);
  const bound = handle.local();
  return new VsockServer(handle, options, typeof bound === 'number' ? address : bound);
}
