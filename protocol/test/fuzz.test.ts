// Whatever bytes come, a decoder gives messages or its own coded error; nothing else, and nothing big.
import test from 'ava';
import fc from 'fast-check';
import {
  AgentDecoder,
  AgentProtocolError,
  encodeAgent,
  type FromAgent,
  MAX_FRAME_MESSAGE,
  type ToAgent,
} from '../src/agent.js';
import {
  decodeSurface,
  encodeSurface,
  messages,
  SurfaceDecoder,
  SurfaceProtocolError,
} from '../src/surface.js';
import {
  type FromViewer,
  MAX_VIEWER_MESSAGE,
  parseFromViewer,
  parseToViewer,
  ViewerProtocolError,
} from '../src/viewer.js';
import { decodeVideo, VideoMessageError } from '../src/viewer-video.js';

const RUNS = 3000;
const directions = fc.constantFrom('client' as const, 'server' as const);

/** Runs a decoder and lets only its own error pass. */
function survives(error: new (...args: never[]) => Error, decode: () => unknown): boolean {
  try {
    decode();
  } catch (thrown) {
    if (!(thrown instanceof error)) throw thrown;
  }
  return true;
}

test('surface: random bytes', (t) => {
  fc.assert(
    fc.property(directions, fc.uint8Array({ maxLength: 400 }), (from, bytes) =>
      survives(SurfaceProtocolError, () => [...new SurfaceDecoder(from).push(bytes)]),
    ),
    { numRuns: RUNS },
  );
  t.pass();
});

test('surface: random bodies behind a good header', (t) => {
  const message = fc.constantFrom(...messages).chain((layout) =>
    fc.record({
      layout: fc.constant(layout),
      body: fc.uint8Array({
        minLength: layout.size - 16,
        maxLength: Math.min(layout.maxSize - 16, layout.size + 64),
      }),
    }),
  );
  let decoded = 0;
  fc.assert(
    fc.property(message, ({ layout, body }) => {
      const bytes = new Uint8Array(16 + body.length);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, bytes.length, true);
      view.setUint16(4, layout.type, true);
      view.setUint32(8, 1, true);
      bytes.set(body, 16);
      return survives(SurfaceProtocolError, () => {
        const value = decodeSurface(bytes, layout.from);
        decoded++;
        // What was accepted is encoded to a message of the same type that is accepted again.
        t.is(decodeSurface(encodeSurface(value), layout.from).type, value.type);
      });
    }),
    { numRuns: RUNS },
  );
  t.true(decoded > 0, 'some random bodies are valid');
});

test('surface: a stream may be cut anywhere', (t) => {
  const stream = Buffer.concat([
    encodeSurface({ type: 'ping', serial: 1, token: 1n }),
    encodeSurface({ type: 'release', stream: 7, sequence: 5n }),
    encodeSurface({ type: 'ping', serial: 2, token: 2n }),
  ]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: stream.length })), (cuts) => {
      const decoder = new SurfaceDecoder('client');
      const points = [0, ...cuts.sort((a, b) => a - b), stream.length];
      const types: string[] = [];
      for (let i = 1; i < points.length; i++) {
        for (const m of decoder.push(stream.subarray(points[i - 1], points[i]))) types.push(m.type);
      }
      return types.join() === 'ping,release,ping';
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('viewer: random video messages', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) =>
      survives(VideoMessageError, () => decodeVideo(bytes)),
    ),
    { numRuns: RUNS },
  );
  t.pass();
});

test('viewer: random text and random JSON', (t) => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        type: fc.constantFrom('hello', 'ack', 'input', 'resize', 'pause', 'pong', 'key-frame'),
        version: fc.anything(),
        events: fc.anything(),
        width: fc.anything(),
        sequence: fc.anything(),
      })
      .map((value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))),
  );
  fc.assert(
    fc.property(texts, (text) => {
      survives(ViewerProtocolError, () => parseFromViewer(text));
      return survives(ViewerProtocolError, () => parseToViewer(text));
    }),
    { numRuns: RUNS },
  );
  t.pass();
});

test('viewer: what is too long is not parsed', (t) => {
  const long = JSON.stringify({ type: 'key-frame', reason: 'x'.repeat(MAX_VIEWER_MESSAGE) });
  t.throws(() => parseFromViewer(long), { instanceOf: ViewerProtocolError, message: 'too long' });
});

test('viewer: a message with a field of no meaning is refused', (t) => {
  const good: FromViewer = { type: 'pause', paused: true };
  t.deepEqual(parseFromViewer(JSON.stringify(good)), good);
  t.throws(() => parseFromViewer(JSON.stringify({ ...good, admin: true })), {
    instanceOf: ViewerProtocolError,
  });
});

test('agent: random bytes, raw and behind a good length', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), (body, framed) => {
      const bytes = new Uint8Array(framed ? 4 + body.length : body.length);
      if (framed) new DataView(bytes.buffer).setUint32(0, body.length, true);
      bytes.set(body, framed ? 4 : 0);
      return survives(AgentProtocolError, () => [...new AgentDecoder('agent').push(bytes)]);
    }),
    { numRuns: RUNS },
  );
  t.pass();
});

test('agent: damaged messages, cut anywhere', (t) => {
  const hello: FromAgent = {
    type: 'hello',
    version: 1,
    name: 'a',
    instance: '3f0c9a52-54a1-4c6e-9a54-0a6b1fb7a001',
    capabilities: ['capture', 'resource'],
  };
  const good = encodeAgent(hello);
  fc.assert(
    fc.property(
      fc.integer({ min: 4, max: good.length - 1 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: good.length }),
      (at, value, cut) => {
        const bytes = good.slice();
        bytes[at] = value;
        return survives(AgentProtocolError, () => {
          const decoder = new AgentDecoder('agent');
          return [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
        });
      },
    ),
    { numRuns: RUNS },
  );
  t.pass();
});

const stream = fc.integer({ min: 1, max: 65_535 });
const sequence = fc.maxSafeNat().map((n) => Math.max(1, n));
const frame: fc.Arbitrary<FromAgent> = fc.record(
  {
    type: fc.constant('frame' as const),
    stream,
    sequence,
    resource: fc.integer({ min: 1, max: 0xffffffff }),
    pts: fc.maxSafeNat(),
    damage: fc.record({
      x: fc.integer({ min: 0, max: 16_383 }),
      y: fc.integer({ min: 0, max: 16_383 }),
      width: fc.integer({ min: 1, max: 16_384 }),
      height: fc.integer({ min: 1, max: 16_384 }),
    }),
  },
  { requiredKeys: ['type', 'stream', 'sequence', 'resource', 'pts'] },
);
const release: fc.Arbitrary<ToAgent> = fc.record({
  type: fc.constant('release' as const),
  stream,
  sequence,
});

test('agent: no frame and no release is longer than it may be, and each comes out as it went in', (t) => {
  fc.assert(
    fc.property(frame, release, (sentFrame, sentRelease) => {
      const frameBytes = encodeAgent(sentFrame);
      const releaseBytes = encodeAgent(sentRelease);
      t.deepEqual([...new AgentDecoder('agent').push(frameBytes)], [sentFrame]);
      t.deepEqual([...new AgentDecoder('bridge').push(releaseBytes)], [sentRelease]);
      return frameBytes.length <= MAX_FRAME_MESSAGE && releaseBytes.length <= MAX_FRAME_MESSAGE;
    }),
    { numRuns: RUNS },
  );
  t.pass();
});

test('agent: random arrays for compact messages', (t) => {
  const item = fc.oneof(fc.integer(), fc.maxSafeNat(), fc.double(), fc.string(), fc.constant(null));
  const items = fc.tuple(fc.constantFrom(0, 1, 2), fc.array(item, { maxLength: 10 }));
  fc.assert(
    fc.property(items, fc.constantFrom('agent', 'bridge'), ([kind, rest], sender) => {
      // A message is encoded as any value is: only frames and releases are turned into arrays.
      const bytes = encodeAgent([kind, ...rest] as unknown as FromAgent);
      return survives(AgentProtocolError, () => [...new AgentDecoder(sender).push(bytes)]);
    }),
    { numRuns: RUNS },
  );
  t.pass();
});
