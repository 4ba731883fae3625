// A seatd for one seat: whatever uses libseat (sway, weston, labwc, cage) takes its devices here.
import { chownSync } from 'node:fs';
import {
  acceptUnix,
  type Descriptor,
  isSystemError,
  listenUnix,
  type PeerCredentials,
  peerCredentials,
  receive,
  send,
} from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import type { Shelf } from '../leases/shelf.js';
import type { OpenedDevice, SeatDevices } from './seat-devices.js';
import {
  encodeDeviceOpened,
  encodeEmpty,
  encodeError,
  encodeSeatOpened,
  SeatDecoder,
  SeatProtocolError,
  type SeatRequest,
} from './seatd-protocol.js';

/** Connections at once; more are closed at once. A compositor makes one. */
const MAX_CLIENTS = 8;
/** Devices that one client may have open, as in seatd. */
const MAX_DEVICES = 128;
const READ_SIZE = 4096;
const SEAT_NAME = 'seat0';

export interface SeatdOptions {
  /** Where to listen. */
  path: string;
  /** Who may connect, beside root; the socket is theirs. */
  uid: number;
  gid: number;
  devices: SeatDevices;
  /** For an agent after this one: the listening socket and the connections. */
  shelf: Shelf;
  log: Logger;
}

/** A connection, as the shelf has it. */
interface KeptClient {
  opened: boolean;
  held: boolean;
  nextDevice: number;
  devices: [id: number, path: string][];
}

/** Listens from construction to close(). */
export class SeatdServer {
  readonly #listener: Descriptor;
  readonly #clients = new Set<Client>();
  #nextClient = 1;

  /** @throws {SystemError} */
  constructor(private readonly options: SeatdOptions) {
    const { path, uid, gid, shelf } = options;
    const kept = shelf.take('seat')?.descriptor;
    this.#listener = kept ?? listenUnix(path);
    try {
      if (kept === undefined) chownSync(path, uid, gid);
    } catch (error) {
      this.#listener.close();
      throw error;
    }
    shelf.keep('seat', {}, this.#listener);
    this.#listener.watch(() => this.#accept());
    for (const name of shelf.within('client').names()) this.#resume(name);
  }

  /** Takes all devices back and disconnects everybody. */
  close(): void {
    this.#listener.close();
    this.options.shelf.forget('seat');
    for (const client of [...this.#clients]) client.close();
  }

  /** Whether somebody is connected. */
  get busy(): boolean {
    return this.#clients.size > 0;
  }

  #resume(name: string): void {
    const kept = this.options.shelf.within('client').take(name);
    if (kept?.descriptor === undefined) return;
    this.#nextClient = Math.max(this.#nextClient, Number(name) + 1);
    this.#serve(kept.descriptor, name, kept.value as KeptClient);
  }

  #serve(socket: Descriptor, name: string, kept?: KeptClient): void {
    const peer = peerCredentials(socket.fd);
    const gone = () => this.#clients.delete(client);
    const client = new Client(socket, peer, name, this.options, gone, kept);
    this.#clients.add(client);
  }

  #accept(): void {
    let socket: Descriptor;
    try {
      socket = acceptUnix(this.#listener);
    } catch (error) {
      if (!isSystemError(error, 'EAGAIN'))
        this.options.log.error({ error }, 'a seat cannot accept');
      return;
    }
    const peer = peerCredentials(socket.fd);
    const mine = peer.uid === this.options.uid || peer.uid === 0;
    if (!mine || this.#clients.size >= MAX_CLIENTS) {
      socket.close();
      const reason = mine ? 'there are too many' : `uid ${peer.uid} is not uid ${this.options.uid}`;
      this.options.log.warn({ pid: peer.pid }, `a connection to the seat was refused: ${reason}`);
      return;
    }
    this.#serve(socket, String(this.#nextClient++));
  }
}

/** One connection; what it has opened ends with it. */
class Client {
  readonly #decoder = new SeatDecoder();
  readonly #devices = new Map<number, OpenedDevice>();
  #opened = false;
  #nextDevice = 1;
  #held = false;

  constructor(
    private readonly socket: Descriptor,
    private readonly peer: PeerCredentials,
    private readonly name: string,
    private readonly options: SeatdOptions,
    private readonly gone: () => void,
    kept?: KeptClient,
  ) {
    if (kept !== undefined) {
      this.#opened = kept.opened;
      this.#held = kept.held;
      this.#nextDevice = kept.nextDevice;
      for (const [id, path] of kept.devices) this.#devices.set(id, options.devices.adopt(path));
    }
    this.#keep(socket);
    socket.watch(() => this.#read());
  }

  #keep(socket?: Descriptor): void {
    const kept: KeptClient = {
      opened: this.#opened,
      held: this.#held,
      nextDevice: this.#nextDevice,
      devices: [...this.#devices].map(([id, { path }]) => [id, path]),
    };
    this.options.shelf.within('client').keep(this.name, kept, socket);
  }

  close(): void {
    if (!this.socket.open) return;
    this.socket.close();
    // Only now does the other side see the end.
    this.options.shelf.within('client').forget(this.name);
    this.#closeDevices();
    this.gone();
    if (this.#held) this.options.devices.clientGone(this.peer);
  }

  #closeDevices(): void {
    for (const device of this.#devices.values()) device.close();
    this.#devices.clear();
  }

  #read(): void {
    try {
      const { data, descriptors, end } = receive(this.socket, READ_SIZE);
      // Nobody needs to give us any.
      for (const descriptor of descriptors) descriptor.close();
      if (end) {
        this.close();
        return;
      }
      for (const request of this.#decoder.push(data)) {
        this.#handle(request);
        if (!this.socket.open) return;
      }
    } catch (error) {
      if (isSystemError(error, 'EAGAIN')) return;
      if (isSystemError(error, 'ECONNRESET')) {
        // It died before it had read everything.
        this.close();
        return;
      }
      if (!(error instanceof SeatProtocolError || isSystemError(error))) throw error;
      this.options.log.warn({ pid: this.peer.pid }, `the seat ends a connection: ${error.message}`);
      this.close();
    }
  }

  #handle(request: SeatRequest): void {
    const needsSeat = request.kind !== 'ping' && request.kind !== 'open-seat';
    if (needsSeat && !this.#opened) {
      throw new SeatProtocolError(`${request.kind} before open-seat`);
    }
    switch (request.kind) {
      case 'ping':
        this.#send(encodeEmpty('pong'));
        break;
      case 'open-seat':
        if (this.#opened) throw new SeatProtocolError('the seat is open already');
        this.#opened = true;
        this.#keep();
        this.#send(encodeSeatOpened(SEAT_NAME));
        // There are no virtual terminals to switch between: a seat is enabled as long as it is.
        this.#send(encodeEmpty('enable-seat'));
        break;
      case 'close-seat':
        this.#closeDevices();
        this.#opened = false;
        this.#keep();
        this.#send(encodeEmpty('seat-closed'));
        break;
      case 'open-device':
        this.#openDevice(request.path);
        break;
      case 'close-device':
        this.#closeDevice(request.device);
        break;
      case 'disable-seat':
        this.#send(encodeEmpty('seat-disabled'));
        break;
      case 'switch-session':
        this.#send(encodeError('EPERM'));
        break;
    }
  }

  #openDevice(path: string): void {
    if (this.#devices.size >= MAX_DEVICES) {
      this.#send(encodeError('EMFILE'));
      return;
    }
    let device: ReturnType<SeatDevices['open']>;
    try {
      device = this.options.devices.open(path, this.peer);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.options.log.debug({ pid: this.peer.pid, path }, `refused: ${error.message}`);
      const known = ['EACCES', 'EBUSY', 'ENOENT', 'ENODEV', 'EMFILE', 'ENOSPC'] as const;
      this.#send(encodeError(known.find((code) => code === error.code) ?? 'EIO'));
      return;
    }
    const id = this.#nextDevice++;
    this.#devices.set(id, device);
    this.#held ||= device.holds;
    this.#keep();
    this.#send(encodeDeviceOpened(id), [device.descriptor]);
  }

  #closeDevice(id: number): void {
    const device = this.#devices.get(id);
    if (device === undefined) {
      this.#send(encodeError('EBADF'));
      return;
    }
    this.#devices.delete(id);
    device.close();
    this.#keep();
    this.#send(encodeEmpty('device-closed'));
  }

  #send(bytes: Buffer, descriptors: readonly Descriptor[] = []): void {
    send(this.socket, bytes, descriptors);
  }
}
