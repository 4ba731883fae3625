import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Guest } from './guest.js';
import { dial, read, receive, transmit, VsockMode, VsockPeer } from './vsock-peer.js';
import { vsockProgram } from './vsock-program.js';

/** How long: a few seconds in the suite, and as long as one likes by hand (docs/vsock.md says how). */
const SECONDS = Number(process.env.SCANBRIDGE_VSOCK_SOAK_SECONDS ?? 5);
/** Transfers at the same time that have to arrive whole, and that are killed. */
const SURVIVORS = 4;
const VICTIMS = 2;

const HOST_PORT = 1234;
const VICTIM_PORT = 1300;
const GUEST_PORT = 5000;
const VSOCK = '/opt/scanbridge/bin/vsock';
const DEVICE = '/machine/peripheral/vsock0';
const CHUNKS = [1000, 4096, 10_007, 32_768, 65_536, 1 << 20] as const;

const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T;

test.serial(
  `${SECONDS} s of transfers and kills: nothing is lost by those that live`,
  async (t) => {
    t.timeout((SECONDS + 600) * 1000);
    const directory = await mkdtemp(join(tmpdir(), 'scanbridge-soak-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const base = join(directory, 'v');
    const program = await vsockProgram(directory);
    await using _peer = await VsockPeer.listen(base, HOST_PORT);
    await using guest = await Guest.boot({
      memory: 1024,
      qemuArgs: ['-device', `virtio-vsock-unix-pci,id=vsock0,guest-cid=3,path=${base}`],
    });
    await guest.exec(['modprobe', 'vmw_vsock_virtio_transport']);
    await new Promise<void>((resolve, reject) => {
      guest
        .start([VSOCK, 'serve', String(GUEST_PORT)], { onStdout: () => resolve() })
        .then(({ exit }) => exit)
        .then(() => reject(new Error('"vsock serve" ended')), reject);
    });

    const end = performance.now() + SECONDS * 1000;
    let whole = 0;
    let bytes = 0;
    let killed = 0;

    const inGuest = async (command: string, ...numbers: number[]) => {
      const { status, stdout, stderr } = await guest.exec([VSOCK, command, ...numbers.map(String)]);
      t.is(status, 0, stderr.toString());
      return JSON.parse(stdout.toString());
    };

    /** One transfer that nobody disturbs, either way, whoever connects; every byte is compared. */
    const survive = async () => {
      const chunk = pick(CHUNKS);
      const total = 1 + Math.floor(Math.random() * (4 << 20));
      const seed = 1 + Math.floor(Math.random() * 1e9);
      const request = { chunk, total, seed };
      const what = JSON.stringify(request);
      switch (pick(['send', 'receive', 'sink', 'source'] as const)) {
        case 'send':
          t.like(await inGuest('send', HOST_PORT, chunk, total, seed), { answer: 'ok' }, what);
          break;
        case 'receive': {
          const got = await inGuest('receive', HOST_PORT, chunk, total, seed);
          t.like(got, { wrong: -1, ended: true }, what);
          break;
        }
        case 'sink': {
          const socket = await dial(base, GUEST_PORT, { mode: VsockMode.SINK, ...request });
          await transmit(socket, request);
          socket.end();
          t.is((await read(socket))?.toString(), 'ok\n', what);
          socket.destroy();
          break;
        }
        default: {
          const socket = await dial(base, GUEST_PORT, { mode: VsockMode.SOURCE, ...request });
          t.is(await receive(socket, request), -1, what);
          t.is(await read(socket), undefined, what);
          socket.end();
        }
      }
      whole += 1;
      bytes += total;
    };

    /** A long transfer that is killed with SIGKILL, in the guest or on the host, at any moment. */
    const kill = async (victim: number) => {
      const port = VICTIM_PORT + victim;
      const path = `${base}_${port}`;
      await rm(path, { force: true });
      const host: ChildProcess = spawn(program, ['serve-unix', path], {
        stdio: ['ignore', 'pipe', 'ignore'],
        detached: true,
      });
      let alive = true;
      const killHost = () => {
        // Its whole group: a child serves the connection.
        if (alive) process.kill(-(host.pid as number), 'SIGKILL');
        alive = false;
      };
      try {
        await once(host.stdout as NodeJS.ReadableStream, 'data');
        const command = pick(['send', 'receive'] as const);
        const size = String(pick(CHUNKS));
        const running = await guest.start([VSOCK, command, String(port), size, '1000000000', '0']);
        await sleep(Math.random() * 500);
        if (Math.random() < 0.5) {
          await running.kill(9);
        } else {
          killHost();
        }
        await running.exit;
        killed += 1;
      } finally {
        killHost();
      }
    };

    const repeat = async (turn: () => Promise<void>) => {
      while (performance.now() < end) await turn();
    };
    await Promise.all([
      ...Array.from({ length: SURVIVORS }, () => repeat(survive)),
      ...Array.from({ length: VICTIMS }, (_, i) => repeat(() => kill(i))),
    ]);

    const connections = () =>
      guest.qmp.execute('qom-get', { path: DEVICE, property: 'connections' }) as Promise<number>;
    for (let i = 0; i < 200 && (await connections()) !== 0; i++) await sleep(50);
    t.is(await connections(), 0, 'nothing is left of the killed ones');
    t.true(whole > 0 && killed > 0);
    t.log(`${whole} transfers, ${(bytes / 1e6).toFixed(0)} MB, all whole; ${killed} killed`);
  },
);
