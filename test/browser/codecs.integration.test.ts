// AV1 and VP9 from a real encoder to Chromium's decoder: the pictures that were painted come out.
import { startBridge } from '@scanbridge/bridge';
import anyTest, { type TestFn } from 'ava';
import { type Chromium, startChromium } from '../harness/chromium.js';
import { ViewerPage } from './viewer-page.js';

const test = anyTest as TestFn<{ chromium: Chromium }>;

test.before(async (t) => {
  t.context.chromium = await startChromium();
});
test.after.always((t) => t.context.chromium?.close());

for (const [codec, words] of [
  ['vp9', /^vp09\.00\.\d\d\.08$/],
  ['av1', /^av01\.0\.\d\dM\.08$/],
] as const) {
  test.serial(`Chromium shows a session in ${codec}`, async (t) => {
    const bridge = await startBridge({
      codec,
      testPatterns: [{ id: 'test', width: 640, height: 360, fps: 15 }],
    });
    try {
      const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test');
      const stats = await viewer.picture();
      t.regex(stats.codec ?? '', words);
      const seen = await viewer.observe(20);
      for (const [i, { number }] of seen.entries()) {
        if (i > 0) t.true(number > (seen[i - 1]?.number ?? 0), `picture ${i}: ${number}`);
      }
      t.deepEqual(viewer.complaints, []);
      await viewer.close();
    } finally {
      await bridge.close();
    }
  });
}

test.serial('Chromium has no HEVC on Linux, and gets H.264', async (t) => {
  const bridge = await startBridge({
    codec: 'hevc',
    testPatterns: [{ id: 'test', width: 640, height: 360, fps: 15 }],
  });
  try {
    const viewer = await ViewerPage.open(t.context.chromium.context, bridge.url, 'test');
    const stats = await viewer.picture();
    t.regex(stats.codec ?? '', /^(avc1|hvc1)\./);
    await viewer.close();
  } finally {
    await bridge.close();
  }
});
