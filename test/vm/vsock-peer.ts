import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a connection is for; guest/vsock.c says what each means. */
export const VsockMode = { SINK: 1, SOURCE: 2, ECHO: 3, IGNORE: 4 } as const;

/** What is sent. Sizes in bytes. */
export interface VsockPattern {
  /** Size of one write, at most 1 MiB. */
  chunk?: number;
  /** Bytes in all. */
  total?: number;
  /** Of the pattern; 0: nobody compares. */
  seed?: number;
}

/** What the connecting side asks for. */
export interface VsockRequest extends VsockPattern {
  mode: (typeof VsockMode)[keyof typeof VsockMode];
}

/** A pattern repeats after this many bytes. */
const PERIOD = 1 << 20;
const REQUEST_SIZE = 16;

function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const patterns = new Map<number, Buffer>();

/** Two periods of the pattern, so that a write of up to one period may start anywhere in the first. */
function pattern(seed: number): Buffer {
  let made = patterns.get(seed);
  if (!made) {
    const words = new Uint32Array(PERIOD / 4).map((_, i) => mix(seed + i));
    const bytes = Buffer.from(words.buffer); // little-endian, as every host that runs this
    made = Buffer.concat([bytes, bytes]);
    patterns.set(seed, made);
  }
  return made;
}

/** Waits for the first of several events, and leaves no listener behind. */
function first(socket: Socket, ...names: string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const name of names) {
        socket.off(name, done);
      }
      resolve();
    };
    for (const name of names) {
      socket.on(name, done);
    }
  });
}

/** Sends `total` bytes of a pattern in writes of `chunk`, no faster than the other side takes them. */
export async function transmit(socket: Socket, request: VsockPattern): Promise<void> {
  const { chunk = 65536, total = 0, seed = 0 } = request;
  const bytes = pattern(seed);
  for (let sent = 0; sent < total && !socket.destroyed; ) {
    const size = Math.min(chunk, total - sent);
    const at = sent % PERIOD;
    if (!socket.write(bytes.subarray(at, at + size))) {
      await first(socket, 'drain', 'close');
    }
    sent += size;
  }
}

/**
 * Reads `total` bytes and compares them.
 *
 * @returns the offset of the first wrong or missing byte, or -1.
 */
export async function receive(socket: Socket, request: VsockPattern): Promise<number> {
  const { total = 0, seed = 0 } = request;
  const bytes = pattern(seed);
  let got = 0;
  while (got < total) {
    const data = await read(socket);
    if (!data) {
      return got;
    }
    for (let at = 0; seed !== 0 && at < data.length; ) {
      const from = (got + at) % PERIOD;
      const size = Math.min(data.length - at, PERIOD);
      if (data.compare(bytes, from, from + size, at, at + size) !== 0) {
        let wrong = at;
        while (data[wrong] === bytes[from + wrong - at]) {
          wrong++;
        }
        return got + wrong;
      }
      at += size;
    }
    got += data.length;
  }
  return -1;
}

/** The next bytes, or undefined at the end of the stream, however it ended. */
export async function read(socket: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const data: Buffer | null = socket.read();
    if (data) {
      return data;
    }
    if (socket.readableEnded || socket.destroyed) {
      return undefined;
    }
    await first(socket, 'readable', 'end', 'close', 'error');
  }
}

function encode(request: VsockRequest): Buffer {
  const words = [request.mode, request.chunk ?? 0, request.total ?? 0, request.seed ?? 0];
  return Buffer.from(Uint32Array.from(words).buffer);
}

/** Serves one connection, as serve_one() of guest/vsock.c does. */
async function serve(socket: Socket): Promise<void> {
  let head = Buffer.alloc(0);
  while (head.length < REQUEST_SIZE) {
    const data = await read(socket);
    if (!data) {
      return;
    }
    head = Buffer.concat([head, data]);
  }
  if (head.length > REQUEST_SIZE) {
    socket.unshift(head.subarray(REQUEST_SIZE));
  }
  const [mode, chunk, total, seed] = [0, 4, 8, 12].map((at) => head.readUInt32LE(at));
  const request = { mode, chunk, total, seed } as VsockRequest;
  switch (mode) {
    case VsockMode.SINK: {
      const wrong = await receive(socket, request);
      socket.end(wrong < 0 ? 'ok\n' : `bad ${wrong}\n`);
      break;
    }
    case VsockMode.SOURCE:
      await transmit(socket, request);
      socket.end();
      break;
    case VsockMode.ECHO:
      socket.pipe(socket);
      break;
    default:
      socket.pause();
  }
}

/** The host's service of one port, for `vsock` in a guest. */
export class VsockPeer implements AsyncDisposable {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined); // the guest may go at any time
      socket.once('close', () => this.sockets.delete(socket));
      void serve(socket);
    });
  }

  /** Listens for the guest's connections to `port`. */
  static async listen(base: string, port: number): Promise<VsockPeer> {
    const server = createServer({ allowHalfOpen: true });
    server.listen({ path: `${base}_${port}`, backlog: 511 });
    await once(server, 'listening');
    await chmod(`${base}_${port}`, 0o600);
    return new VsockPeer(server);
  }

  /** The next connection, when it is there. */
  async connection(): Promise<Socket> {
    const [socket] = await once(this.#server, 'connection');
    return socket as Socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) {
      socket.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/**
 * Connects to a port of the guest, and asks for something.
 *
 * @throws Error if the guest refuses.
 */
export async function dial(base: string, port: number, request?: VsockRequest): Promise<Socket> {
  const socket = connect({ path: base, allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.write(`CONNECT ${port}\n`);
  let line = '';
  while (!line.endsWith('\n')) {
    const data = await read(socket);
    if (!data) {
      throw new Error(`port ${port} of the guest refused the connection`);
    }
    line += data.toString('latin1');
  }
  if (!/^OK \d+\n$/.test(line)) {
    throw new Error(`bad answer to CONNECT: ${line}`);
  }
  if (request) {
    socket.write(encode(request));
  }
  return socket;
}
