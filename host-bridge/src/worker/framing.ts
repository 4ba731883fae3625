// The media pipe from an engine worker to the bridge: length-framed records, so that video is never turned into text.
//   u32 length of the body [bytes] | u32 kind | f64 CLOCK_MONOTONIC when the worker had it [us] | body
// One machine and one program write and read it: it is little-endian and has no version.
import { MAX_ACCESS_UNIT, VIDEO_HEADER_BYTES } from '@scanbridge/protocol/viewer/video';

export const RecordKind = { ACCESS_UNIT: 1, EVENT: 2 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

const HEADER_BYTES = 16;
/** Longest body of each kind [bytes]; a longer one means that the worker has gone mad. */
const MAX_BODY: Readonly<Record<number, number>> = {
  [RecordKind.ACCESS_UNIT]: VIDEO_HEADER_BYTES + MAX_ACCESS_UNIT,
  [RecordKind.EVENT]: 512 * 1024,
};

/** CLOCK_MONOTONIC of this machine, the same in all its processes [us]. */
export function monotonicUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** The header of one record. */
export function recordHeader(kind: RecordKind, length: number, timeUs: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(length, 0);
  header.writeUInt32LE(kind, 4);
  header.writeDoubleLE(timeUs, 8);
  return header;
}

/** A record that breaks the framing: the worker cannot be trusted any more. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

/** Takes a whole record; `body` belongs to the callee. */
export type RecordSink = (kind: RecordKind, body: Buffer, timeUs: number) => void;

/** Cuts the pipe's bytes into records. Holds one body, which is allocated after its length was checked. */
export class RecordReader {
  readonly #header = Buffer.allocUnsafe(HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;

  constructor(readonly sink: RecordSink) {}

  /** @throws {FramingError} at the first bad record; the reader is of no use after it */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === undefined) {
        const take = Math.min(HEADER_BYTES - this.#headerFilled, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + take), this.#headerFilled);
        this.#headerFilled += take;
        at += take;
        if (this.#headerFilled < HEADER_BYTES) return;
        this.#body = this.#room();
        this.#bodyFilled = 0;
      }
      const take = Math.min(this.#body.length - this.#bodyFilled, chunk.length - at);
      this.#body.set(chunk.subarray(at, at + take), this.#bodyFilled);
      this.#bodyFilled += take;
      at += take;
      if (this.#bodyFilled === this.#body.length) this.#finish(this.#body);
    }
  }

  #room(): Buffer {
    const length = this.#header.readUInt32LE(0);
    const kind = this.#header.readUInt32LE(4);
    const limit = MAX_BODY[kind];
    if (limit === undefined) throw new FramingError(`a record of kind ${kind}`);
    if (length === 0 || length > limit) throw new FramingError(`a record of ${length} bytes`);
    // Not from the pool: viewers' sockets may hold the access unit for long.
    return Buffer.allocUnsafeSlow(length);
  }

  #finish(body: Buffer): void {
    this.#body = undefined;
    this.#headerFilled = 0;
    this.sink(this.#header.readUInt32LE(4) as RecordKind, body, this.#header.readDoubleLE(8));
  }
}
