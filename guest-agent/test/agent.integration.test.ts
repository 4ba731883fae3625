// The whole agent against a real Mutter and a real PipeWire; the bridge is played by the test.
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentSource } from '@scanbridge/protocol/agent';
import test from 'ava';
import { pino } from 'pino';
import { Agent, MutterSource } from '../src/index.js';
import { FakeBridge } from './fake-bridge.js';
import { Session } from './session.js';

const log = pino({ level: 'silent' });

function captureOf(source: AgentSource): Extract<AgentSource, { kind: 'capture' }> {
  if (source.kind !== 'capture') throw new Error(`the source is of kind ${source.kind}`);
  return source;
}

test.serial('a desktop is shown, withdrawn when it goes away, and shown again', async (t) => {
  const session = await Session.start();
  const folder = await mkdtemp(join(tmpdir(), 'sb-'));
  const path = join(folder, 'bridge');
  let bridge = await FakeBridge.listen(path);
  await session.startMutter();
  const agent = await Agent.start({
    bridge: [{ kind: 'unix', path }],
    name: 'test',
    socket: join(folder, 'surface'),
    sources: [
      new MutterSource({
        id: 'desktop',
        busAddress: session.busAddress,
        record: { virtual: { width: 640, height: 480 } },
        cursor: 'metadata',
        maxFps: 60,
        remote: session.remote,
      }),
    ],
    log,
  });
  try {
    const opened = await bridge.next('session-open');
    t.like(opened, { session: 'desktop', input: true, resizable: true });
    const first = captureOf(opened.source);
    t.is(first.socket, join(folder, 'surface'));
    const socket = connect(first.socket);
    await once(socket, 'connect');
    socket.destroy();

    // The bridge goes away: the desktop stays, with the same capture.
    await bridge.close();
    bridge = await FakeBridge.listen(path);
    t.is(captureOf((await bridge.next('session-open')).source).capture, first.capture);

    // The compositor goes away.
    await session.stopMutter();
    t.is((await bridge.next('session-close')).code, 'SOURCE_FAILED');
    await session.startMutter();
    const again = await bridge.next('session-open');
    t.true(captureOf(again.source).capture > first.capture);

    // PipeWire goes away; Mutter connects to the new one.
    await session.killPipeWire();
    t.is((await bridge.next('session-close')).code, 'SOURCE_FAILED');
    await session.startPipeWire();
    await bridge.next('session-open');
  } finally {
    await agent.close();
    await bridge.close();
    t.deepEqual(await readdir(folder), [], 'no socket is left');
    await session.stop();
    await rm(folder, { recursive: true });
  }
});

test.serial('input from the bridge reaches the desktop, and nonsense is answered', async (t) => {
  const session = await Session.start();
  const folder = await mkdtemp(join(tmpdir(), 'sb-'));
  const bridge = await FakeBridge.listen(join(folder, 'bridge'));
  await session.startMutter();
  const inputs: unknown[] = [];
  const source = new MutterSource({
    id: 'desktop',
    busAddress: session.busAddress,
    record: { primary: true },
    cursor: 'metadata',
    maxFps: 60,
    remote: session.remote,
  });
  const agent = await Agent.start({
    bridge: [{ kind: 'unix', path: join(folder, 'bridge') }],
    name: 'test',
    socket: join(folder, 'surface'),
    sources: [
      {
        id: source.id,
        title: source.title,
        open: async (server, signal) => {
          const open = await source.open(server, signal);
          return {
            ...open,
            input: (events) => {
              inputs.push(...events);
              open.input?.(events);
            },
          };
        },
      },
    ],
    log,
  });
  try {
    await bridge.next('session-open');
    const event = { kind: 'motion', x: 5, y: 6 } as const;
    bridge.send({ type: 'session-input', session: 'desktop', events: [event] });
    bridge.send({ type: 'session-input', session: 'nobody', events: [event] });
    t.like(await bridge.next('error'), { code: 'NO_SUCH_SESSION', session: 'nobody' });
    t.deepEqual(inputs, [event]);
  } finally {
    await agent.close();
    await bridge.close();
    await session.stop();
    await rm(folder, { recursive: true });
  }
});
