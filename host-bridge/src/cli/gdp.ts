// GStreamer Data Protocol 1.0: how access units reach a GStreamer process with the times at which their pictures were
// made. A plain byte stream has no times, and a muxer would have to invent them. Its element gdpdepay reads this.

const HEADER_BYTES = 62;
const NONE = -1n;
const PAYLOAD = { BUFFER: 1, CAPS: 2, EVENT: 64 } as const;
/** GST_EVENT_MAKE_TYPE(number, downstream | sticky | serialized) of gstevent.h. */
const STREAM_START = (40 << 8) | 14;
const SEGMENT = (70 << 8) | 14;

/** One record; integers are big-endian, the two checksums at its end are not used. */
function recordOf(type: number, payload: Uint8Array, timeNs = NONE): Buffer[] {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(1, 0);
  header.writeUInt16BE(type, 4);
  header.writeUInt32BE(payload.length, 6);
  header.writeBigInt64BE(timeNs, 10);
  // Duration, offset, end of offset.
  for (const at of [18, 26, 34]) header.writeBigInt64BE(NONE, at);
  return [header, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)];
}

const textRecord = (type: number, text: string) => recordOf(type, Buffer.from(`${text}\0`));

/** What comes before the first access unit. */
export function streamStart(): Buffer {
  const segment = [
    'segment, flags=(GstSegmentFlags)GST_SEGMENT_FLAG_NONE, rate=(double)1, applied-rate=(double)1',
    'format=(GstFormat)time, base=(guint64)0, offset=(guint64)0, start=(guint64)0',
    'stop=(guint64)18446744073709551615, time=(guint64)0, position=(guint64)0',
    'duration=(guint64)18446744073709551615;',
  ].join(', ');
  return Buffer.concat([
    ...textRecord(
      PAYLOAD.EVENT + STREAM_START,
      'GstEventStreamStart, stream-id=(string)scanbridge, flags=(GstStreamFlags)GST_STREAM_FLAG_NONE, group-id=(uint)1;',
    ),
    ...textRecord(
      PAYLOAD.CAPS,
      'video/x-h264, stream-format=(string)byte-stream, alignment=(string)au',
    ),
    ...textRecord(PAYLOAD.EVENT + SEGMENT, `GstEventSegment, segment=(GstSegment)"${segment}";`),
  ]);
}

/**
 * One access unit.
 * @param timeUs when its picture was made, since the first one [us]
 */
export function timedUnit(accessUnit: Uint8Array, timeUs: bigint): Buffer[] {
  return recordOf(PAYLOAD.BUFFER, accessUnit, timeUs * 1000n);
}
