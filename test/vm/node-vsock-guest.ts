/**
 * The guest's side of node-vsock.integration.test.ts: @scanbridge/native-vsock at work.
 *
 *   serve ECHO DEAF                  serve two ports for ever: one sends back what comes, one never reads
 *   echo CID PORT CHUNK TOTAL MODE   send TOTAL bytes in writes of CHUNK and compare what comes back;
 *                                    MODE > 0: say so first, as vsock-peer.ts wants it
 *   deaf PORT MODE                   write until the other side has not taken anything for a while
 *   hold PORT MODE                   connect, say "held", tell how the connection ends
 *   refusals PORT                    what becomes of connections that cannot be
 *
 * Results are lines of JSON on standard output.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  connectVsock,
  listenVsock,
  localCid,
  type VsockError,
  type VsockSocket,
} from '@scanbridge/native-vsock';

const [command = '', ...rest] = process.argv.slice(2);
const [a = 0, b = 0, c = 0, d = 0, e = 0] = rest.map(Number);

const tell = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

/** vsock-peer.ts's struct request. */
const request = (mode: number): Buffer =>
  Buffer.from(Uint32Array.from([mode, 65_536, 0, 0]).buffer);

async function open(cid: number, port: number, mode: number): Promise<VsockSocket> {
  const socket = await connectVsock({ cid, port, allowHalfOpen: true });
  if (mode > 0) socket.write(request(mode));
  return socket;
}

/** Waits for room, up to a second: whether there is some now. */
async function room(socket: VsockSocket): Promise<boolean> {
  const late = new AbortController();
  const drained = once(socket, 'drain', { signal: late.signal }).then(
    () => true,
    () => false,
  );
  const timer = setTimeout(() => late.abort(), 1000);
  try {
    return await drained;
  } finally {
    clearTimeout(timer);
  }
}

async function serve(echoPort: number, deafPort: number): Promise<void> {
  const echo = listenVsock({ port: echoPort, allowHalfOpen: true });
  echo.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const deaf = listenVsock({ port: deafPort });
  deaf.on('connection', (socket) => {
    socket.on('error', () => undefined);
    // One look at what has come, and no more.
    socket.once('readable', () =>
      tell({ held: socket.readableLength, from: socket.remoteAddress }),
    );
  });
  tell({ listening: true });
}

async function echo(cid: number, port: number, chunk: number, total: number, mode: number) {
  const socket = await open(cid, port, mode);
  const data = randomBytes(chunk);
  const sent = createHash('sha256');
  let queued = 0;
  const writing = (async () => {
    for (let at = 0; at < total; at += chunk) {
      const part = data.subarray(0, Math.min(chunk, total - at));
      sent.update(part);
      const more = socket.write(part);
      queued = Math.max(queued, socket.writableLength);
      if (!more) await once(socket, 'drain');
    }
    socket.end();
  })();
  const got = createHash('sha256');
  let bytes = 0;
  for await (const part of socket as AsyncIterable<Buffer>) {
    got.update(part);
    bytes += part.length;
  }
  await writing;
  const { localAddress, remoteAddress } = socket;
  const equal = sent.digest('hex') === got.digest('hex');
  tell({ bytes, equal, queued, local: localAddress, remote: remoteAddress, cid: localCid() });
}

async function deaf(port: number, mode: number): Promise<void> {
  const socket = await open(2, port, mode);
  socket.on('error', () => undefined);
  let written = 0;
  while (socket.write(Buffer.alloc(65_536)) || (await room(socket))) written += 65_536;
  const before = process.cpuUsage();
  await sleep(2000);
  const { user, system } = process.cpuUsage(before);
  tell({ written, queued: socket.writableLength, cpu: (user + system) / 1e6 });
  socket.destroy();
  await once(socket, 'close');
  tell({ closed: true });
}

async function hold(port: number, mode: number): Promise<void> {
  const socket = await open(2, port, mode);
  socket.write('held');
  const [data] = (await once(socket, 'data')) as [Buffer];
  tell({ held: data.toString() });
  const end = await once(socket, 'end').then(
    () => 'end',
    (error: VsockError) => error.code,
  );
  tell({ end });
  socket.destroy();
}

async function refusals(port: number): Promise<void> {
  const attempt = async (cid: number, to: number, signal?: AbortSignal) => {
    try {
      (await connectVsock({ cid, port: to, ...(signal && { signal }) })).destroy();
      return 'connected';
    } catch (error) {
      return (error as VsockError).code;
    }
  };
  const taken = listenVsock({ port });
  const listen = (options: { port: number; cid?: number }) => {
    try {
      listenVsock(options).close();
      return 'listening';
    } catch (error) {
      return (error as VsockError).code;
    }
  };
  tell({
    nobody: await attempt(2, 9),
    aborted: await attempt(2, 9, AbortSignal.abort()),
    inUse: listen({ port }),
    foreign: listen({ port: port + 1, cid: 77 }),
  });
  taken.close();
}

switch (command) {
  case 'serve':
    await serve(a, b);
    break;
  case 'echo':
    await echo(a, b, c, d, e);
    break;
  case 'deaf':
    await deaf(a, b);
    break;
  case 'hold':
    await hold(a, b);
    break;
  case 'refusals':
    await refusals(a);
    break;
  default:
    throw new Error(`no such command: ${command}`);
}
