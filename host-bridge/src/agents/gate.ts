// Where agents come in: every transport that the bridge was told of, and the limit on connections over all of them.
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { AgentConnection, type AgentConnectionEvents } from './connection.js';
import { connectSerial } from './transports/serial.js';
import { listenTcp } from './transports/tcp.js';
import type { Accept, Transport, TransportSpec } from './transports/transport.js';
import { listenUnix, listenVsockUnix } from './transports/unix.js';
import { listenKernelVsock } from './transports/vsock.js';

/** Connections at a time, also those that have not said hello; one more is closed at once. */
const MAX_CONNECTIONS = 64;
/** Time that connections have to end in order when the bridge does [ms]. */
const CLOSE_LIMIT_MS = 500;

/** Owns the transports and their connections. */
export class AgentGate {
  readonly #transports: Transport[] = [];
  readonly #streams = new Set<Duplex>();
  #count = 0;

  private constructor(
    private readonly events: AgentConnectionEvents,
    private readonly log: Logger,
  ) {}

  /**
   * Opens all transports, in the order given.
   * @throws {ListenError | OptionError} when one of them cannot be opened; none stays open then
   */
  static async open(
    specs: readonly TransportSpec[],
    events: AgentConnectionEvents,
    log: Logger,
  ): Promise<AgentGate> {
    const gate = new AgentGate(events, log);
    try {
      for (const spec of specs) await gate.#open(spec);
    } catch (error) {
      await gate.close();
      throw error;
    }
    return gate;
  }

  /** Where agents may come in, as `vsock-unix:PATH` or `tcp:HOST:PORT`. */
  get names(): string[] {
    return this.#transports.map(({ name }) => name);
  }

  /** Ends all connections, and leaves no socket behind. */
  async close(): Promise<void> {
    const cut = setTimeout(() => {
      for (const stream of this.#streams) stream.destroy();
    }, CLOSE_LIMIT_MS);
    await Promise.all(this.#transports.map((transport) => transport.close()));
    while (this.#streams.size > 0) {
      await Promise.all([...this.#streams].map(closing));
    }
    clearTimeout(cut);
  }

  async #open(spec: TransportSpec): Promise<void> {
    let transport: Transport | undefined;
    // Connections come in later turns of the event loop, when the transport is known.
    const accept: Accept = (stream) => this.#welcome(stream, transport as Transport);
    transport = await open(spec, accept, this.log);
    this.#transports.push(transport);
    this.log.info({ transport: transport.name }, 'agents may come');
  }

  #welcome(stream: Duplex, transport: Transport): void {
    if (this.#streams.size >= MAX_CONNECTIONS) {
      stream.destroy();
      return;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.#count++;
    new AgentConnection(stream, `agent-${this.#count}`, transport, this.events, this.log);
  }
}

const closing = (stream: Duplex): Promise<void> =>
  new Promise((resolve) => stream.once('close', () => resolve()));

function open(spec: TransportSpec, accept: Accept, log: Logger): Transport | Promise<Transport> {
  switch (spec.kind) {
    case 'unix':
      return listenUnix(spec.path, accept);
    case 'vsock-unix':
      return listenVsockUnix(spec, accept);
    case 'vsock':
      return listenKernelVsock(spec.port, accept, log);
    case 'serial':
      return connectSerial(spec, accept, log);
    case 'tcp':
      return listenTcp(spec, accept);
  }
}
