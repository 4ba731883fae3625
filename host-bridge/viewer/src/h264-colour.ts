// The colours that an H.264 stream says it has, out of its sequence parameter set (ITU-T H.264 sections 7.3.2.1.1 and
// E.1.1, code points of H.273). Chromium takes BT.709 for every H.264 stream whose configuration names no colours,
// whatever the stream itself says: greens and blues come out dull. So the page reads them and names them.

/** H.273 code points -> the words of WebCodecs. What is not here is left to the browser. */
const PRIMARIES: Readonly<Record<number, VideoColorPrimaries>> = {
  1: 'bt709',
  5: 'bt470bg',
  6: 'smpte170m',
};
const TRANSFERS: Readonly<Record<number, VideoTransferCharacteristics>> = {
  1: 'bt709',
  6: 'smpte170m',
  13: 'iec61966-2-1',
};
const MATRICES: Readonly<Record<number, VideoMatrixCoefficients>> = {
  0: 'rgb',
  1: 'bt709',
  5: 'bt470bg',
  6: 'smpte170m',
};

const NAL_SPS = 7;
/** Longest parameter set that is looked at [bytes]. */
const MAX_SPS = 1024;
const EXTENDED_SAR = 255;
/** Profiles whose parameter set describes chroma and scaling lists. */
const HIGH_PROFILES = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);

/** Reads bits, most significant first; beyond the end there are zeros, and `over` tells. */
class Bits {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  get over(): boolean {
    return this.#at > this.bytes.length * 8;
  }

  u(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      const byte = this.bytes[this.#at >> 3] ?? 0;
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  /** Exp-Golomb code, unsigned; a signed one has the same length. */
  ue(): number {
    let zeros = 0;
    while (zeros < 32 && !this.over && this.u(1) === 0) zeros++;
    return 2 ** zeros - 1 + this.u(zeros);
  }

  se(): number {
    const value = this.ue();
    return value % 2 === 1 ? (value + 1) / 2 : -value / 2;
  }
}

/** The payload of the first sequence parameter set in an Annex B access unit, without emulation prevention. */
function findParameterSet(unit: Uint8Array): Uint8Array | undefined {
  for (let i = 0; i + 3 < unit.length; i++) {
    if (unit[i] !== 0 || unit[i + 1] !== 0 || unit[i + 2] !== 1) continue;
    if (((unit[i + 3] ?? 0) & 0x1f) !== NAL_SPS) continue;
    const payload: number[] = [];
    const end = Math.min(unit.length, i + 4 + MAX_SPS);
    for (let k = i + 4; k < end; k++) {
      const byte = unit[k] ?? 0;
      if (unit[k - 1] === 0 && unit[k - 2] === 0) {
        if (byte === 3) continue;
        if (byte <= 1) break;
      }
      payload.push(byte);
    }
    return Uint8Array.from(payload);
  }
  return undefined;
}

function skipScalingLists(bits: Bits, lists: number): void {
  for (let list = 0; list < lists; list++) {
    if (bits.u(1) === 0) continue;
    let next = 8;
    for (let k = 0; k < (list < 6 ? 16 : 64) && next !== 0; k++) {
      next = (next + bits.se() + 256) % 256;
    }
  }
}

/** Everything before the VUI parameters. @returns whether there are any */
function skipToVui(bits: Bits): boolean {
  const profile = bits.u(8);
  bits.u(16);
  bits.ue();
  if (HIGH_PROFILES.has(profile)) {
    const chroma = bits.ue();
    if (chroma === 3) bits.u(1);
    bits.ue();
    bits.ue();
    bits.u(1);
    if (bits.u(1) === 1) skipScalingLists(bits, chroma === 3 ? 12 : 8);
  }
  bits.ue();
  const order = bits.ue();
  if (order === 0) {
    bits.ue();
  } else if (order === 1) {
    bits.u(1);
    bits.ue();
    bits.ue();
    const cycle = Math.min(255, bits.ue());
    for (let i = 0; i < cycle; i++) bits.ue();
  }
  bits.ue();
  bits.u(1);
  bits.ue();
  bits.ue();
  if (bits.u(1) === 0) bits.u(1);
  bits.u(1);
  if (bits.u(1) === 1) for (let i = 0; i < 4; i++) bits.ue();
  return bits.u(1) === 1;
}

/**
 * What the parameter set in a key frame says about its colours.
 * @param unit an Annex B access unit
 * @returns undefined when it says nothing, or is not to be understood
 */
export function h264Colour(unit: Uint8Array): VideoColorSpaceInit | undefined {
  const payload = findParameterSet(unit);
  if (!payload) return undefined;
  const bits = new Bits(payload);
  if (!skipToVui(bits)) return undefined;
  if (bits.u(1) === 1 && bits.u(8) === EXTENDED_SAR) bits.u(32);
  if (bits.u(1) === 1) bits.u(1);
  if (bits.u(1) === 0) return undefined;
  bits.u(3);
  const fullRange = bits.u(1) === 1;
  if (bits.u(1) === 0 || bits.over) return undefined;
  const primaries = PRIMARIES[bits.u(8)];
  const transfer = TRANSFERS[bits.u(8)];
  const matrix = MATRICES[bits.u(8)];
  if (bits.over || !primaries || !transfer || !matrix) return undefined;
  return { fullRange, primaries, transfer, matrix };
}
