import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MediaSession } from '@scanbridge/agent/desktop';
import test from 'ava';
import { expectedRgb, readStampPacked, type Stamp } from '../harness/pattern.js';

const run = promisify(execFile);

/** Pictures of a PipeWire node as packed BGRx, read by GStreamer's own consumer. */
async function grab(
  env: Readonly<Record<string, string>>,
  node: string,
  bytes: number,
  count: number,
  limitMs = 20_000,
): Promise<Uint8Array[]> {
  const folder = mkdtempSync(join(tmpdir(), 'scanbridge-grab-'));
  const file = join(folder, 'pictures');
  try {
    const source = ['pipewiresrc', `path=${node}`, `num-buffers=${count}`, 'always-copy=true'];
    await run(
      'gst-launch-1.0',
      ['-q', ...source, '!', 'video/x-raw,format=BGRx', '!', 'filesink', `location=${file}`],
      { env: { ...process.env, ...env }, timeout: limitMs },
    );
    const all = readFileSync(file);
    return Array.from({ length: count }, (_, i) => all.subarray(i * bytes, (i + 1) * bytes));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How many of a picture's pixels differ from what its stamp says. */
function wrongPixels(picture: Uint8Array, width: number, height: number, stamp: Stamp): number {
  let wrong = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [r, g, b] = expectedRgb(x, y, width, stamp);
      const at = (y * width + x) * 4;
      if (picture[at] !== b || picture[at + 1] !== g || picture[at + 2] !== r) wrong++;
    }
  return wrong;
}

// 648 is no multiple of the header's blocks, 500 none of the cells.
for (const [width, height] of [
  [1280, 720],
  [648, 500],
] as const)
  test(`pw-painter paints what pattern.ts computes, ${width}x${height}`, async (t) => {
    const session = await MediaSession.start();
    t.teardown(() => session.close());
    const before = Date.now() * 1000;
    const painter = await session.runOwn('pw-painter', ['--size', `${width}x${height}`]);
    const [, node] = await painter.output(/^node (\d+)$/m);
    const pictures = await grab(session.env, node ?? '', width * height * 4, 5);
    const stamps = pictures.map((picture) => readStampPacked(picture, width, width * 4, 'bgrx'));
    for (const [i, stamp] of stamps.entries()) {
      if (stamp === undefined) return t.fail(`picture ${i} has no valid header`);
      t.is(wrongPixels(pictures[i] as Uint8Array, width, height, stamp), 0);
      t.true(stamp.realtimeUs >= before && stamp.realtimeUs <= Date.now() * 1000);
      const previous = stamps[i - 1];
      if (previous !== undefined) t.true(stamp.sequence > previous.sequence);
    }
  });

test('a still pw-painter sends its one picture to each consumer', async (t) => {
  const session = await MediaSession.start();
  t.teardown(() => session.close());
  const painter = await session.runOwn('pw-painter', ['--size', '320x240', '--still']);
  const [, node] = await painter.output(/^node (\d+)$/m);
  // GStreamer's consumer loses a picture that comes while it still gets ready, and there is no second one until the
  // stream starts anew; so it is given several starts.
  const one = async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await grab(session.env, node ?? '', 320 * 240 * 4, 1, 5000);
      } catch (error) {
        if (attempt === 6) throw error;
      }
    }
  };
  const [first] = await one();
  const [second] = await one();
  t.is(readStampPacked(first as Uint8Array, 320, 320 * 4, 'bgrx')?.sequence, 0);
  t.deepEqual(first, second);
});
