// Throughput and round trip of vsock between a guest and the host, beside vhost-device-vsock.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmError } from '@scanbridge/test/vm/error';
import type { Guest } from '@scanbridge/test/vm/guest';
import { vsockProgram } from '@scanbridge/test/vm/vsock-program';
import type { Benchmark, Case, Options } from './bench.js';
import { median, rounded } from './statistics.js';
import { DEVICES, type DeviceName, PORT, VsockGuest } from './vsock-devices.js';

/** A transfer that takes longer has stalled; it counts as 0 MB/s. */
const STALL_SECONDS = 15;
/** A stalled device hangs the guest's driver: from this size on each guest serves one size only. */
const STALL_SIZE = 65_536;
const WRITE_SIZES = [4096, 32_768, 65_536, 1_048_576];

const NAMES = Object.keys(DEVICES) as DeviceName[];

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
    if (error instanceof VmError && ['EXEC_TIMEOUT', 'QEMU_DIED'].includes(error.code)) {
      return undefined;
    }
    throw error;
  }
}

/** What was measured of one device with writes of one size, a figure a round. */
class Rounds {
  readonly up: number[] = [];
  readonly down: number[] = [];
  readonly rtt: number[] = [];

  /** @returns false if the device stalled. */
  async measure(guest: Guest, size: number, quick: boolean): Promise<boolean> {
    const total = quick ? 40_000_000 : 150_000_000;
    const ping = await vsock<{ us_p50: number }>(guest, 'ping', PORT, quick ? 500 : 2000, 64);
    this.rtt.push(ping?.us_p50 ?? 0);
    for (const [command, rates] of [
      ['send', this.up],
      ['receive', this.down],
    ] as const) {
      const moved = await vsock<{ seconds: number }>(guest, command, PORT, size, total, 0);
      rates.push(moved ? total / 1e6 / moved.seconds : 0);
      if (!moved) {
        return false;
      }
    }
    return true;
  }

  /** Medians; a round that stalled makes a rate 0, as no mean of the others would be true. */
  case(name: string): Case {
    const rate = (rates: readonly number[]) =>
      rates.length === 0 || rates.includes(0) ? 0 : rounded(median(rates));
    return {
      case: name,
      metrics: {
        mb_per_second_up: rate(this.up),
        mb_per_second_down: rate(this.down),
        rtt_us_p50: rounded(median(this.rtt)),
      },
    };
  }
}

const cases = (results: ReadonlyMap<string, Rounds>): Case[] =>
  [...results].map(([name, rounds]) => rounds.case(name));

/**
 * All devices with writes of some sizes, in one guest. By turns, so that what else the machine does meets
 * both; where one may stall, which hangs the guest's driver, the others have their rounds before it.
 */
async function compare(
  vm: VsockGuest,
  sizes: readonly number[],
  { quick, progress }: Options,
): Promise<Case[]> {
  const rounds = Array.from({ length: quick ? 3 : 7 }, (_, i) => i + 1);
  const mayStall = sizes.some((size) => size >= STALL_SIZE);
  const turns = mayStall
    ? NAMES.flatMap((name) => rounds.map((round) => ({ name, round })))
    : rounds.flatMap((round) => NAMES.map((name) => ({ name, round })));
  const results = new Map<string, Rounds>();
  for (const { name, round } of turns) {
    await vm.use(name);
    for (const size of sizes) {
      const key = `${name}-${size}`;
      const measured = results.get(key) ?? new Rounds();
      results.set(key, measured);
      progress(`round ${round}: ${name}, writes of ${size} bytes`);
      if (!(await measured.measure(vm.guest, size, quick))) {
        progress(`${name}: writes of ${size} bytes stalled for ${STALL_SECONDS} s`);
        return cases(results);
      }
    }
  }
  return cases(results);
}

export const benchmark: Benchmark = {
  about:
    'vsock of an emulated guest: MB/s from the guest (up) and to it (down), round trip; 0 = stalled',
  async run(options) {
    const directory = await mkdtemp(join(tmpdir(), 'scanbridge-bench-'));
    try {
      const program = await vsockProgram(directory);
      const all: Case[] = [];
      const small = WRITE_SIZES.filter((size) => size < STALL_SIZE);
      const groups = [small, ...WRITE_SIZES.slice(small.length).map((size) => [size])];
      for (const [i, sizes] of groups.entries()) {
        const own = join(directory, String(i));
        await using vm = await VsockGuest.boot(own, directory, program, options);
        all.push(...(await compare(vm, sizes, options)));
      }
      return all;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
