import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Guest, type GuestOptions } from './guest.js';
import { KERNEL_VERSIONS } from './kernel.js';
import { qemuBinary } from './qemu.js';
import { dial, read, receive, transmit, VsockMode, VsockPeer } from './vsock-peer.js';

const GUEST_CID = 3;
const HOST_PORT = 1234;
const GUEST_PORT = 5000;
const DEVICE = '/machine/peripheral/vsock0';
const VSOCK = '/opt/scanbridge/bin/vsock';
const MIB = 1 << 20;
/** Connections that are opened and closed to look for leaks; more by hand (docs/vsock.md says how). */
const CHURN = Number(process.env.SCANBRIDGE_VSOCK_CHURN ?? 2000);

/** The guest's memory belongs to QEMU from the start: what grows then is QEMU's own. */
const PREALLOCATED: GuestOptions = { qemuArgs: ['-mem-prealloc'] };

interface Vm extends AsyncDisposable {
  guest: Guest;
  /** Where the device listens. */
  base: string;
  /** The host's service of HOST_PORT. */
  peer: VsockPeer;
}

/** A guest with the device, whose programs serve GUEST_PORT, and a host that serves HOST_PORT. */
async function boot(options: GuestOptions = {}): Promise<Vm> {
  const directory = await mkdtemp(join(tmpdir(), 'scanbridge-vsock-'));
  const base = join(directory, 'v');
  const peer = await VsockPeer.listen(base, HOST_PORT);
  try {
    const guest = await Guest.boot({
      memory: 1024,
      ...options,
      qemuArgs: [
        ...['-device', `virtio-vsock-unix-pci,id=vsock0,guest-cid=${GUEST_CID},path=${base}`],
        ...(options.qemuArgs ?? []),
      ],
    });
    await serveInGuest(guest);
    return {
      guest,
      base,
      peer,
      [Symbol.asyncDispose]: async () => {
        await guest.close();
        await peer[Symbol.asyncDispose]();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await peer[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function serveInGuest(guest: Guest): Promise<void> {
  const { status, stderr } = await guest.exec(['modprobe', 'vmw_vsock_virtio_transport']);
  if (status !== 0) {
    throw new Error(`the guest has no vsock: ${stderr}`);
  }
  await new Promise<void>((resolve, reject) => {
    guest
      .start([VSOCK, 'serve', String(GUEST_PORT)], { onStdout: () => resolve() })
      .then(({ exit }) => exit)
      .then(() => reject(new Error('"vsock serve" ended')), reject);
  });
}

/** Runs `vsock` in the guest and returns what it printed. */
async function vsock<T>(guest: Guest, ...args: (string | number)[]): Promise<T> {
  const { status, stdout, stderr } = await guest.exec([VSOCK, ...args.map(String)], {
    timeoutSeconds: 100 + CHURN / 20,
  });
  if (status !== 0) {
    throw new Error(`vsock ${args.join(' ')}: ${stderr.toString().trim()}`);
  }
  return JSON.parse(stdout.toString()) as T;
}

const connections = ({ guest }: Vm) =>
  guest.qmp.execute('qom-get', { path: DEVICE, property: 'connections' }) as Promise<number>;

/** Waits until `check` is true; fails with `what` after ten seconds. */
async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await check()) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ten seconds: ${what}`);
}

const idle = (vm: Vm) =>
  until('all connections are closed', async () => (await connections(vm)) === 0);

async function checkRoundTrip(t: ExecutionContext, { guest }: Vm): Promise<void> {
  const { us_p50 } = await vsock<{ us_p50: number }>(guest, 'ping', HOST_PORT, 20, 64);
  t.true(us_p50 > 0);
}

/** Waits for the other side to end a connection, orderly or with a reset. */
function closed(socket: Socket): Promise<void> {
  socket.on('end', () => socket.destroy());
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

const descriptors = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length;

async function residentKib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)?.[1]);
}

for (const kernel of KERNEL_VERSIONS) {
  test.serial(`Linux ${kernel}: writes from 1 byte to 1 MiB arrive whole, both ways`, async (t) => {
    await using vm = await boot({ kernel });
    const sizes: [chunk: number, total: number][] = [
      [1, 5000],
      [13, 50_000],
      [4096, 8 * MIB],
      [32_768, 16 * MIB],
      [65_536, 16 * MIB],
      [MIB, 32 * MIB],
    ];
    let seed = 1;
    for (const [chunk, total] of sizes) {
      const name = `writes of ${chunk} bytes`;
      const request = { chunk, total, seed: seed++ };
      const args = [HOST_PORT, chunk, total, request.seed];
      t.like(await vsock(vm.guest, 'send', ...args), { answer: 'ok' }, `${name}, guest to host`);
      t.like(
        await vsock(vm.guest, 'receive', ...args),
        { wrong: -1, ended: true },
        `${name}, host to guest`,
      );

      const sink = await dial(vm.base, GUEST_PORT, { mode: VsockMode.SINK, ...request });
      await transmit(sink, request);
      sink.end();
      t.is((await read(sink))?.toString(), 'ok\n', `${name}, host connects and sends`);
      const source = await dial(vm.base, GUEST_PORT, { mode: VsockMode.SOURCE, ...request });
      t.is(await receive(source, request), -1, `${name}, host connects and receives`);
      t.is(await read(source), undefined, `${name}: the stream ends`);
      source.end();
    }
    await idle(vm);
  });
}

test.serial('1,000 connections at once, each way, and nothing is left of them', async (t) => {
  await using vm = await boot();
  const before = await descriptors(vm.guest.pid);
  t.like(await vsock(vm.guest, 'many', HOST_PORT, 1000), { open: 1000 });
  await idle(vm);

  // In portions: an emulated guest may not answer 200 at once within the ten seconds that the device gives it.
  const sockets: Socket[] = [];
  for (let i = 0; i < 10; i++) {
    const portion = Array.from({ length: 20 }, () =>
      dial(vm.base, GUEST_PORT, { mode: VsockMode.ECHO }),
    );
    sockets.push(...(await Promise.all(portion)));
  }
  t.is(await connections(vm), 200);
  for (const [i, socket] of sockets.entries()) {
    socket.write(`this is ${i}`);
  }
  for (const [i, socket] of sockets.entries()) {
    t.is((await read(socket))?.toString(), `this is ${i}`);
    socket.end();
  }
  await idle(vm);
  t.is(await descriptors(vm.guest.pid), before);
});

test.serial('opening and closing leaks neither descriptors nor memory', async (t) => {
  await using vm = await boot(PREALLOCATED);
  await vsock(vm.guest, 'churn', HOST_PORT, 500);
  await idle(vm);
  const files = await descriptors(vm.guest.pid);
  const memory = await residentKib(vm.guest.pid);
  await vsock(vm.guest, 'churn', HOST_PORT, CHURN);
  await idle(vm);
  t.is(await descriptors(vm.guest.pid), files);
  // Not a matter of how many there were.
  const grown = (await residentKib(vm.guest.pid)) - memory;
  t.log(`${CHURN} connections, RssAnon grew by ${grown} KiB`);
  t.true(grown < 8192);
});

test.serial('a half-closed connection still carries the other direction', async (t) => {
  await using vm = await boot();
  // The guest's half is in "send", which closes its side before it reads the answer.
  const socket = await dial(vm.base, GUEST_PORT, { mode: VsockMode.ECHO });
  const request = { total: 3 * MIB, chunk: 10_000, seed: 9 };
  const echoed = receive(socket, request);
  await transmit(socket, request);
  socket.end();
  t.is(await echoed, -1);
  t.is(await read(socket), undefined);
  await idle(vm);
});

test.serial('either side may be killed at any moment', async (t) => {
  await using vm = await boot();

  // A program of the guest, idle and in the middle of a transfer.
  for (const args of [
    ['hold', HOST_PORT],
    ['send', HOST_PORT, 65_536, 1 << 30, 0],
    ['receive', HOST_PORT, 65_536, 1 << 30, 0],
  ]) {
    const connected = vm.peer.connection();
    const process = await vm.guest.start([VSOCK, ...args.map(String)]);
    const socket = await connected;
    const ended = closed(socket);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await process.kill(9);
    t.like(await process.exit, { signal: 9 });
    await ended;
    await idle(vm);
  }

  // A program of the host, which echoes what follows the request of 16 bytes.
  const script = `
    const serve = (s) => s.once('data', (data) => { s.write(data.subarray(16)); s.pipe(s); });
    require('net').createServer(serve).listen(process.argv[1], () => console.log('up'));
  `;
  const host = spawn(process.execPath, ['-e', script, `${vm.base}_7000`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => host.kill('SIGKILL'));
  await once(host.stdout, 'data');
  const held = vm.guest.exec([VSOCK, 'hold', '7000'], {
    timeoutSeconds: 30,
    onStdout: (chunk) => {
      if (chunk.toString().includes('held')) {
        host.kill('SIGKILL');
      }
    },
  });
  t.like(await held, { status: 0 }); // the end of the stream, or a reset
  await idle(vm);
  await t.throwsAsync(vsock(vm.guest, 'hold', 7000), { message: /connect: Connection reset/ });
  await checkRoundTrip(t, vm);
});

test.serial('a host program that never reads stops its own connection only', async (t) => {
  await using vm = await boot(PREALLOCATED);
  const server = createServer({ pauseOnConnect: true }).listen(`${vm.base}_1300`);
  t.teardown(() => server.close());
  const stuck = await vm.guest.start([VSOCK, 'send', '1300', '65536', '1000000000', '0']);
  const [socket] = (await once(server, 'connection')) as [Socket];
  socket.on('error', () => undefined);
  const memory = await residentKib(vm.guest.pid);
  for (let i = 0; i < 5; i++) {
    await checkRoundTrip(t, vm);
  }
  t.like(await vsock(vm.guest, 'send', HOST_PORT, 32_768, 4 * MIB, 3), { answer: 'ok' });
  t.true((await residentKib(vm.guest.pid)) - memory < 16_384);
  socket.destroy();
  t.like(await stuck.exit, { status: 1 }); // EPIPE or ECONNRESET
  await idle(vm);
});

test.serial('the guest may be reset in the middle of transfers', async (t) => {
  await using vm = await boot();
  const sockets = await Promise.all(
    ['send', 'receive'].map(async (command) => {
      const connected = vm.peer.connection();
      const process = await vm.guest.start(
        [VSOCK, command, HOST_PORT, 65_536, 1 << 30, 0].map(String),
      );
      process.exit.catch(() => undefined); // GUEST_RESET
      return connected;
    }),
  );
  const client = await dial(vm.base, GUEST_PORT, { mode: VsockMode.ECHO });
  const ended = [...sockets, client].map(closed);
  client.resume();
  await vm.guest.reset();
  await Promise.all(ended);
  await t.throwsAsync(dial(vm.base, GUEST_PORT), { message: /refused/ });
  await serveInGuest(vm.guest);
  await checkRoundTrip(t, vm);
  (await dial(vm.base, GUEST_PORT)).destroy();
  await idle(vm);
});

test.serial('loading a snapshot ends the connections of the time when it was taken', async (t) => {
  await using vm = await boot();
  const hmp = (line: string) =>
    vm.guest.qmp.execute('human-monitor-command', { 'command-line': line });
  let said = '';
  const connected = vm.peer.connection();
  const process = await vm.guest.start([VSOCK, 'hold', String(HOST_PORT)], {
    onStdout: (chunk) => {
      said += chunk.toString();
    },
  });
  const socket = await connected;
  await until('the connection is in use', async () => said.includes('held'));

  t.is(await hmp('savevm one'), '');
  // Saving disturbs nothing.
  t.is(await connections(vm), 1);
  await checkRoundTrip(t, vm);

  const ended = closed(socket);
  t.is(await hmp('loadvm one'), '');
  await ended;
  t.like(await process.exit, { status: 0 });
  t.regex(said, /"read":(-1,"errno":104|0,"errno":0)/);
  // Listeners of the guest are still there.
  (await dial(vm.base, GUEST_PORT)).destroy();
  await checkRoundTrip(t, vm);
});

test.serial('the CID can change while the guest runs', async (t) => {
  await using vm = await boot();
  t.like(await vsock(vm.guest, 'cid'), { cid: GUEST_CID });
  let said = '';
  const held = vm.guest.exec([VSOCK, 'hold', String(HOST_PORT)], {
    timeoutSeconds: 30,
    onStdout: (chunk) => {
      said += chunk.toString();
    },
  });
  await until('the connection is in use', async () => said.includes('held'));
  await vm.guest.qmp.execute('qom-set', { path: DEVICE, property: 'guest-cid', value: 77 });
  t.like(await held, { status: 0 });
  t.like(await vsock(vm.guest, 'cid'), { cid: 77 });
  await checkRoundTrip(t, vm);
  (await dial(vm.base, GUEST_PORT)).destroy();
});

test.serial('a device that cannot work says so when QEMU starts', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'scanbridge-vsock-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const qemu = await qemuBinary(() => undefined);
  const start = async (options: string) => {
    const args = ['-nodefaults', '-machine', 'q35', '-display', 'none', '-S'];
    return promisify(execFile)(qemu, [...args, '-device', `virtio-vsock-unix-pci,${options}`], {
      timeout: 10_000,
    }).then(
      () => 'it started',
      ({ stderr }) => stderr as string,
    );
  };

  const base = join(directory, 'v');
  t.regex(await start(`path=${base}`), /'guest-cid' is missing/);
  t.regex(await start('guest-cid=3'), /'path' is missing/);
  t.regex(await start(`guest-cid=2,path=${base}`), /'guest-cid' must be between 3 and/);
  t.regex(await start(`guest-cid=3,path=${base.padEnd(100, 'x')}`), /too long for a Unix socket/);
  t.regex(await start(`guest-cid=3,path=${base}/no/such`), /No such file|Not a directory/);

  await writeFile(base, 'not a socket');
  t.regex(await start(`guest-cid=3,path=${base}`), /exists and is not a socket/);
  t.true((await stat(base)).isFile());
  await rm(base);
  await using peer = await VsockPeer.listen(join(directory, 'used'), 1);
  t.is(peer.sockets.size, 0);
  t.regex(await start(`guest-cid=3,path=${directory}/used_1`), /in use by another process/);
});
