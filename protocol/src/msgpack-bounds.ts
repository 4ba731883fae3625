// Walks a msgpack body without decoding it. A decoder makes room for as many items as a header claims; five bytes
// can claim four thousand million. So the claim is compared with the bytes that are there, before it is believed.

/** Deepest nesting that a message of the agent protocol may have. */
const MAX_DEPTH = 8;

/** What a type byte that holds its own size is followed by; undefined for a byte that is of no such type. */
function fixedShape(byte: number): { bytes: number; items: number } | undefined {
  if (byte <= 0x7f || byte >= 0xe0 || byte === 0xc0 || byte === 0xc2 || byte === 0xc3) {
    return { bytes: 0, items: 0 };
  }
  if (byte <= 0x8f) return { bytes: 0, items: 2 * (byte & 0x0f) };
  if (byte <= 0x9f) return { bytes: 0, items: byte & 0x0f };
  if (byte <= 0xbf) return { bytes: byte & 0x1f, items: 0 };
  const bytes = SCALAR_BYTES[byte];
  return bytes === undefined ? undefined : { bytes, items: 0 };
}

/** Numbers by their type byte. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
};
/** Types that are followed by a count of bytes or of items (a map's entry is two items). */
const COUNTED: Readonly<Record<number, { header: number; perCount: 'bytes' | 1 | 2 }>> = {
  196: { header: 1, perCount: 'bytes' },
  197: { header: 2, perCount: 'bytes' },
  198: { header: 4, perCount: 'bytes' },
  217: { header: 1, perCount: 'bytes' },
  218: { header: 2, perCount: 'bytes' },
  219: { header: 4, perCount: 'bytes' },
  220: { header: 2, perCount: 1 },
  221: { header: 4, perCount: 1 },
  222: { header: 2, perCount: 2 },
  223: { header: 4, perCount: 2 },
};

/**
 * Tells why a body is not one well-formed msgpack value whose claims fit its length; undefined when it is.
 * Extension types are refused: the agent protocol has none.
 */
export function msgpackFault(body: Uint8Array): string | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  // Items still to come, per level of nesting.
  const open = [1];
  let at = 0;
  while (open.length > 0) {
    const left = open.length - 1;
    if (open[left] === 0) {
      open.pop();
      continue;
    }
    open[left] = (open[left] ?? 0) - 1;
    if (at >= body.length) return 'is cut off';
    const byte = view.getUint8(at++);
    const counted = COUNTED[byte];
    let bytes = 0;
    let items = 0;
    if (counted) {
      if (body.length - at < counted.header) return 'is cut off';
      const count =
        counted.header === 1
          ? view.getUint8(at)
          : counted.header === 2
            ? view.getUint16(at)
            : view.getUint32(at);
      at += counted.header;
      if (counted.perCount === 'bytes') bytes = count;
      else items = count * counted.perCount;
    } else {
      const known = fixedShape(byte);
      if (!known) return `has a type 0x${byte.toString(16)}, which this protocol does not use`;
      ({ bytes, items } = known);
    }
    // Every item takes a byte at least.
    if (bytes + items > body.length - at) return 'claims more than it holds';
    at += bytes;
    if (items > 0) {
      if (open.length >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH}`;
      open.push(items);
    }
  }
  return at === body.length ? undefined : 'is followed by other bytes';
}
