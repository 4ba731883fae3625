// The agent protocol: length-prefixed msgpack between a guest (or bare-metal) agent and the bridge.
// docs/protocols/agent.md describes it.
import { Packr, Unpackr } from 'msgpackr';
import { z } from 'zod';
import { expandCompact, toCompact } from './agent-compact.js';
import { leaseMessagesOfAgent, leaseMessagesOfBridge } from './agent-leases.js';
import { msgpackFault } from './msgpack-bounds.js';
import { InputEvent } from './viewer.js';

/** Version in `hello` and `welcome`. */
export const AGENT_VERSION = 1;
/** No message is longer, its 4-byte length not counted [bytes]. */
export const MAX_AGENT_MESSAGE = 65_536;
/** Sessions of one agent. */
export const MAX_AGENT_SESSIONS = 64;
/** A frame or a release is never longer, its 4-byte length counted [bytes]. */
export const MAX_FRAME_MESSAGE = 64;
/** Resources of one stream that the bridge knows at a time. */
export const MAX_STREAM_RESOURCES = 32;
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
  'TOO_MANY_RESOURCES',
  'NO_SUCH_RESOURCE',
  'RESOURCE_MISMATCH',
  'RESOURCE_TAKEN',
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
const position = z.number().int().min(0).max(16_383);
const stream = z
  .number()
  .int()
  .min(1)
  .max(65_535)
  .describe("chosen by the agent, unique among this connection's open sessions");
const resourceId = z.number().int().min(1).max(0xffffffff).describe('virtio-gpu resource id');
const sequence = z
  .number()
  .int()
  .min(1)
  .max(Number.MAX_SAFE_INTEGER)
  .describe('grows within a stream');

/** Part of a picture [pixels]. */
export const AgentRect = z.strictObject({
  x: position,
  y: position,
  width: dimension,
  height: dimension,
});
export type AgentRect = z.infer<typeof AgentRect>;

/** Where the bridge finds a session's pixels. */
export const AgentSource = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('capture'),
      socket: z.string().max(107).describe('Unix socket of the surface protocol, on this machine'),
      capture: z.number().int().min(1).max(0xffffffff),
    })
    .describe('Bare metal only: refused from an agent that is not on the local machine.'),
  z
    .strictObject({ kind: z.literal('resource'), stream })
    .describe('Pictures in virtio-gpu resources of the VM in which the agent runs.'),
]);
export type AgentSource = z.infer<typeof AgentSource>;

const heartbeat = z.number().int().min(100).max(60_000);
const error = z.strictObject({
  type: z.literal('error'),
  code: AgentErrorCode,
  message: text,
  session: sessionId.optional(),
  resource: resourceId.optional().describe('the resource of that session which it is about'),
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
  z
    .strictObject({ type: z.literal('session-waiting'), session: sessionId, message: text })
    .describe('No picture for now, and why, for people. The next frame ends it.'),
  z
    .strictObject({
      type: z.literal('resource'),
      stream,
      resource: resourceId,
      width: dimension,
      height: dimension,
      stride: z.number().int().min(1).max(1_048_576).describe('[bytes]'),
      offset: z
        .number()
        .int()
        .min(0)
        .max(Number.MAX_SAFE_INTEGER)
        .describe('of the first pixel in the resource [bytes]'),
      format: z.number().int().min(1).max(0xffffffff).describe('DRM fourcc'),
      modifier: z
        .string()
        .regex(/^[0-9a-f]{16}$/)
        .describe('DRM format modifier, 16 hexadecimal digits; all 0 is linear'),
      backing: z
        .boolean()
        .describe("the newest pixels are in the guest's memory: drawn there, and not transferred"),
    })
    .describe('How the pixels of a resource lie: before its first frame, and when it changes.'),
  z
    .strictObject({ type: z.literal('resource-gone'), stream, resource: resourceId })
    .describe('No further frame uses the resource; those that are not released yet are released.'),
  z
    .strictObject({
      type: z.literal('frame'),
      stream,
      sequence,
      resource: resourceId,
      pts: z
        .number()
        .int()
        .min(0)
        .max(Number.MAX_SAFE_INTEGER)
        .describe("when the picture was complete, the agent's CLOCK_MONOTONIC [us]"),
      damage: AgentRect.optional().describe(
        'what changed since the frame before; absent: all of it',
      ),
    })
    .describe('A complete picture. Compact form.'),
  ...leaseMessagesOfAgent,
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
  z
    .strictObject({ type: z.literal('release'), stream, sequence })
    .describe('The bridge no longer reads this frame. Compact form.'),
  ...leaseMessagesOfBridge,
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
  const body = packr.pack(toCompact(message) ?? message);
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
    if (Array.isArray(value)) value = expandCompact(this.sender, value);
    const result = schemas[this.sender].safeParse(value);
    if (result.success) return result.data as Sent[S];
    const issue = result.error.issues[0];
    throw new AgentProtocolError(
      'BAD_MESSAGE',
      issue ? `${issue.path.join('.') || 'message'}: ${issue.message}` : 'not of this protocol',
    );
  }
}
