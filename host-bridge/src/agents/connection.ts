// One agent's connection: framing, hello, heartbeat, errors. What sessions mean is agents.ts's.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import {
  AGENT_VERSION,
  AgentDecoder,
  type AgentErrorCode,
  AgentProtocolError,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import { reasonOf } from '../errors.js';
import type { LeaseMessage } from '../sources/scanout-leases.js';
import type { StreamMessage } from './resource-desk.js';
import type { VirtualMachine } from './transports/transport.js';

/** An agent says hello within this time [ms]. */
const HELLO_LIMIT_MS = 5000;
/** Each side sends a ping this often; three missed end the connection [ms]. */
export const AGENT_HEARTBEAT_MS = 2000;
const MISSED = 3;
/** Messages of an agent that are read a second, and at once after a silence. A 60 Hz desktop sends 60. */
const RATE = 4000;
const BURST = 4000;
/** With more waiting in the stream, input is dropped: an agent that does not read gets stale events otherwise [bytes]. */
const INPUT_BUFFER_LIMIT = 64 * 1024;
/** With more waiting in the stream, the connection ends [bytes]. */
const BUFFER_LIMIT = 1024 * 1024;

export type Hello = Extract<FromAgent, { type: 'hello' }>;
export type SessionMessage =
  | Extract<FromAgent, { type: 'session-open' | 'session-close' }>
  | LeaseMessage
  | StreamMessage
  | Extract<FromAgent, { type: 'session-waiting' }>;

/** What a connection tells its owner. */
export interface AgentConnectionEvents {
  /** The first message; `welcome` is sent when it returns. @throws {AgentProtocolError} to refuse */
  hello(connection: AgentConnection, hello: Hello): void;
  /** @throws {AgentProtocolError} to answer with an error and close */
  message(connection: AgentConnection, message: SessionMessage): void;
  /** Exactly once. */
  gone(connection: AgentConnection, reason: string): void;
}

/** What is known of whoever comes by a transport. */
export interface AgentWay {
  /** For logs. */
  readonly name: string;
  /** Whether the agent runs on this machine, so that it can name sockets of it. */
  readonly local: boolean;
  /** What its hello has to show; absent: nothing. */
  readonly token?: string;
  /** Where the agent runs; absent: on this machine, or nobody has said. */
  readonly vm?: VirtualMachine;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Owns one stream. */
export class AgentConnection {
  readonly #decoder = new AgentDecoder('agent');
  readonly #log: Logger;
  #hello: Hello | undefined;
  #gone = false;
  /** Pings since the agent last said anything. */
  #silentPings = 0;
  #pings = 0;
  /** Messages that it may send at once. */
  #budget = BURST;
  #budgetAt = performance.now();
  readonly #helloTimer: NodeJS.Timeout;
  #heartbeat: NodeJS.Timeout | undefined;

  /** @param id for logs */
  constructor(
    private readonly stream: Duplex,
    readonly id: string,
    private readonly way: AgentWay,
    private readonly events: AgentConnectionEvents,
    log: Logger,
  ) {
    this.#log = log.child({ agent: id });
    this.#helloTimer = setTimeout(
      () => this.fail('TIMEOUT', `no hello within ${HELLO_LIMIT_MS / 1000} s`),
      HELLO_LIMIT_MS,
    );
    stream
      .on('data', (chunk) => this.#onData(chunk))
      .on('error', (error) => this.#end(reasonOf(error)))
      .on('close', () => this.#end('it closed the connection'));
  }

  /** Whether the agent runs on this machine, so that it can name sockets of it. */
  get local(): boolean {
    return this.way.local;
  }

  /** The virtual machine that the agent runs in, if the bridge knows. */
  get vm(): VirtualMachine | undefined {
    return this.way.vm;
  }

  /** The agent's hello; undefined before it came. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  send(message: ToAgent): void {
    if (this.#gone) return;
    const waiting = this.stream.writableLength;
    if (message.type === 'session-input' && waiting > INPUT_BUFFER_LIMIT) return;
    if (waiting > BUFFER_LIMIT) this.#end('it does not read');
    else this.stream.write(encodeAgent(message));
  }

  /** Says that a request about one session, or a resource of it, failed; the connection goes on. */
  refuse(session: string, code: AgentErrorCode, message: string, resource?: number): void {
    const about = { code, session, ...(resource !== undefined && { resource }) };
    this.#log.warn(about, message);
    this.send({ type: 'error', message: message.slice(0, 512), ...about });
  }

  /** Says what is wrong, then closes. */
  fail(code: AgentErrorCode, message: string): void {
    if (this.#gone) return;
    this.#log.warn({ code }, message);
    this.send({ type: 'error', code, message: message.slice(0, 512) });
    this.#end(message);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#gone) return;
    this.#silentPings = 0;
    try {
      let count = 0;
      for (const message of this.#decoder.push(chunk)) {
        count++;
        this.#onMessage(message);
        if (this.#gone) return;
      }
      this.#slowDown(count);
    } catch (error) {
      if (error instanceof AgentProtocolError) this.fail(error.code, error.message);
      else this.fail('BAD_MESSAGE', reasonOf(error));
    }
  }

  /** One that says too much is not read for a while: that is its own waiting, and nobody else's. */
  #slowDown(count: number): void {
    const now = performance.now();
    this.#budget = Math.min(BURST, this.#budget + ((now - this.#budgetAt) * RATE) / 1000) - count;
    this.#budgetAt = now;
    if (this.#budget >= 0) return;
    this.stream.pause();
    setTimeout(() => this.stream.resume(), (-this.#budget / RATE) * 1000).unref();
  }

  #onMessage(message: FromAgent): void {
    if ((message.type === 'hello') === (this.#hello !== undefined)) {
      throw new AgentProtocolError('BAD_STATE', this.#hello ? 'a second hello' : 'no hello yet');
    }
    switch (message.type) {
      case 'hello':
        this.#onHello(message);
        break;
      case 'ping':
        this.send({ type: 'pong', token: message.token });
        break;
      case 'pong':
        return;
      case 'error':
        this.#log.warn({ code: message.code, session: message.session }, message.message);
        return;
      default:
        this.events.message(this, message);
    }
  }

  #onHello(hello: Hello): void {
    clearTimeout(this.#helloTimer);
    const { token } = this.way;
    // Digests are of one length, and compared in constant time.
    if (token !== undefined && !timingSafeEqual(digest(token), digest(hello.token ?? ''))) {
      const what = hello.token === undefined ? 'no token was shown' : 'this is not the token';
      throw new AgentProtocolError('UNAUTHORIZED', `${what}; give the agent that of the bridge`);
    }
    this.events.hello(this, hello);
    this.#hello = hello;
    this.send({
      type: 'welcome',
      version: Math.min(hello.version, AGENT_VERSION),
      agent: this.id,
      heartbeat: AGENT_HEARTBEAT_MS,
    });
    this.#heartbeat = setInterval(() => this.#beat(), AGENT_HEARTBEAT_MS);
    this.#log.info({ name: hello.name, transport: this.way.name }, 'agent is there');
  }

  #beat(): void {
    if (this.#silentPings >= MISSED) {
      this.fail('TIMEOUT', `nothing was heard for ${(MISSED * AGENT_HEARTBEAT_MS) / 1000} s`);
      return;
    }
    this.#silentPings++;
    this.#pings = (this.#pings + 1) >>> 0;
    this.send({ type: 'ping', token: this.#pings });
  }

  #end(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#helloTimer);
    clearInterval(this.#heartbeat);
    this.stream.end();
    const cut = setTimeout(() => this.stream.destroy(), 500);
    this.stream.once('close', () => clearTimeout(cut));
    this.events.gone(this, reason);
  }
}
