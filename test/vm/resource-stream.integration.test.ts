// The whole way of a picture that never crosses the link: painted in a guest, offered over PipeWire, named by the agent,
// found by the exporter, encoded by the bridge's worker, and decoded by Chromium, where its pixels are compared.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bridge } from '@scanbridge/bridge';
import { MAX_FRAME_MESSAGE } from '@scanbridge/protocol/agent';
import test, { type ExecutionContext } from 'ava';
import { type Picture, Probe } from '../probe/probe.js';
import { BUILD_MILLISECONDS } from './guest.js';
import type { GuestProgram } from './guest-agent.js';
import { type PaintedMemory, ResourceDesk } from './resource-desk.js';

/** A bitrate at which what is lost is small. */
const SHARP = { min: 40_000, start: 40_000, max: 40_000 };

let desk: ResourceDesk;
let probe: Probe;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  probe = await Probe.launch();
  desk = await ResourceDesk.start({ memory: 1536 });
});

test.after.always(async () => {
  await probe?.close();
  await desk?.[Symbol.asyncDispose]();
});

test.afterEach.always(() => probe.stop());

/** Part of the pixels outside the mark that are further from the painted ones than H.264 at 4:2:0 explains. */
function wrongPart({ width, height, rgba }: Picture, painter: number): number {
  let wrong = 0;
  let count = 0;
  for (let y = 66; y < height; y += 3) {
    for (let x = 0; x < width; x++) {
      // The colours jump at the edges of 256-pixel tiles, and chroma is a mixture of both sides there.
      if ((x + 8) % 256 < 16 || (y + 8) % 256 < 16) continue;
      const blue = (painter * 16 + (((x >> 8) + 4 * (y >> 8)) % 16)) & 0xff;
      const at = (y * width + x) * 4;
      const off =
        Math.abs((rgba[at] ?? 0) - (x & 0xff)) +
        Math.abs((rgba[at + 1] ?? 0) - (y & 0xff)) +
        Math.abs((rgba[at + 2] ?? 0) - blue);
      count++;
      if (off > 48) wrong++;
    }
  }
  return wrong / count;
}

interface Shown {
  readonly painter: GuestProgram;
  readonly agent: GuestProgram;
  readonly url: string;
  readonly id: string;
}

const socketUrl = (bridge: Bridge, id: string): string =>
  `${bridge.url.replace(/^http/, 'ws')}v1/sessions/${encodeURIComponent(id)}/stream`;

/** A bridge that ends with the test. */
async function bridgeFor(t: ExecutionContext): Promise<Bridge> {
  const options = { allowOrigins: [probe.origin], engine: 'x264', bitrate: SHARP };
  const bridge = await desk.startBridge(options);
  t.teardown(() => bridge.close());
  return bridge;
}

async function until(what: string, condition: () => boolean, limitMs = 60_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
    await sleep(20);
  }
}

/** A painter and an agent, which end with the test, and the session that they lead to. */
async function show(
  t: ExecutionContext,
  bridge: Bridge,
  size: string,
  memory: PaintedMemory,
): Promise<Shown> {
  const { program: painter, node } = await desk.paint(size, memory);
  t.teardown(() => painter.kill());
  const agent = await desk.show(node);
  t.teardown(() => agent.kill());
  await until('the agent opens a session', () => bridge.sessions.list().length > 0).catch((e) => {
    throw new Error(`${e.message}: ${agent.said}`);
  });
  const id = bridge.sessions.list()[0]?.id as string;
  return { painter, agent, id, url: socketUrl(bridge, id) };
}

/** Frames that the painter has sent, by their sequence. */
function painted({ said }: GuestProgram): { sequence: number; resource: number }[] {
  return [...said.matchAll(/\{"event":"frame","sequence":(\d+),"resource":(\d+)\}/g)].map((m) => ({
    sequence: Number(m[1]),
    resource: Number(m[2]),
  }));
}

/** Waits until the decoder has given out the picture with this sequence number, or a later one. */
async function decodedFrom(name: string, sequence: number): Promise<number> {
  const { decoded } = await probe.until(
    name,
    (w) => w.decoded.some((d) => (d.mark?.sequence ?? -1) >= sequence),
    60_000,
  );
  return Math.max(...decoded.map((d) => d.mark?.sequence ?? -1));
}

for (const [memory, size] of [['memfd', '1280x720']] as const) {
  test.serial(`${size} in ${memory} buffers: pixels, and at most 64 bytes a frame`, async (t) => {
    const bridge = await bridgeFor(t);
    const { painter, url } = await show(t, bridge, size, memory);
    await probe.watch(memory, url, true);
    await painter.says(/"state":"streaming"/);
    desk.link.restart();
    await painter.write('run 10\n');
    await painter.says(/"sequence":15,/);
    await painter.write('run 0\n');
    await sleep(100);
    const last = painted(painter).at(-1)?.sequence as number;
    await decodedFrom(memory, last);
    const { bytes, frames, longestFrame } = desk.link.count;
    t.log(`${frames} frames, ${(bytes / frames).toFixed(1)} bytes each, ${longestFrame} at most`);
    t.true(frames >= 5);
    t.true(longestFrame <= MAX_FRAME_MESSAGE, `${longestFrame} bytes`);
    t.true(bytes / frames <= MAX_FRAME_MESSAGE, `${bytes} bytes in ${frames} frames`);
    const picture = await probe.picture();
    t.is(`${picture.width}x${picture.height}`, size);
    t.is(picture.mark?.sequence, last);
    const wrong = wrongPart(picture, 0);
    t.log(`${(wrong * 100).toFixed(3)} % of the pixels are wrong`);
    t.true(wrong < 0.005, `${wrong} of the pixels are wrong`);
  });
}
