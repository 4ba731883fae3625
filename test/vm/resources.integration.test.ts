import { SurfaceClient } from '@scanbridge/native-host-linux';
import test, { type ExecutionContext } from 'ava';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { type PaintedResource, Painter, type PaintFormat } from './painter.js';
import { findWrongPixel, readMark } from './pattern.js';
import { areTheDevices, sharedMemories } from './shared-memory.js';

// Streams of virtio-gpu resources by id: what a container's PipeWire buffers become.

let guest: Guest;
let painter: Painter;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  guest = await Guest.boot({ heads: 2, frameExport: true });
  painter = await Painter.start(guest);
});
test.after.always(async () => {
  await painter?.[Symbol.asyncDispose]();
  await guest?.close();
});

async function connect(t: ExecutionContext): Promise<SurfaceClient> {
  const client = await SurfaceClient.connect(guest.framesSocket, { name: t.title.slice(0, 31) });
  t.teardown(() => client.close());
  return client;
}

/** How a client names what kms-paint painted. */
function named(painted: PaintedResource) {
  return {
    resource: painted.resource,
    width: painted.width,
    height: painted.height,
    format: Buffer.from(painted.format).readUInt32LE(),
    stride: painted.stride,
    offset: 0n,
    modifier: 0n,
  };
}

for (const format of ['XR24', 'AR24', 'XB24', 'AB24'] satisfies PaintFormat[]) {
  test.serial(`${format}: a resource that no head shows is exported pixel by pixel`, async (t) => {
    const client = await connect(t);
    const painted = await painter.resource({ width: 801, height: 457 }, format, 11);
    const frames = await FrameReader.open(client, (it) => it.subscribeResource(named(painted)));
    t.is(findWrongPixel((await frames.next()).picture, 11), undefined);
    for (let i = 0; i < 5; i++) {
      frames.release();
      const { sequence } = await painter.touch(painted.resource);
      const { picture } = await frames.next();
      t.like(readMark(picture), { painter: 11, sequence });
      t.is(findWrongPixel(picture, 11), undefined);
    }
    await painter.drop(painted.resource);
  });
}

test.serial("a client reads the device's own memory: QEMU copies nothing", async (t) => {
  const client = await connect(t);
  const painted = await painter.resource({ width: 640, height: 480 }, 'XR24', 5);
  const before = await sharedMemories('self');
  const frames = await FrameReader.open(client, (it) => it.subscribeResource(named(painted)));
  await frames.next();
  const mapped = [...(await sharedMemories('self')).keys()].filter((id) => !before.has(id));
  t.is(mapped.length, 1);
  t.true(await areTheDevices(mapped, guest.pid), 'the memory is not the one of the device');
  // So what the guest transfers is there at once, while the frame is held and none follows.
  for (let i = 0; i < 3; i++) {
    const { sequence } = await painter.touch(painted.resource);
    t.like(readMark(frames.again()), { painter: 5, sequence });
  }
  await painter.drop(painted.resource);
});

test.serial('a resource that the guest frees ends its stream, and only that', async (t) => {
  const client = await connect(t);
  const first = await painter.resource({ width: 640, height: 480 }, 'XR24', 1);
  const second = await painter.resource({ width: 640, height: 480 }, 'XR24', 2);
  const doomed = await FrameReader.open(client, (it) => it.subscribeResource(named(first)));
  const other = await FrameReader.open(client, (it) => it.subscribeResource(named(second)));
  const held = await doomed.next();
  await other.next();

  const ended = new Promise<{ stream: number; code: string | undefined }>((resolve) => {
    client.on('stream-end', ({ stream, error }) => resolve({ stream, code: error?.code }));
  });
  await painter.drop(first.resource);
  t.deepEqual(await ended, { stream: doomed.stream, code: 'SURFACE_NO_SUCH_RESOURCE' });
  t.is(findWrongPixel(held.picture, 1), undefined);
  client.release(held); // crosses the end of its stream: ignored

  other.release();
  const { sequence } = await painter.touch(second.resource);
  t.is(readMark((await other.next()).picture)?.sequence, sequence);
  await painter.drop(second.resource);
  await t.throwsAsync(client.subscribeResource(named(first)), { code: 'SURFACE_NO_SUCH_RESOURCE' });
});

test.serial('what does not fit the resource is refused, and the connection lives', async (t) => {
  const client = await connect(t);
  const painted = await painter.resource({ width: 640, height: 480 }, 'XR24', 3);
  const right = named(painted);
  const refused = async (change: Partial<typeof right>, code: string) => {
    const what = Object.entries(change).join(' ');
    const error = await t.throwsAsync(
      client.subscribeResource({ ...right, ...change }),
      undefined,
      what,
    );
    t.is((error as unknown as { code: string }).code, code, what);
    await client.ping();
  };
  await refused({ resource: 999_999 }, 'SURFACE_NO_SUCH_RESOURCE');
  await refused({ resource: 0xffff_ffff }, 'SURFACE_NO_SUCH_RESOURCE');
  await refused({ width: 641 }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ height: 481 }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ format: Buffer.from('XB24').readUInt32LE() }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ stride: 2564 }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ stride: 1280 }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ stride: 1_048_576, height: 16_384 }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ offset: 4n }, 'SURFACE_RESOURCE_MISMATCH');
  await refused({ offset: 0xffff_ffffn }, 'SURFACE_RESOURCE_MISMATCH');
  const frames = await FrameReader.open(client, (it) => it.subscribeResource(right));
  t.is(findWrongPixel((await frames.next()).picture, 3), undefined);
  await painter.drop(painted.resource);
});

test.serial('a scanout that is not there is refused', async (t) => {
  const client = await connect(t);
  for (const scanout of [2, 15]) {
    await t.throwsAsync(client.subscribeScanout(scanout), { code: 'SURFACE_NO_SUCH_SCANOUT' });
    await t.throwsAsync(client.configureScanout(scanout, { width: 640, height: 480 }), {
      code: 'SURFACE_NO_SUCH_SCANOUT',
    });
  }
  await client.ping();
});

test.serial('resources come and go while they are exported', async (t) => {
  const client = await connect(t);
  for (let i = 0; i < 100; i++) {
    const painted = await painter.resource({ width: 320 + i, height: 240 }, 'XR24', i % 16);
    const opening = FrameReader.open(client, (it) => it.subscribeResource(named(painted)));
    if (i % 2) {
      await opening;
      await painter.touch(painted.resource).catch(() => undefined);
      await painter.drop(painted.resource);
    } else {
      await Promise.all([opening.catch(() => undefined), painter.drop(painted.resource)]);
    }
  }
  await client.ping();
  t.pass();
});

test.serial('the resource of a head can be exported beside the head itself', async (t) => {
  const client = await connect(t);
  const shown = await painter.show(1, { width: 640, height: 480 });
  const scanout = await FrameReader.scanout(client, 1);
  const resource = await FrameReader.open(client, (it) =>
    it.subscribeResource({
      resource: shown.resources[1],
      width: 640,
      height: 480,
      format: Buffer.from('XR24').readUInt32LE(),
      stride: shown.stride,
      offset: 0n,
      modifier: 0n,
    }),
  );
  const [one, two] = [await scanout.next(), await resource.next()];
  t.true(one.picture.rgb.equals(two.picture.rgb));
  t.is(findWrongPixel(two.picture, 1), undefined);
  await painter.off(1);
});
