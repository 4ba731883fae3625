import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { type CursorEvent, SurfaceClient } from '@scanbridge/native-host-linux';
import test, { type ExecutionContext } from 'ava';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest, MAX_HEADS } from './guest.js';
import { Painter, type PaintFormat } from './painter.js';
import { findWrongPixel, readMark } from './pattern.js';

// The frame exporter in a real VM: what its clients get is what the guest painted, and what QEMU's own
// screendump shows. All three are held against each other: painter, screendump and exporter.

let guest: Guest;
let painter: Painter;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  guest = await Guest.boot({ heads: MAX_HEADS, frameExport: true });
  painter = await Painter.start(guest);
});
test.after.always(async () => {
  await painter?.[Symbol.asyncDispose]();
  await guest?.close();
});

/** Descriptors that QEMU has open. */
async function openDescriptors(): Promise<number> {
  return (await readdir(`/proc/${guest.pid}/fd`)).length;
}

async function connect(t: ExecutionContext): Promise<SurfaceClient> {
  const client = await SurfaceClient.connect(guest.framesSocket, { name: t.title.slice(0, 31) });
  t.teardown(() => client.close());
  return client;
}

test.serial('the exporter describes all heads of the device', async (t) => {
  const client = await connect(t);
  t.is(client.hello.scanoutCount, MAX_HEADS);
});

test.serial('only the first head is connected at power-on', async (t) => {
  const heads = await painter.heads();
  t.is(heads.length, MAX_HEADS);
  t.deepEqual(
    heads.filter((head) => head.connected).map((head) => head.head),
    [0],
  );
});

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

test.serial('what kms-paint cannot do is an error', async (t) => {
  await t.throwsAsync(painter.flip(3), { code: 'EXEC_FAILED', message: /flip: No such device/ });
  await t.throwsAsync(painter.show(MAX_HEADS), { code: 'EXEC_FAILED' });
  await t.throwsAsync(painter.drop(999_999), { code: 'EXEC_FAILED' });
});

test.serial('a subscriber gets the picture that has been there all along', async (t) => {
  const { sequence } = await painter
    .show(0, { width: 800, height: 600 })
    .then(() => painter.flip(0));
  const client = await connect(t);
  const frames = await FrameReader.scanout(client, 0);
  const { picture, damage } = await frames.next();
  t.is(findWrongPixel(picture, 0), undefined);
  t.like(readMark(picture), { painter: 0, sequence });
  t.deepEqual(damage, []);
});

test.serial('every head is exported pixel by pixel as screendump shows it', async (t) => {
  const client = await connect(t);
  for (let head = 0; head < MAX_HEADS; head++) {
    await painter.show(head, { width: 640 + 8 * head, height: 480 + head });
  }
  for (let head = 0; head < MAX_HEADS; head++) {
    const { sequence } = await painter.flip(head);
    const frames = await FrameReader.scanout(client, head);
    const { picture } = await frames.next();
    const dump = await guest.screendump(head);
    t.is(picture.width, 640 + 8 * head);
    t.is(picture.height, 480 + head);
    t.is(findWrongPixel(picture, head), undefined);
    t.like(readMark(picture), { painter: head, sequence });
    t.true(picture.rgb.equals(dump.rgb), `head ${head} differs from its screendump`);
    await painter.off(head);
  }
});

for (const format of ['XR24', 'AR24', 'XB24', 'AB24'] satisfies PaintFormat[]) {
  test.serial(`${format}: odd sizes, strides and offsets`, async (t) => {
    const client = await connect(t);
    const frames = await FrameReader.scanout(client, 1);
    for (const size of [
      { width: 1001, height: 601 },
      { width: 417, height: 65 },
      { width: 100, height: 37 },
      { width: 1920, height: 1080 },
    ]) {
      await painter.show(1, size, format);
      const { picture, surfaceInfo } = await frames.until(
        ({ picture }) => picture.width === size.width && picture.height === size.height,
      );
      t.is(findWrongPixel(picture, 1), undefined);
      t.is(surfaceInfo.format, Buffer.from(format).readUInt32LE());
      t.true(picture.rgb.equals((await guest.screendump(1)).rgb));
    }
    const surface = { width: 1000, height: 700, left: 37, top: 91 };
    const shown = await painter.show(1, { width: 801, height: 503 }, format, surface);
    t.is(shown.stride, 4000);
    const { picture } = await frames.until(({ picture }) => picture.width === 801);
    t.is(findWrongPixel(picture, 1, surface.left, surface.top), undefined);
    t.true(picture.rgb.equals((await guest.screendump(1)).rgb));
    await painter.off(1);
  });
}

test.serial('no flip is lost on a reader that keeps up, and none is torn', async (t) => {
  const client = await connect(t);
  await painter.show(0, { width: 640, height: 480 });
  const frames = await FrameReader.scanout(client, 0);
  t.is(readMark((await frames.next()).picture)?.sequence, 1);
  for (let i = 2; i < 60; i++) {
    frames.release();
    const { sequence } = await painter.flip(0);
    const mark = readMark((await frames.next()).picture);
    t.is(mark?.sequence, sequence);
  }
});

for (const count of [1, 2, 4, 16]) {
  test.serial(`${count} heads flip at once, and each gets through`, async (t) => {
    const client = await connect(t);
    const heads = Array.from({ length: count }, (_, head) => head);
    for (const head of heads) {
      await painter.show(head, { width: 640, height: 480 });
      await painter.run(head, 20);
    }
    await Promise.all(
      heads.map(async (head) => {
        const frames = await FrameReader.scanout(client, head);
        let last = 0;
        let pts = 0n;
        for (let read = 0; read < 10; ) {
          const frame = await frames.next();
          t.true(frame.pts >= pts);
          pts = frame.pts;
          const mark = readMark(frame.picture);
          if (!mark) continue; // two flips later the guest paints this very buffer, and we were slow
          read++;
          t.is(mark.painter, head);
          t.true(mark.sequence >= last, 'an older picture came after a newer one');
          last = mark.sequence;
        }
        t.true(last > 1);
      }),
    );
    for (const head of heads) {
      await painter.stop(head);
      const { picture } = await FrameReader.scanout(client, head).then((frames) => frames.next());
      t.is(findWrongPixel(picture, head), undefined);
      await painter.off(head);
    }
  });
}

test.serial('a client that never releases holds up neither the guest nor another', async (t) => {
  await painter.show(0, { width: 640, height: 480 });
  await painter.show(1, { width: 640, height: 480 });
  const lazy = await FrameReader.scanout(await connect(t), 0);
  const stuck = await lazy.next();
  const keen = await FrameReader.scanout(await connect(t), 0);
  const other = await FrameReader.scanout(await connect(t), 1);
  await painter.run(0, 30);
  await painter.run(1, 30);
  for (let i = 0; i < 30; i++) {
    await Promise.all([keen.next(), other.next()]);
  }
  const report = await painter.stop(0);
  await painter.stop(1);
  t.true(report.flips >= 29);
  // Then it gets the newest picture, and only that one.
  const frame = await lazy.next();
  t.is(readMark(frame.picture)?.sequence, report.sequence);
  t.true(frame.sequence >= stuck.sequence + 29n);
});

test.serial('a head is switched on, resized while it flips, and switched off', async (t) => {
  const client = await connect(t);
  const frames = await FrameReader.scanout(client, 2);
  await painter.follow();
  await client.configureScanout(2, { width: 800, height: 600 });
  await frames.until(({ picture }) => picture.width === 800 && picture.height === 600);
  await painter.run(2, 30);
  for (const [width, height] of [
    [1024, 768],
    [641, 479],
    [1366, 768],
    [640, 480],
  ] as const) {
    await client.configureScanout(2, { width, height });
    const { picture } = await frames.until(
      (frame) => frame.picture.width === width && frame.picture.height === height,
    );
    t.is(findWrongPixel(picture, 2), undefined, `${width}x${height}`);
  }
  const blank = new Promise((resolve) => {
    client.on('state', ({ state }) => state === 'blank' && resolve(undefined));
  });
  await client.configureScanout(2, null);
  await blank;
  t.false((await painter.heads())[2]?.connected);
});

test.serial('of a burst of sizes the last one counts, on every head', async (t) => {
  const client = await connect(t);
  const heads = [0, 1, 2, 3];
  for (let round = 0; round < 5; round++) {
    const wanted = heads.map((head) => ({
      width: 800 + 8 * (head + 4 * round),
      height: 600 + head + 4 * round,
    }));
    // As a window makes them that is dragged by its corner: the guest is still asking about the one before.
    for (let step = 5; step >= 0; step--) {
      for (const head of heads) {
        const { width, height } = wanted[head] as { width: number; height: number };
        await client.configureScanout(head, { width: width - 8 * step, height: height - step });
      }
    }
    const sizes = async () =>
      (await painter.heads())
        .slice(0, heads.length)
        .map(({ width, height }) => ({ width, height }));
    const deadline = performance.now() + 10_000;
    while (!isDeepStrictEqual(await sizes(), wanted) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    t.deepEqual(await sizes(), wanted);
  }
  for (const head of heads.slice(1)) await client.configureScanout(head, null);
});

test.serial('a killed client leaves nothing in QEMU, and the next one is served', async (t) => {
  await painter.show(0, { width: 640, height: 480 });
  await painter.run(0, 60);
  const before = await openDescriptors();
  for (let i = 0; i < 5; i++) {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', KILLED_CLIENT, guest.framesSocket],
      { cwd: fileURLToPath(new URL('.', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  const client = await connect(t);
  const frames = await FrameReader.scanout(client, 0);
  await frames.next();
  await client.close();
  await settled(t, before);
  t.true(((await painter.stop(0))?.flips ?? 0) > 0);
});

/** Subscribes, says so, and never releases. */
const KILLED_CLIENT = `
  import { SurfaceClient } from '@scanbridge/native-host-linux';
  const client = await SurfaceClient.connect(process.argv[1]);
  client.on('frame', () => console.log('frame'));
  client.on('end', () => process.exit());
  await client.subscribeScanout(0, { cursor: true });
`;

/** Waits until QEMU has no more descriptors open than before: it closes a client's when it sees its end. */
async function settled(t: ExecutionContext, before: number): Promise<void> {
  for (let i = 0; i < 100 && (await openDescriptors()) > before; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.true((await openDescriptors()) <= before, 'QEMU keeps descriptors of clients that are gone');
}

test.serial('1,000 reconnections leave no descriptor open', async (t) => {
  await painter.show(0, { width: 640, height: 480 });
  await painter.run(0, 30);
  const before = await openDescriptors();
  // Eight at a time: connecting, subscribing and leaving of one mix with those of others.
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 125; i++) {
        const client = await SurfaceClient.connect(guest.framesSocket);
        await client.subscribeScanout(i % 4, { cursor: true });
        await client.close();
      }
    }),
  );
  await settled(t, before);
  t.true((await painter.stop(0)).flips > 0);
});

test.serial('a client that talks nonsense is dropped, and no other', async (t) => {
  await painter.show(0, { width: 640, height: 480 });
  const frames = await FrameReader.scanout(await connect(t), 0);
  await frames.next();
  for (const bytes of [
    Buffer.alloc(16),
    Buffer.alloc(4096, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]) {
    const socket = connectSocket(guest.framesSocket);
    socket.on('error', () => undefined).resume();
    socket.write(bytes);
    await once(socket, 'close');
  }
  await painter.flip(0);
  t.is(readMark((await frames.next()).picture)?.sequence, 2);
});

test.serial('the cursor comes apart from the picture', async (t) => {
  const client = await connect(t);
  await painter.show(0, { width: 640, height: 480 });
  const cursors: CursorEvent[] = [];
  client.on('cursor', (event) => cursors.push(event));
  const frames = await FrameReader.scanout(client, 0, true);
  await frames.next();
  const seen = async (wanted: (event: CursorEvent) => boolean) => {
    for (let i = 0; i < 200 && !cursors.some(wanted); i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return cursors.find(wanted);
  };
  await painter.cursor(0, 100, 50, 7, 9);
  const shape = (await seen((event) => event.shape !== undefined))?.shape;
  t.like(shape, { width: 64, height: 64, hotX: 7, hotY: 9 });
  // Column 40, row 20, as kms-paint painted it: alpha 83, red 160 times alpha, blue half of alpha.
  const pixel = shape?.pixels.subarray((20 * 64 + 40) * 4, (20 * 64 + 40) * 4 + 4);
  t.deepEqual([...(pixel ?? [])], [41, 0, 52, 83]);
  await painter.cursor(0, 300, 200, 7, 9);
  t.truthy(await seen((event) => event.visible && event.x === 307 && event.y === 209));
  await painter.flip(0);
  t.is(findWrongPixel((await frames.next()).picture, 0), undefined);
  cursors.length = 0;
  await painter.hideCursor(0);
  t.truthy(await seen((event) => !event.visible));
});
