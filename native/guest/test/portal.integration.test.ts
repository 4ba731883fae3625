// Casts through the real xdg-desktop-portal; only its backend, which would ask a person, is a fake.
import { once } from 'node:events';
import { join } from 'node:path';
import {
  openPortalScreenCast,
  type PortalSession,
  ScreenCastError,
  SurfaceServer,
} from '@scanbridge/native-guest';
import test from 'ava';
import { Desktop, type Portal } from './desktop.js';

async function withPortal(
  args: string[],
  run: (desktop: Desktop, portal: Portal, server: SurfaceServer) => Promise<void>,
): Promise<void> {
  const desktop = await Desktop.start();
  const server = new SurfaceServer({ path: join(desktop.folder, 'surface'), name: 'test' });
  try {
    const { node } = await desktop.producer('--width', '640', '--height', '480', '--fps', '30');
    await run(desktop, await desktop.portal(node, '640', '480', ...args), server);
  } finally {
    await server.close();
    await desktop.stop();
  }
}

const cast = (desktop: Desktop): Promise<PortalSession> =>
  openPortalScreenCast({ busAddress: desktop.busAddress, cursor: 'metadata' });

test.serial('a cast through the portal: a connection of its own, a picture, its end', async (t) => {
  await withPortal([], async (desktop, { front, backend }, server) => {
    const session = await cast(desktop);
    t.like(await backend.next((l) => l.event === 'selected'), { types: 1, cursorMode: 4 });
    t.is(session.streams.length, 1);
    const [stream] = session.streams;
    t.like(stream, { width: 640, height: 480 });
    const fd = await session.openPipeWireRemote();
    const capture = server.addCapture({ node: stream?.nodeId ?? 0, fd, maxFps: 60 });
    await once(capture, 'format');
    const probe = desktop.probe(server.path, capture.id);
    await probe.next((l) => l.type === 'frame', 20_000);
    const closed = once(session, 'closed');
    await front.stop('SIGKILL');
    const [error] = await closed;
    t.true(error instanceof ScreenCastError);
    t.is(error.code, 'CLOSED');
    await capture.close();
    await session.close();
  });
});

test.serial('closing the cast ends it at the backend', async (t) => {
  await withPortal([], async (desktop, { backend }) => {
    const session = await cast(desktop);
    await session.close();
    t.like(await backend.next((l) => l.event === 'closed'), { event: 'closed' });
  });
});

test.serial('a person who says no is told apart from a failure', async (t) => {
  await withPortal(['refuse'], async (desktop) => {
    const error = await t.throwsAsync(() => cast(desktop), { instanceOf: ScreenCastError });
    t.is((error as ScreenCastError).code, 'REFUSED');
  });
});
