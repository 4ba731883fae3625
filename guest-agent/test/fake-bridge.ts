// The bridge's side of the agent protocol, for tests of the agent alone. The real one is tested with the agent
// in test/.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  AgentDecoder,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';

export class FakeBridge {
  readonly received: FromAgent[] = [];
  #socket: Socket | undefined;
  #taken = 0;
  #wake: (() => void)[] = [];

  private constructor(
    private readonly server: Server,
    private readonly heartbeat: number,
  ) {
    server.on('connection', (socket) => {
      this.#socket = socket;
      const decoder = new AgentDecoder('agent');
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        for (const message of decoder.push(chunk)) {
          this.received.push(message);
          if (message.type === 'hello') {
            this.send({ type: 'welcome', version: 1, agent: 'test', heartbeat: this.heartbeat });
          }
          if (message.type === 'ping') this.send({ type: 'pong', token: message.token });
        }
        for (const wake of this.#wake.splice(0)) wake();
      });
    });
  }

  static async listen(path: string, heartbeat = 1000): Promise<FakeBridge> {
    const server = createServer();
    const bridge = new FakeBridge(server, heartbeat);
    server.listen(path);
    await once(server, 'listening');
    return bridge;
  }

  send(message: ToAgent): void {
    this.#socket?.write(encodeAgent(message));
  }

  /** Bytes that are no message. */
  sendRaw(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** The next message of a type, after those that were taken before. */
  async next<T extends FromAgent['type']>(type: T): Promise<Extract<FromAgent, { type: T }>> {
    const timer = setTimeout(() => {
      for (const wake of this.#wake.splice(0)) wake();
    }, 15_000);
    const deadline = Date.now() + 15_000;
    try {
      for (;;) {
        while (this.#taken < this.received.length) {
          const message = this.received[this.#taken++] as FromAgent;
          if (message.type === type) return message as Extract<FromAgent, { type: T }>;
        }
        if (Date.now() >= deadline) {
          throw new Error(`no ${type}; all messages: ${JSON.stringify(this.received)}`);
        }
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  drop(): void {
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.#socket?.destroy();
    await closed;
  }
}
