// Agents and their sessions. A session keeps its id, and its viewers, while its agent reconnects.
import { isAbsolute } from 'node:path';
import {
  AgentProtocolError,
  type AgentSource,
  MAX_AGENT_SESSIONS,
} from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import type { Session } from '../session.js';
import { idPart, type SessionFactory } from '../session-factory.js';
import { ResourceStream } from '../sources/resource-stream.js';
import type { SourceSpec } from '../worker/messages.js';
import type {
  AgentConnection,
  AgentConnectionEvents,
  Hello,
  SessionMessage,
} from './connection.js';
import { isLeaseMessage, type LeaseDesk } from './lease-desk.js';
import { isStreamMessage, type ResourceDesk } from './resource-desk.js';

/** Sessions of an agent that went away wait this long for it to come back [ms]. */
export const AGENT_GRACE_MS = 10_000;
/** Agents at a time. */
export const MAX_AGENTS = 32;

type Open = Extract<SessionMessage, { type: 'session-open' }>;

interface AgentSession {
  readonly session: Session;
  /** The agent's name for it. */
  readonly name: string;
  /** Absent: its agent is away. */
  connection?: AgentConnection;
  grace?: NodeJS.Timeout;
  /** Of a session whose pictures are in resources. */
  readonly pictures?: ResourceStream;
  /** The agent's number for it. */
  number?: number;
}

interface Agent {
  readonly name: string;
  readonly sessions: Map<string, AgentSession>;
  connection: AgentConnection | undefined;
  instance: string;
}

/** Owns the sessions that agents open. */
export class Agents implements AgentConnectionEvents {
  readonly #agents = new Map<string, Agent>();
  readonly #byConnection = new Map<AgentConnection, Agent>();
  #closed = false;

  constructor(
    private readonly factory: SessionFactory,
    private readonly desk: LeaseDesk,
    private readonly resources: ResourceDesk,
    private readonly log: Logger,
  ) {}

  hello(connection: AgentConnection, hello: Hello): void {
    const name = this.#nameFor(idPart(hello.name), hello.instance);
    const known = this.#agents.get(name);
    const agent: Agent = known ?? {
      name,
      sessions: new Map(),
      connection: undefined,
      instance: hello.instance,
    };
    const older = agent.connection;
    agent.connection = connection;
    agent.instance = hello.instance;
    this.#agents.set(name, agent);
    this.#byConnection.set(connection, agent);
    // The same agent process once more: the older connection is a half-open one.
    older?.fail('SHUTDOWN', 'the same agent has connected anew');
  }

  message(connection: AgentConnection, message: SessionMessage): void {
    const agent = this.#byConnection.get(connection);
    if (agent?.connection !== connection) return;
    if (isLeaseMessage(message)) this.desk.message(connection, message);
    else if (isStreamMessage(message)) this.resources.message(connection, message);
    else if (message.type === 'session-waiting') this.#waits(agent, connection, message);
    else if (message.type === 'session-open') this.#open(agent, connection, message);
    else this.#close(agent, message.session, message.message);
  }

  gone(connection: AgentConnection, reason: string): void {
    const agent = this.#byConnection.get(connection);
    this.#byConnection.delete(connection);
    this.desk.gone(connection);
    if (!agent || this.#closed) return;
    this.log.info({ agent: agent.name, reason }, 'agent is gone');
    if (agent.connection === connection) agent.connection = undefined;
    for (const held of agent.sessions.values()) {
      if (held.connection === connection) this.#hold(agent, held);
    }
    this.#forgetIfEmpty(agent);
  }

  /** No timer is left; the registry ends the sessions. */
  close(): void {
    this.#closed = true;
    for (const agent of this.#agents.values()) {
      for (const held of agent.sessions.values()) clearTimeout(held.grace);
    }
    for (const connection of [...this.#byConnection.keys()]) {
      connection.fail('SHUTDOWN', 'the bridge is shutting down');
    }
  }

  /** An agent that is there keeps its name; another one with the same name gets a number. */
  #nameFor(wanted: string, instance: string): string {
    if (this.#byConnection.size >= MAX_AGENTS) {
      throw new AgentProtocolError('TOO_MANY_SESSIONS', `${MAX_AGENTS} agents are connected`);
    }
    for (let n = 1; ; n++) {
      const name = n === 1 ? wanted : `${wanted}-${n}`;
      const agent = this.#agents.get(name);
      if (!agent?.connection || agent.instance === instance) return name;
    }
  }

  #open(agent: Agent, connection: AgentConnection, message: Open): void {
    const { session: name, source } = message;
    const held = agent.sessions.get(name);
    const against = this.#against(connection, source);
    if (held?.connection === connection) {
      connection.refuse(name, 'SESSION_EXISTS', `session ${name} is open already`);
    } else if (against !== undefined) {
      connection.refuse(name, 'SOURCE_REFUSED', `${name} cannot be shown: ${against}`);
    } else if (held && (held.pictures === undefined) !== (source.kind === 'capture')) {
      const reason = `session ${name} had its pictures elsewhere; close it first`;
      connection.refuse(name, 'SESSION_EXISTS', reason);
    } else if (held) {
      clearTimeout(held.grace);
      delete held.grace;
      this.#attach(held, connection, source);
      held.session.resume(workerSource(connection, source));
      connection.send({ type: 'session-accepted', session: name, id: held.session.id });
    } else if (agent.sessions.size >= MAX_AGENT_SESSIONS) {
      const reason = `an agent has ${MAX_AGENT_SESSIONS} sessions at most`;
      connection.refuse(name, 'TOO_MANY_SESSIONS', reason);
    } else {
      this.#create(agent, connection, message);
    }
  }

  #create(agent: Agent, connection: AgentConnection, message: Open): void {
    const { session: name, source, title, input, resizable } = message;
    const to = () => agent.sessions.get(name)?.connection;
    const pictures = source.kind === 'resource' ? new ResourceStream() : undefined;
    const session = this.factory.create(
      this.factory.freeId(`${agent.name}.${name}`),
      title,
      workerSource(connection, source),
      {
        ...(pictures && { feed: pictures }),
        ...(input && {
          input: (events) =>
            to()?.send({ type: 'session-input', session: name, events: [...events] }),
        }),
        ...(resizable && {
          resize: (width, height) =>
            to()?.send({ type: 'session-resize', session: name, width, height }),
        }),
        end: () => {
          to()?.send({ type: 'session-close', session: name, message: 'closed at the bridge' });
          this.#close(agent, name, 'this desktop was closed');
        },
      },
    );
    const held: AgentSession = { session, name, ...(pictures && { pictures }) };
    agent.sessions.set(name, held);
    this.#attach(held, connection, source);
    connection.send({ type: 'session-accepted', session: name, id: session.id });
  }

  /** Why a source is not taken from whoever names it. */
  #against(connection: AgentConnection, source: AgentSource): string | undefined {
    if (source.kind === 'resource') return this.resources.against(connection, source.stream);
    if (!connection.local) return 'its capture socket is not on this machine';
    if (!isAbsolute(source.socket)) return 'its capture socket is not an absolute path';
    return undefined;
  }

  #attach(held: AgentSession, connection: AgentConnection, source: AgentSource): void {
    held.connection = connection;
    if (source.kind !== 'resource' || !held.pictures) return;
    held.number = source.stream;
    this.resources.open(connection, source.stream, held.name, held.session, held.pictures);
  }

  #detach(held: AgentSession): void {
    const { connection, number } = held;
    delete held.connection;
    delete held.number;
    if (connection && number !== undefined) this.resources.close(connection, number);
  }

  #waits(
    agent: Agent,
    connection: AgentConnection,
    { session, message }: Extract<SessionMessage, { type: 'session-waiting' }>,
  ): void {
    const held = agent.sessions.get(session);
    if (held?.connection === connection) held.session.pictureAway(message);
    else connection.refuse(session, 'NO_SUCH_SESSION', `there is no session ${session}`);
  }

  #close(agent: Agent, name: string, message: string | undefined): void {
    const held = agent.sessions.get(name);
    if (!held) {
      agent.connection?.refuse(name, 'NO_SUCH_SESSION', `there is no session ${name}`);
      return;
    }
    clearTimeout(held.grace);
    this.#detach(held);
    agent.sessions.delete(name);
    void this.factory.registry.remove(held.session, message ?? 'the desktop has ended');
    this.#forgetIfEmpty(agent);
  }

  #hold(agent: Agent, held: AgentSession): void {
    this.#detach(held);
    const seconds = AGENT_GRACE_MS / 1000;
    void held.session.hold(
      'AGENT_GONE',
      `the agent of this desktop is away; it has ${seconds} s to come back`,
    );
    held.grace = setTimeout(
      () => this.#close(agent, held.name, 'the agent went away'),
      AGENT_GRACE_MS,
    );
  }

  #forgetIfEmpty(agent: Agent): void {
    if (agent.connection || agent.sessions.size > 0) return;
    if (this.#agents.get(agent.name) === agent) this.#agents.delete(agent.name);
  }
}

/** Where a worker finds the pictures of a source that was taken. */
function workerSource({ vm }: AgentConnection, source: AgentSource): SourceSpec {
  if (source.kind === 'capture') return source;
  if (!vm) throw new Error('a resource source without a VM was taken');
  return { kind: 'resource', socket: vm.exporter };
}
