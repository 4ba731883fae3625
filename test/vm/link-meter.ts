// Stands between a guest's vsock and the bridge, and counts what an agent sends.
import { unlink } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Length in front of each message of the agent protocol [bytes]. */
const PREFIX = 4;
/** msgpack: arrays of up to 15 items are the compact form, and an agent's are frames. */
const FIXARRAY = 0x90;

/** What crossed the link from the guest since `restart`. */
export interface LinkCount {
  /** All of it, with the lengths. */
  readonly bytes: number;
  readonly frames: number;
  /** With its length. */
  readonly longestFrame: number;
}

/** Passes on what comes to one Unix socket to another. */
export class LinkMeter implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytes = 0;
  #frames = 0;
  #longestFrame = 0;

  private constructor(private readonly to: string) {
    this.#server = createServer((guest) => this.#join(guest));
  }

  /** @param from where a guest's connections come @param to where the bridge listens */
  static async listen(from: string, to: string): Promise<LinkMeter> {
    const meter = new LinkMeter(to);
    await unlink(from).catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      meter.#server.once('error', reject).listen(from, resolve);
    });
    return meter;
  }

  restart(): void {
    this.#bytes = this.#frames = this.#longestFrame = 0;
  }

  get count(): LinkCount {
    return { bytes: this.#bytes, frames: this.#frames, longestFrame: this.#longestFrame };
  }

  #join(guest: Socket): void {
    const bridge = createConnection({ path: this.to });
    let held = Buffer.alloc(0);
    guest.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      held = Buffer.concat([held, chunk]);
      while (held.length > PREFIX && held.length >= PREFIX + held.readUInt32LE(0)) {
        const length = PREFIX + held.readUInt32LE(0);
        if ((held.readUInt8(PREFIX) & 0xf0) === FIXARRAY) {
          this.#frames++;
          this.#longestFrame = Math.max(this.#longestFrame, length);
        }
        held = held.subarray(length);
      }
    });
    guest.pipe(bridge);
    bridge.pipe(guest);
    for (const [one, other] of [
      [guest, bridge],
      [bridge, guest],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
