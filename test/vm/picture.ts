import { VmError } from './error.js';

/** A picture of 8-bit RGB, rows top to bottom without padding. */
export interface Picture {
  width: number;
  height: number;
  /** `width * height * 3` bytes. */
  rgb: Buffer;
}

/**
 * Reads a screendump of QEMU in its raw form, a binary PPM of 8 bits a channel. It is not quite one: QEMU
 * pads each row to a multiple of four bytes, which shows at widths that are not one.
 */
export function parseScreendump(file: Buffer): Picture {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 64).toString('latin1'));
  const width = Number(header?.[1]);
  const height = Number(header?.[2]);
  const row = width * 3;
  const start = header?.[0].length ?? 0;
  const stride = (file.length - start) / height;
  if (!header || (stride !== row && stride !== Math.ceil(row / 4) * 4)) {
    const text = `a screendump of ${file.length} bytes is not a whole picture of ${width}x${height}`;
    throw new VmError('QMP_FAILED', text);
  }
  const rgb = Buffer.alloc(row * height);
  for (let y = 0; y < height; y++) {
    file.copy(rgb, y * row, start + y * stride, start + y * stride + row);
  }
  return { width, height, rgb };
}
