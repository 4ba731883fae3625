// The connection to the bridge: hello, heartbeat, and coming back.
import type { Duplex } from 'node:stream';
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
import { type BridgeAddress, nameOf, openTransport, reasonOf } from './transports.js';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** The bridge answers the hello within this time [ms]. */
const WELCOME_LIMIT = 5000;
/** Heartbeats that may be missed. */
const MISSED = 3;
/** With more waiting in the stream the connection is given up: the bridge does not read [bytes]. */
const BUFFER_LIMIT = 1024 * 1024;

export interface BridgeConnectionOptions {
  /** Where the bridge may be; tried in this order, anew after each connection. */
  addresses: readonly BridgeAddress[];
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
  #stream: Duplex | undefined;
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
    if (!this.#welcomed || this.#stream === undefined) return;
    if (this.#stream.writableLength > BUFFER_LIMIT) {
      this.#stream.destroy(new Error('the bridge does not read'));
      return;
    }
    this.#stream.write(encodeAgent(message));
  }

  /** Sends what was given to send() and disconnects. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#stream?.end();
    const cut = setTimeout(() => this.#stream?.destroy(), 500);
    await this.#running;
    clearTimeout(cut);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const backoff = new Backoff(FIRST_PAUSE, LONGEST_PAUSE);
    let told = '';
    while (!signal.aborted) {
      const { welcomed, reasons } = await this.#tryAll();
      if (welcomed) {
        backoff.reset();
        told = '';
      }
      if (signal.aborted) break;
      const reason = reasons.join('; ');
      if (reason !== told) {
        this.log.warn(`no connection to the bridge, will try on: ${reason}`);
        told = reason;
      }
      await sleep(backoff.next(), undefined, { signal }).catch(() => {});
    }
  }

  /** One attempt for each address, until one of them is a bridge; resolves when that has ended. */
  async #tryAll(): Promise<{ welcomed: boolean; reasons: string[] }> {
    const reasons: string[] = [];
    for (const address of this.options.addresses) {
      if (this.#stop.signal.aborted) break;
      reasons.push(`${nameOf(address)}: ${await this.#tryOne(address)}`);
      this.#stream = undefined;
      if (!this.#welcomed) continue;
      this.#welcomed = false;
      this.events.disconnected();
      return { welcomed: true, reasons: reasons.slice(-1) };
    }
    return { welcomed: false, reasons };
  }

  /** Resolves with why there is no connection, or why it ended. */
  async #tryOne(address: BridgeAddress): Promise<string> {
    let stream: Duplex;
    try {
      stream = await openTransport(address, this.#stop.signal);
    } catch (error) {
      return reasonOf(error);
    }
    if (this.#stop.signal.aborted) stream.destroy();
    return await this.#converse(stream, address);
  }

  /** One connection from beginning to end; resolves with why it ended. */
  #converse(stream: Duplex, address: BridgeAddress): Promise<string> {
    return new Promise((resolve) => {
      this.#stream = stream;
      const decoder = new AgentDecoder('bridge');
      let heard = performance.now();
      let heartbeat: NodeJS.Timeout | undefined;
      let reason = 'the bridge closed the connection';
      const limit = setTimeout(() => {
        stream.destroy(new Error(`no welcome within ${WELCOME_LIMIT} ms`));
      }, WELCOME_LIMIT);

      stream.on('data', (chunk) => {
        heard = performance.now();
        try {
          for (const message of decoder.push(chunk)) {
            if (message.type === 'error' && message.session === undefined) {
              reason = `${message.code}: ${message.message}`;
            }
            if (message.type !== 'welcome') {
              this.#onMessage(message, stream);
              continue;
            }
            if (this.#welcomed) throw new AgentProtocolError('BAD_STATE', 'a second welcome');
            clearTimeout(limit);
            heartbeat = this.#startHeartbeat(stream, message.heartbeat, () => heard);
            this.#welcomed = true;
            this.log.info({ bridge: nameOf(address), agent: message.agent }, 'connected');
            this.events.connected();
          }
        } catch (error) {
          if (!(error instanceof AgentProtocolError)) throw error;
          // The bridge is told, and the connection starts anew.
          const { code, message } = error;
          stream.end(encodeAgent({ type: 'error', code, message: message.slice(0, 512) }));
          reason = `it broke the protocol: ${message}`;
        }
      });
      stream.on('error', (error) => {
        reason = error.message;
      });
      // A bridge that has ended its side reads no more, whatever waits to be written.
      stream.on('end', () => stream.destroy());
      stream.on('close', () => {
        clearTimeout(limit);
        clearInterval(heartbeat);
        resolve(reason);
      });
      // A token is for those who cannot be told apart by how they come.
      const token = address.kind === 'tcp' ? address.token : undefined;
      const { name, instance } = this.options;
      stream.write(
        encodeAgent({
          type: 'hello',
          version: AGENT_VERSION,
          name,
          instance,
          capabilities: [],
          ...(token !== undefined && { token }),
        }),
      );
    });
  }

  #onMessage(message: ToAgent, stream: Duplex): void {
    if (message.type === 'ping') {
      stream.write(encodeAgent({ type: 'pong', token: message.token }));
    } else if (message.type === 'error' && message.session === undefined) {
      this.log.error({ code: message.code }, `the bridge says: ${message.message}`);
    } else if (message.type !== 'pong') {
      if (!this.#welcomed)
        throw new AgentProtocolError('BAD_STATE', 'a message before the welcome');
      this.events.message(message);
    }
  }

  #startHeartbeat(stream: Duplex, interval: number, heard: () => number): NodeJS.Timeout {
    let token = 0;
    return setInterval(() => {
      if (performance.now() - heard() > MISSED * interval) {
        stream.destroy(new Error(`nothing was heard of the bridge for ${MISSED * interval} ms`));
        return;
      }
      token = (token + 1) >>> 0;
      this.send({ type: 'ping', token });
    }, interval);
  }
}
