// The connection to the bridge: hello, heartbeat, and coming back.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AGENT_VERSION,
  AgentDecoder,
  AgentProtocolError,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import { Backoff } from './backoff.js';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** The bridge answers the hello within this time [ms]. */
const WELCOME_LIMIT = 5000;
/** Heartbeats that may be missed. */
const MISSED = 3;
/** With more waiting in the socket the connection is given up: the bridge does not read [bytes]. */
const BUFFER_LIMIT = 1024 * 1024;

export interface BridgeConnectionOptions {
  /** Unix socket on which the bridge listens for agents. */
  path: string;
  /** For people; at most 64 characters. */
  name: string;
  /** UUID of this process. */
  instance: string;
}

export interface BridgeEvents {
  /** The bridge has welcomed this agent; whatever it was told before is forgotten. */
  connected(): void;
  /** Everything but hello, welcome, ping and pong. */
  message(message: ToAgent): void;
  /** Not connected any more; `connected` follows when it is again. */
  disconnected(): void;
}

/** Connects, and connects again with growing pauses, until it is closed. */
export class BridgeConnection {
  #socket: Socket | undefined;
  #welcomed = false;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    private readonly options: BridgeConnectionOptions,
    private readonly events: BridgeEvents,
    private readonly log: Logger,
  ) {
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#welcomed;
  }

  /** Sends when connected; otherwise the message is dropped, as `connected` starts from nothing. */
  send(message: FromAgent): void {
    if (!this.#welcomed || this.#socket === undefined) return;
    if (this.#socket.writableLength > BUFFER_LIMIT) {
      this.#socket.destroy(new Error('the bridge does not read'));
      return;
    }
    this.#socket.write(encodeAgent(message));
  }

  /** Sends what was given to send() and disconnects. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#socket?.end();
    const cut = setTimeout(() => this.#socket?.destroy(), 500);
    await this.#running;
    clearTimeout(cut);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff(FIRST_PAUSE, LONGEST_PAUSE);
    let told = '';
    while (!signal.aborted) {
      const reason = await this.#connectOnce();
      if (this.#welcomed) {
        this.#welcomed = false;
        backoff.reset();
        told = '';
        this.events.disconnected();
      }
      this.#socket = undefined;
      if (signal.aborted) break;
      if (reason !== told) {
        this.log.warn(
          { bridge: this.options.path },
          `no connection to the bridge, will try on: ${reason}`,
        );
        told = reason;
      }
      await sleep(backoff.next(), undefined, { signal }).catch(() => {});
    }
  }

  /** One connection from beginning to end; resolves with why it ended. */
  #connectOnce(): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(this.options.path);
      this.#socket = socket;
      const decoder = new AgentDecoder('bridge');
      let heard = performance.now();
      let heartbeat: NodeJS.Timeout | undefined;
      let reason = 'the bridge closed the connection';
      const limit = setTimeout(() => {
        socket.destroy(new Error(`no welcome within ${WELCOME_LIMIT} ms`));
      }, WELCOME_LIMIT);

      socket.on('connect', () => {
        const { name, instance } = this.options;
        socket.write(
          encodeAgent({ type: 'hello', version: AGENT_VERSION, name, instance, capabilities: [] }),
        );
      });
      socket.on('data', (chunk) => {
        heard = performance.now();
        try {
          for (const message of decoder.push(chunk)) {
            if (message.type === 'error' && message.session === undefined) {
              reason = `${message.code}: ${message.message}`;
            }
            if (message.type !== 'welcome') {
              this.#onMessage(message, socket);
              continue;
            }
            if (this.#welcomed) throw new AgentProtocolError('BAD_STATE', 'a second welcome');
            clearTimeout(limit);
            heartbeat = this.#startHeartbeat(socket, message.heartbeat, () => heard);
            this.#welcomed = true;
            this.log.info({ bridge: this.options.path, agent: message.agent }, 'connected');
            this.events.connected();
          }
        } catch (error) {
          if (!(error instanceof AgentProtocolError)) throw error;
          // The bridge is told, and the connection starts anew.
          const { code, message } = error;
          socket.end(encodeAgent({ type: 'error', code, message: message.slice(0, 512) }));
          reason = `it broke the protocol: ${message}`;
        }
      });
      socket.on('error', (error) => {
        reason = error.message;
      });
      socket.on('close', () => {
        clearTimeout(limit);
        clearInterval(heartbeat);
        resolve(reason);
      });
    });
  }

  #onMessage(message: ToAgent, socket: Socket): void {
    if (message.type === 'ping') {
      socket.write(encodeAgent({ type: 'pong', token: message.token }));
    } else if (message.type === 'error' && message.session === undefined) {
      this.log.error({ code: message.code }, `the bridge says: ${message.message}`);
    } else if (message.type !== 'pong') {
      if (!this.#welcomed)
        throw new AgentProtocolError('BAD_STATE', 'a message before the welcome');
      this.events.message(message);
    }
  }

  #startHeartbeat(socket: Socket, interval: number, heard: () => number): NodeJS.Timeout {
    let token = 0;
    return setInterval(() => {
      if (performance.now() - heard() > MISSED * interval) {
        socket.destroy(new Error(`nothing was heard of the bridge for ${MISSED * interval} ms`));
        return;
      }
      token = (token + 1) >>> 0;
      this.send({ type: 'ping', token });
    }, interval);
  }
}
