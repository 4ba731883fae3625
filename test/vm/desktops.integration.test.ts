import { SurfaceClient } from '@scanbridge/native-host-linux';
import test from 'ava';
import { TwoDesktops } from './desktops.js';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import type { Picture } from './picture.js';

const size = { width: 1280, height: 720 };

/** How many different colours a picture has. */
function colours({ rgb }: Picture): number {
  const seen = new Set<number>();
  for (let at = 0; at < rgb.length; at += 3) {
    seen.add(rgb.readUIntBE(at, 3));
  }
  return seen.size;
}

for (const gpu of ['2d', 'gl'] as const) {
  test.serial(`${gpu}: two desktops of a real compositor are exported, and go on`, async (t) => {
    t.timeout(BUILD_MILLISECONDS);
    await using guest = await Guest.boot({ heads: 2, frameExport: true, gpu, memory: 3072 });
    await using _desktops = await TwoDesktops.show(guest, size, gpu === 'gl' ? 'gles2' : 'pixman');
    const client = await SurfaceClient.connect(guest.framesSocket);
    t.teardown(() => client.close());
    const pictures: Picture[] = [];
    for (const head of [0, 1]) {
      const frames = await FrameReader.scanout(client, head);
      const first = await frames.next();
      t.like(first.picture, size);
      t.true(colours(first.picture) > 10, `head ${head} shows no text`);
      // The bars' and the windows' clocks go on.
      const changed = await frames.until(({ picture }) => !picture.rgb.equals(first.picture.rgb));
      t.true(changed.sequence > first.sequence);
      pictures.push(changed.picture);
    }
    t.false(pictures[0]?.rgb.equals(pictures[1]?.rgb as Buffer), 'both heads show the same');
  });
}
