// Desktops of real compositors on leases of one VM, each with a viewer that takes its frames: how many frames a second comes from each,
// and how long the longest wait of any is. The VM is emulated, so what its processors do not manage stands beside it.
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNow, SurfaceClient } from '@scanbridge/native-host-linux';
import { Compositor } from '@scanbridge/test/vm/compositor';
import { busyWeston } from '@scanbridge/test/vm/desktop-programs';
import { Guest, MAX_HEADS } from '@scanbridge/test/vm/guest';
import { GuestLeases, installAgent } from '@scanbridge/test/vm/leases';
import type { Benchmark, Case } from './bench.js';
import { rounded } from './statistics.js';

const SIZE = { width: 640, height: 480 };
const COUNTS = [1, 4, 15];
/** What each desktop shows anew; a terminal in an emulated VM. */
const CHANGES_PER_SECOND = 4;
const SETTLE_MS = 3000;

/** Counts a scanout's frames. */
class Watcher {
  frames = 0;
  #last: bigint | undefined;
  #worst = 0n;
  /** From the guest's flush to the frame's arrival here [ns]. */
  worstDelay = 0n;

  static async start(client: SurfaceClient, scanout: number): Promise<Watcher> {
    const watcher = new Watcher();
    const stream = await client.subscribeScanout(scanout);
    client.on('frame', (frame) => {
      if (frame.stream !== stream) return;
      watcher.#wait(frame.receivedAt);
      watcher.#last = frame.receivedAt;
      const delay = frame.receivedAt - frame.pts;
      if (delay > watcher.worstDelay) watcher.worstDelay = delay;
      watcher.frames++;
    });
    return watcher;
  }

  restart(): void {
    this.#last = monotonicNow();
    this.frames = 0;
    this.#worst = this.worstDelay = 0n;
  }

  worstStall(): bigint {
    this.#wait(monotonicNow());
    return this.#worst;
  }

  #wait(until: bigint): void {
    const wait = until - (this.#last ?? until);
    if (wait > this.#worst) this.#worst = wait;
  }
}

const milliseconds = (nanoseconds: bigint): number => rounded(Number(nanoseconds) / 1e6);

async function measure(
  guest: Guest,
  leases: GuestLeases,
  count: number,
  seconds: number,
): Promise<Case> {
  const running: Compositor[] = [];
  const client = await SurfaceClient.connect(guest.framesSocket, { autoRelease: true });
  client.setMaxListeners(0);
  try {
    const watchers: Watcher[] = [];
    for (let i = 0; i < count; i++) {
      const lease = await leases.allocate({ owner: `desktop ${i + 1}`, ...SIZE, uid: 1001 + i });
      const watcher = await Watcher.start(client, lease.scanout);
      watchers.push(watcher);
      running.push(
        await Compositor.start(guest, lease, busyWeston([16 * i, 64, 96], CHANGES_PER_SECOND)),
      );
      // One starts after the other, or all wait for the emulated processors.
      const late = Date.now() + 60_000;
      while (watcher.frames < 5) {
        if (Date.now() > late) {
          throw new Error(`desktop ${i + 1} of ${count} shows nothing: ${running.at(-1)?.said()}`);
        }
        await sleep(50);
      }
    }
    await sleep(SETTLE_MS);
    for (const watcher of watchers) watcher.restart();
    await sleep(seconds * 1000);
    const stalls = watchers.map((watcher) => milliseconds(watcher.worstStall()));
    const delays = watchers.map(({ worstDelay }) => milliseconds(worstDelay));
    const frames = watchers.reduce((sum, watcher) => sum + watcher.frames, 0);
    return {
      case: String(count),
      metrics: {
        fps_per_desktop: rounded(frames / seconds / count),
        worst_stall_ms: Math.max(...stalls),
        worst_flush_to_frame_ms: Math.max(...delays),
      },
    };
  } finally {
    for (const compositor of running) await compositor.kill();
    await client.close();
    for (const { id } of await leases.list()) await leases.release(id).catch(() => undefined);
  }
}

export const benchmark: Benchmark = {
  about: `westons of ${SIZE.width}x${SIZE.height} on leases of one VM, each with a terminal that changes ${CHANGES_PER_SECOND} times a second: the longest wait between two frames, and from the guest's flush to a frame at the host`,
  async run({ quick, progress }) {
    const seconds = quick ? 5 : 20;
    await using guest = await Guest.boot({
      heads: MAX_HEADS,
      frameExport: true,
      memory: 3072,
      progress,
    });
    await installAgent(guest);
    await using leases = await GuestLeases.start(guest);
    const cases: Case[] = [];
    for (const count of COUNTS) {
      progress(`${count} desktops, ${seconds} s`);
      cases.push(await measure(guest, leases, count, seconds));
    }
    return cases;
  },
};
