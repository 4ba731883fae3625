// From the request for a lease to the first frame of a compositor on it at the host, beside the same compositor's own start on a lease that
// is there; and many leases one after the other, with what they leave behind.
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SurfaceClient } from '@scanbridge/native-host-linux';
import { Compositor } from '@scanbridge/test/vm/compositor';
import { share, weston } from '@scanbridge/test/vm/desktop-programs';
import { FrameReader } from '@scanbridge/test/vm/frames';
import { Guest, MAX_HEADS } from '@scanbridge/test/vm/guest';
import { GuestLeases, installAgent } from '@scanbridge/test/vm/leases';
import type { Benchmark, Case } from './bench.js';
import { median, percentile, rounded } from './statistics.js';

const SIZE = { width: 1280, height: 720 };
const COLOUR = [0x2d, 0x6a, 0x4f] as const;

interface Round {
  /** From the request to the lease [ms]. */
  lease: number;
  /** From there to the compositor's first frame at the host [ms]. */
  start: number;
}

async function round(guest: Guest, leases: GuestLeases, client: SurfaceClient): Promise<Round> {
  const began = performance.now();
  const lease = await leases.allocate({ owner: 'bench', ...SIZE, uid: 1001 });
  const leased = performance.now();
  const compositor = await Compositor.start(guest, lease, weston(COLOUR));
  const frames = await FrameReader.scanout(client, lease.scanout);
  // The first frame with the compositor's own picture; the mode's change alone may show nothing.
  await Promise.race([
    frames.until(({ picture }) => picture.width === SIZE.width && share(picture, COLOUR) > 0.9),
    compositor.ended(),
  ]);
  const shown = performance.now();
  frames.release();
  await client.unsubscribe(frames.stream);
  const gone = leases.gone(lease.id);
  await compositor.kill();
  await gone;
  return { lease: leased - began, start: shown - leased };
}

const descriptorsOf = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length;

export const benchmark: Benchmark = {
  about: `weston on a lease of ${SIZE.width}x${SIZE.height}, request to first frame; then leases one after the other`,
  async run({ quick, progress }) {
    const rounds = quick ? 3 : 15;
    const cycles = quick ? 50 : 1000;
    const heads = MAX_HEADS;
    await using guest = await Guest.boot({ heads, frameExport: true, memory: 3072, progress });
    await installAgent(guest);
    await using leases = await GuestLeases.start(guest);
    const client = await SurfaceClient.connect(guest.framesSocket, { name: 'bench' });
    const seen: Round[] = [];
    try {
      await round(guest, leases, client); // programs are read from the disk once
      for (let i = 0; i < rounds; i++) {
        progress(`weston, ${i + 1} of ${rounds}`);
        seen.push(await round(guest, leases, client));
      }
    } finally {
      await client.close();
    }
    await leases.cycle();
    await sleep(1000);
    const before = { agent: await leases.descriptors(), qemu: await descriptorsOf(guest.pid) };
    const allocate: number[] = [];
    const end: number[] = [];
    for (let i = 0; i < cycles; i++) {
      if (i % 100 === 0) progress(`lease ${i} of ${cycles}`);
      const took = await leases.cycle();
      allocate.push(took.allocate);
      end.push(took.end);
    }
    await sleep(1000); // buses that were starting have descriptors of their own
    const leaked = {
      agent: (await leases.descriptors()) - before.agent,
      qemu: (await descriptorsOf(guest.pid)) - before.qemu,
    };
    const total = seen.map(({ lease, start }) => lease + start);
    const cases: Case[] = [
      {
        case: 'weston',
        metrics: {
          lease_to_first_frame_ms_p50: rounded(median(total)),
          lease_to_first_frame_ms_p95: rounded(percentile(total, 0.95)),
          own_start_ms_p50: rounded(median(seen.map(({ start }) => start))),
          beyond_own_start_ms_p50: rounded(median(seen.map(({ lease }) => lease))),
          beyond_own_start_ms_p95: rounded(
            percentile(
              seen.map(({ lease }) => lease),
              0.95,
            ),
          ),
        },
      },
      {
        case: 'cycles',
        metrics: {
          cycles,
          leaked_fds: leaked.agent + leaked.qemu,
          leaked_fds_agent: leaked.agent,
          leaked_fds_qemu: leaked.qemu,
          leases_left: (await leases.list()).length,
          allocate_ms_p50: rounded(median(allocate)),
          allocate_ms_p95: rounded(percentile(allocate, 0.95)),
          free_again_ms_p50: rounded(median(end)),
          free_again_ms_p95: rounded(percentile(end, 0.95)),
        },
      },
    ];
    return cases;
  },
};
