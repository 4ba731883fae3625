// Many heads that flip at once, each with a viewer, while one more viewer of head 0 is frozen: how long does any of the
// others wait for its next frame? An emulated guest stalls by itself, so beside that stands what the guest saw
// (the longest time between two of its flips), and what the exporter adds (from a flush to its frame).
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicNow, SurfaceClient } from '@scanbridge/native-host-linux';
import { Guest, MAX_HEADS } from '@scanbridge/test/vm/guest';
import { Painter } from '@scanbridge/test/vm/painter';
import type { Benchmark, Case } from './bench.js';
import { Viewer } from './scanout-viewer.js';
import { rounded } from './statistics.js';

const SIZE = { width: 640, height: 480 };
/** Of each head; the 480 flips a second of 16 heads are what two emulated processors bear. */
const RATE = 30;
const COUNTS = [1, 2, 4, MAX_HEADS];
const WARM_UP_MS = 1000;

/** What a viewer of one head saw; times in CLOCK_MONOTONIC [ns]. */
class LiveViewer {
  #client!: SurfaceClient;
  #last: bigint | undefined;
  #sequence: bigint | undefined;
  frames = 0;
  /** Pictures that newer ones replaced before they were sent. */
  replaced = 0;
  worstDelay = 0n;
  #worstStall = 0n;

  static async start(socket: string, head: number): Promise<LiveViewer> {
    const viewer = new LiveViewer();
    viewer.#client = await SurfaceClient.connect(socket, { autoRelease: true });
    viewer.#client.on('frame', ({ sequence, receivedAt, pts }) => {
      if (viewer.#sequence !== undefined) {
        viewer.replaced += Number(sequence - viewer.#sequence) - 1;
      }
      viewer.#sequence = sequence;
      viewer.#wait(receivedAt);
      if (receivedAt - pts > viewer.worstDelay) viewer.worstDelay = receivedAt - pts;
      viewer.#last = receivedAt;
      viewer.frames++;
    });
    await viewer.#client.subscribeScanout(head);
    return viewer;
  }

  /** Forgets what was until now. */
  restart(): void {
    this.#last = monotonicNow();
    this.frames = this.replaced = 0;
    this.#worstStall = this.worstDelay = 0n;
  }

  /** The longest wait, with the one that is not over. */
  worstStall(): bigint {
    this.#wait(monotonicNow());
    return this.#worstStall;
  }

  #wait(until: bigint): void {
    const stall = until - (this.#last ?? until);
    if (stall > this.#worstStall) this.#worstStall = stall;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

interface Round {
  worstStall: number;
  worstDelay: number;
  guestWorstGap: number;
  framesPerSecond: number;
  replacedPerSecond: number;
  flipsPerSecond: number;
}

const milliseconds = (nanoseconds: bigint): number => Number(nanoseconds) / 1e6;

async function round(
  guest: Guest,
  painter: Painter,
  heads: readonly number[],
  frozen: boolean,
  seconds: number,
): Promise<Round> {
  const viewers = await Promise.all(
    heads.map((head) => LiveViewer.start(guest.framesSocket, head)),
  );
  await using lame = frozen ? await Viewer.start(guest.framesSocket, 0) : undefined;
  try {
    for (const head of heads) await painter.run(head, RATE);
    lame?.freeze();
    await sleep(WARM_UP_MS);
    // What the guest counts begins anew, while the other heads flip on.
    for (const head of heads) {
      await painter.stop(head);
      await painter.run(head, RATE);
    }
    for (const viewer of viewers) viewer.restart();
    await sleep(seconds * 1000);
    const seen = viewers.map((viewer) => ({
      frames: viewer.frames,
      replaced: viewer.replaced,
      stall: milliseconds(viewer.worstStall()),
      delay: milliseconds(viewer.worstDelay),
    }));
    const reports = [];
    for (const head of heads) reports.push(await painter.stop(head));
    const flips = reports.reduce((sum, { flips, seconds }) => sum + flips / seconds, 0);
    return {
      worstStall: Math.max(...seen.map(({ stall }) => stall)),
      worstDelay: Math.max(...seen.map(({ delay }) => delay)),
      guestWorstGap: Math.max(...reports.map(({ worstGapMs }) => worstGapMs)),
      framesPerSecond: seen.reduce((sum, { frames }) => sum + frames, 0) / seconds,
      replacedPerSecond: seen.reduce((sum, { replaced }) => sum + replaced, 0) / seconds,
      flipsPerSecond: flips,
    };
  } finally {
    await Promise.all(viewers.map((viewer) => viewer.close()));
  }
}

export const benchmark: Benchmark = {
  about: `heads of ${SIZE.width}x${SIZE.height} that flip ${RATE} times a second at once, one viewer frozen: the longest wait of any other viewer`,
  async run({ quick, progress }) {
    const rounds = quick ? 1 : 2;
    const seconds = quick ? 4 : 10;
    await using guest = await Guest.boot({ heads: MAX_HEADS, frameExport: true, progress });
    await using painter = await Painter.start(guest);
    const cases: Case[] = [];
    for (const count of COUNTS) {
      const heads = Array.from({ length: count }, (_, head) => head);
      for (const head of heads) await painter.show(head, SIZE);
      const frozen: Round[] = [];
      const free: Round[] = [];
      for (let i = 0; i < rounds; i++) {
        progress(`round ${i + 1} of ${rounds}: ${count} heads, 2 times ${seconds} s`);
        free.push(await round(guest, painter, heads, false, seconds));
        frozen.push(await round(guest, painter, heads, true, seconds));
      }
      for (const head of heads) await painter.off(head);
      // The worst of all rounds: a stall is a stall, however seldom.
      const worst = (of: readonly Round[], pick: (round: Round) => number) =>
        rounded(Math.max(...of.map(pick)));
      const mean = (pick: (round: Round) => number) =>
        rounded(frozen.reduce((sum, round) => sum + pick(round), 0) / frozen.length);
      cases.push({
        case: String(count),
        metrics: {
          worst_stall_ms: worst(frozen, ({ worstStall }) => worstStall),
          guest_worst_gap_ms: worst(frozen, ({ guestWorstGap }) => guestWorstGap),
          worst_flush_to_frame_ms: worst(frozen, ({ worstDelay }) => worstDelay),
          worst_stall_ms_none_frozen: worst(free, ({ worstStall }) => worstStall),
          guest_worst_gap_ms_none_frozen: worst(free, ({ guestWorstGap }) => guestWorstGap),
          frames_per_second: mean(({ framesPerSecond }) => framesPerSecond),
          replaced_per_second: mean(({ replacedPerSecond }) => replacedPerSecond),
          flips_per_second: mean(({ flipsPerSecond }) => flipsPerSecond),
        },
      });
    }
    return cases;
  },
};
