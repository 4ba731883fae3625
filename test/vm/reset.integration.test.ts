import { type ScanoutInfo, SurfaceClient } from '@scanbridge/native-host-linux';
import test from 'ava';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { Painter } from './painter.js';
import { findWrongPixel } from './pattern.js';

test('streams survive a reboot of the guest, and scanouts return to the power-on state', async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  await using guest = await Guest.boot({ heads: 3, frameExport: true });
  const client = await SurfaceClient.connect(guest.framesSocket);
  t.teardown(() => client.close());
  const infos = new Map<number, ScanoutInfo>();
  client.on('scanout-info', (info) => infos.set(info.scanout, info));
  const resets: { stream: number; reason: string }[] = [];
  client.on('reset', (event) => resets.push(event));

  const painter = await Painter.start(guest);
  await client.configureScanout(1, { width: 800, height: 600 });
  await painter.show(1, { width: 800, height: 600 });
  const frames = await FrameReader.scanout(client, 1);
  t.is(findWrongPixel((await frames.next()).picture, 1), undefined);
  await client.ping();
  const before = infos.get(1);
  t.like(before, { enabled: true, active: true, width: 800, height: 600 });

  await guest.reset(); // with a frame that is not released
  await client.ping();
  t.deepEqual(
    resets.filter(({ reason }) => reason === 'guest-reset').map(({ stream }) => stream),
    [frames.stream],
  );
  t.like(infos.get(0), { enabled: true });
  t.like(infos.get(1), { enabled: false, active: false });
  t.true((infos.get(1)?.generation ?? 0) > (before?.generation ?? 0));

  const again = await Painter.start(guest);
  t.deepEqual(
    (await again.heads()).map(({ connected }) => connected),
    [true, false, false],
  );
  await client.configureScanout(1, { width: 640, height: 480 });
  await again.show(1, { width: 640, height: 480 });
  const frame = await frames.next();
  t.true(frame.discontinuity);
  t.is(frame.picture.width, 640);
  t.is(findWrongPixel(frame.picture, 1), undefined);
});
