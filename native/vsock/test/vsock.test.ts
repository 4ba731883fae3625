// What every Linux can try. test/vm tries the rest in a guest that has a vsock device.
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import {
  connectVsock,
  listenVsock,
  VSOCK_CID_LOCAL,
  VSOCK_PORT_ANY,
  VsockError,
  type VsockServer,
  type VsockSocket,
} from '../lib/index.js';

/** Listens where this machine reaches itself, or says that it cannot: that takes the module vsock_loopback. */
function loopback(t: ExecutionContext): VsockServer | undefined {
  try {
    const server = listenVsock({ cid: VSOCK_CID_LOCAL, port: VSOCK_PORT_ANY, allowHalfOpen: true });
    t.teardown(() => server.close());
    return server;
  } catch (error) {
    if (!(error instanceof VsockError)) throw error;
    // setup/tap.mjs looks for this line.
    t.log('SKIP: no vsock loopback in this kernel (modprobe vsock_loopback)');
    t.pass();
    return undefined;
  }
}

async function pair(t: ExecutionContext): Promise<[VsockSocket, VsockSocket] | undefined> {
  const server = loopback(t);
  if (!server) return undefined;
  const accepted = once(server, 'connection');
  const near = await connectVsock({ ...server.address, allowHalfOpen: true });
  const [far] = (await accepted) as [VsockSocket];
  for (const socket of [near, far]) {
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
  }
  return [near, far];
}

test('numbers that are no address are refused before the kernel could read them as another', async (t) => {
  for (const port of [-1, 1.5, 2 ** 32, Number.NaN]) {
    await t.throwsAsync(connectVsock({ cid: 3, port }), { instanceOf: RangeError });
    t.throws(() => listenVsock({ port }), { instanceOf: RangeError });
  }
});

test('a port is held until its server closes', async (t) => {
  const first = listenVsock({ port: VSOCK_PORT_ANY });
  t.teardown(() => first.close());
  const { port } = first.address;
  t.not(port, VSOCK_PORT_ANY);
  const error = t.throws(() => listenVsock({ port }), { instanceOf: VsockError });
  t.is(error?.code, 'IN_USE');
  t.regex(error?.remedy ?? '', /another/);
  first.close();
  first.close();
  await once(first, 'close');
  listenVsock({ port }).close();
});

test('an attempt that is given up or takes too long leaves nothing open', async (t) => {
  const open = async () => (await readdir('/proc/self/fd')).length;
  const before = await open();
  // No machine has this CID; where there is a vsock device, its kernel waits for an answer.
  const nobody = { cid: 0x7ffffff0, port: 1 };
  const given = AbortSignal.abort();
  await t.throwsAsync(connectVsock({ ...nobody, signal: given }), { code: 'ABORTED' });
  for (let i = 0; i < 20; i++) {
    const error = await t.throwsAsync(connectVsock({ ...nobody, timeout: 20 }), {
      instanceOf: VsockError,
    });
    t.regex(error?.message ?? '', /^vsock 2147483632:1: /);
  }
  t.true((await open()) <= before + 2);
});

test('bytes arrive as they were sent, and each direction ends by itself', async (t) => {
  const sockets = await pair(t);
  if (!sockets) return;
  const [near, far] = sockets;
  t.is(near.remoteAddress.port, far.localAddress.port);
  t.is(far.remoteAddress.port, near.localAddress.port);
  const sent = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7) & 255));
  near.end(sent);
  const got: Buffer[] = [];
  for await (const chunk of far.iterator({ destroyOnReturn: false })) got.push(chunk as Buffer);
  t.true(Buffer.concat(got).equals(sent));
  far.end('and back');
  near.setEncoding('utf8');
  t.deepEqual(await near.toArray(), ['and back']);
});

test('who does not read makes the other wait, and holds no more than the stream asked for', async (t) => {
  const sockets = await pair(t);
  if (!sockets) return;
  const [near, far] = sockets;
  far.pause();
  let written = 0;
  while (near.write(Buffer.alloc(65_536)) || (await drained(near))) written += 65_536;
  t.true(written < 8 << 20);
  t.true(far.readableLength <= far.readableHighWaterMark);
});

const drained = (socket: VsockSocket): Promise<boolean> =>
  Promise.race([
    once(socket, 'drain').then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
  ]);
