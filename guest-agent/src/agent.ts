// The agent: sources on one side, the bridge on the other.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SurfaceServer } from '@scanbridge/native-guest';
import { MAX_AGENT_SESSIONS, type ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import { BridgeConnection } from './connection.js';
import { OptionError } from './errors.js';
import { Session } from './session.js';
import type { Source } from './sources/source.js';
import type { BridgeAddress } from './transports.js';

export interface AgentOptions {
  /** Where the bridge may be; tried in this order. */
  bridge: readonly BridgeAddress[];
  /** For people; at most 64 characters. */
  name: string;
  sources: Source[];
  /** Where surfaces are served. Default: a new private folder in XDG_RUNTIME_DIR or the temporary folder. */
  socket?: string;
  log: Logger;
}

/** Shows desktops to a bridge from start() to close(), whatever becomes of either meanwhile. */
export class Agent {
  readonly #sessions: Session[];
  /** Ids of sessions that the bridge knows on the present connection. */
  readonly #announced = new Set<string>();
  readonly #connection: BridgeConnection;

  private constructor(
    private readonly options: AgentOptions,
    private readonly server: SurfaceServer,
    private readonly folder: string | undefined,
  ) {
    const { log } = options;
    const events = {
      opened: (session: Session) => this.#announce(session),
      lost: (session: Session, reason: Error) => this.#withdraw(session, reason),
    };
    this.#connection = new BridgeConnection(
      { addresses: options.bridge, name: options.name, instance: randomUUID() },
      {
        connected: () => {
          for (const session of this.#sessions) this.#announce(session);
        },
        message: (message) => this.#onMessage(message),
        disconnected: () => this.#announced.clear(),
      },
      log,
    );
    this.#sessions = options.sources.map(
      (source) => new Session(source, server, events, log.child({ session: source.id })),
    );
  }

  /**
   * Begins to serve surfaces, to capture, and to look for the bridge.
   * @throws {OptionError} when the sources cannot all be shown
   * @throws {SurfaceServerError} when the surfaces cannot be served
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const ids = new Set(options.sources.map((source) => source.id));
    if (ids.size !== options.sources.length) throw new OptionError('A source was named twice.');
    if (ids.size === 0 || ids.size > MAX_AGENT_SESSIONS) {
      throw new OptionError(`An agent shows 1 to ${MAX_AGENT_SESSIONS} desktops, not ${ids.size}.`);
    }
    const folder =
      options.socket === undefined
        ? await mkdtemp(join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), 'scanbridge-agent-'))
        : undefined;
    try {
      const path = options.socket ?? join(folder as string, 'surface');
      return new Agent(options, new SurfaceServer({ path, name: options.name }), folder);
    } catch (error) {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Tells the bridge, ends all captures and removes the socket. */
  async close(): Promise<void> {
    for (const session of this.#announced)
      this.#connection.send({ type: 'session-close', session });
    await this.#connection.close();
    await Promise.all(this.#sessions.map((session) => session.close()));
    await this.server.close();
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }

  #announce(session: Session): void {
    const { open, source } = session;
    if (open === undefined || !this.#connection.connected) return;
    this.#announced.add(source.id);
    this.#connection.send({
      type: 'session-open',
      session: source.id,
      title: source.title,
      source: { kind: 'capture', socket: this.server.path, capture: open.capture.id },
      input: open.input !== undefined,
      resizable: open.resize !== undefined,
    });
  }

  #withdraw(session: Session, reason: Error): void {
    if (!this.#announced.delete(session.source.id)) return;
    this.#connection.send({
      type: 'session-close',
      session: session.source.id,
      code: 'SOURCE_FAILED',
      message: reason.message.slice(0, 512),
    });
  }

  #onMessage(message: ToAgent): void {
    if (!('session' in message) || message.session === undefined) return;
    const session = this.#sessions.find((s) => s.source.id === message.session);
    const log = this.options.log.child({ session: message.session });
    if (session === undefined) {
      this.#connection.send({
        type: 'error',
        code: 'NO_SUCH_SESSION',
        message: 'This agent has no such session.',
        session: message.session,
      });
      return;
    }
    switch (message.type) {
      case 'session-accepted':
        log.info({ id: message.id }, 'the bridge shows the desktop');
        break;
      case 'session-input':
        session.open?.input?.(message.events);
        break;
      case 'session-resize':
        session.open?.resize?.(message.width, message.height);
        break;
      case 'session-close':
        this.#announced.delete(message.session);
        log.warn(`the bridge ended the session: ${message.message ?? 'no reason given'}`);
        break;
      case 'error':
        this.#announced.delete(message.session);
        log.error({ code: message.code }, `the bridge does not show it: ${message.message}`);
        break;
    }
  }
}
