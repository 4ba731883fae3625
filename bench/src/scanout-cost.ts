// What QEMU spends on a subscriber of a scanout: processor time of its main loop and of the exporter's thread, without
// the threads that run the guest's processors, and the rate of the guest's flips; with nobody subscribed, with a
// client that releases at once, and with one that stopped reading and releasing. One VM; they take turns.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Guest } from '@scanbridge/test/vm/guest';
import { Painter } from '@scanbridge/test/vm/painter';
import type { Benchmark, Case } from './bench.js';
import { Viewer } from './scanout-viewer.js';
import { median, rounded } from './statistics.js';

const SIZE = { width: 1920, height: 1080 };
const RATE = 60;
/** A change of client shows in the first moments; they are not measured [ms]. */
const WARM_UP_MS = 1000;

/** Who is subscribed during a turn. */
const SUBSCRIBERS: Readonly<Record<string, (socket: string) => Promise<Viewer | undefined>>> = {
  none: async () => undefined,
  subscribed: (socket) => Viewer.start(socket, 0),
  stalled: async (socket) => {
    const viewer = await Viewer.start(socket, 0);
    viewer.freeze();
    return viewer;
  },
};

/** Processor time [ns] of the two threads that an exporter can burden. */
interface Spent {
  readonly mainLoop: number;
  readonly exporter: number;
}

/** QEMU names its threads with debug-threads=on; the main thread is the one whose id is the process's. */
function spent(pid: number): Spent {
  let exporter: number | undefined;
  let mainLoop: number | undefined;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const folder = `/proc/${pid}/task/${task}`;
      const read = () => Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ', 1)[0]);
      if (task === String(pid)) mainLoop = read();
      else if (readFileSync(`${folder}/comm`, 'utf8').trim() === 'frame-export') exporter = read();
    } catch {
      // A worker thread that has just ended.
    }
  }
  if (mainLoop === undefined || exporter === undefined) {
    throw new Error(`QEMU (${pid}) has no thread frame-export`);
  }
  return { mainLoop, exporter };
}

/** One turn: percentages of a core, and flips. */
type Turn = Readonly<
  Record<'mainLoop' | 'exporter' | 'cpu' | 'cpuPerFlip' | 'flipsPerSecond' | 'worstGap', number>
>;

async function turn(guest: Guest, painter: Painter, seconds: number): Promise<Turn> {
  await painter.run(0, RATE);
  await sleep(WARM_UP_MS);
  await painter.stop(0);
  await painter.run(0, RATE);
  const before = spent(guest.pid);
  const began = performance.now();
  await sleep(seconds * 1000);
  const after = spent(guest.pid);
  const elapsed = (performance.now() - began) * 1e6;
  const report = await painter.stop(0);
  const mainLoop = after.mainLoop - before.mainLoop;
  const exporter = after.exporter - before.exporter;
  const flipsPerSecond = report.flips / report.seconds;
  return {
    mainLoop: (100 * mainLoop) / elapsed,
    exporter: (100 * exporter) / elapsed,
    cpu: (100 * (mainLoop + exporter)) / elapsed,
    cpuPerFlip: (mainLoop + exporter) / 1000 / (flipsPerSecond * (elapsed / 1e9)),
    flipsPerSecond,
    worstGap: report.worstGapMs,
  };
}

export const benchmark: Benchmark = {
  about: `QEMU's main loop and exporter with and without a subscriber, ${SIZE.width}x${SIZE.height} at ${RATE} flips a second, 2D`,
  async run({ quick, progress }) {
    const rounds = quick ? 1 : 5;
    const seconds = quick ? 4 : 10;
    const turns: Record<string, Turn[]> = {};
    await using guest = await Guest.boot({
      frameExport: true,
      qemuArgs: ['-name', 'bench,debug-threads=on'],
      progress,
    });
    await using painter = await Painter.start(guest);
    await painter.show(0, SIZE);
    const names = Object.keys(SUBSCRIBERS);
    for (let round = 0; round < rounds; round++) {
      // Backwards in every other round, so that none is always the first after the others' leftovers.
      for (const name of round % 2 === 0 ? names : [...names].reverse()) {
        progress(`round ${round + 1} of ${rounds}: ${name}, ${seconds} s`);
        await using _viewer = await SUBSCRIBERS[name]?.(guest.framesSocket);
        turns[name] ??= [];
        turns[name].push(await turn(guest, painter, seconds));
      }
    }
    return names.map((name): Case => {
      const own = turns[name] as Turn[];
      const none = turns.none as Turn[];
      const middle = (pick: (turn: Turn) => number) => rounded(median(own.map(pick)));
      // Paired: what else the machine does changes from round to round, less within one.
      const above = (pick: (turn: Turn) => number) =>
        rounded(median(own.map((turn, i) => pick(turn) - pick(none[i] as Turn))));
      return {
        case: name,
        metrics: {
          qemu_cpu_percent: middle(({ cpu }) => cpu),
          flips_per_second: middle(({ flipsPerSecond }) => flipsPerSecond),
          main_loop_percent: middle(({ mainLoop }) => mainLoop),
          exporter_percent: middle(({ exporter }) => exporter),
          cpu_us_per_flip: middle(({ cpuPerFlip }) => cpuPerFlip),
          worst_flip_gap_ms: middle(({ worstGap }) => worstGap),
          cpu_points_above_none: above(({ cpu }) => cpu),
          flips_above_none: above(({ flipsPerSecond }) => flipsPerSecond),
        },
      };
    });
  },
};
