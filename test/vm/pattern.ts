import type { Picture } from './picture.js';

// The pictures of guest/pattern.h. Nothing here needs Node: it also runs in a page.
const MARK_BLOCK = 16;
const MARK_COLUMNS = 26;
const MARK_ROWS = 4;
const MARK_MAGIC = 0xa5;
const MARK_BYTES = 13;
const MARK_WIDTH = MARK_BLOCK * MARK_COLUMNS;
/** Rows of a picture that the mark takes [pixels]. */
export const MARK_HEIGHT = MARK_BLOCK * MARK_ROWS;

/** What the mark in a picture's upper left corner says. */
export interface Mark {
  /** The head, or the number that a resource's painter was given. */
  painter: number;
  sequence: number;
  /** When it was painted, in microseconds of the guest's monotonic clock. */
  microseconds: number;
}

/** Reads the mark; undefined if there is none, or if it is not whole. */
export function readMark(picture: Picture): Mark | undefined {
  const { width, height, rgb } = picture;
  if (height < MARK_HEIGHT) return undefined;
  return readMarkBy(width, (x, y) => rgb[(y * width + x) * 3 + 1] as number);
}

/** {@link readMark} of a picture at least MARK_HEIGHT rows high; `luma(x, y)` gives the brightness of one pixel, 0 to 255. */
export function readMarkBy(
  width: number,
  luma: (x: number, y: number) => number,
): Mark | undefined {
  if (width < MARK_WIDTH) return undefined;
  const bytes = new Uint8Array(MARK_BYTES);
  for (let bit = 0; bit < MARK_BYTES * 8; bit++) {
    const x = (bit % MARK_COLUMNS) * MARK_BLOCK + MARK_BLOCK / 2;
    const y = Math.floor(bit / MARK_COLUMNS) * MARK_BLOCK + MARK_BLOCK / 2;
    if (luma(x, y) >= 128) {
      bytes[bit >> 3] = (bytes[bit >> 3] as number) | (0x80 >> (bit & 7));
    }
  }
  const sum = bytes.subarray(0, MARK_BYTES - 1).reduce((total, byte) => (total + byte) & 0xff, 0);
  if (bytes[0] !== MARK_MAGIC || bytes[MARK_BYTES - 1] !== sum) return undefined;
  const view = new DataView(bytes.buffer);
  return {
    painter: view.getUint8(1),
    sequence: view.getUint32(2),
    microseconds: view.getUint16(6) * 2 ** 32 + view.getUint32(8),
  };
}

/**
 * Compares every pixel outside the mark with what kms-paint painted.
 *
 * @param left place of the picture in its surface, as `show` was told.
 * @returns the first wrong pixel in words, or undefined if all are right.
 */
export function findWrongPixel(
  picture: Picture,
  painter: number,
  left = 0,
  top = 0,
): string | undefined {
  const { width, height, rgb } = picture;
  const marked = width >= MARK_WIDTH && height >= MARK_HEIGHT;
  for (let row = 0; row < height; row++) {
    const y = row + top;
    for (let column = marked && row < MARK_HEIGHT ? MARK_WIDTH : 0; column < width; column++) {
      const x = column + left;
      const at = (row * width + column) * 3;
      const blue = (painter * 16 + (((x >> 8) + 4 * (y >> 8)) % 16)) & 0xff;
      if (rgb[at] !== (x & 0xff) || rgb[at + 1] !== (y & 0xff) || rgb[at + 2] !== blue) {
        const found = `${rgb[at]},${rgb[at + 1]},${rgb[at + 2]}`;
        return `pixel ${column},${row} is ${found}, not ${x & 0xff},${y & 0xff},${blue}`;
      }
    }
  }
  return undefined;
}
