// The connection to the bridge over real sockets.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AgentDecoder,
  encodeAgent,
  type FromAgent,
  type ToAgent,
} from '@scanbridge/protocol/agent';
import test from 'ava';
import { pino } from 'pino';
import { BridgeConnection } from '../src/connection.js';
import type { BridgeAddress } from '../src/transports.js';
import { FakeBridge } from './fake-bridge.js';

const log = pino({ level: 'silent' });

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sb-'));
  try {
    await run(join(folder, 'bridge'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function open(path: string, ...others: BridgeAddress[]) {
  const happened: string[] = [];
  const messages: ToAgent[] = [];
  const waiting: { what: string; resolve: () => void }[] = [];
  const note = (what: string) => {
    happened.push(what);
    for (const entry of waiting.splice(0)) {
      if (entry.what === what) entry.resolve();
      else waiting.push(entry);
    }
  };
  const connection = new BridgeConnection(
    {
      addresses: [...others, { kind: 'unix', path }],
      name: 'test',
      instance: '8e1c9c36-6fd4-4f5f-9d0b-2f2b8d8f4c11',
    },
    {
      connected: () => note('connected'),
      message: (message) => {
        messages.push(message);
        note(message.type);
      },
      disconnected: () => note('disconnected'),
    },
    log,
  );
  const until = (what: string) => new Promise<void>((resolve) => waiting.push({ what, resolve }));
  return { connection, happened, messages, until };
}

test('says hello, beats, answers, and passes messages on', async (t) => {
  await inFolder(async (path) => {
    const bridge = await FakeBridge.listen(path, 100);
    const agent = open(path);
    const hello = await bridge.next('hello');
    t.is(hello.name, 'test');
    t.is(hello.version, 1);
    await bridge.next('ping');
    bridge.send({ type: 'ping', token: 77 });
    while ((await bridge.next('pong')).token !== 77);
    const resize = agent.until('session-resize');
    bridge.send({ type: 'session-resize', session: 'a', width: 10, height: 20 });
    await resize;
    t.deepEqual(agent.messages, [{ type: 'session-resize', session: 'a', width: 10, height: 20 }]);
    await agent.connection.close();
    await bridge.close();
  });
});

test('waits for a bridge that is not there, and comes back to one that was away', async (t) => {
  await inFolder(async (path) => {
    const agent = open(path);
    const connected = agent.until('connected');
    let bridge = await FakeBridge.listen(path);
    await connected;
    const disconnected = agent.until('disconnected');
    await bridge.close();
    await disconnected;
    t.false(agent.connection.connected);
    const again = agent.until('connected');
    bridge = await FakeBridge.listen(path);
    await again;
    t.is((await bridge.next('hello')).instance, '8e1c9c36-6fd4-4f5f-9d0b-2f2b8d8f4c11');
    await agent.connection.close();
    await bridge.close();
    t.deepEqual(agent.happened, ['connected', 'disconnected', 'connected', 'disconnected']);
  });
});

for (const [name, bytes, code] of [
  ['a length beyond the limit', [255, 255, 255, 127], 'BAD_LENGTH'],
  ['no msgpack', [1, 0, 0, 0, 0xc1], 'BAD_MESSAGE'],
] as const) {
  test(`a bridge that sends ${name} is told so, and left`, async (t) => {
    await inFolder(async (path) => {
      const bridge = await FakeBridge.listen(path);
      const agent = open(path);
      await agent.until('connected');
      const disconnected = agent.until('disconnected');
      bridge.sendRaw(Uint8Array.from(bytes));
      t.is((await bridge.next('error')).code, code);
      await disconnected;
      await agent.connection.close();
      await bridge.close();
    });
  });
}

test('addresses are tried in their order, from the first again after each connection', async (t) => {
  await inFolder(async (path) => {
    const first = `${path}-1`;
    const absent: BridgeAddress[] = [
      { kind: 'vsock', cid: 1, port: 4_000_000_000 },
      { kind: 'serial', path: '/dev/virtio-ports/nobody.made.this' },
      { kind: 'unix', path: first },
    ];
    const last = await FakeBridge.listen(path);
    const agent = open(path, ...absent);
    const hello = await last.next('hello');
    t.is(hello.token, undefined);
    const better = await FakeBridge.listen(first);
    last.drop();
    t.is((await better.next('hello')).name, 'test');
    await agent.connection.close();
    await Promise.all([last.close(), better.close()]);
  });
});

test('a token is shown over TCP alone, and a refusal of it is told', async (t) => {
  const hellos: FromAgent[] = [];
  const server = createServer((socket) => {
    const decoder = new AgentDecoder('agent');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      hellos.push(...decoder.push(chunk));
      socket.end(encodeAgent({ type: 'error', code: 'UNAUTHORIZED', message: 'not this one' }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await inFolder(async (path) => {
    const bridge = await FakeBridge.listen(path);
    const token = '0123456789abcdef';
    const agent = open(path, { kind: 'tcp', host: '127.0.0.1', port, token });
    // The bridge that refuses is passed over for the next address.
    t.is((await bridge.next('hello')).token, undefined);
    t.like(hellos[0], { type: 'hello', token });
    await agent.connection.close();
    await bridge.close();
  });
  server.close();
});
