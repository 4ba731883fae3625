// Casts of a real headless Mutter.
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  openMutterScreenCast,
  ScreenCastError,
  type ScreenCastSession,
  SurfaceServer,
} from '@scanbridge/native-guest';
import test from 'ava';
import { Desktop } from './desktop.js';

async function withMutter(
  run: (
    desktop: Desktop,
    server: SurfaceServer,
    mutter: ReturnType<Desktop['run']>,
  ) => Promise<void>,
): Promise<void> {
  const desktop = await Desktop.start();
  const server = new SurfaceServer({ path: join(desktop.folder, 'surface'), name: 'test' });
  try {
    const mutter = desktop.run(
      'mutter',
      ...['--headless', '--no-x11', '--wayland-display=wayland-test', '--virtual-monitor=1280x720'],
    );
    await run(desktop, server, mutter);
  } finally {
    await server.close();
    await desktop.stop();
  }
}

/** Mutter takes a while until it is on the bus. */
async function cast(
  desktop: Desktop,
  options: Partial<Parameters<typeof openMutterScreenCast>[0]> = {},
): Promise<ScreenCastSession> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return await openMutterScreenCast({
        busAddress: desktop.busAddress,
        record: { primary: true },
        cursor: 'metadata',
        input: true,
        ...options,
      });
    } catch (error) {
      const { code } = error as ScreenCastError;
      if (!['NO_SERVICE', 'NO_SUCH_MONITOR'].includes(code) || Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

test.serial(
  'the primary monitor: a picture on a still desktop, and input that moves the cursor',
  async (t) => {
    await withMutter(async (desktop, server) => {
      const session = await cast(desktop);
      const capture = server.addCapture({
        node: session.nodeId,
        remote: desktop.remote,
        maxFps: 60,
      });
      const [format] = await once(capture, 'format');
      t.like(format, { width: 1280, height: 720, kind: 'memfd' });
      const first = desktop.probe(server.path, capture.id, '--cursor');
      await first.next((l) => l.type === 'frame', 20_000);
      const late = desktop.probe(server.path, capture.id);
      await late.next((l) => l.type === 'frame');
      t.true(session.input([{ kind: 'motion', x: 300, y: 200 }]));
      t.like(await first.next((l) => l.type === 'cursor' && l.x === 300), { y: 200 });
      await capture.close();
      await session.close();
    });
  },
);

test.serial('a virtual monitor has the size that is asked for, also later', async (t) => {
  await withMutter(async (desktop, server) => {
    const session = await cast(desktop, { record: { virtual: { width: 800, height: 600 } } });
    const capture = server.addCapture({
      node: session.nodeId,
      remote: desktop.remote,
      maxFps: 60,
      ...(session.size !== undefined && { size: session.size }),
    });
    const [format] = await once(capture, 'format');
    t.like(format, { width: 800, height: 600 });
    const probe = desktop.probe(server.path, capture.id);
    await probe.next((l) => l.type === 'frame', 20_000);
    capture.resize(1024, 768);
    await probe.next((l) => l.type === 'reset', 20_000);
    t.like(await probe.next((l) => l.type === 'surface', 20_000), { width: 1024, height: 768 });
    await capture.close();
    await session.close();
  });
});

test.serial(
  'a monitor that is not there has a code, and so does a compositor that goes away',
  async (t) => {
    await withMutter(async (desktop, server, mutter) => {
      const session = await cast(desktop);
      const missing = openMutterScreenCast({
        busAddress: desktop.busAddress,
        record: { monitor: 'Nowhere-7' },
        cursor: 'hidden',
        input: false,
      });
      t.is(
        (await t.throwsAsync(missing, { instanceOf: ScreenCastError }))?.code,
        'NO_SUCH_MONITOR',
      );
      const capture = server.addCapture({
        node: session.nodeId,
        remote: desktop.remote,
        maxFps: 60,
      });
      await once(capture, 'format');
      const closed = new Promise<ScreenCastError>((resolve) => session.once('closed', resolve));
      const lost = new Promise<Error>((resolve) => capture.once('error', resolve));
      await mutter.stop('SIGKILL');
      t.is((await closed).code, 'CLOSED');
      t.regex((await lost).message, /node \d+/);
    });
  },
);

test('a bus that is not there has a code', async (t) => {
  const error = await t.throwsAsync(
    openMutterScreenCast({
      busAddress: 'unix:path=/nonexistent/bus',
      record: { primary: true },
      cursor: 'hidden',
      input: false,
    }),
    { instanceOf: ScreenCastError },
  );
  t.is(error?.code, 'NO_BUS');
});
