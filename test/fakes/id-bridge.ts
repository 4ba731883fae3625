// A FAKE of the bridge's end of the agent protocol, for tests of an agent in a VM: it shows nothing, counts every byte, and
// releases frames when the test wants it to. The real bridge is tried with the same agent by its own tests.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  AgentDecoder,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';

type Of<T extends FromAgent['type']> = Extract<FromAgent, { type: T }>;

/** A frame, and the bytes of the link that it took. */
export type SeenFrame = Of<'frame'> & { bytes: number };

export class IdBridge implements AsyncDisposable {
  readonly frames: SeenFrame[] = [];
  /** What is announced of resources now, by id. */
  readonly resources = new Map<number, Of<'resource'>>();
  /** Frames that named a resource which was not announced. */
  readonly unannounced: number[] = [];
  /** Everything but frames, pings and pongs. */
  readonly messages: FromAgent[] = [];
  /** Bytes that came since the test has set it to 0, heartbeats left out. */
  bytes = 0;
  /** Whether frames are released as they come. */
  releases = true;
  /** Connections that there were. */
  connections = 0;
  #socket: Socket | undefined;
  #wake: (() => void)[] = [];

  private constructor(private readonly server: Server) {
    server.on('connection', (socket) => this.#converse(socket));
  }

  /** @param path Unix socket at which the VM's vsock device ends a port */
  static async listen(path: string): Promise<IdBridge> {
    const server = createServer();
    const bridge = new IdBridge(server);
    server.listen(path);
    await once(server, 'listening');
    return bridge;
  }

  send(message: ToAgent): void {
    this.#socket?.write(encodeAgent(message));
  }

  /** Forgets what was seen; what is announced stays. */
  forget(): void {
    this.frames.length = 0;
    this.messages.length = 0;
    this.bytes = 0;
  }

  /** Waits until it holds, looking at it after each message. */
  async until<T>(find: () => T | undefined | false, what: string, seconds = 60): Promise<T> {
    const deadline = performance.now() + seconds * 1000;
    const timer = setTimeout(() => this.#look(), seconds * 1000);
    try {
      for (;;) {
        const found = find();
        if (found !== undefined && found !== false) return found;
        if (performance.now() >= deadline) {
          const last = JSON.stringify(this.messages.slice(-5));
          throw new Error(`no ${what} within ${seconds} s; ${this.frames.length} frames; ${last}`);
        }
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next message of a type since {@link forget}. */
  async message<T extends FromAgent['type']>(type: T, seconds?: number): Promise<Of<T>> {
    const find = () => this.messages.find((message): message is Of<T> => message.type === type);
    return await this.until(find, type, seconds);
  }

  /** Waits for so many frames since {@link forget}. */
  async take(count: number, seconds?: number): Promise<readonly SeenFrame[]> {
    await this.until(() => this.frames.length >= count, `${count} frames`, seconds);
    return this.frames;
  }

  /** Ends the connection, as a bridge that dies does. */
  drop(): void {
    this.#socket?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.drop();
    await closed;
  }

  #converse(socket: Socket): void {
    this.connections++;
    this.#socket = socket;
    this.resources.clear();
    const decoder = new AgentDecoder('agent');
    const message = new MessageCutter();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const bytes of message.push(chunk)) {
        for (const decoded of decoder.push(bytes)) this.#take(decoded, bytes.length);
      }
      this.#look();
    });
  }

  /** Those who wait look again. */
  #look(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #take(message: FromAgent, bytes: number): void {
    if (message.type === 'ping') this.send({ type: 'pong', token: message.token });
    if (message.type === 'ping' || message.type === 'pong') return;
    this.bytes += bytes;
    switch (message.type) {
      case 'frame':
        this.frames.push({ ...message, bytes });
        if (!this.resources.has(message.resource)) this.unannounced.push(message.resource);
        if (this.releases) this.release(message);
        return;
      case 'hello':
        this.send({ type: 'welcome', version: 1, agent: 'test', heartbeat: 1000 });
        break;
      case 'session-open':
        this.send({ type: 'session-accepted', session: message.session, id: message.session });
        break;
      case 'resource':
        this.resources.set(message.resource, message);
        break;
      case 'resource-gone':
        this.resources.delete(message.resource);
        break;
    }
    this.messages.push(message);
  }

  release({ stream, sequence }: { stream: number; sequence: number }): void {
    this.send({ type: 'release', stream, sequence });
  }
}

/** Cuts a stream into messages without looking into them, so that each one's bytes can be counted. */
class MessageCutter {
  #held = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Buffer> {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 4) {
      const size = 4 + this.#held.readUInt32LE();
      if (this.#held.length < size) return;
      yield this.#held.subarray(0, size);
      this.#held = this.#held.subarray(size);
    }
  }
}
