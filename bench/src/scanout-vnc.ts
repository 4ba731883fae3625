// A VNC client (RFC 6143) that does what is needed to know when a picture of a known pattern arrived: raw encoding,
// and the next update is asked for as soon as one is complete.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Picture } from '@scanbridge/test/vm/picture';

const VERSION = 'RFB 003.008\n';
const SECURITY_NONE = 1;
const BYTES_PER_PIXEL = 4;
const MAX_SIDE = 16_384;

const RAW = 0;
const DESKTOP_SIZE = -223;

const FRAMEBUFFER_UPDATE = 0;
const BELL = 2;
const SERVER_CUT_TEXT = 3;

/** Says "an update is complete"; the picture is what the screen shows now. */
export type OnUpdate = (client: VncClient) => void;

export class VncClient {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #buffered = 0;
  #needed = 0;
  #wake: (() => void) | undefined;
  #fail: ((error: Error) => void) | undefined;
  #closed: Error | undefined;
  #width = 0;
  #height = 0;
  #pixels = Buffer.alloc(0);
  /** Bytes of pixels that arrived. */
  pixelBytes = 0;
  /** Settles when the connection is over; rejects if that was not close(). */
  ended: Promise<void> = Promise.resolve();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      if (this.#buffered >= this.#needed) this.#wake?.();
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      this.#closed ??= new Error('the VNC server closed the connection');
      this.#fail?.(this.#closed);
    });
  }

  /** Connects to the Unix socket `path` and asks for updates until close(). */
  static async connect(path: string, onUpdate: OnUpdate): Promise<VncClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    const client = new VncClient(socket);
    await client.#greet();
    client.ended = client.#run(onUpdate);
    client.ended.catch(() => undefined); // whoever awaits it is told
    return client;
  }

  async close(): Promise<void> {
    const end = new Error('closed');
    this.#closed ??= end;
    this.#socket.destroy();
    this.#fail?.(end);
    await this.ended.catch((error) => {
      if (error !== end) throw error;
    });
  }

  /** The upper left part of the screen, at most of this size. */
  picture(maxWidth: number, maxHeight: number): Picture {
    const width = Math.min(maxWidth, this.#width);
    const height = Math.min(maxHeight, this.#height);
    const rgb = Buffer.alloc(width * height * 3);
    for (let y = 0, to = 0; y < height; y++) {
      let from = y * this.#width * BYTES_PER_PIXEL;
      for (let x = 0; x < width; x++, from += BYTES_PER_PIXEL, to += 3) {
        rgb[to] = this.#pixels[from + 2] as number;
        rgb[to + 1] = this.#pixels[from + 1] as number;
        rgb[to + 2] = this.#pixels[from] as number;
      }
    }
    return { width, height, rgb };
  }

  async #take(size: number): Promise<Buffer> {
    if (this.#buffered < size) {
      if (this.#closed) throw this.#closed;
      this.#needed = size;
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        this.#fail = reject;
      });
      this.#wake = this.#fail = undefined;
      this.#needed = 0;
    }
    const parts: Buffer[] = [];
    for (let missing = size; missing > 0; ) {
      const chunk = this.#chunks[0] as Buffer;
      if (chunk.length <= missing) {
        parts.push(chunk);
        this.#chunks.shift();
      } else {
        parts.push(chunk.subarray(0, missing));
        this.#chunks[0] = chunk.subarray(missing);
      }
      missing -= (parts.at(-1) as Buffer).length;
    }
    this.#buffered -= size;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, size);
  }

  async #greet(): Promise<void> {
    const version = (await this.#take(VERSION.length)).toString('latin1');
    if (!version.startsWith('RFB 003.')) throw new Error(`not a VNC server: ${version.trim()}`);
    this.#socket.write(VERSION);
    const [count] = await this.#take(1);
    const types = await this.#take(count as number);
    if (!types.includes(SECURITY_NONE)) throw new Error('the VNC server wants a password');
    this.#socket.write(Buffer.of(SECURITY_NONE));
    if ((await this.#take(4)).readUInt32BE() !== 0) throw new Error('the VNC server refuses us');
    this.#socket.write(Buffer.of(1)); // shared
    const init = await this.#take(24);
    this.#resize(init.readUInt16BE(0), init.readUInt16BE(2));
    await this.#take(init.readUInt32BE(20));
    // SetPixelFormat: 32 bits, depth 24, little-endian, true colour, 255 each, red at bit 16: blue is first in memory.
    const format = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
    this.#socket.write(Buffer.from([0, 0, 0, 0, ...format]));
    const encodings = Buffer.alloc(12);
    encodings.writeUInt8(2, 0);
    encodings.writeUInt16BE(2, 2);
    encodings.writeInt32BE(RAW, 4);
    encodings.writeInt32BE(DESKTOP_SIZE, 8);
    this.#socket.write(encodings);
  }

  async #run(onUpdate: OnUpdate): Promise<void> {
    this.#ask(false);
    for (;;) {
      const [type] = await this.#take(1);
      switch (type) {
        case FRAMEBUFFER_UPDATE: {
          const count = (await this.#take(3)).readUInt16BE(1);
          for (let i = 0; i < count; i++) await this.#rectangle();
          onUpdate(this);
          this.#ask(true);
          break;
        }
        case BELL:
          break;
        case SERVER_CUT_TEXT: {
          const length = (await this.#take(7)).readUInt32BE(3);
          if (length > 65_536) throw new Error(`the VNC server cut ${length} bytes of text`);
          await this.#take(length);
          break;
        }
        default:
          throw new Error(`the VNC server sent a message of the unknown type ${type}`);
      }
    }
  }

  #ask(incremental: boolean): void {
    const request = Buffer.alloc(10);
    request.writeUInt8(3, 0);
    request.writeUInt8(incremental ? 1 : 0, 1);
    request.writeUInt16BE(this.#width, 6);
    request.writeUInt16BE(this.#height, 8);
    this.#socket.write(request);
  }

  async #rectangle(): Promise<void> {
    const header = await this.#take(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => header.readUInt16BE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const encoding = header.readInt32BE(8);
    if (encoding === DESKTOP_SIZE) {
      this.#resize(width, height);
      return;
    }
    if (encoding !== RAW || x + width > this.#width || y + height > this.#height) {
      throw new Error(`the VNC server sent ${width}x${height}+${x}+${y} in encoding ${encoding}`);
    }
    const row = width * BYTES_PER_PIXEL;
    const pixels = await this.#take(row * height);
    this.pixelBytes += pixels.length;
    for (let line = 0; line < height; line++) {
      const to = ((y + line) * this.#width + x) * BYTES_PER_PIXEL;
      pixels.copy(this.#pixels, to, line * row, (line + 1) * row);
    }
  }

  #resize(width: number, height: number): void {
    if (width > MAX_SIDE || height > MAX_SIDE) {
      throw new Error(`the VNC server has a screen of ${width}x${height}`);
    }
    this.#width = width;
    this.#height = height;
    this.#pixels = Buffer.alloc(width * height * BYTES_PER_PIXEL);
  }
}
