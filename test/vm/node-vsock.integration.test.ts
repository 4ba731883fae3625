// @scanbridge/native-vsock in a real guest, against Unix sockets of the host behind virtio-vsock-unix.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Guest } from './guest.js';
import { dial, VsockMode, VsockPeer } from './vsock-peer.js';

const GUEST_CID = 3;
const HOST_PORT = 1234;
const ECHO_PORT = 5000;
const DEAF_PORT = 5001;
const MIB = 1 << 20;
const SIZES: readonly [chunk: number, total: number][] = [
  [1, 2000],
  [13, 20_000],
  [4096, 2 * MIB],
  [65_536, 8 * MIB],
  [MIB, 16 * MIB],
];

let guest: Guest;
let peer: VsockPeer;
let directory: string;
let base: string;
/** What the server in the guest has said. */
let served = '';

test.before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanbridge-vsock-'));
  base = join(directory, 'v');
  peer = await VsockPeer.listen(base, HOST_PORT);
  guest = await Guest.boot({
    memory: 1024,
    qemuArgs: ['-device', `virtio-vsock-unix-pci,guest-cid=${GUEST_CID},path=${base}`],
  });
  await guest.exec(['modprobe', '-a', 'vmw_vsock_virtio_transport', 'vsock_loopback']);
  await install();
  await new Promise<void>((resolve, reject) => {
    const onStdout = (data: Uint8Array) => {
      served += Buffer.from(data).toString();
      if (served.includes('listening')) resolve();
    };
    const argv = ['node', 'vs/guest.js', 'serve', String(ECHO_PORT), String(DEAF_PORT)];
    let words = '';
    guest
      .start(argv, {
        onStdout,
        onStderr: (data) => {
          words += Buffer.from(data).toString();
        },
      })
      .then(({ exit }) => exit)
      .then(() => reject(new Error(`the server in the guest ended: ${words}`)), reject);
  });
});

test.after.always(async () => {
  await guest?.close();
  await peer?.[Symbol.asyncDispose]();
  if (directory) await rm(directory, { recursive: true, force: true });
});

/** Puts the package, as it was built here, and the test's program into the guest. */
async function install(): Promise<void> {
  const packageJson = createRequire(import.meta.url).resolve(
    '@scanbridge/native-vsock/package.json',
  );
  const stage = join(directory, 'vs');
  const addon = join(stage, 'node_modules/@scanbridge/native-vsock');
  await mkdir(join(addon, 'build/Release'), { recursive: true });
  const part = (name: string) =>
    cp(join(dirname(packageJson), name), join(addon, name), { recursive: true });
  await part('package.json');
  await part('dist/lib');
  await part('build/Release/scanbridge_vsock.node');
  await cp(fileURLToPath(new URL('node-vsock-guest.js', import.meta.url)), join(stage, 'guest.js'));
  await writeFile(join(stage, 'package.json'), '{"type":"module"}');
  await guest.copyIn([stage]);
}

/** Runs the program in the guest and gives the lines that it printed. */
async function node(...args: (string | number)[]): Promise<Record<string, unknown>[]> {
  const argv = ['node', 'vs/guest.js', ...args.map(String)];
  const { status, stdout, stderr } = await guest.exec(argv, { timeoutSeconds: 100 });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr.toString().trim()}`);
  const lines = stdout.toString().trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test.serial('the guest connects: writes from 1 byte to 1 MiB come back whole', async (t) => {
  for (const [chunk, total] of SIZES) {
    const [result] = await node('echo', 2, HOST_PORT, chunk, total, VsockMode.ECHO);
    t.like(result, { bytes: total, equal: true, cid: GUEST_CID }, `writes of ${chunk} bytes`);
    t.like(result, { remote: { cid: 2, port: HOST_PORT } });
    // The stream's queue ends where write() says false.
    t.true((result?.queued as number) <= 65_536 + chunk, `${result?.queued} bytes waited`);
  }
});

test.serial('the host connects: writes from 1 byte to 1 MiB come back whole', async (t) => {
  for (const [chunk, total] of SIZES) {
    const socket = await dial(base, ECHO_PORT);
    const [sent, got] = await Promise.all([send(socket, chunk, total), hashOf(socket)]);
    t.is(got.bytes, total, `writes of ${chunk} bytes`);
    t.is(got.hash, sent, `writes of ${chunk} bytes`);
  }
});

test.serial('the guest reaches itself by CID 1, where its kernel has loopback', async (t) => {
  const [result] = await node('echo', 1, ECHO_PORT, 65_536, 8 * MIB, 0);
  t.like(result, { bytes: 8 * MIB, equal: true, remote: { cid: 1, port: ECHO_PORT } });
});

test.serial('a host that does not read makes the guest wait, without work', async (t) => {
  const [stuck, closed] = await node('deaf', HOST_PORT, VsockMode.IGNORE);
  t.true((stuck?.written as number) < 4 * MIB, `${stuck?.written} bytes were taken`);
  t.true((stuck?.queued as number) <= 2 * 65_536, `${stuck?.queued} bytes wait`);
  t.true((stuck?.cpu as number) < 0.5, `${stuck?.cpu} s of CPU in two idle seconds`);
  t.deepEqual(closed, { closed: true });
});

test.serial('a guest that does not read makes the host wait, and holds one buffer', async (t) => {
  const socket = await dial(base, DEAF_PORT);
  let written = 0;
  for (;;) {
    if (socket.write(Buffer.alloc(65_536))) {
      written += 65_536;
      t.true(written < 8 * MIB);
      continue;
    }
    const drained = await Promise.race([
      once(socket, 'drain').then(() => true),
      sleep(1000, false),
    ]);
    if (!drained) break;
  }
  socket.destroy();
  const held = /\{"held":(\d+),"from":\{"cid":2,"port":(\d+)\}\}/.exec(served);
  t.true(Number(held?.[1]) > 0 && Number(held?.[1]) <= 65_536, served);
});

test.serial('a host program that goes away is noticed at once', async (t) => {
  const connected = peer.connection();
  let said = '';
  const holding = await guest.start(
    ['node', 'vs/guest.js', 'hold', `${HOST_PORT}`, `${VsockMode.ECHO}`],
    {
      onStdout: (data) => {
        said += Buffer.from(data).toString();
      },
    },
  );
  const socket = await connected;
  for (let i = 0; i < 600 && !said.includes('held'); i++) await sleep(50);
  socket.destroy();
  t.like(await holding.exit, { status: 0 });
  t.regex(said, /^\{"held":"held"\}\n\{"end":"(end|RESET)"\}\n$/);
});

test.serial('what cannot be has a code of its own', async (t) => {
  const [codes] = await node('refusals', 6000);
  t.deepEqual(codes, {
    nobody: 'REFUSED',
    aborted: 'ABORTED',
    inUse: 'IN_USE',
    foreign: 'NO_SUCH_CID',
  });
});

async function send(socket: Socket, chunk: number, total: number): Promise<string> {
  const data = randomBytes(chunk);
  const hash = createHash('sha256');
  for (let at = 0; at < total; at += chunk) {
    const part = data.subarray(0, Math.min(chunk, total - at));
    hash.update(part);
    if (!socket.write(part)) await once(socket, 'drain');
  }
  socket.end();
  return hash.digest('hex');
}

async function hashOf(socket: Socket): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of socket.iterator({ destroyOnReturn: false })) {
    hash.update(part as Buffer);
    bytes += (part as Buffer).length;
  }
  return { bytes, hash: hash.digest('hex') };
}
