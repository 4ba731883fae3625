// From the guest's flush to a client that has the picture: the frame exporter beside QEMU's own ways out, its D-Bus
// display with shared memory and VNC. Each has a VM of the same kind to itself, so that no display pays for another
// one's updates; they take turns, and the VMs whose turn it is not stand still.
//
// flush_to_frame_us_p50, _p99: from RESOURCE_FLUSH at QEMU (scanout-flushes.ts) to the message that tells a client of
// that picture, by the clock of its receiving thread; for VNC, to the end of the update that has it.
// copies_per_frame: bytes of pixels that QEMU wrote for the client, as parts of a whole picture. It is counted where
// they arrive, so it is a lower bound: what QEMU copies before it sends (VNC: twice) is not in it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SurfaceClient } from '@scanbridge/native-host-linux';
import { Guest } from '@scanbridge/test/vm/guest';
import { Painter, type ShownHead } from '@scanbridge/test/vm/painter';
import { readMark } from '@scanbridge/test/vm/pattern';
import { areTheDevices, sharedMemories } from '@scanbridge/test/vm/shared-memory';
import type { Benchmark, Case } from './bench.js';
import { Clocks, type Flush, FlushTrace } from './scanout-flushes.js';
import { PeerProgram } from './scanout-peer.js';
import { VncClient } from './scanout-vnc.js';
import { median, percentile, rounded } from './statistics.js';

const SIZE = { width: 1920, height: 1080 };
const PICTURE_BYTES = SIZE.width * SIZE.height * 4;
const RATE = 60;
/** Left out at the start of each turn [us]. */
const WARM_UP_US = 1_000_000;
/** From the last flip until all clients have it [ms]. */
const SETTLE_MS = 500;
/** The clocks are read 50 times a second and QEMU stamps whole microseconds: nothing is known better [us]. */
const CLOCK_ERROR_US = 20;
const MARK = { width: 416, height: 64 };

/** A picture that arrived: when, and of which flush; CLOCK_MONOTONIC [us]. */
interface Arrival {
  readonly at: number;
  readonly flushed: number;
}

/** What a client saw in one turn. */
interface Seen {
  readonly arrivals: readonly Arrival[];
  /** Bytes of pixels that were written for this client. */
  readonly copiedBytes: number;
  readonly extra?: Readonly<Record<string, number>>;
}

/** A client that is connected and gets pictures. */
interface Client {
  /** Disconnects. `flushes` are those since the flips began, by the sequence that the picture's mark says. */
  finish(flushes: ReadonlyMap<number, Flush>, began: number): Promise<Seen>;
}

interface Turn {
  readonly guest: Guest;
  readonly directory: string;
}

const micros = (nanoseconds: bigint): number => Number(nanoseconds) / 1000;
const now = (): number => micros(process.hrtime.bigint());

async function frameExport({ guest }: Turn): Promise<Client> {
  const before = await sharedMemories('self');
  const client = await SurfaceClient.connect(guest.framesSocket, { autoRelease: true });
  const frames: { pts: number; at: number }[] = [];
  client.on('frame', ({ pts, receivedAt }) => {
    frames.push({ pts: micros(pts), at: micros(receivedAt) });
  });
  await client.subscribeScanout(0);
  return {
    finish: async (flushes, began) => {
      const given = [...(await sharedMemories('self')).keys()].filter((id) => !before.has(id));
      const shared = await areTheDevices(given, guest.pid);
      await client.close();
      const times = [...flushes.values()].map(({ at }) => at);
      const fresh = frames.filter(({ pts }) => pts >= began);
      // The exporter stamps a picture while it handles its flush: the last one before.
      const arrivals = fresh.map(({ pts, at }) => {
        const flushed = times.findLast((time) => time <= pts + CLOCK_ERROR_US);
        if (flushed === undefined) throw new Error('a frame came that no flush made');
        return { at, flushed };
      });
      return {
        arrivals,
        copiedBytes: shared ? 0 : fresh.length * PICTURE_BYTES,
        extra: {
          pts_to_frame_us_p50: percentile(
            fresh.map(({ pts, at }) => at - pts),
            0.5,
          ),
        },
      };
    },
  };
}

async function qemuDbus({ guest }: Turn): Promise<Client> {
  let text = '';
  const peer = await new Promise<PeerProgram>((resolve, reject) => {
    const program = new PeerProgram('dbus-listener', [guest.qmpSocket, '0'], (line) => {
      if (line === 'ready') resolve(program);
      else text = line;
    });
    program.ended().catch(reject);
  });
  // The first scanout comes once QEMU has asked the listener what it can do.
  await sleep(SETTLE_MS);
  return {
    finish: async (flushes, began) => {
      await peer.stop();
      const seen = JSON.parse(text) as {
        scanouts: number[];
        updates: number[];
        pixelBytes: number;
      };
      // Each flip shows the other buffer, and QEMU waits for the listener: one ScanoutMap a flush, in order. It is
      // the first message from which a client can show the picture; UpdateMap follows.
      const scanouts = seen.scanouts.map((at) => at / 1000).filter((at) => at >= began);
      const times = [...flushes.values()].map(({ at }) => at);
      if (scanouts.length !== times.length) {
        throw new Error(`${times.length} flushes made ${scanouts.length} scanouts on D-Bus`);
      }
      return {
        arrivals: scanouts.map((at, i) => ({ at, flushed: times[i] as number })),
        copiedBytes: seen.pixelBytes,
      };
    },
  };
}

async function qemuVnc({ directory }: Turn): Promise<Client> {
  const updates: { sequence: number; at: number }[] = [];
  let bytesBefore = -1;
  const client = await VncClient.connect(join(directory, 'vnc'), (it) => {
    const at = now();
    // The first one is the whole screen, as it was.
    if (bytesBefore < 0) bytesBefore = it.pixelBytes;
    const mark = readMark(it.picture(MARK.width, MARK.height));
    if (mark) updates.push({ sequence: mark.sequence, at });
  });
  await sleep(SETTLE_MS);
  return {
    finish: async (flushes) => {
      const { pixelBytes } = client;
      await client.close();
      const arrivals: Arrival[] = [];
      for (const { sequence, at } of updates) {
        const flush = flushes.get(sequence);
        if (flush) arrivals.push({ at, flushed: flush.at });
      }
      return { arrivals, copiedBytes: pixelBytes - bytesBefore };
    },
  };
}

/** A way out of the VM. */
interface WayOut {
  /** Arguments of QEMU that switch it on; sockets lie in `directory`. */
  readonly qemuArgs: (directory: string) => string[];
  readonly connect: (turn: Turn) => Promise<Client>;
}

const WAYS_OUT: Readonly<Record<string, WayOut>> = {
  'frame-export': { qemuArgs: () => [], connect: frameExport },
  'qemu-dbus': { qemuArgs: () => ['-display', 'dbus,p2p=yes'], connect: qemuDbus },
  'qemu-vnc': {
    qemuArgs: (directory) => ['-vnc', `unix:${join(directory, 'vnc')}`],
    connect: qemuVnc,
  },
};

/** A VM that flips, with one way out. */
class Flipper {
  readonly rounds: Round[] = [];
  readonly #turn: Turn;
  readonly #wayOut: WayOut;
  readonly #painter: Painter;
  readonly #trace: FlushTrace;
  readonly #shown: ShownHead;
  /** Of the last flip. */
  #sequence = 1;

  private constructor(
    readonly name: string,
    parts: { turn: Turn; wayOut: WayOut; painter: Painter; trace: FlushTrace; shown: ShownHead },
  ) {
    this.#turn = parts.turn;
    this.#wayOut = parts.wayOut;
    this.#painter = parts.painter;
    this.#trace = parts.trace;
    this.#shown = parts.shown;
  }

  static async boot(
    name: string,
    directory: string,
    clocks: Clocks,
    progress: (text: string) => void,
  ): Promise<Flipper> {
    const wayOut = WAYS_OUT[name] as WayOut;
    const log = join(directory, `trace-${name}`);
    const guest = await Guest.boot({
      frameExport: name === 'frame-export',
      qemuArgs: [...FlushTrace.qemuArgs(log), ...wayOut.qemuArgs(directory)],
      progress,
    });
    try {
      const painter = await Painter.start(guest);
      const shown = await painter.show(0, SIZE);
      const trace = new FlushTrace(log, clocks);
      return new Flipper(name, { turn: { guest, directory }, wayOut, painter, trace, shown });
    } catch (error) {
      await guest.close();
      throw error;
    }
  }

  /** One turn: a client connects, the guest flips, the client is asked what it saw. */
  async measure(seconds: number): Promise<void> {
    const client = await this.#wayOut.connect(this.#turn);
    await sleep(SETTLE_MS);
    await this.#trace.mark();
    const began = now();
    await this.#painter.run(0, RATE);
    await sleep(seconds * 1000 + WARM_UP_US / 1000);
    const report = await this.#painter.stop(0);
    await sleep(SETTLE_MS);
    const all = await this.#trace.flushes();
    const flushes = bySequence(all, this.#shown, this.#sequence + 1, report.sequence);
    this.#sequence = report.sequence;
    const { arrivals, copiedBytes, extra } = await client.finish(flushes, began);
    const counted = arrivals.filter(({ flushed }) => flushed >= began + WARM_UP_US);
    if (counted.length === 0) throw new Error(`no picture came over ${this.name}`);
    this.rounds.push({
      latencies: counted.map(({ at, flushed }) => at - flushed),
      metrics: {
        copies_per_frame: copiedBytes / PICTURE_BYTES / arrivals.length,
        frames_per_second: counted.length / seconds,
        flips_per_second: report.flips / report.seconds,
        ...extra,
      },
    });
  }

  close(): Promise<void> {
    return this.#turn.guest.close();
  }
}

/** Each flush by the sequence of its picture: kms-paint's flips make one each, of its two buffers in turn. */
function bySequence(flushes: readonly Flush[], shown: ShownHead, first: number, last: number) {
  const own = flushes.filter(({ resource }) => shown.resources.includes(resource));
  const map = new Map<number, Flush>();
  for (const flush of own) {
    const sequence = first + map.size;
    if (flush.resource !== shown.resources[sequence % 2]) break;
    map.set(sequence, flush);
  }
  if (map.size !== own.length || own.length !== last - first + 1) {
    throw new Error(`flips ${first} to ${last} made ${own.length} flushes, ${map.size} in order`);
  }
  return map;
}

interface Round {
  readonly latencies: readonly number[];
  readonly metrics: Readonly<Record<string, number>>;
}

function summary(rounds: readonly Round[]): Record<string, number> {
  const middle = (pick: (round: Round) => number) => rounded(median(rounds.map(pick)));
  const metrics: Record<string, number> = {
    flush_to_frame_us_p50: middle(({ latencies }) => percentile(latencies, 0.5)),
    flush_to_frame_us_p99: middle(({ latencies }) => percentile(latencies, 0.99)),
  };
  for (const name of Object.keys(rounds[0]?.metrics ?? {})) {
    metrics[name] = middle(({ metrics }) => metrics[name] as number);
  }
  return metrics;
}

export const benchmark: Benchmark = {
  about: `from a guest's flush to a client that has the picture, ${SIZE.width}x${SIZE.height} at ${RATE} flips a second, 2D`,
  async run({ quick, progress }) {
    const rounds = quick ? 1 : 5;
    const seconds = quick ? 4 : 12;
    const directory = await mkdtemp(join(tmpdir(), 'scanbridge-bench-'));
    const flippers: Flipper[] = [];
    try {
      using clocks = await Clocks.start();
      for (const name of Object.keys(WAYS_OUT)) {
        flippers.push(await Flipper.boot(name, directory, clocks, progress));
      }
      for (let round = 0; round < rounds; round++) {
        for (const flipper of flippers) {
          progress(`round ${round + 1} of ${rounds}: ${flipper.name}, ${seconds} s`);
          await flipper.measure(seconds);
        }
      }
    } finally {
      for (const flipper of flippers) await flipper.close();
      await rm(directory, { recursive: true, force: true });
    }
    return flippers.map(({ name, rounds }): Case => ({ case: name, metrics: summary(rounds) }));
  },
};
