// The whole chain with real parts: a Wayland client that paints, Mutter, PipeWire, the agent, an engine worker, the
// bridge, and Chromium, in whose decoded picture every pixel is compared with what was painted.
import { setTimeout as delay } from 'node:timers/promises';
import { type Desktop, startDesktop } from '@scanbridge/agent/desktop';
import anyTest, { type TestFn } from 'ava';
import { type CapturedSession, startCapturedSession } from '../harness/captured-session.js';
import { startPaintedDesktop } from '../harness/painted-desktop.js';
import { expectedRgb, headerHeight } from '../harness/pattern.js';
import { sessionsOf } from '../harness/processes.js';
import { type Picture, Probe, sequenceGaps } from '../probe/probe.js';

const test = anyTest as TestFn<{ probe: Probe }>;

test.before(async (t) => {
  t.context.probe = await Probe.launch();
});
test.afterEach.always((t) => t.context.probe.stop());
test.after.always((t) => t.context.probe?.close());

/** Few enough pixels for encoder and decoder, and a bitrate at which what is lost is small. */
const SHARP = ['--bitrate', '20000', '--min-bitrate', '20000', '--max-bitrate', '40000'];

/**
 * Part of the pixels below the header that are further from what was painted than H.264 at 4:2:0 explains, and the
 * mean distance of all. Within two pixels of a cell's edge the colour is a mixture of both sides and not counted.
 */
function difference({ width, height, rgba, stamp }: Picture): { wrong: number; mean: number } {
  if (!stamp) throw new Error('the picture carries no stamp');
  let wrong = 0;
  let sum = 0;
  let count = 0;
  const colour = (x: number, y: number) => expectedRgb(x, y, width, stamp);
  for (let y = headerHeight(width) + 4; y < height - 2; y++) {
    for (let x = 2; x < width - 2; x++) {
      const [r, g, b] = colour(x, y);
      const same = ([nr, ng, nb]: readonly [number, number, number]) =>
        Math.abs(nr - r) + Math.abs(ng - g) + Math.abs(nb - b) <= 6;
      if (!same(colour(x - 2, y)) || !same(colour(x + 2, y))) continue;
      if (!same(colour(x, y - 2)) || !same(colour(x, y + 2))) continue;
      const at = (y * width + x) * 4;
      const distance =
        (Math.abs((rgba[at] ?? 0) - r) +
          Math.abs((rgba[at + 1] ?? 0) - g) +
          Math.abs((rgba[at + 2] ?? 0) - b)) /
        3;
      sum += distance;
      count++;
      if (distance > 16) wrong++;
    }
  }
  return { wrong: wrong / count, mean: sum / count };
}

/** Mutter with a painter on it, captured through its ScreenCast. */
async function paintedMutter(
  probe: Probe,
  painter: readonly string[],
): Promise<{ desktop: Desktop; session: CapturedSession; close: () => Promise<void> }> {
  const desktop = await startDesktop({ width: 640, height: 480, refresh: 60, apps: 'none' });
  try {
    await desktop.runOwn('painter', ['--size', '640x480', ...painter]);
    const args = ['--mutter', desktop.env.DBUS_SESSION_BUS_ADDRESS ?? ''];
    const session = await startCapturedSession({ args, env: desktop.env }, probe.origin, SHARP);
    const close = async () => {
      await session.close();
      await desktop.close();
    };
    return { desktop, session, close };
  } catch (error) {
    await desktop.close();
    throw error;
  }
}

test.serial(
  'what a client paints on Mutter is what Chromium decodes, pixel by pixel',
  async (t) => {
    const { probe } = t.context;
    const { session, close } = await paintedMutter(probe, ['--fps', '30']);
    t.teardown(close);
    await probe.watch('moving', session.url, true);
    await probe.until('moving', (w) => w.decoded.filter((d) => d.stamp).length >= 30);
    for (let i = 0; i < 5; i++) {
      const picture = await probe.picture();
      const { wrong, mean } = difference(picture);
      t.log(
        `sequence ${picture.stamp?.sequence}: ${(wrong * 100).toFixed(2)} % wrong, mean ${mean}`,
      );
      t.true(wrong < 0.001, `${wrong} of the pixels are wrong`);
      t.true(mean < 2, `the mean distance is ${mean}`);
      await delay(150);
    }
    const { decoded, errors } = await probe.collect('moving');
    t.deepEqual(errors, []);
    const sequences = decoded.flatMap((d) => (d.stamp ? [d.stamp.sequence] : []));
    t.deepEqual(
      sequences,
      [...sequences].sort((a, b) => a - b),
      'pictures come in order',
    );
  },
);

test.serial('a viewer of a still desktop sees it, whenever he comes', async (t) => {
  const { probe } = t.context;
  const { session, close } = await paintedMutter(probe, ['--still']);
  t.teardown(close);
  for (const wait of [0, 500, 3000]) {
    await delay(wait);
    const name = `after ${wait} ms`;
    await probe.watch(name, session.url, true);
    await probe.until(name, (w) => w.decoded.some((d) => d.stamp));
    const { wrong } = difference(await probe.picture());
    t.true(wrong < 0.005, `${name}: ${wrong} of the pixels are wrong`);
    await probe.stop();
  }
});

test.serial('every painted picture arrives, once and in order', async (t) => {
  const { probe } = t.context;
  const desktop = await startPaintedDesktop(640, 360, 30);
  t.teardown(() => desktop.close());
  const session = await startCapturedSession(desktop, probe.origin);
  t.teardown(() => session.close());
  await probe.watch('numbers', session.url);
  await probe.until('numbers', (w) => w.decoded.length >= 30);
  const from = (await probe.collect('numbers')).decoded.length;
  await probe.until('numbers', (w) => w.decoded.length >= from + 90);
  const { decoded } = await probe.collect('numbers');
  const units = decoded.map((d) => d.sequence);
  t.deepEqual(
    units,
    units.map((_, i) => (units[0] as number) + i),
    'access units follow each other',
  );
  t.true(decoded.every((d) => d.stamp !== undefined));
  // A loaded machine may make the painter's pictures replace each other before they are encoded; then the
  // bridge says so, and what it says is what is missing here.
  await delay(1500); // the session's counters follow once a second
  const [summary] = await sessionsOf(session.base);
  const gaps = sequenceGaps(decoded.slice(from));
  t.true(
    gaps <= (summary?.dropped ?? 0),
    `${gaps} pictures are missing, ${summary?.dropped} dropped`,
  );
});

test.serial(
  'a compositor that is killed ends the session with a reason, not the bridge',
  async (t) => {
    const { probe } = t.context;
    const { desktop, session, close } = await paintedMutter(probe, ['--fps', '30']);
    t.teardown(close);
    await probe.watch('killed', session.url);
    await probe.until('killed', (w) => w.decoded.length > 0);
    await desktop.close();
    const watched = await probe.until(
      'killed',
      (w) => w.closed !== undefined || w.states.some((s) => s === 'waiting' || s === 'restarting'),
    );
    t.true(watched.closed !== undefined || watched.states.length > 1);
    t.is(session.bridge.child.exitCode, null, 'the bridge runs');
    t.is(session.agent.child.exitCode, null, 'the agent runs');
    const health = await fetch(new URL('healthz', session.base));
    t.true(health.ok);
  },
);
