import { VmError } from './error.js';

/** A picture of 8-bit RGB, rows top to bottom without padding. */
export interface Picture {
  width: number;
  height: number;
  /** `width * height * 3` bytes. */
  rgb: Buffer;
}

/** Reads a binary PPM of 8 bits a channel, the raw form of QEMU's screendump. */
export function parsePpm(file: Buffer): Picture {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 64).toString('latin1'));
  const width = Number(header?.[1]);
  const height = Number(header?.[2]);
  const start = header?.[0].length ?? 0;
  if (!header || file.length !== start + width * height * 3) {
    throw new VmError(
      'QMP_FAILED',
      `a screendump of ${file.length} bytes is not a whole PPM picture`,
    );
  }
  return { width, height, rgb: file.subarray(start) };
}
