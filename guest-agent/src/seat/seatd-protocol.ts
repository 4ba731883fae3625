// The protocol of seatd, which libseat speaks: requests of a few bytes, answered in their order.
//
// Every message starts with u16 opcode, u16 size of what follows. Integers have the machine's byte order. What comes from a client is
// checked before it is used; a message that breaks the protocol ends the connection.
import { constants, endianness } from 'node:os';

/** Bytes of a device's path, its NUL included. */
const MAX_PATH = 256;
const HEADER = 4;
/** The longest request: open-device with its path. */
const MAX_REQUEST = HEADER + 2 + MAX_PATH;

const little = endianness() === 'LE';

/** What a client asks for. */
export type SeatRequest =
  | { kind: 'open-seat' }
  | { kind: 'close-seat' }
  | { kind: 'open-device'; path: string }
  | { kind: 'close-device'; device: number }
  | { kind: 'disable-seat' }
  | { kind: 'switch-session'; session: number }
  | { kind: 'ping' };

/** A client broke the protocol; the message says how. */
export class SeatProtocolError extends Error {
  override name = 'SeatProtocolError';
}

const EMPTY_REQUESTS = new Map<number, SeatRequest>([
  [1, { kind: 'open-seat' }],
  [2, { kind: 'close-seat' }],
  [5, { kind: 'disable-seat' }],
  [7, { kind: 'ping' }],
]);
const OPEN_DEVICE = 3;
const CLOSE_DEVICE = 4;
const SWITCH_SESSION = 6;

const SERVER = 1 << 15;
/** Answers and events without content. */
const EMPTY_ANSWERS = {
  'seat-closed': SERVER + 2,
  'device-closed': SERVER + 4,
  'disable-seat': SERVER + 5,
  'enable-seat': SERVER + 6,
  pong: SERVER + 7,
  'session-switched': SERVER + 8,
  'seat-disabled': SERVER + 9,
} as const;
const SEAT_OPENED = SERVER + 1;
const DEVICE_OPENED = SERVER + 3;
const ERROR = SERVER + 0x7fff;

/** Cuts a client's bytes into requests; holds less than one request. */
export class SeatDecoder {
  #held: Buffer = Buffer.alloc(0);

  /**
   * @throws {SeatProtocolError} at the first bad request; the decoder is of no use after it
   */
  *push(chunk: Buffer): Generator<SeatRequest> {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= HEADER) {
      const opcode = readU16(this.#held, 0);
      const size = readU16(this.#held, 2);
      if (HEADER + size > MAX_REQUEST) throw new SeatProtocolError(`a request of ${size} bytes`);
      if (this.#held.length < HEADER + size) return;
      const body = this.#held.subarray(HEADER, HEADER + size);
      this.#held = this.#held.subarray(HEADER + size);
      yield decode(opcode, body);
    }
  }
}

function decode(opcode: number, body: Buffer): SeatRequest {
  const empty = EMPTY_REQUESTS.get(opcode);
  if (empty !== undefined && body.length === 0) return empty;
  if (opcode === OPEN_DEVICE && body.length >= 3) {
    const path = body.subarray(2);
    const end = path.indexOf(0);
    // One NUL, at the end.
    if (readU16(body, 0) === path.length && end === path.length - 1) {
      return { kind: 'open-device', path: path.subarray(0, end).toString() };
    }
  }
  if (opcode === CLOSE_DEVICE && body.length === 4) {
    return { kind: 'close-device', device: readI32(body) };
  }
  if (opcode === SWITCH_SESSION && body.length === 4) {
    return { kind: 'switch-session', session: readI32(body) };
  }
  throw new SeatProtocolError(`request ${opcode} with ${body.length} bytes`);
}

function message(opcode: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER + body.length);
  writeU16(bytes, opcode, 0);
  writeU16(bytes, body.length, 2);
  body.copy(bytes, HEADER);
  return bytes;
}

export function encodeEmpty(kind: keyof typeof EMPTY_ANSWERS): Buffer {
  return message(EMPTY_ANSWERS[kind], Buffer.alloc(0));
}

/** @param name at most 63 bytes */
export function encodeSeatOpened(name: string): Buffer {
  const text = Buffer.from(`${name}\0`);
  const body = Buffer.alloc(2 + text.length);
  writeU16(body, text.length, 0);
  text.copy(body, 2);
  return message(SEAT_OPENED, body);
}

/** One descriptor belongs to it. */
export function encodeDeviceOpened(device: number): Buffer {
  return message(DEVICE_OPENED, i32(device));
}

export function encodeError(code: keyof typeof constants.errno): Buffer {
  return message(ERROR, i32(constants.errno[code]));
}

function readU16(bytes: Buffer, at: number): number {
  return little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

function readI32(bytes: Buffer): number {
  return little ? bytes.readInt32LE(0) : bytes.readInt32BE(0);
}

function writeU16(bytes: Buffer, value: number, at: number): void {
  if (little) bytes.writeUInt16LE(value, at);
  else bytes.writeUInt16BE(value, at);
}

function i32(value: number): Buffer {
  return Buffer.from(Int32Array.of(value).buffer);
}
