// The JSON half of the viewer protocol: what may be said, and nothing else.
// docs/protocols/viewer.md describes it; viewer-video.ts is the binary half.
import { z } from 'zod';

/** WebSocket subprotocol (RFC 6455 section 1.9) that a viewer asks for. */
export const VIEWER_SUBPROTOCOL = 'scanbridge.v1';
/** Version in `hello` and `welcome`. */
export const VIEWER_VERSION = 1;
/** No message of a viewer is longer [bytes]. */
export const MAX_VIEWER_MESSAGE = 16_384;
/** Input events in one message. */
export const MAX_INPUT_EVENTS = 64;

/** WebSocket close codes of the bridge (4000-4999 are the application's, RFC 6455 section 7.4.2). */
export const CloseCode = {
  /** A message that is not of this protocol. */
  BAD_MESSAGE: 4400,
  /** No token, or one that opens another session. */
  UNAUTHORIZED: 4401,
  /** A message that this viewer may not send. */
  FORBIDDEN: 4403,
  /** The session does not exist. */
  NO_SUCH_SESSION: 4404,
  /** No answer to a ping in time: the connection was half open. */
  TIMEOUT: 4408,
  /** The session was closed. */
  SESSION_ENDED: 4410,
  /** More messages than a person can make. */
  RATE_LIMIT: 4429,
  /** The viewer reads too slowly for too long. */
  TOO_SLOW: 4430,
  /** The limit on viewers is reached. */
  TOO_MANY_VIEWERS: 4431,
  /** The bridge is shutting down. Come back later. */
  SHUTDOWN: 4503,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

const u32 = z.number().int().min(0).max(0xffffffff);
const dimension = z.number().int().min(1).max(16_384);
const coordinate = z.number().min(-16_384).max(32_768);
const milliseconds = z.number().min(0).max(3_600_000);
const text = z.string().max(512);

/** One input event. Positions are pixels of the stream's picture; codes are those of linux/input-event-codes.h. */
export const InputEvent = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('motion'), x: coordinate, y: coordinate }),
  z.strictObject({
    kind: z.literal('button'),
    code: z.number().int().min(0x110).max(0x117).describe('BTN_LEFT is 0x110'),
    pressed: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('axis'),
    dx: z.number().min(-10_000).max(10_000).describe('pixels to the right'),
    dy: z.number().min(-10_000).max(10_000).describe('pixels down'),
    discrete: z.boolean().describe('true: from a wheel with steps of 120 units'),
  }),
  z.strictObject({
    kind: z.literal('key'),
    code: z.number().int().min(1).max(0x2ff).describe('KEY_A is 30'),
    pressed: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('touch'),
    slot: z.number().int().min(0).max(15),
    phase: z.enum(['down', 'motion', 'up']),
    x: coordinate,
    y: coordinate,
  }),
]);
export type InputEvent = z.infer<typeof InputEvent>;

/**
 * What the samples of a picture mean, in the words of WebCodecs (VideoColorSpaceInit). It is said here because decoders
 * guess from the size of the picture where a stream does not say it, and some whatever the stream says.
 */
export const ColorSpace = z.strictObject({
  primaries: z.enum(['bt709', 'bt470bg', 'smpte170m']),
  transfer: z.enum(['bt709', 'smpte170m', 'iec61966-2-1']),
  matrix: z.enum(['rgb', 'bt709', 'bt470bg', 'smpte170m']),
  fullRange: z.boolean(),
});
export type ColorSpace = z.infer<typeof ColorSpace>;

/** What a viewer sends, as text messages. */
export const FromViewer = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('hello'),
      version: z.literal(VIEWER_VERSION),
      codecs: z
        .array(z.string().max(32))
        .max(32)
        .describe('RFC 6381 prefixes it can decode: avc1, hvc1, av01, vp09'),
    })
    .describe('First message.'),
  z
    .strictObject({
      type: z.literal('ack'),
      sequence: u32.describe('newest access unit that left the decoder'),
      decode: milliseconds.describe(
        'stage 5: message received until the picture left the decoder [ms]',
      ),
      render: milliseconds.describe('stage 6: picture out until it was drawn [ms]'),
      queued: z.number().int().min(0).max(1000).describe('access units waiting in the decoder'),
    })
    .describe(
      'Flow control: at least every fourth access unit and at least every 100 ms while units come.',
    ),
  z
    .strictObject({ type: z.literal('key-frame'), reason: text })
    .describe('The decoder needs a key frame.'),
  z
    .strictObject({ type: z.literal('pause'), paused: z.boolean() })
    .describe('A hidden page needs no video. Resuming starts with a key frame.'),
  z
    .strictObject({ type: z.literal('resize'), width: dimension, height: dimension })
    .describe('The size that the desktop should have [device pixels].'),
  z
    .strictObject({
      type: z.literal('input'),
      events: z.array(InputEvent).min(1).max(MAX_INPUT_EVENTS),
    })
    .describe('Needs the access "control".'),
  z.strictObject({ type: z.literal('pong'), token: u32 }).describe('Answer to ping.'),
]);
export type FromViewer = z.infer<typeof FromViewer>;

/** Why there is, or is not, a picture. */
export const SessionState = z.enum(['starting', 'live', 'blank', 'waiting', 'restarting', 'ended']);
export type SessionState = z.infer<typeof SessionState>;

/** What the bridge sends, as text messages; access units come as binary ones. */
export const ToViewer = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('welcome'),
      version: z.literal(VIEWER_VERSION),
      session: z.strictObject({ id: z.string(), title: z.string() }),
      access: z.enum(['view', 'control']),
      resizable: z.boolean(),
      heartbeat: milliseconds.describe('a ping comes this often [ms]'),
    })
    .describe('Answer to hello.'),
  z
    .strictObject({
      type: z.literal('config'),
      id: z.number().int().min(0).max(65_535),
      codec: z.string().describe('RFC 6381 string made from the real parameter sets'),
      width: dimension.describe('visible picture [pixels]'),
      height: dimension,
      codedWidth: dimension.describe(
        'decoded picture; what exceeds the visible one is padding [pixels]',
      ),
      codedHeight: dimension,
      colorSpace: ColorSpace,
    })
    .describe(
      'Describes the access units whose header names this id. Comes before the first of them.',
    ),
  z
    .strictObject({
      type: z.literal('state'),
      state: SessionState,
      code: z.string().max(64).optional(),
      message: text.optional().describe('what happened and what to do, for a person'),
    })
    .describe('Whenever it changes, and after welcome.'),
  z
    .strictObject({
      type: z.literal('cursor'),
      visible: z.boolean(),
      x: z.number().int(),
      y: z.number().int(),
      shape: z
        .strictObject({
          hotX: z.number().int().min(0).max(256),
          hotY: z.number().int().min(0).max(256),
          width: z.number().int().min(1).max(256),
          height: z.number().int().min(1).max(256),
          rgba: z.string().describe('base64; rows without padding, R G B A, not premultiplied'),
        })
        .optional()
        .describe('absent: the shape stays'),
    })
    .describe(
      'Cursor to draw over the picture; position of the hot spot in pixels of the picture.',
    ),
  z
    .strictObject({
      type: z.literal('stats'),
      engine: z.string(),
      path: z.string().describe('the chain that the frames take, and why not a better one'),
      fps: z.number().describe('access units per second'),
      bitrate: z.number().describe('[kbit/s]'),
      target: z.number().describe('what the encoder was asked for [kbit/s]'),
      viewers: z.number().int(),
      dropped: z.number().int().describe('pictures replaced by newer ones before encoding, so far'),
      skipped: z.number().int().describe('access units that this viewer was spared, so far'),
      rtt: z.number().optional().describe('round trip to this viewer, smoothed [ms]'),
    })
    .describe('Once a second.'),
  z.strictObject({ type: z.literal('ping'), token: u32 }),
  z
    .strictObject({ type: z.literal('error'), code: z.string().max(64), message: text })
    .describe('The connection is closed after it, with the close code.'),
]);
export type ToViewer = z.infer<typeof ToViewer>;

/** A text message that breaks the viewer protocol. */
export class ViewerProtocolError extends Error {
  readonly code = 'BAD_MESSAGE';
  constructor(reason: string) {
    super(reason);
    this.name = 'ViewerProtocolError';
  }
}

function parse<T>(schema: z.ZodType<T>, message: string): T {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    throw new ViewerProtocolError('not JSON');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ViewerProtocolError(
    issue ? `${issue.path.join('.') || 'message'}: ${issue.message}` : 'not of this protocol',
  );
}

/**
 * Reads a text message of a viewer.
 * @throws {ViewerProtocolError}
 */
export function parseFromViewer(message: string): FromViewer {
  if (message.length > MAX_VIEWER_MESSAGE) throw new ViewerProtocolError('too long');
  return parse(FromViewer, message);
}

/**
 * Reads a text message of the bridge.
 * @throws {ViewerProtocolError}
 */
export function parseToViewer(message: string): ToViewer {
  return parse(ToViewer, message);
}
