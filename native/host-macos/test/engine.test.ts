// The package as the bridge uses it. Elsewhere than on macOS its addon is built on the fakes of test/fakes/apple, whose
// encoder makes real H.264: what comes out is decoded and looked at.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { buildFakes } from './fakes.js';

if (process.platform !== 'darwin') process.env.SCANBRIDGE_HOST_MACOS_ADDON = await buildFakes();
const { Engine, EngineError, probe, monotonicNow, readSurface } = await import('../lib/index.js');

const HEADER = 32;
const PATTERN = { kind: 'test-pattern', width: 320, height: 64, fps: 60 } as const;
const OPTIONS = {
  source: PATTERN,
  engine: 'auto',
  bitrateKbps: 2000,
  maxFps: 60,
  keepaliveMs: 0,
  cursor: false,
} as const;

/** Numbers that the pattern's upper left corner shows, one a picture. */
async function decode(units: readonly Buffer[]): Promise<number[]> {
  const { width, height } = PATTERN;
  const child = spawn('gst-launch-1.0', [
    ...['-q', 'fdsrc', '!', 'h264parse', '!', 'openh264dec', '!'],
    ...['videoconvert', '!', 'video/x-raw,format=GRAY8', '!', 'fdsink'],
  ]);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(Buffer.concat(units.map((unit) => unit.subarray(HEADER))));
  await once(child, 'close');
  const pixels = Buffer.concat(chunks);
  const numbers: number[] = [];
  for (let at = 0; at + width * height <= pixels.length; at += width * height) {
    let number = 0;
    for (let bit = 0; bit < 32; bit++) {
      const value = pixels[at + 4 * width + bit * 8 + 4] ?? 0;
      number = number * 2 + (value > 128 ? 1 : 0);
    }
    numbers.push(number);
  }
  return numbers;
}

const hasDecoder = (() => {
  try {
    execFileSync('gst-inspect-1.0', ['--exists', 'openh264dec']);
    return true;
  } catch {
    return false;
  }
})();

test('what is encoded is what was painted, in order', async (t) => {
  const engine = new Engine(OPTIONS);
  const units: Buffer[] = [];
  const order: string[] = [];
  engine.on('config', ({ codec, width, height }) => {
    t.true(codec.startsWith('avc1.'));
    t.deepEqual([width, height], [PATTERN.width, PATTERN.height]);
    order.push('config');
  });
  engine.on('chosen', ({ engine: name, path, codec, hardware }) => {
    t.deepEqual([codec, hardware], ['h264', true]);
    t.is(name, 'videotoolbox');
    t.true(path.startsWith('IOSurface -> VideoToolbox'));
  });
  await new Promise<void>((resolve) => {
    engine.on('video', (message) => {
      order.push('video');
      if (units.push(message) === 12) resolve();
    });
  });
  t.deepEqual(order.slice(0, 2), ['config', 'video']);
  const { encoded, keyFrames, bitrateKbps } = engine.stats();
  t.true(encoded >= 12);
  t.is(keyFrames, 1);
  t.is(bitrateKbps, 2000);
  let ends = 0;
  engine.on('end', (error) => {
    t.is(error, undefined);
    ends++;
  });
  await engine.close();
  await engine.close();
  t.is(ends, 1);
  if (!hasDecoder) {
    t.log('not decoded: GStreamer has no openh264dec');
    return;
  }
  const numbers = await decode(units);
  t.is(numbers.length, units.length);
  for (let i = 1; i < numbers.length; i++) t.true((numbers[i] ?? 0) > (numbers[i - 1] ?? 0));
});

test('a key frame is made when it is asked for', async (t) => {
  const engine = new Engine(OPTIONS);
  let units = 0;
  await new Promise<void>((resolve) => {
    engine.on('video', (message) => {
      const key = ((message[1] ?? 0) & 1) === 1;
      if (++units === 1) {
        t.true(key);
        engine.requestKeyFrame();
        engine.setBitrate(500);
      } else if (key) {
        resolve();
      }
    });
  });
  t.is(engine.stats().bitrateKbps, 500);
  await engine.close();
  t.is(engine.stats().keyFrames, 2);
});

test('probe tries both codecs', async (t) => {
  const progress: number[] = [];
  const reports = await probe((known) => progress.push(known.length));
  t.deepEqual(progress, [1, 2]);
  t.deepEqual(await probe(undefined, 2), []);
  t.deepEqual(
    reports.map(({ engine, codec }) => [engine, codec]),
    [
      ['videotoolbox', 'h264'],
      ['videotoolbox', 'hevc'],
    ],
  );
  t.true(reports[0]?.works);
  if (process.platform !== 'darwin') t.is(reports[1]?.paths[0]?.codec, 'hvc1.1.6.L93.90');
});

test('a producer that is not there is an error with a remedy', async (t) => {
  const engine = new Engine({
    ...OPTIONS,
    source: { kind: 'scanout', socket: '/nonexistent/fe.sock', scanout: 1 },
  });
  const error = await new Promise((resolve) => engine.on('end', resolve));
  t.true(error instanceof EngineError);
  t.like(error, { code: 'SURFACE_CONNECT' });
  t.regex((error as Error).message, /nonexistent/);
  await engine.close();
});

test('resources are refused, and frames of them given back', async (t) => {
  const engine = new Engine({ ...OPTIONS, source: { kind: 'resource', socket: '/nonexistent' } });
  const refused = new Promise((resolve) => engine.on('refused', (resource) => resolve(resource)));
  const released = new Promise((resolve) => engine.on('released', (token) => resolve(token)));
  engine.addResource({ resource: 7 });
  engine.showFrame({ token: 9 });
  t.is(await refused, 7);
  t.is(await released, 9);
  t.is(engine.stats().encoded, 0);
  await engine.close();
});

test('options are checked', (t) => {
  const code = { instanceOf: EngineError, code: 'BAD_OPTION' };
  t.throws(() => new Engine({ ...OPTIONS, bitrateKbps: 1 }), code);
  t.throws(() => new Engine({ ...OPTIONS, maxFps: 0 }), code);
  t.throws(() => new Engine({ ...OPTIONS, engine: 'x264' as 'auto' }), code);
  t.throws(() => new Engine({ ...OPTIONS, codec: 'av1' as 'hevc' }), code);
  const long = { kind: 'scanout', socket: `/${'x'.repeat(103)}`, scanout: 0 } as const;
  t.throws(() => new Engine({ ...OPTIONS, source: long }), code);
  t.throws(() => new Engine({ ...OPTIONS, source: { ...PATTERN, width: 1 } }), code);
});

test('a surface that is not there cannot be read', (t) => {
  const surface = { surface: 1, iosurfaceId: 4_000_000, width: 8, height: 8, format: 0x34325258 };
  t.throws(() => readSurface({ ...surface, flags: 0 }), { code: 'SURFACE_LOST' });
  t.throws(() => readSurface({ ...surface, format: 1, flags: 0 }), { code: 'SURFACE_UNSUPPORTED' });
  t.true(monotonicNow() > 0n);
});
