// The guest's half of the resource path where the host renders (virgl): what the agent tells is looked at through the
// frame exporter, pixel by pixel.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SurfaceClient } from '@scanbridge/native-host-linux';
import test from 'ava';
import { IdBridge } from '../fakes/id-bridge.js';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { AgentDisk, GuestAgent, GuestDesktop, type GuestProgram } from './guest-agent.js';
import { findWrongPixel, readMark } from './pattern.js';

const PORT = 8471;
const SIZE = { width: 1280, height: 720 };
const PAINTER = 5;

let directory: string;
let disk: AgentDisk;
let guest: Guest;
let installed: GuestAgent;
let desktop: GuestDesktop;
let bridge: IdBridge;
let client: SurfaceClient;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  directory = await mkdtemp(join(tmpdir(), 'scanbridge-ids-'));
  const base = join(directory, 'v');
  disk = await AgentDisk.make();
  bridge = await IdBridge.listen(`${base}_${PORT}`);
  guest = await Guest.boot({
    gpu: 'gl',
    frameExport: true,
    qemuArgs: [...disk.qemuArgs, '-device', `virtio-vsock-unix-pci,guest-cid=3,path=${base}`],
  });
  installed = await GuestAgent.install(guest);
  desktop = await GuestDesktop.start(guest);
  client = await SurfaceClient.connect(guest.framesSocket);
});

test.after.always(async () => {
  await client?.close();
  await guest?.close();
  await bridge?.[Symbol.asyncDispose]();
  await disk?.[Symbol.asyncDispose]();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** The number of the last picture that was painted. */
function lastPainted(paint: GuestProgram): number {
  const [, sequence] = /.*"event":"frame","sequence":(\d+)/s.exec(paint.said) ?? [];
  return Number(sequence);
}

/** Waits until a painter that was told to stop has stopped, and its last picture is on the host. */
async function settled(paint: GuestProgram): Promise<void> {
  for (let last = -1; last !== lastPainted(paint); ) {
    last = lastPainted(paint);
    await sleep(1000);
  }
}

// GBM's buffers are textures, which its own unmapping brings to the host; of dumb buffers the painter does that, and of
// shared memory the agent.
for (const memory of ['gbm', 'dumb', 'memfd'] as const) {
  test.serial(`${memory}: the id leads to the pixels`, async (t) => {
    const size = `${SIZE.width}x${SIZE.height}`;
    const paint = await desktop.run('pw-paint', size, memory, '4', `${PAINTER}`);
    const [, node] = await paint.says(/"state":"paused","node":(\d+)/);
    bridge.forget();
    const agent = await installed.start(
      desktop.environment,
      ...['run', '--bridge', `vsock:2:${PORT}`, '--node', node as string],
    );
    try {
      await bridge.message('session-open');
      // PipeWire drops pictures of a source whose consumer has not started yet.
      await paint.write('run 10\n');
      await bridge.take(1);
      await paint.write('run 0\n');
      await settled(paint);
      bridge.releases = false;
      bridge.forget();
      for (let i = 0; i < 6; i++) {
        const seen = bridge.frames.length;
        await paint.write('frame\n');
        await bridge.take(seen + 1);
        const frame = bridge.frames.at(-1);
        const geometry = bridge.resources.get(frame?.resource ?? 0);
        if (!frame || !geometry) throw new Error('a frame without its resource');
        t.like(geometry, { ...SIZE, backing: false });
        const { resource, width, height, stride, format } = geometry;
        const layout = { resource, width, height, stride, format, offset: 0n, modifier: 0n };
        const frames = await FrameReader.open(client, (it) => it.subscribeResource(layout));
        const { picture, stream } = await frames.next();
        t.is(findWrongPixel(picture, PAINTER), undefined);
        t.like(readMark(picture), { painter: PAINTER, sequence: lastPainted(paint) });
        frames.release();
        await client.unsubscribe(stream);
        bridge.release(frame);
      }
      t.is(bridge.frames.length, 6);
      t.is(new Set(bridge.frames.map((f) => f.resource)).size > 1, memory !== 'memfd');
    } finally {
      bridge.releases = true;
      await Promise.all([agent.kill(), paint.kill()]);
    }
  });
}
