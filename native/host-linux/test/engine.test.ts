import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { decodeVideo } from '@scanbridge/protocol/viewer/video';
import test from 'ava';
import {
  type ChosenPath,
  Engine,
  EngineError,
  type EngineOptions,
  monotonicNow,
  probe,
  SurfaceClient,
  type VideoConfig,
} from '../lib/index.js';

const pattern: EngineOptions = {
  source: { kind: 'test-pattern', width: 320, height: 180, fps: 60 },
  engine: 'auto',
  bitrateKbps: 2000,
  maxFps: 60,
  keepaliveMs: 1000,
  cursor: false,
};

/** The next `count` messages. */
async function take(engine: Engine, count: number): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  for await (const [message] of on(engine)) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

async function* on(engine: Engine): AsyncGenerator<[Buffer]> {
  const queue: Buffer[] = [];
  let wake = () => {};
  const listener = (message: Buffer) => {
    queue.push(message);
    wake();
  };
  engine.on('video', listener);
  try {
    for (;;) {
      const message = queue.shift();
      if (message) yield [message];
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    engine.off('video', listener);
  }
}

test('the test pattern comes as messages of the viewer protocol, config first', async (t) => {
  const engine = new Engine(pattern);
  const seen: string[] = [];
  let config: VideoConfig | undefined;
  let chosen: ChosenPath | undefined;
  engine.on('state', (s) => seen.push(s.state));
  engine.on('config', (c) => {
    config = c;
    seen.push('config');
  });
  engine.on('chosen', (c) => {
    chosen = c;
  });
  engine.once('video', () => seen.push('video'));
  const messages = await take(engine, 10);
  t.deepEqual(seen, ['starting', 'live', 'config', 'video']);
  t.like(config, { id: 1, width: 320, height: 180, codedWidth: 320, codedHeight: 180 });
  t.regex(config?.codec ?? '', /^avc1\.[0-9a-f]{6}$/);
  // On a machine with a GPU that encodes, this says so.
  t.is(chosen?.codec, 'h264');
  t.truthy(chosen?.path);
  t.true(chosen?.hardware || chosen?.tried.every(({ reason }) => reason.length > 0));
  messages.forEach((message, i) => {
    const { header, accessUnit } = decodeVideo(message);
    t.is(header.sequence, i);
    t.is(header.config, 1);
    t.is((header.flags & 1) !== 0, i === 0);
    t.is(header.bridge, 0);
    t.true(header.encode > 0);
    t.true(header.pts * 1000n < monotonicNow());
    t.deepEqual([...accessUnit.subarray(0, 4)], [0, 0, 0, 1]);
  });
  const stats = engine.stats();
  t.true(stats.encoded >= 10);
  t.is(stats.keyFrames, 1);
  t.true(stats.latency.p50 > 0);
  await engine.close();
});

test('a key frame comes when it is asked for', async (t) => {
  const engine = new Engine({ ...pattern, engine: 'openh264' });
  await take(engine, 5);
  engine.requestKeyFrame();
  const messages = await take(engine, 5);
  t.is(messages.filter((m) => ((m[1] ?? 0) & 1) !== 0).length, 1);
  await engine.close();
});

test('close ends the stream once, and twice does no harm', async (t) => {
  const engine = new Engine(pattern);
  let ends = 0;
  engine.on('end', (error) => {
    t.is(error, undefined);
    ends++;
  });
  await once(engine, 'video');
  await Promise.all([engine.close(), engine.close()]);
  await engine.close();
  t.is(ends, 1);
  engine.requestKeyFrame();
  engine.setBitrate(500);
  t.true(engine.stats().encoded > 0);
});

test('a producer that is not there is a typed error', async (t) => {
  const source = { kind: 'scanout', socket: '/nonexistent/socket', scanout: 0 } as const;
  const engine = new Engine({ ...pattern, source });
  // Not events.once, which rejects on 'error'.
  const errors: EngineError[] = [];
  engine.on('error', (e) => errors.push(e));
  const error = await new Promise<EngineError | undefined>((end) => engine.once('end', end));
  t.deepEqual(errors, [error]);
  t.true(error instanceof EngineError);
  t.is(error?.code, 'SURFACE_CONNECT');
  t.regex(error?.message ?? '', /\/nonexistent\/socket/);
  t.truthy(error?.remedy);

  const refused = await t.throwsAsync(SurfaceClient.connect('/nonexistent/socket'), {
    instanceOf: EngineError,
  });
  t.is(refused?.code, 'SURFACE_CONNECT');
});

test('bad options are refused', (t) => {
  const wrong: Partial<EngineOptions>[] = [
    { bitrateKbps: 0 },
    { maxFps: 1.5 },
    { keepaliveMs: 5 },
    { source: { kind: 'test-pattern', width: 100_000, height: 1, fps: 1 } },
    { source: { kind: 'capture', socket: 's', capture: 0 } },
  ];
  for (const options of wrong) {
    const error = t.throws(() => new Engine({ ...pattern, ...options }), {
      instanceOf: EngineError,
    });
    t.is(error?.code, 'BAD_OPTION');
  }
});

test('probe encodes with each software engine, and says of each codec what there is', async (t) => {
  const progress: number[] = [];
  const reports = await probe((some) => progress.push(some.length));
  t.true(progress.length > 0);
  const working = reports.filter((r) => r.works).map((r) => [r.engine, r.codec]);
  for (const pair of [
    ['x264', 'h264'],
    ['openh264', 'h264'],
    ['x265', 'hevc'],
    ['aom', 'av1'],
    ['vpx', 'vp9'],
  ]) {
    t.true(
      working.some((each) => `${each}` === `${pair}`),
      `${pair}: ${JSON.stringify(reports)}`,
    );
  }
  t.regex(reports.find((r) => r.engine === 'x264')?.paths[0]?.codec ?? '', /^avc1\./);
  t.regex(reports.find((r) => r.engine === 'vpx')?.paths[0]?.codec ?? '', /^vp09\./);
});

test.serial('starts and stops leave no descriptor', async (t) => {
  const count = () => readdirSync('/proc/self/fd').length;
  const round = async () => {
    const engine = new Engine(pattern);
    await once(engine, 'video');
    await engine.close();
  };
  await round();
  const before = count();
  for (let i = 0; i < 10; i++) await round();
  t.true(count() <= before, `${before} -> ${count()}`);
});

test('a process may exit with an engine running', (t) => {
  const script = `import { Engine } from ${JSON.stringify(new URL('../lib/index.js', import.meta.url).href)};
    const engine = new Engine(${JSON.stringify(pattern)});
    engine.once('video', () => process.exit(7));`;
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script],
    { encoding: 'utf8', timeout: 30_000 },
  );
  t.is(signal, null, stderr);
  t.is(status, 7, stderr);
});
