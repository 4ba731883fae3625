// Reads the bridge's text messages. The schema is zod's in @scanbridge/protocol/viewer; the page takes its types only
// and checks by hand what it depends on, so that no validator travels to every viewer.
import type { CloseCode, ToViewer } from '@scanbridge/protocol/viewer';

type Typeof = 'string' | 'number' | 'boolean' | 'object';
export type Message<T extends ToViewer['type']> = Extract<ToViewer, { type: T }>;

/** Required fields of each message and their `typeof`. A message that lacks one is not shown to anybody. */
const REQUIRED: { readonly [T in ToViewer['type']]: Readonly<Record<string, Typeof>> } = {
  welcome: {
    version: 'number',
    session: 'object',
    access: 'string',
    resizable: 'boolean',
    heartbeat: 'number',
  },
  config: {
    id: 'number',
    codec: 'string',
    width: 'number',
    height: 'number',
    codedWidth: 'number',
    codedHeight: 'number',
    colorSpace: 'object',
  },
  state: { state: 'string' },
  cursor: { visible: 'boolean', x: 'number', y: 'number' },
  stats: {
    engine: 'string',
    path: 'string',
    fps: 'number',
    bitrate: 'number',
    target: 'number',
    viewers: 'number',
    dropped: 'number',
    skipped: 'number',
  },
  ping: { token: 'number' },
  error: { code: 'string', message: 'string' },
};

/** The subprotocol, version and close codes of the protocol; the types tie the values to the schema. */
export const SUBPROTOCOL: typeof import('@scanbridge/protocol/viewer').VIEWER_SUBPROTOCOL =
  'scanbridge.v1';
export const VERSION: typeof import('@scanbridge/protocol/viewer').VIEWER_VERSION = 1;
export const MAX_EVENTS: typeof import('@scanbridge/protocol/viewer').MAX_INPUT_EVENTS = 64;
export const BAD_MESSAGE: Extract<CloseCode, 4400> = 4400;

const MAX_DIMENSION = 16_384;
const MAX_CURSOR = 256;

/** A text message that is not of the protocol. */
export class MessageError extends Error {
  readonly code = 'BAD_MESSAGE';
  constructor(reason: string) {
    super(reason);
    this.name = 'MessageError';
  }
}

function whole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

/** What sizes an allocation here is held within its limits; everything else is only shown. */
function checkSizes(message: ToViewer): void {
  if (message.type === 'config') {
    const { width, height, codedWidth, codedHeight } = message;
    if (![width, height, codedWidth, codedHeight].every((n) => whole(n, 1, MAX_DIMENSION))) {
      throw new MessageError(`config: a picture of ${width}x${height} cannot be`);
    }
  } else if (message.type === 'cursor' && message.shape) {
    const { width, height, hotX, hotY, rgba } = message.shape;
    if (
      ![width, height].every((n) => whole(n, 1, MAX_CURSOR)) ||
      ![hotX, hotY].every((n) => whole(n, 0, MAX_CURSOR)) ||
      typeof rgba !== 'string' ||
      rgba.length !== 4 * Math.ceil((width * height * 4) / 3)
    ) {
      throw new MessageError('cursor: the shape does not fit its size');
    }
  } else if (message.type === 'welcome') {
    const { session } = message;
    if (typeof session?.id !== 'string' || typeof session.title !== 'string') {
      throw new MessageError('welcome: no session');
    }
  }
}

/**
 * Reads a text message of the bridge; `undefined` for a type of a later version.
 * @throws {MessageError}
 */
export function readMessage(text: string): ToViewer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MessageError('a text message is not JSON');
  }
  const message = value as ToViewer;
  const required = Object.hasOwn(REQUIRED, message?.type) ? REQUIRED[message.type] : undefined;
  if (!required) return undefined;
  for (const [field, type] of Object.entries(required)) {
    const found = (value as Record<string, unknown>)[field];
    if (typeof found !== type || found === null)
      throw new MessageError(`${message.type}: ${field}`);
  }
  checkSizes(message);
  return message;
}
