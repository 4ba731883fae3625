// The ways by which agents reach the bridge, and what each lets them do.
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { listenVsock, VSOCK_PORT_ANY, VsockError } from '@scanbridge/native-vsock';
import test, { type ExecutionContext } from 'ava';
import type { TransportSpec } from '../src/agents/transports/transport.js';
import { parseHostPort, parseVm, parseVsock } from '../src/cli/arguments.js';
import { startBridge } from '../src/index.js';
import { bridgeFor, folderFor, until } from './running-bridge.js';
import { Agent, HELLO, OPEN } from './wire-agent.js';

const TOKEN = '0123456789abcdef';

const open = (t: ExecutionContext, ...agents: TransportSpec[]) =>
  bridgeFor(t, { testPatterns: [], agents });

/** An agent that is not on this machine must not make the bridge open sockets of it. */
async function checkForeign(t: ExecutionContext, agent: Agent): Promise<void> {
  agent.send(OPEN);
  t.like(await agent.got('error'), { code: 'SOURCE_REFUSED', session: OPEN.session });
  t.false(agent.closed);
}

test('a guest comes by BASE_<port>, is foreign, and the socket is for this user alone', async (t) => {
  const base = join(await folderFor(t), 'vm0');
  const bridge = await open(t, { kind: 'vsock-unix', base, port: 8471 });
  t.deepEqual(bridge.agents, [`vsock-unix:${base}_8471`]);
  t.is((await lstat(`${base}_8471`)).mode & 0o777, 0o600);
  const agent = new Agent(t, `${base}_8471`).send(HELLO);
  await agent.got('welcome');
  await checkForeign(t, agent);
  await bridge.close();
  t.true(agent.closed);
  await t.throwsAsync(lstat(`${base}_8471`), { code: 'ENOENT' });
});

test('over TCP the hello shows the token, and the agent is foreign', async (t) => {
  const bridge = await open(t, { kind: 'tcp', host: '127.0.0.1', port: 0, token: TOKEN });
  const port = Number(/^tcp:127\.0\.0\.1:(\d+)$/.exec(bridge.agents[0] ?? '')?.[1]);
  for (const hello of [
    HELLO,
    { ...HELLO, token: `${TOKEN}0` },
    { ...HELLO, token: 'x'.repeat(16) },
  ]) {
    const stranger = new Agent(t, { port }).send(hello, OPEN);
    t.like(await stranger.got('error'), { code: 'UNAUTHORIZED' });
    await stranger.end();
    t.false(stranger.messages.some(({ type }) => type === 'welcome'));
  }
  const agent = new Agent(t, { port }).send({ ...HELLO, token: TOKEN });
  await agent.got('welcome');
  await checkForeign(t, agent);
});

test('a token that could be guessed is refused, and nothing stays open', async (t) => {
  const path = join(await folderFor(t), 'agents.sock');
  const error = await t.throwsAsync(
    startBridge({
      agents: [
        { kind: 'unix', path },
        { kind: 'tcp', host: '127.0.0.1', port: 0, token: 'short' },
      ],
    }),
    { code: 'BAD_OPTION' },
  );
  t.regex((error as unknown as { remedy: string }).remedy, /openssl rand/);
  await t.throwsAsync(lstat(path), { code: 'ENOENT' });
});

/** FAKE: the socket of a virtio-serial port's character device, as QEMU serves it; test/vm has a real one. */
async function fakeSerialPort(t: ExecutionContext, path: string) {
  const server = createServer();
  const clients: Socket[] = [];
  server.on('connection', (socket) => clients.push(socket));
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of clients) socket.destroy();
    server.close();
  });
  return clients;
}

test('a virtio-serial port is waited for, used, and opened again when it was lost', async (t) => {
  const path = join(await folderFor(t), 'port');
  await open(t, { kind: 'serial', path });
  const clients = await fakeSerialPort(t, path);
  await until('the bridge comes', () => clients.length === 1);
  const agent = new Agent(t, clients[0] as Socket).send(HELLO);
  await agent.got('welcome');
  await checkForeign(t, agent);
  agent.socket.destroy();
  await until('the bridge comes back', () => clients.length === 2);
  await new Agent(t, clients[1] as Socket).send(HELLO).got('welcome');
});

test("the kernel's vsock is listened on, and a taken port is an error in words", async (t) => {
  let taken: ReturnType<typeof listenVsock>;
  try {
    taken = listenVsock({ port: VSOCK_PORT_ANY });
  } catch (error) {
    if (!(error instanceof VsockError)) throw error;
    // setup/tap.mjs looks for this line.
    t.log('SKIP: this kernel has no AF_VSOCK');
    t.pass();
    return;
  }
  const { port } = taken.address;
  await t.throwsAsync(startBridge({ agents: [{ kind: 'vsock', port }] }), {
    code: 'LISTEN_FAILED',
    message: /vsock.*EADDRINUSE.*choose another/,
  });
  taken.close();
  const bridge = await open(t, { kind: 'vsock', port });
  t.deepEqual(bridge.agents, [`vsock:${port}`]);
  await bridge.close();
  listenVsock({ port }).close();
});

test('there are 64 connections over all transports; one more is closed, and the others go on', async (t) => {
  const folder = await folderFor(t);
  const [path, base] = [join(folder, 'a'), join(folder, 'b')];
  await open(t, { kind: 'unix', path }, { kind: 'vsock-unix', base, port: 1 });
  const agent = new Agent(t, path).send(HELLO);
  await agent.got('welcome');
  const idle = Array.from({ length: 63 }, () => connect(`${base}_1`));
  t.teardown(() => {
    for (const socket of idle) socket.destroy();
  });
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  agent.send({ type: 'ping', token: 1 });
  await agent.got('pong');
  await new Agent(t, path).end();
  t.false(agent.closed);
});

test('transports are written as the help says', (t) => {
  t.deepEqual(parseVsock('vm0'), { kind: 'vsock-unix', base: 'vm0', port: 8471 });
  t.deepEqual(parseVsock('vm0,port=9'), { kind: 'vsock-unix', base: 'vm0', port: 9 });
  t.deepEqual(parseVsock('kernel'), { kind: 'vsock', port: 8471 });
  for (const text of [
    '',
    ',port=1',
    'vm0,port=0',
    'vm0,port=x',
    'vm0,cid=3',
    'vm0,port=4294967295',
  ]) {
    t.throws(() => parseVsock(text), { code: 'BAD_OPTION' }, text);
  }
  t.deepEqual(parseHostPort('0.0.0.0'), { host: '0.0.0.0', port: 8471 });
  t.deepEqual(parseHostPort('[::1]:9'), { host: '::1', port: 9 });
  for (const text of ['', ':9', 'host:70000', 'a:b:c']) {
    t.throws(() => parseHostPort(text), { code: 'BAD_OPTION' }, text);
  }
});

test('a VM ties the ways of its agents to its exporter', (t) => {
  const vm = { name: 'vm0', exporter: 'f.sock' };
  t.deepEqual(parseVm('vm0,exporter=f.sock,vsock=/run/v'), [
    { kind: 'vsock-unix', base: '/run/v', port: 8471, vm },
  ]);
  t.deepEqual(parseVm('vm0,exporter=f.sock,vsock=v,port=9,serial=s.sock'), [
    { kind: 'vsock-unix', base: 'v', port: 9, vm },
    { kind: 'serial', path: 's.sock', vm },
  ]);
  for (const text of [
    '',
    'vm0',
    'vm0,vsock=v',
    'vm0,exporter=f.sock',
    ',exporter=f.sock,vsock=v',
    'vm0,exporter=f.sock,vsock=v,port=0',
    'vm0,exporter=f.sock,vsock=v,port=4294967295',
    'vm0,exporter=f.sock,vsock=v,cid=3',
    'vm0,exporter=f.sock,vsock=v,x',
  ]) {
    t.throws(() => parseVm(text), { code: 'BAD_OPTION' }, text);
  }
});
