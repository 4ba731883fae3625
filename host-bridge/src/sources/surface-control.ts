// A control connection to a server of the surface protocol: hello, scanout information, configuration. It opens no
// stream: pictures go to the engine workers, which have connections of their own.
import { EventEmitter } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import {
  Capability,
  type ConfigureScanout,
  encodeSurface,
  type FromServer,
  type HelloReply,
  type ScanoutInfo,
  SURFACE_MAGIC,
  SURFACE_VERSION_MAJOR,
  SURFACE_VERSION_MINOR,
  SurfaceDecoder,
  SurfaceError,
} from '@scanbridge/protocol/surface';
import { reasonOf, ScanoutError } from '../errors.js';

/** The server answers a hello, a request and a ping within this time [ms]. */
const ANSWER_LIMIT_MS = 5000;
/** A ping is sent this often: a server that hangs is noticed [ms]. */
const PING_INTERVAL_MS = 5000;
/** Requests without an answer; more means that the server does not answer. */
const MAX_PENDING = 64;

interface Pending {
  resolve(): void;
  reject(error: ScanoutError): void;
  readonly timer: NodeJS.Timeout;
}

const errorNames = new Map<number, string>(Object.entries(SurfaceError).map(([k, v]) => [v, k]));

/** One connection. Emits 'ready' with the server's hello, 'scanout' on each SCANOUT_INFO, and 'lost' exactly once. */
export class SurfaceControl extends EventEmitter<{
  ready: [HelloReply];
  scanout: [ScanoutInfo];
  lost: [ScanoutError];
}> {
  readonly #socket: Socket;
  readonly #decoder = new SurfaceDecoder('server');
  readonly #pending = new Map<number, Pending>();
  #serial = 0;
  #ready = false;
  #lost = false;
  #lastHeard = Date.now();
  #watch: NodeJS.Timeout | undefined;

  /** @param path Unix socket of the server */
  constructor(readonly path: string) {
    super();
    this.#socket = createConnection({ path });
    this.#socket
      .on('connect', () => this.#hello())
      .on('data', (chunk) => this.#onData(chunk))
      .on('error', (error) => this.#lose('SURFACE_CONNECTION', reasonOf(error)))
      .on('close', () => this.#lose('SURFACE_CONNECTION', 'the other side has closed it'));
    this.#watch = setInterval(() => this.#check(), PING_INTERVAL_MS);
  }

  /** Configures a scanout. @throws {ScanoutError} when the server refuses, or does not answer */
  configure(wish: Omit<ConfigureScanout, 'type' | 'serial'>): Promise<void> {
    if (this.#lost || !this.#ready || this.#pending.size >= MAX_PENDING) {
      return Promise.reject(this.#error('SURFACE_CONNECTION', 'there is no connection'));
    }
    const serial = this.#nextSerial();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#lose('SURFACE_TIMEOUT', 'it does not answer'),
        ANSWER_LIMIT_MS,
      );
      this.#pending.set(serial, { resolve, reject, timer });
      this.#socket.write(encodeSurface({ type: 'configure_scanout', serial, ...wish }));
    });
  }

  close(): void {
    this.#lose('CLOSED', 'closed by the bridge');
  }

  #nextSerial(): number {
    this.#serial = this.#serial >= 0xffffffff ? 1 : this.#serial + 1;
    return this.#serial;
  }

  #hello(): void {
    this.#socket.write(
      encodeSurface({
        type: 'hello',
        magic: SURFACE_MAGIC,
        versionMajor: SURFACE_VERSION_MAJOR,
        versionMinor: SURFACE_VERSION_MINOR,
        capabilities: BigInt(Capability.SCANOUT_INFO),
        name: 'scanbridge',
      }),
    );
  }

  #onData(chunk: Uint8Array): void {
    this.#lastHeard = Date.now();
    try {
      for (const message of this.#decoder.push(chunk)) {
        if (this.#lost) return;
        this.#onMessage(message);
      }
    } catch (error) {
      this.#lose('SURFACE_PROTOCOL', reasonOf(error));
    }
  }

  #onMessage(message: FromServer): void {
    if (message.type === 'hello_reply') {
      if (this.#ready) throw new Error('a second answer to the hello');
      if (message.magic !== SURFACE_MAGIC || message.versionMajor !== SURFACE_VERSION_MAJOR) {
        throw new Error(`it speaks version ${message.versionMajor}.${message.versionMinor}`);
      }
      this.#ready = true;
      this.emit('ready', message);
    } else if (message.type === 'error') {
      const reason = `${errorNames.get(message.code) ?? message.code}: ${message.text}`;
      const pending = this.#pending.get(message.serial ?? 0);
      if (pending)
        this.#settle(message.serial ?? 0)?.reject(this.#error('SURFACE_REFUSED', reason));
      if (message.fatal) this.#lose('SURFACE_REFUSED', reason);
    } else if (!this.#ready) {
      throw new Error(`${message.type} before the answer to the hello`);
    } else if (message.type === 'ok') {
      this.#settle(message.serial ?? 0)?.resolve();
    } else if (message.type === 'scanout_info') {
      this.emit('scanout', message);
    }
  }

  #settle(serial: number): Pending | undefined {
    const pending = this.#pending.get(serial);
    this.#pending.delete(serial);
    clearTimeout(pending?.timer);
    return pending;
  }

  #check(): void {
    if (Date.now() - this.#lastHeard > PING_INTERVAL_MS + ANSWER_LIMIT_MS) {
      this.#lose('SURFACE_TIMEOUT', 'it does not answer');
    } else if (this.#ready) {
      this.#socket.write(
        encodeSurface({ type: 'ping', serial: this.#nextSerial(), token: BigInt(this.#serial) }),
      );
    }
  }

  #error(code: string, reason: string): ScanoutError {
    return new ScanoutError(
      code,
      `surface socket ${this.path}: ${reason}`,
      'is QEMU running with -object frame-export,path=...? The bridge keeps trying',
    );
  }

  #lose(code: string, reason: string): void {
    if (this.#lost) return;
    this.#lost = true;
    clearInterval(this.#watch);
    this.#socket.destroy();
    const error = this.#error(code, reason);
    for (const serial of [...this.#pending.keys()]) this.#settle(serial)?.reject(error);
    this.emit('lost', error);
  }
}
