// What each further viewer costs the bridge, and that there is one encode whatever their number.

import {
  cpuTime,
  Started,
  sessionsOf,
  startServe,
  waitForSession,
} from '@scanbridge/test/harness/processes';
import type { Benchmark, Case } from './bench.js';
import { median, rounded } from './statistics.js';

interface Counts {
  readonly units: number;
  readonly bytes: number;
  readonly gaps: number;
}

interface Sample {
  readonly bridgeCpu: number;
  readonly encodes: number;
  readonly counts: Counts;
  readonly fps: number;
}

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks the process of viewers what it got so far. */
function countsOf(viewers: Started): Promise<Counts> {
  return new Promise((resolve) => {
    viewers.child.once('message', (counts) => resolve(counts as Counts));
    viewers.child.send('?');
  });
}

/** One round: a bridge with a 720p60 picture and `count` viewers, `seconds` long. */
async function sample(count: number, seconds: number): Promise<Sample> {
  const { bridge, url } = await startServe(['--test-pattern', '1280x720@60']);
  let viewers: Started | undefined;
  try {
    const session = await waitForSession(url);
    const script = new URL('./viewers.js', import.meta.url);
    viewers = await Started.node(
      script,
      [url, session, String(count)],
      /ready/,
      process.env,
      30_000,
    );
    await delay(1500);
    const before = await countsOf(viewers);
    const [encodedBefore] = await sessionsOf(url);
    const cpuBefore = cpuTime(bridge.pid);
    const began = performance.now();
    await delay(seconds * 1000);
    const cpu = cpuTime(bridge.pid) - cpuBefore;
    const elapsed = performance.now() - began;
    const [encodedAfter] = await sessionsOf(url);
    const after = await countsOf(viewers);
    const units = (after.units - before.units) / count;
    const taken = (encodedAfter?.accessUnits ?? 0) - (encodedBefore?.accessUnits ?? 0);
    return {
      bridgeCpu: (cpu / 1e6 / elapsed) * 100,
      encodes: taken / units,
      fps: units / (elapsed / 1000),
      counts: { ...after, gaps: after.gaps - before.gaps },
    };
  } finally {
    await viewers?.stop();
    await bridge.stop();
  }
}

export const benchmark: Benchmark = {
  about: 'processor time of the bridge for 1, 10 and 100 viewers of one 720p60 session',
  async run({ quick, progress }) {
    const rounds = quick ? 1 : 3;
    const seconds = quick ? 5 : 10;
    const numbers = [1, 10, 100];
    const samples = new Map<number, Sample[]>(numbers.map((n) => [n, []]));
    for (let round = 0; round < rounds; round++) {
      for (const count of numbers) {
        progress(`round ${round + 1} of ${rounds}: ${count} viewers, ${seconds} s`);
        samples.get(count)?.push(await sample(count, seconds));
      }
    }
    const of = (count: number, pick: (s: Sample) => number) =>
      median((samples.get(count) ?? []).map(pick));
    const one = of(1, (s) => s.bridgeCpu);
    return numbers.map((count): Case => {
      const cpu = of(count, (s) => s.bridgeCpu);
      return {
        case: String(count),
        metrics: {
          // Access units that came out of the encoder for each one that a viewer received: 1 is one encode for all. The
          // two counters are not read at the same moment: one unit of several hundred is left out of account.
          encodes: Math.round(of(count, (s) => s.encodes) * 100) / 100,
          // What a viewer adds: the first one against the whole bridge, the others against one viewer.
          cpu_percent_per_viewer: rounded(count === 1 ? cpu : (cpu - one) / (count - 1)),
          bridge_cpu_percent: rounded(cpu),
          fps: rounded(of(count, (s) => s.fps)),
          skips: of(count, (s) => s.counts.gaps),
        },
      };
    });
  },
};
