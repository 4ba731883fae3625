import { SurfaceClient } from '@scanbridge/native-host-linux';
import test from 'ava';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { Painter, type PaintFormat } from './painter.js';
import { findWrongPixel, readMark } from './pattern.js';

// The same pictures where virglrenderer holds them in textures. QEMU's screendump has "no surface" there, so
// the known pattern is the only oracle.

let guest: Guest;
let painter: Painter;
let client: SurfaceClient;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  guest = await Guest.boot({ heads: 4, frameExport: true, gpu: 'gl' });
  painter = await Painter.start(guest);
  client = await SurfaceClient.connect(guest.framesSocket);
});
test.after.always(async () => {
  await client?.close();
  await painter?.[Symbol.asyncDispose]();
  await guest?.close();
});

test.serial('the guest has virgl', async (t) => {
  const { stdout } = await guest.exec(['dmesg']);
  t.regex(stdout.toString(), /\[drm\] features: \+virgl/);
});

for (const format of ['XR24', 'AR24', 'XB24', 'AB24'] satisfies PaintFormat[]) {
  test.serial(`${format}: every flip of each head arrives pixel by pixel`, async (t) => {
    for (let head = 0; head < 4; head++) {
      await painter.show(head, { width: 641 + head, height: 481 }, format);
      const frames = await FrameReader.scanout(client, head);
      for (let i = 1; i <= 5; i++) {
        const { picture, stream } = await frames.next();
        t.is(findWrongPixel(picture, head), undefined);
        t.like(readMark(picture), { painter: head, sequence: i });
        frames.release();
        if (i < 5) await painter.flip(head);
        else await client.unsubscribe(stream);
      }
      await painter.off(head);
    }
  });
}

test.serial('a picture within a larger surface arrives', async (t) => {
  const surface = { width: 1000, height: 700, left: 37, top: 91 };
  await painter.show(1, { width: 801, height: 503 }, 'XR24', surface);
  const frames = await FrameReader.scanout(client, 1);
  const { picture } = await frames.next();
  t.is(picture.width, 801);
  t.is(findWrongPixel(picture, 1, surface.left, surface.top), undefined);
  await painter.off(1);
});

test.serial(
  'a head that flips fast shows whole pictures, none older than the one before it',
  async (t) => {
    await painter.show(2, { width: 640, height: 480 });
    const frames = await FrameReader.scanout(client, 2);
    await painter.run(2, 0);
    let last = 0;
    for (let i = 0; i < 30; i++) {
      const mark = readMark((await frames.next()).picture);
      // A readback is a copy, so unlike with shared memory no picture may be half of the next one.
      t.not(mark, undefined);
      // A frame holds its picture or a newer one (docs/protocols/surface.md): the painter has two buffers, so
      // one may be read when its next picture is in it already, and the other one's comes after that.
      t.true((mark?.sequence ?? 0) >= last - 1, `${mark?.sequence} after ${last}`);
      last = mark?.sequence ?? 0;
    }
    await painter.stop(2);
    await painter.off(2);
  },
);

test.serial('a resource by its id arrives, and its end ends the stream', async (t) => {
  const painted = await painter.resource({ width: 801, height: 457 }, 'AR24', 9);
  const frames = await FrameReader.open(client, (it) =>
    it.subscribeResource({
      ...painted,
      format: Buffer.from('AR24').readUInt32LE(),
      offset: 0n,
      modifier: 0n,
    }),
  );
  t.is(findWrongPixel((await frames.next()).picture, 9), undefined);
  const ended = new Promise((resolve) => {
    client.once('stream-end', ({ error }) => resolve(error?.code));
  });
  await painter.drop(painted.resource);
  t.is(await ended, 'SURFACE_NO_SUCH_RESOURCE');
});
