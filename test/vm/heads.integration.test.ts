import test from 'ava';
import { BUILD_MILLISECONDS, Guest, MAX_HEADS } from './guest.js';
import { Painter, type PaintFormat } from './painter.js';
import { findWrongPixel, readMark } from './pattern.js';

// kms-paint and screendump are what the tests of the frame exporter believe. Here they are held against
// each other, through the whole of the guest's kernel and QEMU's device.

let guest: Guest;
let painter: Painter;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  guest = await Guest.boot({ heads: MAX_HEADS });
  painter = await Painter.start(guest);
});
test.after.always(async () => {
  await painter?.[Symbol.asyncDispose]();
  await guest?.close();
});

test.serial('only the first head is connected at power-on', async (t) => {
  const heads = await painter.heads();
  t.is(heads.length, MAX_HEADS);
  t.deepEqual(
    heads.filter((head) => head.connected).map((head) => head.head),
    [0],
  );
});

test.serial('all heads show their own picture at the same time, pixel by pixel', async (t) => {
  for (let head = 0; head < MAX_HEADS; head++) {
    await painter.show(head, { width: 640 + 8 * head, height: 480 + head });
  }
  for (let head = 0; head < MAX_HEADS; head++) {
    const { sequence } = await painter.flip(head);
    const picture = await guest.screendump(head);
    t.is(picture.width, 640 + 8 * head);
    t.is(picture.height, 480 + head);
    t.is(findWrongPixel(picture, head), undefined);
    t.like(readMark(picture), { painter: head, sequence });
    await painter.off(head);
  }
});

const sizes = [
  { width: 1001, height: 601 },
  { width: 417, height: 65 },
  { width: 100, height: 37 },
  { width: 1920, height: 1080 },
];
for (const format of ['XR24', 'AR24', 'XB24', 'AB24'] satisfies PaintFormat[]) {
  test.serial(`${format}: odd sizes, and pictures within larger surfaces`, async (t) => {
    for (const size of sizes) {
      await painter.show(1, size, format);
      t.is(findWrongPixel(await guest.screendump(1), 1), undefined);
    }
    const surface = { width: 1000, height: 700, left: 37, top: 91 };
    const shown = await painter.show(1, { width: 801, height: 503 }, format, surface);
    t.is(shown.stride, 4000);
    const picture = await guest.screendump(1);
    t.is(picture.width, 801);
    t.is(findWrongPixel(picture, 1, surface.left, surface.top), undefined);
    await painter.off(1);
  });
}

test.serial('a wrong pixel is found', async (t) => {
  await painter.show(2, { width: 500, height: 300 });
  const picture = await guest.screendump(2);
  t.is(findWrongPixel(picture, 2), undefined);
  t.regex(findWrongPixel(picture, 3) ?? '', /pixel 416,0 is/);
  const last = picture.rgb.length - 1;
  picture.rgb[last] = (picture.rgb[last] as number) ^ 1;
  t.regex(findWrongPixel(picture, 2) ?? '', /pixel 499,299 is/);
  await painter.off(2);
});

test.serial('a run of flips counts up, and reports', async (t) => {
  await painter.show(0);
  await painter.run(0, 50);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const during = readMark(await guest.screendump(0));
  const report = await painter.stop(0);
  t.true(report.flips > 0);
  t.true((during?.sequence ?? 0) > 1);
  t.true(report.sequence >= (during?.sequence ?? 0));
  await painter.off(0);
});

test.serial('what kms-paint cannot do is an error', async (t) => {
  await t.throwsAsync(painter.flip(3), { code: 'EXEC_FAILED', message: /flip: No such device/ });
  await t.throwsAsync(painter.show(MAX_HEADS), { code: 'EXEC_FAILED' });
  await t.throwsAsync(painter.drop(999_999), { code: 'EXEC_FAILED' });
});
