// The agent: sources on one side, the bridge on the other.
import { randomUUID } from 'node:crypto';
import { MAX_AGENT_SESSIONS, type ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import { BridgeConnection } from './connection.js';
import { OptionError } from './errors.js';
import { Resources } from './pictures/resources.js';
import { Surfaces } from './pictures/surfaces.js';
import type { PictureLink, PictureWay } from './pictures/way.js';
import { Session } from './session.js';
import type { Source } from './sources/source.js';
import { type BridgeAddress, isOnThisMachine } from './transports.js';

export interface AgentOptions {
  /** Where the bridge may be; tried in this order. */
  bridge: readonly BridgeAddress[];
  /** For people; at most 64 characters. */
  name: string;
  sources: Source[];
  /** Where surfaces are served, see Surfaces.serve. Of no meaning where the bridge is outside of this VM. */
  socket?: string;
  log: Logger;
}

/** Shows desktops to a bridge from start() to close(), whatever becomes of either meanwhile. */
export class Agent {
  readonly #sessions: Session[];
  /** Sessions that the bridge was told of on the present connection. */
  readonly #links = new Map<string, PictureLink>();
  readonly #connection: BridgeConnection;

  private constructor(
    private readonly options: AgentOptions,
    private readonly way: PictureWay,
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
        disconnected: () => {
          for (const id of [...this.#links.keys()]) this.#unlink(id);
        },
      },
      log,
    );
    this.#sessions = options.sources.map(
      (source) => new Session(source, way.host, events, log.child({ session: source.id })),
    );
  }

  /**
   * Begins to capture and to look for the bridge. A bridge on this machine is given surfaces; one that is reached out of
   * a VM is given ids of virtio-gpu resources.
   * @throws {OptionError} when the sources cannot all be shown
   * @throws {SurfaceServerError} when the surfaces cannot be served
   * @throws {VirtioGpuError} when ids are wanted and there is no virtio-gpu
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const ids = new Set(options.sources.map((source) => source.id));
    if (ids.size !== options.sources.length) throw new OptionError('A source was named twice.');
    if (ids.size === 0 || ids.size > MAX_AGENT_SESSIONS) {
      throw new OptionError(`An agent shows 1 to ${MAX_AGENT_SESSIONS} desktops, not ${ids.size}.`);
    }
    const way = options.bridge.every(isOnThisMachine)
      ? await Surfaces.serve(options.name, options.socket)
      : Resources.open();
    return new Agent(options, way);
  }

  /** Tells the bridge, and ends all captures. */
  async close(): Promise<void> {
    for (const session of [...this.#links.keys()]) {
      this.#unlink(session);
      this.#connection.send({ type: 'session-close', session });
    }
    await this.#connection.close();
    await Promise.all(this.#sessions.map((session) => session.close()));
    await this.way.close();
  }

  #announce(session: Session): void {
    const { open, source } = session;
    if (open === undefined || !this.#connection.connected) return;
    this.#unlink(source.id);
    const link = this.way.link(
      source.id,
      open.capture,
      (message) => this.#connection.send(message),
      this.options.log.child({ session: source.id }),
    );
    this.#links.set(source.id, link);
    this.#connection.send({
      type: 'session-open',
      session: source.id,
      title: source.title,
      source: link.source,
      input: open.input !== undefined,
      resizable: open.resize !== undefined,
    });
  }

  #unlink(id: string): boolean {
    this.#links.get(id)?.close();
    return this.#links.delete(id);
  }

  #withdraw(session: Session, reason: Error): void {
    if (!this.#unlink(session.source.id)) return;
    this.#connection.send({
      type: 'session-close',
      session: session.source.id,
      code: 'SOURCE_FAILED',
      message: reason.message.slice(0, 512),
    });
  }

  #onMessage(message: ToAgent): void {
    if (message.type === 'release') {
      // One that crosses its session's end is of nobody.
      for (const link of this.#links.values()) {
        if (link.source.kind === 'resource' && link.source.stream === message.stream) {
          link.message(message);
        }
      }
      return;
    }
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
    const link = this.#links.get(message.session);
    switch (message.type) {
      case 'session-accepted':
        log.info({ id: message.id }, 'the bridge shows the desktop');
        link?.accepted();
        break;
      case 'session-input':
        session.open?.input?.(message.events);
        break;
      case 'session-resize':
        session.open?.resize?.(message.width, message.height);
        break;
      case 'session-close':
        this.#unlink(message.session);
        log.warn(`the bridge ended the session: ${message.message ?? 'no reason given'}`);
        break;
      case 'error':
        if (message.resource !== undefined) {
          link?.message(message);
          break;
        }
        this.#unlink(message.session);
        log.error({ code: message.code }, `the bridge does not show it: ${message.message}`);
        break;
    }
  }
}
