// The viewer page in Chromium on a real bridge: pictures, statistics, the grid, and what it says when it cannot show
// anything.
import { type Bridge, startBridge } from '@scanbridge/bridge';
import anyTest, { type TestFn } from 'ava';
import { type Chromium, startChromium } from '../harness/chromium.js';
import { until, ViewerPage } from './viewer-page.js';

const WIDTH = 640;
const HEIGHT = 360;
const TOKEN = 'a-token-for-the-page-tests';

const test = anyTest as TestFn<{ bridge: Bridge; chromium: Chromium }>;

test.before(async (t) => {
  const testPatterns = ['test', 'other'].map((id) => ({
    id,
    width: WIDTH,
    height: HEIGHT,
    fps: 30,
  }));
  t.context.bridge = await startBridge({ testPatterns });
  t.context.chromium = await startChromium({ names: ['desk.test'] });
});

test.after.always(async (t) => {
  await t.context.chromium?.close();
  await t.context.bridge?.close();
});

test.serial('the full view shows the picture, in order and without gaps', async (t) => {
  const { bridge, chromium } = t.context;
  const viewer = await ViewerPage.open(chromium.context, bridge.url, 'test');
  const stats = await viewer.picture();
  t.is(stats.width, WIDTH);
  t.is(stats.height, HEIGHT);
  t.regex(stats.codec ?? '', /^avc1\.[0-9a-f]{6}$/i);

  const seen = await viewer.observe(90);
  const [first] = seen;
  if (!first) throw new Error('nothing was seen');
  seen.forEach(({ sequence }, i) => {
    t.is(sequence, (first.sequence + i) >>> 0);
  });
  // The number in the pixels belongs to the picture: it grows with every one of them.
  for (const [i, { number }] of seen.entries()) {
    if (i > 0) t.true(number > (seen[i - 1]?.number ?? 0), `picture ${i}: ${number}`);
  }

  const later = await viewer.stats();
  t.is(later?.gaps, 0);
  t.is(later?.skips, 0);
  const shown = await viewer.number();
  await viewer.picture(10);
  t.true(((await viewer.number()) ?? 0) > (shown ?? 0), 'the canvas moves on');
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial('the colours of the picture are those that were painted', async (t) => {
  const { bridge, chromium } = t.context;
  const viewer = await ViewerPage.open(chromium.context, bridge.url, 'test');
  await viewer.picture();
  // 75 % bars: white, yellow, cyan, green, magenta, red, blue.
  const bars = [
    [0xbf, 0xbf, 0xbf],
    [0xbf, 0xbf, 0],
    [0, 0xbf, 0xbf],
    [0, 0xbf, 0],
    [0xbf, 0, 0xbf],
    [0xbf, 0, 0],
    [0, 0, 0xbf],
  ];
  for (const [i, bar] of bars.entries()) {
    const x = Math.round(((i + 0.5) * WIDTH) / bars.length);
    // A white bar runs over the picture: the colour has to be there when it is somewhere else.
    await until(`bar ${i} is ${bar}`, async () => {
      const pixel = await viewer.pixel(x, 60);
      return pixel.every((value, k) => Math.abs(value - (bar[k] ?? 0)) <= 12);
    });
  }
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial('the stages of latency add up, in the numbers and on the screen', async (t) => {
  const { bridge, chromium } = t.context;
  const viewer = await ViewerPage.open(chromium.context, bridge.url, 'test');
  const { timings } = await until('a measured round trip', async () => {
    const stats = await viewer.stats();
    return (
      stats?.bridge?.rtt !== undefined && (stats.timings?.stages.network?.mean ?? 0) > 0 && stats
    );
  });
  if (!timings) throw new Error('no timings');
  const { stages, total } = timings;
  t.deepEqual(Object.keys(stages), ['capture', 'encode', 'bridge', 'network', 'decode', 'render']);
  const sum = Object.values(stages).reduce((all, { mean }) => all + mean, 0);
  t.true(Math.abs(sum - total.mean) < 1e-6, `${sum} is not ${total.mean}`);
  for (const stage of ['encode', 'network', 'decode']) {
    t.true((stages[stage]?.mean ?? 0) > 0, `${stage} takes time`);
  }
  t.true(total.p50 <= total.p95);

  await viewer.page.keyboard.press('s');
  const panel = viewer.page.locator('.stats');
  await panel.waitFor({ state: 'visible' });
  const [rows, head] = await viewer.evaluate<[string[], string]>(`[
    [...document.querySelectorAll('.stats-stages tbody tr')].map((row) => row.children[1].innerText),
    document.querySelector('.stats-total').innerText,
  ]`);
  const means = rows.map(Number);
  const shownTotal = means.pop() ?? 0;
  t.is(means.length, 6);
  const shownSum = means.reduce((all, mean) => all + mean, 0);
  t.true(Math.abs(shownSum - shownTotal) < 0.05, `${means.join(' + ')} is not ${shownTotal}`);
  t.is(Number(head), shownTotal);

  await viewer.page.keyboard.press('s');
  await panel.waitFor({ state: 'hidden' });
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial(
  'the grid shows every session live, and leads to each and back by keyboard',
  async (t) => {
    const { bridge, chromium } = t.context;
    const viewer = await ViewerPage.open(chromium.context, bridge.url, 'test', { hash: '#/' });
    await viewer.picture();
    await until('both tiles live', () =>
      viewer.evaluate<boolean>(
        `document.querySelectorAll('.tile[data-state="live"]').length === 2`,
      ),
    );
    t.deepEqual((await viewer.evaluate<string[]>('scanbridge.streams()')).sort(), [
      'other',
      'test',
    ]);

    await viewer.page.keyboard.press('Tab');
    await viewer.page.keyboard.press('Enter');
    await viewer.page.waitForURL(/#\/s\/test$/);
    await viewer.picture();
    t.deepEqual(await viewer.evaluate('scanbridge.streams()'), ['test']);
    await until(
      'the other session has no viewer left',
      () => bridge.sessions.get('other').viewers.size === 0,
    );

    await viewer.page.goBack();
    await viewer.page.locator('.grid').waitFor();
    await viewer.page.goForward();
    await viewer.picture();
    await viewer.page.keyboard.press('Escape');
    await viewer.page.waitForURL(/#\/$/);
    await viewer.picture();
    t.deepEqual(viewer.complaints, []);
    await viewer.close();
  },
);

test.serial('only tiles in sight and pages in sight are streamed', async (t) => {
  const { chromium } = t.context;
  const testPatterns = Array.from({ length: 12 }, (_, i) => ({
    id: `tile-${i}`,
    width: 320,
    height: 180,
    fps: 5,
  }));
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  const watching = (i: number) =>
    [...bridge.sessions.get(`tile-${i}`).viewers].some((viewer) => viewer.watching);

  const viewer = await ViewerPage.open(chromium.context, bridge.url, 'tile-0', { hash: '#/' });
  await viewer.page.setViewportSize({ width: 420, height: 500 });
  await until('the first tile is watched', () => watching(0));
  await viewer.picture();
  t.is(bridge.sessions.get('tile-11').viewers.size, 0, 'the last tile never connected');

  await viewer.page.locator('[data-session="tile-11"]').scrollIntoViewIfNeeded();
  await until('the last tile is watched', () => watching(11));
  await until('the first tile is paused', () => !watching(0));
  t.is(bridge.sessions.get('tile-0').viewers.size, 1, 'and stays connected');

  await viewer.page.locator('[data-session="tile-0"]').scrollIntoViewIfNeeded();
  await until('the first tile is watched again', () => watching(0));
  await viewer.picture();

  // Headless Chromium calls every page visible: the event is made, what follows from it is real.
  const visibility = (state: string) =>
    viewer.evaluate(`Object.defineProperty(document, 'visibilityState', {
      configurable: true, get: () => '${state}' });
      document.dispatchEvent(new Event('visibilitychange'))`);
  await visibility('hidden');
  await until('a hidden page watches nothing', () => !testPatterns.some((_, i) => watching(i)));
  await visibility('visible');
  await until('a visible one does', () => watching(0));
  await viewer.picture();
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial(
  'without WebCodecs the page says so, names browsers, and asks for no video',
  async (t) => {
    const { chromium } = t.context;
    const bridge = await startBridge({
      testPatterns: [{ id: 'test', width: WIDTH, height: HEIGHT, fps: 30 }],
    });
    t.teardown(() => bridge.close());
    for (const hash of ['#/s/test', '#/']) {
      const viewer = await ViewerPage.open(chromium.context, bridge.url, 'test', {
        hash,
        init: 'delete window.VideoDecoder',
      });
      const reason = await until('a reason', () => viewer.shownReason());
      t.is(reason.id, 'no-webcodecs');
      t.regex(reason.text, /WebCodecs[\s\S]*Chrome[\s\S]*Safari[\s\S]*Firefox/);
      t.is(bridge.sessions.get('test').viewers.size, 0);
      t.deepEqual(viewer.complaints, []);
      await viewer.close();
    }
  },
);

test.serial('over plain http from another host the page says what the browser wants', async (t) => {
  const { chromium } = t.context;
  const bridge = await startBridge({
    host: '0.0.0.0',
    tokens: [{ secret: TOKEN, access: 'control' }],
    testPatterns: [{ id: 'test', width: WIDTH, height: HEIGHT, fps: 30 }],
  });
  t.teardown(() => bridge.close());
  const { port } = new URL(bridge.url);
  const viewer = await ViewerPage.open(
    chromium.context,
    `http://desk.test:${port}/?token=${TOKEN}`,
    'test',
  );
  const reason = await until('a reason', () => viewer.shownReason());
  t.is(reason.id, 'insecure-context');
  t.regex(reason.text, /https/);
  t.true(reason.text.includes(`localhost:${port}`), 'and how to get there');
  await viewer.close();
});

test.serial(
  'a session wants its token: from a form, or from the link and out of the address',
  async (t) => {
    const { chromium } = t.context;
    const bridge = await startBridge({
      tokens: [{ secret: TOKEN, session: 'test', access: 'view' }],
      testPatterns: [{ id: 'test', width: WIDTH, height: HEIGHT, fps: 30 }],
    });
    t.teardown(() => bridge.close());
    const asked = await ViewerPage.open(chromium.context, bridge.url, 'test');
    await until('the form', async () => (await asked.shownReason())?.id === 'unauthorized');
    await asked.page.getByLabel('Token').fill('not the right one');
    await asked.page.keyboard.press('Enter');
    await until('refused', async () =>
      /not one of this bridge/.test((await asked.shownReason())?.text ?? ''),
    );
    await asked.page.getByLabel('Token').fill(TOKEN);
    await asked.page.keyboard.press('Enter');
    await asked.picture();
    await asked.close();

    const linked = await ViewerPage.open(chromium.context, bridge.url, 'test', {
      hash: `#/s/test?token=${TOKEN}`,
    });
    await linked.picture();
    t.false(linked.page.url().includes(TOKEN));
    t.true(await linked.page.getByText('View only').isVisible());
    t.deepEqual(linked.complaints, []);
    await linked.page.reload();
    await linked.picture();
    await linked.close();
  },
);

test.serial('no session, an ended one, and no sessions at all are told apart', async (t) => {
  const { chromium } = t.context;
  const bridge = await startBridge({
    testPatterns: [{ id: 'test', width: WIDTH, height: HEIGHT, fps: 30 }],
  });
  t.teardown(() => bridge.close());
  const missing = await ViewerPage.open(chromium.context, bridge.url, 'nothing');
  await until('no such session', async () => (await missing.reason()) === 'no-such-session');
  await missing.page.getByRole('button', { name: 'All desktops' }).click();
  await missing.page.locator('.tile').waitFor();

  const ended = await ViewerPage.open(chromium.context, bridge.url, 'test');
  await ended.picture();
  await bridge.sessions.remove(bridge.sessions.get('test'));
  await until('ended', async () => (await ended.reason()) === 'session-ended');
  t.is((await ended.shownReason())?.id, 'session-ended');
  await missing.page.getByText('No desktops yet').waitFor();
  t.is(await missing.page.locator('.tile').count(), 0);
  await ended.close();
  await missing.close();
});
