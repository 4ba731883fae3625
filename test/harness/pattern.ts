/**
 * The test pattern that `painter` and `pw-painter` draw (guest-agent/desktop-apps/src/pattern.h
 * holds the specification), computed here a second time so that a test can check a decoded picture
 * pixel by pixel against what was painted. Nothing here needs Node: it also runs in a page.
 */

/** Side of one header bit, in pixels. */
export const BLOCK = 16;
/** Sequence (32 bits), time stamp (64), check (8). */
export const HEADER_BITS = 104;
const CELL = 64;
const STEP = 4;
const PERIOD = 8 * CELL;

/** Red, green and blue, each 0..255. */
export type Rgb = readonly [number, number, number];

const PALETTE: readonly Rgb[] = [
  [0xc0, 0x30, 0x30],
  [0x30, 0xb0, 0x50],
  [0x30, 0x50, 0xc8],
  [0xd0, 0xb0, 0x30],
  [0xa0, 0x40, 0xb8],
  [0x30, 0xb0, 0xb8],
  [0x60, 0x60, 0x60],
  [0xd0, 0xd0, 0xd0],
];

/** What a picture's header says. */
export interface Stamp {
  /** Number of the picture, from 0, +1 for each one painted. */
  readonly sequence: number;
  /** CLOCK_REALTIME in microseconds when it was painted; exact, as it stays below 2^53. */
  readonly realtimeUs: number;
}

/** Height of the header in pixels, in a picture `width` pixels wide. */
export function headerHeight(width: number): number {
  return BLOCK * Math.ceil(HEADER_BITS / Math.floor(width / BLOCK));
}

/** The thirteen bytes of a header; the last one is the check. */
export function headerBytes({ sequence, realtimeUs }: Stamp): Uint8Array {
  const bytes = new Uint8Array(13);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sequence);
  view.setBigUint64(4, BigInt(realtimeUs));
  bytes[12] = checkOf(bytes);
  return bytes;
}

function checkOf(bytes: Uint8Array): number {
  let check = 0xa5;
  for (let i = 0; i < 12; i++) check ^= bytes[i] ?? 0;
  return check;
}

/** Colour of the body at (x, y); `y` has to be at or below the header's last row. */
export function bodyRgb(x: number, y: number, sequence: number): Rgb {
  const position = (x + ((STEP * sequence) % PERIOD)) % PERIOD;
  const cell = Math.floor(position / CELL) + 3 * Math.floor(y / CELL);
  const base = PALETTE[cell % 8] as Rgb;
  const ramp = (y % CELL) >> 1;
  return [base[0] + ramp, base[1] + ramp, base[2] + ramp];
}

/** Colour of any pixel of a picture `width` pixels wide that carries `stamp`. */
export function expectedRgb(x: number, y: number, width: number, stamp: Stamp): Rgb {
  if (y >= headerHeight(width)) return bodyRgb(x, y, stamp.sequence);
  const columns = Math.floor(width / BLOCK);
  const column = Math.floor(x / BLOCK);
  const bit = Math.floor(y / BLOCK) * columns + column;
  if (column >= columns || bit >= HEADER_BITS) return [0, 0, 0];
  const byte = headerBytes(stamp)[bit >> 3] ?? 0;
  return (byte >> (7 - (bit & 7))) & 1 ? [255, 255, 255] : [0, 0, 0];
}

/**
 * Reads the header back. `luma(x, y)` gives the brightness (0..255, any colour range) of one pixel;
 * it is asked for the centre of each block only. Returns undefined where the check does not hold: the
 * picture is not the pattern, is torn in the header, or lost it to compression.
 */
export function readStamp(
  width: number,
  luma: (x: number, y: number) => number,
): Stamp | undefined {
  const columns = Math.floor(width / BLOCK);
  const bytes = new Uint8Array(13);
  for (let bit = 0; bit < HEADER_BITS; bit++) {
    const x = (bit % columns) * BLOCK + BLOCK / 2;
    const y = Math.floor(bit / columns) * BLOCK + BLOCK / 2;
    if (luma(x, y) >= 128) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  if (bytes[12] !== checkOf(bytes)) return undefined;
  const view = new DataView(bytes.buffer);
  return { sequence: view.getUint32(0), realtimeUs: Number(view.getBigUint64(4)) };
}

/** `readStamp` for packed 32-bit pixels; `order` is the order of the bytes in memory. */
export function readStampPacked(
  pixels: Uint8Array | Uint8ClampedArray,
  width: number,
  stride: number,
  order: 'bgrx' | 'rgbx',
): Stamp | undefined {
  const [r, b] = order === 'bgrx' ? [2, 0] : [0, 2];
  return readStamp(width, (x, y) => {
    const at = y * stride + x * 4;
    return ((pixels[at + r] ?? 0) + 2 * (pixels[at + 1] ?? 0) + (pixels[at + b] ?? 0)) / 4;
  });
}
