// From the moment a picture is painted to the moment it leaves Chromium's decoder, read from the picture itself;
// Scanbridge beside a bare gst-launch pipeline with the same encoder, from the same PipeWire node, by turns.

import { startCapturedSession } from '@scanbridge/test/harness/captured-session';
import { startPaintedDesktop } from '@scanbridge/test/harness/painted-desktop';
import { type Decoded, Probe, paintedToDecoded, sequenceGaps } from '@scanbridge/test/probe';
import type { Benchmark, Case } from './bench.js';
import { GstRelay } from './gst-relay.js';
import { percentile, rounded } from './statistics.js';

const WIDTH = 1280;
const HEIGHT = 720;
const FPS = 60;
const BITRATE_KBPS = 8000;
/** Left out at the start of each round: connecting, and the first key frame [ms]. */
const WARM_UP_MS = 2000;

/** One stream to watch. */
interface Stream {
  readonly url: string;
  close(): Promise<void>;
}

async function watch(probe: Probe, stream: Stream, seconds: number): Promise<Decoded[]> {
  await probe.watch('stream', stream.url);
  await probe.until('stream', (w) => w.decoded.length > 0);
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const from = (await probe.collect('stream')).decoded.length;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const { decoded, errors, closed } = await probe.collect('stream');
  await probe.stop();
  if (errors.length > 0 || closed) {
    throw new Error(`the stream broke: ${JSON.stringify({ errors, closed })}`);
  }
  return decoded.slice(from);
}

export const benchmark: Benchmark = {
  about: `painted to decoded in Chromium, ${WIDTH}x${HEIGHT} at ${FPS} pictures a second, x264`,
  async run({ quick, progress }) {
    const seconds = quick ? 5 : 60;
    const rounds = quick ? 1 : 2;
    const desktop = await startPaintedDesktop(WIDTH, HEIGHT, FPS);
    const probe = await Probe.launch();
    const streams: Record<string, () => Promise<Stream>> = {
      scanbridge: () =>
        startCapturedSession(desktop, probe.origin, [
          ...['--engine', 'x264', '--bitrate', String(BITRATE_KBPS)],
          ...['--min-bitrate', String(BITRATE_KBPS), '--max-bitrate', String(BITRATE_KBPS)],
        ]),
      'gst-launch': () =>
        GstRelay.start({
          node: desktop.node,
          env: desktop.env,
          width: WIDTH,
          height: HEIGHT,
          bitrateKbps: BITRATE_KBPS,
        }),
    };
    const latencies: Record<string, number[]> = {};
    const gaps: Record<string, number> = {};
    const frames: Record<string, number> = {};
    try {
      for (let round = 0; round < rounds; round++) {
        for (const [name, start] of Object.entries(streams)) {
          progress(`round ${round + 1} of ${rounds}: ${name}, ${seconds} s`);
          const stream = await start();
          const decoded = await watch(probe, stream, seconds).finally(() => stream.close());
          const fresh = paintedToDecoded(decoded);
          latencies[name] = [...(latencies[name] ?? []), ...fresh];
          gaps[name] = (gaps[name] ?? 0) + sequenceGaps(decoded);
          frames[name] = (frames[name] ?? 0) + fresh.length;
        }
      }
    } finally {
      await probe.close();
      await desktop.close();
    }
    return Object.keys(streams).map(
      (name): Case => ({
        case: name,
        metrics: {
          painted_to_decoded_ms_p50: rounded(percentile(latencies[name] ?? [], 0.5)),
          painted_to_decoded_ms_p95: rounded(percentile(latencies[name] ?? [], 0.95)),
          sequence_gaps: gaps[name] ?? 0,
          fps: rounded((frames[name] ?? 0) / (seconds * rounds)),
        },
      }),
    );
  },
};
