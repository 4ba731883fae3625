// Throughput and round trip of vsock between a guest and the host, beside vhost-device-vsock.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DebianPackages } from '@scanbridge/test/vm/debian';
import { VmError } from '@scanbridge/test/vm/error';
import { Guest } from '@scanbridge/test/vm/guest';
import { VsockPeer } from '@scanbridge/test/vm/vsock-peer';
import type { Benchmark, Case, Options } from './bench.js';
import { median, rounded } from './statistics.js';

const PORT = 1234;
const GUEST_CID = 3;
const MEMORY_MIB = 1024;
const WRITE_SIZES = [4096, 32_768, 65_536, 1_048_576];
/** A transfer that takes longer has stalled; it counts as 0 MB/s. */
const STALL_SECONDS = 30;
/** Emulated, the guest copies three times as fast with plain loops as with "rep movsb". */
const CPU = ['-cpu', 'max,-erms,-fsrm'];

/** A vsock device and what it needs on the host. */
interface Peer extends AsyncDisposable {
  qemuArgs: string[];
}

/** `base` is this guest's alone; `directory` is for what peers of one run share. */
type MakePeer = (base: string, directory: string) => Promise<Peer>;

const virtioVsockUnix: MakePeer = async (base) => ({
  qemuArgs: ['-device', `virtio-vsock-unix-pci,guest-cid=${GUEST_CID},path=${base}`],
  [Symbol.asyncDispose]: async () => undefined,
});

const vhostDeviceVsock: MakePeer = async (base, directory) => {
  const binary = join(directory, 'tree/usr/bin/vhost-device-vsock');
  if (!existsSync(binary)) {
    const packages = await DebianPackages.open('sid', directory);
    await packages.unpack('vhost-device-vsock', join(directory, 'tree'));
  }
  const socket = `${base}-vhost-user`;
  const args = ['--guest-cid', String(GUEST_CID), '--socket', socket, '--uds-path', base];
  const daemon = spawn(binary, args, { stdio: 'ignore' });
  const ended = once(daemon, 'close');
  for (let i = 0; i < 200 && !existsSync(socket); i++) {
    if (daemon.exitCode !== null) throw new Error(`vhost-device-vsock ended (${daemon.exitCode})`);
    await sleep(50);
  }
  const memory = `memory-backend-memfd,id=memory,size=${MEMORY_MIB}M,share=on`;
  return {
    qemuArgs: [
      ...['-object', memory, '-machine', 'memory-backend=memory'],
      ...['-chardev', `socket,id=vsock,path=${socket}`],
      ...['-device', 'vhost-user-vsock-pci,chardev=vsock'],
    ],
    [Symbol.asyncDispose]: async () => {
      daemon.kill('SIGKILL');
      await ended;
    },
  };
};

const PEERS: readonly [name: string, make: MakePeer][] = [
  ['virtio-vsock-unix', virtioVsockUnix],
  ['vhost-device-vsock', vhostDeviceVsock],
];

/** Runs `vsock` in the guest; undefined if it stalled. */
async function vsock<T>(guest: Guest, ...args: (string | number)[]): Promise<T | undefined> {
  try {
    const argv = ['/opt/scanbridge/bin/vsock', ...args.map(String)];
    const { status, stdout, stderr } = await guest.exec(argv, { timeoutSeconds: STALL_SECONDS });
    if (status !== 0) {
      throw new Error(`${argv.join(' ')}: ${stderr.toString().trim()}`);
    }
    return JSON.parse(stdout.toString()) as T;
  } catch (error) {
    if (error instanceof VmError && error.code === 'EXEC_TIMEOUT') {
      return undefined;
    }
    throw error;
  }
}

/** Median over the rounds; a round that stalled makes it 0, as no mean of the others would be true. */
const rate = (rates: readonly number[]): number => (rates.includes(0) ? 0 : rounded(median(rates)));

/** One peer with writes of one size. */
async function measure(
  [name, make]: (typeof PEERS)[number],
  size: number,
  directory: string,
  { quick, progress }: Options,
): Promise<Case> {
  const rounds = quick ? 1 : 5;
  const total = quick ? 30_000_000 : 200_000_000;
  const base = join(directory, `${name}-${size}`);
  await using _host = await VsockPeer.listen(base, PORT);
  // A fresh guest for each size: a transfer that stalls takes the device with it.
  await using device = await make(base, directory);
  await using guest = await Guest.boot({
    memory: MEMORY_MIB,
    qemuArgs: [...CPU, ...device.qemuArgs],
    progress,
  });
  await guest.exec(['modprobe', 'vmw_vsock_virtio_transport']);
  progress(`${name}: writes of ${size} bytes`);
  const ping = await vsock<{ us_p50: number }>(guest, 'ping', PORT, quick ? 500 : 5000, 64);
  const up: number[] = [];
  const down: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const sent = await vsock<{ seconds: number }>(guest, 'send', PORT, size, total, 0);
    up.push(sent ? total / 1e6 / sent.seconds : 0);
    const got = await vsock<{ seconds: number }>(guest, 'receive', PORT, size, total, 0);
    down.push(got ? total / 1e6 / got.seconds : 0);
    if (!sent || !got) {
      progress(`${name}: writes of ${size} bytes stalled for ${STALL_SECONDS} s`);
      break;
    }
  }
  return {
    case: `${name}-${size}`,
    metrics: {
      mb_per_second_up: rate(up),
      mb_per_second_down: rate(down),
      rtt_us_p50: rounded(ping?.us_p50 ?? 0),
    },
  };
}

export const benchmark: Benchmark = {
  about:
    'vsock of an emulated guest: MB/s from the guest (up) and to it (down), round trip; 0 = stalled',
  async run(options) {
    const directory = await mkdtemp(join(tmpdir(), 'scanbridge-bench-'));
    try {
      const cases: Case[] = [];
      // By turns, so that what else the machine does meets both.
      for (const size of WRITE_SIZES) {
        for (const peer of PEERS) {
          cases.push(await measure(peer, size, directory, options));
        }
      }
      return cases;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
