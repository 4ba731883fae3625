// The surface protocol for programs without file descriptors: control clients, tests, fuzzing.
// docs/protocols/surface.md describes it; native/surface moves descriptors.
import {
  type FromClient,
  type FromServer,
  MAX_FDS,
  type MessageLayout,
  messages,
  SurfaceError,
  structs,
} from './generated/surface.js';
import { FieldError, type Fields, readFields, writeFields } from './struct.js';

export * from './generated/surface.js';

/** Length of the header that starts every message [bytes]. */
export const HEADER_BYTES = 16;

export type Direction = 'client' | 'server';
export type SurfaceMessage<D extends Direction> = D extends 'client' ? FromClient : FromServer;

const names = new Map<number, string>(Object.entries(SurfaceError).map(([k, v]) => [v, k]));

/** A message that breaks the protocol; `code` is what an ERROR message says. */
export class SurfaceProtocolError extends Error {
  constructor(
    readonly code: SurfaceError,
    message: string,
  ) {
    super(`${names.get(code) ?? code}: ${message}`);
    this.name = 'SurfaceProtocolError';
  }
}

const byType = new Map<number, MessageLayout>(messages.map((m) => [m.type, m]));
const byName = new Map<string, MessageLayout>(messages.map((m) => [m.name, m]));

interface Header {
  readonly layout: MessageLayout;
  readonly length: number;
  readonly fdCount: number;
  readonly stream: number;
  readonly serial: number;
}

/**
 * Checks the 16 bytes of a header. Nothing may be allocated for a message before.
 * @throws {SurfaceProtocolError}
 */
function readHeader(view: DataView, from: Direction): Header {
  const length = view.getUint32(0, true);
  const type = view.getUint16(4, true);
  const fdCount = view.getUint8(6);
  if (view.getUint8(7) !== 0) {
    throw new SurfaceProtocolError(SurfaceError.BAD_VALUE, 'the reserved byte is not 0');
  }
  const layout = byType.get(type);
  if (layout === undefined || layout.from !== from) {
    throw new SurfaceProtocolError(SurfaceError.BAD_TYPE, `a ${from} sends no type ${type}`);
  }
  if (length < layout.size || length > layout.maxSize) {
    throw new SurfaceProtocolError(
      SurfaceError.BAD_LENGTH,
      `${layout.name} is ${length} bytes, not ${layout.size} to ${layout.maxSize}`,
    );
  }
  if (fdCount > Math.min(layout.maxFds, MAX_FDS)) {
    throw new SurfaceProtocolError(
      SurfaceError.BAD_FDS,
      `${layout.name} has ${fdCount} descriptors, not 0 to ${layout.maxFds}`,
    );
  }
  const stream = view.getUint32(8, true);
  if (layout.stream && stream === 0) {
    throw new SurfaceProtocolError(SurfaceError.BAD_STREAM, `${layout.name} names no stream`);
  }
  return { layout, length, fdCount, stream, serial: view.getUint32(12, true) };
}

function productOf(factors: readonly (string | number)[], values: Fields): number {
  return factors.reduce<number>((a, x) => a * (typeof x === 'number' ? x : Number(values[x])), 1);
}

/**
 * Decodes one whole message.
 * @param bytes exactly one message, header included
 * @throws {SurfaceProtocolError} with the code that the C check of surface.h gives for the same bytes
 */
export function decodeSurface<D extends Direction>(bytes: Uint8Array, from: D): SurfaceMessage<D> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) {
    throw new SurfaceProtocolError(SurfaceError.BAD_LENGTH, 'shorter than a header');
  }
  const { layout, length, fdCount, stream, serial } = readHeader(view, from);
  if (length !== bytes.length) {
    throw new SurfaceProtocolError(
      SurfaceError.BAD_LENGTH,
      `${length} said, ${bytes.length} there`,
    );
  }
  try {
    const fields = readFields(structs, layout.fields, view, 0);
    const message: Fields = { type: layout.name, serial, ...fields };
    if (layout.stream) message.stream = stream;
    if (layout.maxFds > 0) message.fdCount = fdCount;
    const tail = layout.tail;
    if (tail) {
      const count = Number(fields[tail.count]);
      if (tail.product && count !== productOf(tail.product, fields)) {
        throw new FieldError(tail.count, `is ${count}, not ${tail.product.join(' * ')}`);
      }
      if (length !== layout.size + count * tail.unit) {
        throw new SurfaceProtocolError(
          SurfaceError.BAD_LENGTH,
          `${layout.name} of ${length} bytes cannot hold ${count} ${tail.name}`,
        );
      }
      delete message[tail.count];
      const item = structs[tail.type];
      message[tail.name] = item
        ? Array.from({ length: count }, (_, i) =>
            readFields(structs, item.fields, view, layout.size + i * tail.unit),
          )
        : bytes.slice(layout.size);
    }
    return message as unknown as SurfaceMessage<D>;
  } catch (error) {
    if (error instanceof FieldError) {
      throw new SurfaceProtocolError(SurfaceError.BAD_VALUE, `${layout.name}: ${error.message}`);
    }
    throw error;
  }
}

/**
 * Encodes one message.
 * @throws {SurfaceProtocolError} BAD_VALUE when a field is missing or out of its range
 */
export function encodeSurface(message: FromClient | FromServer): Uint8Array {
  const layout = byName.get(message.type);
  if (!layout) throw new SurfaceProtocolError(SurfaceError.BAD_TYPE, `no message ${message.type}`);
  const values: Fields = { ...(message as unknown as Fields) };
  const tail = layout.tail;
  const items = tail ? (values[tail.name] as Uint8Array | readonly Fields[]) : [];
  if (tail) values[tail.count] = items.length;
  const bytes = new Uint8Array(layout.size + items.length * (tail?.unit ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, layout.type, true);
  view.setUint8(6, Number(values.fdCount ?? 0));
  view.setUint32(8, Number(values.stream ?? 0), true);
  view.setUint32(12, Number(values.serial ?? 0), true);
  try {
    writeFields(structs, layout.fields, view, 0, values);
    if (items instanceof Uint8Array) bytes.set(items, layout.size);
    else if (tail) {
      const item = structs[tail.type];
      if (!item) throw new TypeError(`no struct ${tail.type}`);
      items.forEach((value, i) => {
        writeFields(structs, item.fields, view, layout.size + i * tail.unit, value);
      });
    }
  } catch (error) {
    if (error instanceof FieldError) {
      throw new SurfaceProtocolError(SurfaceError.BAD_VALUE, `${layout.name}: ${error.message}`);
    }
    throw error;
  }
  decodeSurface(bytes, layout.from);
  return bytes;
}

/**
 * Cuts a byte stream into messages. Holds at most one message, whose length was checked against the bounds of its
 * type before anything was kept for it.
 */
export class SurfaceDecoder<D extends Direction> {
  #held = new Uint8Array(0);

  /** @param from who sends the bytes that are pushed */
  constructor(readonly from: D) {}

  /**
   * Takes bytes and gives the messages that they complete.
   * @throws {SurfaceProtocolError} at the first bad message; the decoder is of no use after it
   */
  *push(chunk: Uint8Array): Generator<SurfaceMessage<D>> {
    let bytes = chunk;
    if (this.#held.length > 0) {
      bytes = new Uint8Array(this.#held.length + chunk.length);
      bytes.set(this.#held);
      bytes.set(chunk, this.#held.length);
    }
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
      const { length } = readHeader(view, this.from);
      if (bytes.length - at < length) break;
      yield decodeSurface(bytes.subarray(at, at + length), this.from);
      at += length;
    }
    this.#held = bytes.slice(at);
  }
}
