// The binary half of the viewer protocol. Runs in Node and in the browser: nothing is imported but tables.
import {
  MAX_ACCESS_UNIT,
  structs,
  VIDEO_MESSAGE,
  type VideoHeader,
} from './generated/viewer-video.js';
import { FieldError, type Fields, readFields, writeFields } from './struct.js';

export * from './generated/viewer-video.js';

/** Length of the header in front of each access unit [bytes]. */
export const VIDEO_HEADER_BYTES = 32;
/** Offset of the u32 `bridge` duration, which the bridge fills in just before it sends [bytes]. */
export const VIDEO_HEADER_BRIDGE_OFFSET = 24;

const layout = structs.video_header;
if (!layout || layout.size !== VIDEO_HEADER_BYTES) throw new Error('viewer-video: header size');
const fields = layout.fields;

/** A binary message that breaks the viewer protocol. */
export class VideoMessageError extends Error {
  readonly code = 'BAD_VIDEO_MESSAGE';
  constructor(reason: string) {
    super(`BAD_VIDEO_MESSAGE: ${reason}`);
    this.name = 'VideoMessageError';
  }
}

/**
 * Splits a binary message into header and access unit; the access unit is a view of `message`, not a copy.
 * @throws {VideoMessageError}
 */
export function decodeVideo(message: Uint8Array): {
  header: VideoHeader;
  accessUnit: Uint8Array;
} {
  if (message.length <= VIDEO_HEADER_BYTES) {
    throw new VideoMessageError(`${message.length} bytes hold no access unit`);
  }
  if (message.length > VIDEO_HEADER_BYTES + MAX_ACCESS_UNIT) {
    throw new VideoMessageError(`an access unit is at most ${MAX_ACCESS_UNIT} bytes`);
  }
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  try {
    const header = readFields({}, fields, view, 0) as unknown as VideoHeader;
    return { header, accessUnit: message.subarray(VIDEO_HEADER_BYTES) };
  } catch (error) {
    if (error instanceof FieldError) throw new VideoMessageError(error.message);
    throw error;
  }
}

/**
 * Builds a binary message.
 * @throws {VideoMessageError} when the access unit is empty or too long, or a field out of its range
 */
export function encodeVideo(
  header: Omit<VideoHeader, 'message'>,
  accessUnit: Uint8Array,
): Uint8Array {
  if (accessUnit.length === 0 || accessUnit.length > MAX_ACCESS_UNIT) {
    throw new VideoMessageError(`an access unit is 1 to ${MAX_ACCESS_UNIT} bytes`);
  }
  const message = new Uint8Array(VIDEO_HEADER_BYTES + accessUnit.length);
  const values = { ...header, message: VIDEO_MESSAGE } as unknown as Fields;
  try {
    writeFields({}, fields, new DataView(message.buffer), 0, values);
  } catch (error) {
    if (error instanceof FieldError) throw new VideoMessageError(error.message);
    throw error;
  }
  message.set(accessUnit, VIDEO_HEADER_BYTES);
  return message;
}
