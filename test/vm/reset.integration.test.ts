import { type Bridge, startBridge, ViewerClient } from '@scanbridge/bridge';
import { type ScanoutInfo, SurfaceClient } from '@scanbridge/native-host-linux';
import type { ToViewer } from '@scanbridge/protocol/viewer';
import test, { type ExecutionContext } from 'ava';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { Painter } from './painter.js';
import { findWrongPixel } from './pattern.js';

// What survives a reboot of the guest: the streams of the frame exporter, and above them the bridge's sessions with
// their viewers. One guest; the exporter's client has head 1, the bridge head 2.

/** How long a viewer waits for what it is to see; generous, for an emulated guest on a busy machine. */
const SEEN_SECONDS = 60;

/** A viewer of a session of the bridge, and all that it was sent. */
class Watcher {
  readonly #messages: ToViewer[] = [];
  #config: Extract<ToViewer, { type: 'config' }> | undefined;
  /** Access units of the present size. */
  units = 0;
  closed = false;
  readonly client: ViewerClient;

  constructor(t: ExecutionContext, bridge: Bridge, session: string) {
    this.client = new ViewerClient(bridge.url, session);
    t.teardown(() => this.client.close());
    this.client.on('message', (message) => {
      this.#messages.push(message);
      if (message.type !== 'config') return;
      this.#config = message;
      this.units = 0;
    });
    this.client.on('unit', ({ config }) => {
      if (config === this.#config?.id) this.units++;
    });
    this.client.on('close', () => {
      this.closed = true;
    });
  }

  /** Forgets what came until now. */
  restart(): void {
    this.#messages.length = 0;
    this.units = 0;
  }

  has(wanted: (message: ToViewer) => boolean): boolean {
    return this.#messages.some(wanted);
  }

  /** Whether access units of this size come. */
  shows(width: number, height: number): boolean {
    return this.units > 2 && this.#config?.width === width && this.#config.height === height;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + SEEN_SECONDS * 1000;
    while (!holds()) {
      if (performance.now() > deadline) {
        const last = JSON.stringify(this.#messages.slice(-4));
        throw new Error(`${what}: not within ${SEEN_SECONDS} s; the viewer was told last: ${last}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('a reboot of the guest: streams, sessions and viewers survive, scanouts return to the power-on state', async (t) => {
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

  // The bridge connects head 2, and its viewer resizes it while it flips.
  await painter.follow();
  const bridge = await startBridge({
    engine: 'x264',
    scanouts: [
      {
        socket: guest.framesSocket,
        name: 'vm',
        enable: [2],
        size: { width: 640, height: 480 },
      },
    ],
  });
  t.teardown(() => bridge.close());
  const viewer = await bridgeViewer(t, bridge);
  await viewer.until('the first picture', () => viewer.shows(640, 480));
  await painter.run(2, 20);
  viewer.client.send({ type: 'resize', width: 800, height: 600 });
  await viewer.until('a live resize', () => viewer.shows(800, 600));
  await painter.cursor(2, 100, 50, 7, 9);
  await viewer.until('the cursor, apart from the picture', () =>
    viewer.has((it) => it.type === 'cursor' && it.visible && it.x === 107 && it.y === 59),
  );
  t.true(viewer.has((it) => it.type === 'cursor' && it.shape?.width === 64));

  viewer.restart();
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
    // Head 2 is connected because the bridge has done so anew.
    (await again.heads()).map(({ connected }) => connected),
    [true, false, true],
  );
  await client.configureScanout(1, { width: 640, height: 480 });
  await again.show(1, { width: 640, height: 480 });
  const frame = await frames.next();
  t.true(frame.discontinuity);
  t.is(frame.picture.width, 640);
  t.is(findWrongPixel(frame.picture, 1), undefined);

  // The viewer has kept its connection, and sees the new picture in the size that it asked for.
  t.true(viewer.has((it) => it.type === 'state' && it.state !== 'live'));
  const { width, height } = (await again.heads())[2] as { width: number; height: number };
  t.deepEqual([width, height], [800, 600]);
  viewer.restart();
  await again.show(2);
  await again.run(2, 20);
  await viewer.until('pictures after the reboot', () => viewer.shows(800, 600));
  t.false(viewer.closed);
});

/** A viewer of the bridge's head, once there is a session of it. */
async function bridgeViewer(t: ExecutionContext, bridge: Bridge): Promise<Watcher> {
  for (let i = 0; i < 500 && !bridge.sessions.list().some(({ id }) => id === 'vm-2'); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return new Watcher(t, bridge, 'vm-2');
}
