// What agents in VMs say about pictures in resources: every number of theirs is checked here before a worker hears of it, and by
// the exporter of their VM after that.
import {
  type AgentErrorCode,
  AgentProtocolError,
  type FromAgent,
  MAX_STREAM_RESOURCES,
} from '@scanbridge/protocol/agent';
import type { Session } from '../session.js';
import type { ResourceMessage, ResourceStream } from '../sources/resource-stream.js';
import { monotonicUs } from '../worker/framing.js';
import type { AgentConnection } from './connection.js';
import { ResourceClaims } from './resource-claims.js';
import type { VirtualMachine } from './transports/transport.js';

export type StreamMessage = Extract<FromAgent, { type: 'resource' | 'resource-gone' | 'frame' }>;

/** Pixels of the largest resources of an agent's streams, together: eight desktops of 4096x4096, or sixteen of 4K. */
export const MAX_AGENT_PIXELS = 2 ** 27;

interface Open {
  readonly session: Session;
  readonly stream: ResourceStream;
  readonly claims: ResourceClaims<AgentConnection>;
  /** The agent's name for the session. */
  readonly name: string;
  /** Of its last frame. */
  sequence: number;
  /** Of its largest resource. */
  pixels: number;
}

/** Whether it is for the desk. */
export function isStreamMessage(message: { type: string }): message is StreamMessage {
  return message.type === 'frame' || message.type.startsWith('resource');
}

/** Owns what connections have said of their streams; the streams are their sessions'. */
export class ResourceDesk {
  readonly #open = new Map<AgentConnection, Map<number, Open>>();
  readonly #claims = new Map<string, ResourceClaims<AgentConnection>>();

  /** Why a stream cannot be opened; undefined: it can. */
  against(connection: AgentConnection, stream: number): string | undefined {
    if (!connection.vm) {
      return "the bridge does not know this VM's frame exporter; start it with --vm NAME,exporter=SOCKET,vsock=BASE";
    }
    if (this.#open.get(connection)?.has(stream)) return `stream ${stream} is another session's`;
    return undefined;
  }

  /**
   * What the agent says about stream `number` is about this session from now on.
   * @param name the agent's for the session
   */
  open(
    connection: AgentConnection,
    number: number,
    name: string,
    session: Session,
    stream: ResourceStream,
  ): void {
    if (!connection.vm) return;
    const streams = this.#open.get(connection) ?? new Map<number, Open>();
    this.#open.set(connection, streams);
    const claims = this.#claimsOf(connection.vm);
    streams.set(number, { session, stream, claims, name, sequence: 0, pixels: 0 });
    stream.begin({
      release: (sequence) => connection.send({ type: 'release', stream: number, sequence }),
      refused: (resource, code, message) =>
        connection.refuse(name, agentCode(code), message, resource),
    });
  }

  /** The session is over, or its agent is away. */
  close(connection: AgentConnection, number: number): void {
    const streams = this.#open.get(connection);
    const open = streams?.get(number);
    if (!streams || !open) return;
    streams.delete(number);
    if (streams.size === 0) this.#open.delete(connection);
    for (const resource of open.stream.resources.keys()) open.claims.drop(open, resource);
    open.stream.end();
  }

  /** What is said about a stream that is not open crosses its end on the way, and means nothing. */
  message(connection: AgentConnection, message: StreamMessage): void {
    const open = this.#open.get(connection)?.get(message.stream);
    if (!open) return;
    switch (message.type) {
      case 'resource':
        this.#onResource(connection, open, message);
        return;
      case 'resource-gone':
        open.stream.remove(message.resource);
        open.claims.drop(open, message.resource);
        return;
      case 'frame':
        if (message.sequence <= open.sequence) {
          const what = `frame ${message.sequence} of stream ${message.stream} after frame ${open.sequence}`;
          throw new AgentProtocolError('BAD_MESSAGE', what);
        }
        open.sequence = message.sequence;
        open.session.pictureCame();
        open.stream.show(message, monotonicUs());
    }
  }

  #onResource(connection: AgentConnection, open: Open, message: ResourceMessage): void {
    const { resource, width, height } = message;
    const { resources } = open.stream;
    const others = [...(this.#open.get(connection)?.values() ?? [])].filter((o) => o !== open);
    const pixels = others.reduce((sum, { pixels }) => sum + pixels, width * height);
    if (resources.size >= MAX_STREAM_RESOURCES && !resources.has(resource)) {
      const message = `a desktop has ${MAX_STREAM_RESOURCES} resources at most`;
      connection.refuse(open.name, 'TOO_MANY_RESOURCES', message, resource);
    } else if (pixels > MAX_AGENT_PIXELS) {
      const message = `the desktops of an agent have ${MAX_AGENT_PIXELS} pixels at most, together`;
      connection.refuse(open.name, 'TOO_MANY_RESOURCES', message, resource);
    } else if (!open.claims.take(connection, open, resource)) {
      const message = `resource ${resource} is another agent's`;
      connection.refuse(open.name, 'RESOURCE_TAKEN', message, resource);
    } else {
      open.stream.add(message);
      open.pixels = Math.max(...[...resources.values()].map((r) => r.width * r.height));
    }
  }

  #claimsOf({ exporter }: VirtualMachine): ResourceClaims<AgentConnection> {
    const claims = this.#claims.get(exporter) ?? new ResourceClaims();
    this.#claims.set(exporter, claims);
    return claims;
  }
}

/** The agent protocol's word for what a worker could not do. */
function agentCode(code: string): AgentErrorCode {
  if (code === 'SURFACE_NO_SUCH_RESOURCE') return 'NO_SUCH_RESOURCE';
  if (code === 'SURFACE_RESOURCE_MISMATCH') return 'RESOURCE_MISMATCH';
  return 'SOURCE_REFUSED';
}
