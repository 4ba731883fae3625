// The agent protocol: length-prefixed msgpack between a guest (or bare-metal) agent and the bridge.
// docs/protocols/agent.md describes it.
import { Packr, Unpackr } from 'msgpackr';
import { z } from 'zod';
import { msgpackFault } from './msgpack-bounds.js';
import { InputEvent } from './viewer.js';

/** Version in `hello` and `welcome`. */
export const AGENT_VERSION = 1;
/** No message is longer, its 4-byte length not counted [bytes]. */
export const MAX_AGENT_MESSAGE = 65_536;
/** Sessions of one agent. */
export const MAX_AGENT_SESSIONS = 64;
/** Port of the bridge, over vsock and TCP, where nobody says another. */
export const AGENT_PORT = 8471;
/** Name of the virtio-serial port, so /dev/virtio-ports/ and this in a Linux guest. */
export const AGENT_SERIAL_PORT = 'dev.scanbridge.agent';

export const AgentErrorCode = z.enum([
  'BAD_LENGTH',
  'BAD_MESSAGE',
  'BAD_VERSION',
  'BAD_STATE',
  'UNAUTHORIZED',
  'NO_SUCH_SESSION',
  'SESSION_EXISTS',
  'TOO_MANY_SESSIONS',
  'SOURCE_REFUSED',
  'SOURCE_FAILED',
  'UNSUPPORTED',
  'TIMEOUT',
  'SHUTDOWN',
]);
export type AgentErrorCode = z.infer<typeof AgentErrorCode>;

const text = z.string().max(512);
const sessionId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)
  .describe("unique among this agent's sessions");
const dimension = z.number().int().min(1).max(16_384);

/** Where the bridge finds a session's pixels. */
export const AgentSource = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('capture'),
      socket: z.string().max(107).describe('Unix socket of the surface protocol, on this machine'),
      capture: z.number().int().min(1).max(0xffffffff),
    })
    .describe('Bare metal only: refused from an agent that is not on the local machine.'),
]);
export type AgentSource = z.infer<typeof AgentSource>;

const heartbeat = z.number().int().min(100).max(60_000);
const error = z.strictObject({
  type: z.literal('error'),
  code: AgentErrorCode,
  message: text,
  session: sessionId.optional(),
});
const ping = z.strictObject({
  type: z.literal('ping'),
  token: z.number().int().min(0).max(0xffffffff),
});
const pong = z.strictObject({
  type: z.literal('pong'),
  token: z.number().int().min(0).max(0xffffffff),
});

/** What an agent sends. */
export const FromAgent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    version: z.number().int().min(1).max(65_535),
    name: z.string().min(1).max(64).describe('who this is, for people'),
    instance: z.uuid().describe('made anew when the agent process starts'),
    capabilities: z.array(z.string().max(32)).max(64),
    token: z.string().min(16).max(256).optional().describe('over TCP; absent on other transports'),
  }),
  z.strictObject({
    type: z.literal('session-open'),
    session: sessionId,
    title: z.string().min(1).max(128),
    source: AgentSource,
    input: z.boolean().describe('takes session-input'),
    resizable: z.boolean().describe('takes session-resize'),
  }),
  z.strictObject({
    type: z.literal('session-close'),
    session: sessionId,
    code: AgentErrorCode.optional().describe('absent: an orderly end'),
    message: text.optional(),
  }),
  ping,
  pong,
  error,
]);
export type FromAgent = z.infer<typeof FromAgent>;

/** What the bridge sends. */
export const ToAgent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('welcome'),
    version: z.number().int().min(1).max(65_535),
    agent: z.string().max(64).describe('id that the bridge gave this connection, for logs'),
    heartbeat: heartbeat.describe(
      'each side sends a ping this often; three missed end the connection [ms]',
    ),
  }),
  z.strictObject({
    type: z.literal('session-accepted'),
    session: sessionId,
    id: z.string().max(128).describe('name of the session at the bridge'),
  }),
  z.strictObject({
    type: z.literal('session-input'),
    session: sessionId,
    events: z.array(InputEvent).min(1).max(64),
  }),
  z.strictObject({
    type: z.literal('session-resize'),
    session: sessionId,
    width: dimension,
    height: dimension,
  }),
  z.strictObject({
    type: z.literal('session-close'),
    session: sessionId,
    message: text.optional(),
  }),
  ping,
  pong,
  error,
]);
export type ToAgent = z.infer<typeof ToAgent>;

/** A message that breaks the agent protocol. */
export class AgentProtocolError extends Error {
  constructor(
    readonly code: AgentErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'AgentProtocolError';
  }
}

// Records are a msgpack extension of msgpackr alone; without them any msgpack library can speak this protocol.
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/**
 * Encodes one message with its length in front.
 * @throws {AgentProtocolError} BAD_LENGTH when it would be longer than the other side takes
 */
export function encodeAgent(message: FromAgent | ToAgent): Uint8Array {
  const body = packr.pack(message);
  if (body.length > MAX_AGENT_MESSAGE) {
    throw new AgentProtocolError('BAD_LENGTH', `${message.type} has ${body.length} bytes`);
  }
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, 4);
  return bytes;
}

const schemas = { agent: FromAgent, bridge: ToAgent };
type Sent = { agent: FromAgent; bridge: ToAgent };

/** Cuts a byte stream into messages and checks each; holds at most one message of MAX_AGENT_MESSAGE bytes. */
export class AgentDecoder<S extends 'agent' | 'bridge'> {
  #chunks: Uint8Array[] = [];
  #held = 0;

  /** @param sender who sends the bytes that are pushed */
  constructor(readonly sender: S) {}

  /**
   * Takes bytes and gives the messages that they complete.
   * @throws {AgentProtocolError} at the first bad message; the decoder is of no use after it
   */
  *push(chunk: Uint8Array): Generator<Sent[S]> {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= 4) {
      const length = this.#peekLength();
      if (length === 0 || length > MAX_AGENT_MESSAGE) {
        throw new AgentProtocolError('BAD_LENGTH', `a message of ${length} bytes`);
      }
      if (this.#held < 4 + length) return;
      yield this.#decode(this.#take(4 + length).subarray(4));
    }
  }

  #peekLength(): number {
    if ((this.#chunks[0]?.length ?? 0) < 4) this.#join();
    const first = this.#chunks[0] as Uint8Array;
    return new DataView(first.buffer, first.byteOffset, 4).getUint32(0, true);
  }

  #take(count: number): Uint8Array {
    if ((this.#chunks[0]?.length ?? 0) < count) this.#join();
    const first = this.#chunks[0] as Uint8Array;
    this.#chunks[0] = first.subarray(count);
    this.#held -= count;
    return first.subarray(0, count);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }

  #decode(body: Uint8Array): Sent[S] {
    const fault = msgpackFault(body);
    if (fault) throw new AgentProtocolError('BAD_MESSAGE', `the message ${fault}`);
    let value: unknown;
    try {
      value = unpackr.unpack(body);
    } catch {
      throw new AgentProtocolError('BAD_MESSAGE', 'the message is not msgpack');
    }
    const result = schemas[this.sender].safeParse(value);
    if (result.success) return result.data as Sent[S];
    const issue = result.error.issues[0];
    throw new AgentProtocolError(
      'BAD_MESSAGE',
      issue ? `${issue.path.join('.') || 'message'}: ${issue.message}` : 'not of this protocol',
    );
  }
}
