import test from 'ava';
import fc from 'fast-check';
import { FramingError, RecordKind, RecordReader, recordHeader } from '../src/worker/framing.js';

interface Got {
  readonly kind: RecordKind;
  readonly body: string;
  readonly time: number;
}

function reader(): { got: Got[]; reader: RecordReader } {
  const got: Got[] = [];
  const sink = (kind: RecordKind, body: Buffer, time: number) => {
    got.push({ kind, body: body.toString('hex'), time });
  };
  return { got, reader: new RecordReader(sink) };
}

test('records come out as they went in, however the pipe cuts them', (t) => {
  const record = fc.record({
    kind: fc.constantFrom(RecordKind.ACCESS_UNIT, RecordKind.EVENT),
    body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    time: fc.double({ min: 0, max: 1e15, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 }),
      (records, cuts) => {
        const bytes = Buffer.concat(
          records.flatMap((r) => [recordHeader(r.kind, r.body.length, r.time), r.body]),
        );
        const { got, reader: pipe } = reader();
        let at = 0;
        for (let i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] as number;
          pipe.push(bytes.subarray(at, at + size));
          at += size;
        }
        const want = records.map(({ kind, body, time }) => ({
          kind,
          body: Buffer.from(body).toString('hex'),
          time,
        }));
        return JSON.stringify(got) === JSON.stringify(want);
      },
    ),
  );
  t.pass();
});

test('a length is refused before anything is allocated for it', (t) => {
  const before = process.memoryUsage().arrayBuffers;
  for (const [kind, length] of [
    [RecordKind.ACCESS_UNIT, 0xffffffff],
    [RecordKind.ACCESS_UNIT, 0],
    [RecordKind.EVENT, 1024 * 1024],
  ] as const) {
    t.throws(() => reader().reader.push(recordHeader(kind, length, 0)), {
      instanceOf: FramingError,
    });
  }
  t.true(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
});

test('an unknown kind is refused', (t) => {
  const header = recordHeader(RecordKind.EVENT, 4, 0);
  header.writeUInt32LE(7, 4);
  t.throws(() => reader().reader.push(header), { instanceOf: FramingError });
});

test('noise never gives a record longer than its kind may be', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      const { reader: pipe } = reader();
      try {
        pipe.push(noise);
      } catch (error) {
        return error instanceof FramingError;
      }
      return true;
    }),
  );
  t.pass();
});
