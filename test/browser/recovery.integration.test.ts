// The picture comes back by itself, whatever went away: the bridge, the worker, the browser's decoder.
import { type Bridge, startBridge } from '@scanbridge/bridge';
import anyTest, { type TestFn } from 'ava';
import { type Chromium, startChromium } from '../harness/chromium.js';
import { until, ViewerPage } from './viewer-page.js';

const testPatterns = [{ id: 'test', width: 640, height: 360, fps: 30 }];

const test = anyTest as TestFn<{ chromium: Chromium }>;

test.before(async (t) => {
  t.context.chromium = await startChromium();
});

test.after.always(async (t) => {
  await t.context.chromium?.close();
});

test.serial('the picture returns when the bridge was restarted, without a reload', async (t) => {
  let bridge: Bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  const port = Number(new URL(bridge.url).port);
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test');
  await viewer.picture();
  await viewer.evaluate('window.marker = 1');

  await bridge.close();
  const told = await until('a reason', () => viewer.shownReason());
  t.true(['shutdown', 'disconnected', 'connecting'].includes(told.id), told.id);
  await until('a failed attempt', async () => (await viewer.reason()) === 'disconnected');

  bridge = await startBridge({ testPatterns, port });
  const stats = await viewer.picture(10);
  t.is(stats.connects, 2);
  t.is(stats.gaps, 0, 'a new numbering is no gap');
  t.is(await viewer.evaluate('window.marker'), 1);
  t.is(await viewer.shownReason(), undefined);
  await viewer.close();
});

test.serial('the picture returns when the worker was killed, on the same connection', async (t) => {
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test');
  await viewer.picture();
  // The reason may last for a moment only: it is written down as it comes.
  await viewer.evaluate(`window.reasons = new Set();
    new MutationObserver(() => {
      const { reason } = document.querySelector('.notice').dataset;
      if (reason) window.reasons.add(reason);
    }).observe(document.querySelector('.notice'), { attributes: true })`);

  const session = bridge.sessions.get('test');
  const { workerPid } = session.report();
  if (!workerPid) throw new Error('no worker');
  process.kill(workerPid, 'SIGKILL');
  await until('another worker', () => {
    const pid = session.report().workerPid;
    return pid !== undefined && pid !== workerPid;
  });
  const stats = await viewer.picture(10);
  t.is(stats.connects, 1);
  t.is(stats.gaps, 0);
  t.true((await viewer.evaluate<string[]>('[...window.reasons]')).includes('restarting'));
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial('the picture returns when the decoder has failed', async (t) => {
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  // The decoder gets rubbish in place of an access unit, as a broken driver or a lost byte would make of it.
  const init = `{
    const { decode } = VideoDecoder.prototype;
    let count = 0;
    VideoDecoder.prototype.decode = function (chunk) {
      count++;
      if (count === 40 || count === 41) {
        const data = new Uint8Array(4000).fill(0x55);
        data.set([0, 0, 0, 1, 0x67, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x65]);
        chunk = new EncodedVideoChunk({ type: 'key', timestamp: chunk.timestamp, data });
      }
      return decode.call(this, chunk);
    };
  }`;
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test', { init });
  await until(
    'a restart of the decoder',
    async () => ((await viewer.stats())?.decoderRestarts ?? 0) > 0,
  );
  const stats = await viewer.picture(30);
  t.is(stats.connects, 1);
  t.is(stats.gaps, 0);
  t.is(await viewer.shownReason(), undefined);
  const number = await viewer.number();
  await viewer.picture(5);
  t.true(((await viewer.number()) ?? 0) > (number ?? 0));
  await viewer.close();
});

test.serial('the picture returns when the decoder hangs', async (t) => {
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  // The first decoder swallows what it gets from some moment on; nothing comes out, and no error.
  const init = `{
    const { decode } = VideoDecoder.prototype;
    let first;
    let count = 0;
    VideoDecoder.prototype.decode = function (chunk) {
      first ??= this;
      if (this !== first || ++count < 20) decode.call(this, chunk);
    };
  }`;
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test', { init });
  await until(
    'a restart of the decoder',
    async () => ((await viewer.stats())?.decoderRestarts ?? 0) > 0,
  );
  const stats = await viewer.picture(30);
  t.is(stats.connects, 1, 'before the bridge has lost its patience');
  t.is(stats.decoderRestarts, 1);
  await viewer.close();
});

test.serial('the picture follows when its size changes', async (t) => {
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test');
  await viewer.picture();
  const session = bridge.sessions.get('test');
  await session.hold('TEST', 'the source is exchanged');
  await until('a reason', async () => (await viewer.reason()) === 'waiting');
  t.regex((await viewer.shownReason())?.text ?? '', /The source is exchanged\./);

  session.resume({ kind: 'test-pattern', width: 402, height: 300, fps: 30 });
  const stats = await until('the new size', async () => {
    const now = await viewer.stats();
    return now?.width === 402 && now.height === 300 && now;
  });
  t.is(stats.connects, 1);
  await viewer.picture(5);
  const canvas = await viewer.page.locator('canvas.picture').boundingBox();
  t.true(Math.abs((canvas?.width ?? 0) / (canvas?.height ?? 1) - 402 / 300) < 0.01);
  // The number is painted in whole blocks: a wrong size would have moved them.
  const before = (await viewer.number()) ?? 0;
  await viewer.picture(10);
  const after = (await viewer.number()) ?? 0;
  t.true(after > before && after < before + 1000, `${before}, then ${after}`);
  t.deepEqual(viewer.complaints, []);
  await viewer.close();
});

test.serial('a decoder that only fails is named, over the old picture or none', async (t) => {
  const bridge = await startBridge({ testPatterns });
  t.teardown(() => bridge.close());
  const init = `VideoDecoder.prototype.decode = () => {
    throw new DOMException('this driver is broken', 'EncodingError');
  };`;
  const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test', { init });
  await until('the reason', async () => (await viewer.reason()) === 'decoder-failing');
  const shown = await viewer.shownReason();
  t.is(shown?.id, 'decoder-failing');
  t.regex(shown?.text ?? '', /this driver is broken/);
  t.is((await viewer.stats())?.connects, 1);
  // The encoder is not made to send key frames as fast as a decoder can fail.
  const before = bridge.sessions.get('test').report().keyFrames;
  await until('more attempts', async () => ((await viewer.stats())?.decoderRestarts ?? 0) >= 5);
  t.true(bridge.sessions.get('test').report().keyFrames - before < 10);
  await viewer.close();
});
