// Reads and writes fixed little-endian structures by the tables that generate.mjs makes of a schema.
import type { FieldLayout, StructLayout } from './generated/surface.js';

/** A field's value: u64 is a bigint, a char array a string, a nested struct an object. */
export type Value = number | bigint | string | Uint8Array | readonly Value[] | Fields;
export interface Fields {
  [name: string]: Value;
}

/** A field that may not hold what it holds; the caller turns it into its protocol's coded error. */
export class FieldError extends Error {
  constructor(
    readonly field: string,
    reason: string,
  ) {
    super(`field ${field} ${reason}`);
    this.name = 'FieldError';
  }
}

type Structs = Readonly<Record<string, StructLayout>>;

const utf8 = new TextDecoder('utf-8', { fatal: false });
const encoder = new TextEncoder();

function checkNumber(field: FieldLayout, value: number): void {
  if (field.min !== undefined && value < field.min) {
    throw new FieldError(field.name, `is ${value}, less than ${field.min}`);
  }
  if (field.max !== undefined && value > field.max) {
    throw new FieldError(field.name, `is ${value}, more than ${field.max}`);
  }
  if (field.flags !== undefined && (value & ~field.flags) !== 0) {
    throw new FieldError(field.name, `is ${value}, with bits that have no meaning`);
  }
  if (field.values !== undefined && !field.values.includes(value)) {
    throw new FieldError(field.name, `is ${value}, which has no meaning`);
  }
}

function readScalar(view: DataView, at: number, field: FieldLayout): number | bigint {
  switch (field.type) {
    case 'u8':
      return view.getUint8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'i32':
      return view.getInt32(at, true);
    case 'u64':
      return view.getBigUint64(at, true);
    default:
      throw new TypeError(`no type ${field.type}`);
  }
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffffffff],
  i32: [-0x80000000, 0x7fffffff],
};

function writeScalar(view: DataView, at: number, field: FieldLayout, value: Value): void {
  if (field.type === 'u64') {
    if (typeof value !== 'bigint' || value < 0n || value > 0xffffffffffffffffn) {
      throw new FieldError(field.name, 'is not a bigint of 64 bits');
    }
    view.setBigUint64(at, value, true);
    return;
  }
  const [min, max] = RANGES[field.type] ?? [0, -1];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new FieldError(field.name, `is not an integer of type ${field.type}`);
  }
  checkNumber(field, value);
  if (field.type === 'u8') view.setUint8(at, value);
  else if (field.type === 'u16') view.setUint16(at, value, true);
  else if (field.type === 'u32') view.setUint32(at, value, true);
  else view.setInt32(at, value, true);
}

/**
 * Reads the fields of a structure that starts at `base`. The caller has checked that the view is long enough.
 * @throws {FieldError} when a field is out of its range.
 */
export function readFields(
  structs: Structs,
  fields: readonly FieldLayout[],
  view: DataView,
  base: number,
): Fields {
  const out: Fields = {};
  for (const field of fields) {
    const at = base + field.offset;
    const nested = structs[field.type];
    if (nested) {
      const one = (i: number) => readFields(structs, nested.fields, view, at + i * nested.size);
      out[field.name] =
        field.count === undefined ? one(0) : Array.from({ length: field.count }, (_, i) => one(i));
    } else if (field.type === 'char') {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + at, field.count ?? 1);
      if (bytes[bytes.length - 1] !== 0) throw new FieldError(field.name, 'does not end with NUL');
      out[field.name] = utf8.decode(bytes.subarray(0, bytes.indexOf(0)));
    } else {
      const value = readScalar(view, at, field);
      if (typeof value === 'number') checkNumber(field, value);
      if (field.name !== 'reserved') out[field.name] = value;
    }
  }
  return out;
}

/**
 * Writes the fields of a structure at `base`; reserved fields stay zero.
 * @throws {FieldError} when a value is missing, of another type, or out of its range.
 */
export function writeFields(
  structs: Structs,
  fields: readonly FieldLayout[],
  view: DataView,
  base: number,
  values: Fields,
): void {
  for (const field of fields) {
    if (field.name === 'reserved') continue;
    const at = base + field.offset;
    const value = values[field.name];
    if (value === undefined) throw new FieldError(field.name, 'is missing');
    const nested = structs[field.type];
    if (nested) {
      const items = (field.count === undefined ? [value] : value) as readonly Fields[];
      if (items.length > (field.count ?? 1)) throw new FieldError(field.name, 'has too many items');
      items.forEach((item, i) => {
        writeFields(structs, nested.fields, view, at + i * nested.size, item);
      });
    } else if (field.type === 'char') {
      const bytes = encoder.encode(String(value));
      // A text is for a person: a long one is cut at a character rather than refused.
      let end = Math.min(bytes.length, (field.count ?? 1) - 1);
      while (end < bytes.length && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
      new Uint8Array(view.buffer, view.byteOffset + at, end).set(bytes.subarray(0, end));
    } else {
      writeScalar(view, at, field, value);
    }
  }
}
