// Ways of a picture out of a guest, in the same VM by turns: as a resource id, as an id after one copy of the damage in the
// guest, as raw NV12 over TCP, and encoded in the guest. All end in Chromium's decoder; the host's encoder is the same.
import { spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Probe } from '@scanbridge/test/probe';
import { GuestProgram } from '@scanbridge/test/vm/guest-agent';
import { type PaintedMemory, ResourceDesk } from '@scanbridge/test/vm/resource-desk';
import { AccessUnitRelay } from './access-unit-relay.js';
import type { Benchmark, Case } from './bench.js';
import { x264Pipeline } from './gst-relay.js';
import { GuestNetwork, HOST } from './guest-network.js';
import { percentile, rounded } from './statistics.js';

const WIDTH = 1920;
const HEIGHT = 1080;
const FPS = 60;
const BITRATE_KBPS = 8000;
/** Left out at the start of each round: connecting, and the first key frame [ms]. */
const WARM_UP_MS = 3000;
/** How often the guest's clock is read; the shortest answer counts. */
const CLOCK_READINGS = 100;
const SIZE = `${WIDTH}x${HEIGHT}`;

/** Guest CLOCK_MONOTONIC to this machine's wall clock. */
interface ClockOffset {
  readonly us: number;
  /** Half of the shortest round trip. */
  readonly uncertaintyUs: number;
}

const wallClockUs = () => (performance.timeOrigin + performance.now()) * 1000;

async function clockOffset(desk: ResourceDesk): Promise<ClockOffset> {
  const script =
    "process.stdin.on('data', () => console.log('T' + process.hrtime.bigint() / 1000n + '.'))";
  const clock = await GuestProgram.start(desk.guest, ['node', '-e', script]);
  let best = { us: 0, uncertaintyUs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < CLOCK_READINGS; i++) {
    clock.forget();
    const before = wallClockUs();
    await clock.write('\n');
    const [, text] = await clock.says(/T(\d+)\./);
    const after = wallClockUs();
    const uncertaintyUs = (after - before) / 2;
    if (uncertaintyUs < best.uncertaintyUs) {
      best = { us: (before + after) / 2 - Number(text), uncertaintyUs };
    }
  }
  await clock.kill();
  return best;
}

/** What carries the pictures out of the guest. */
interface Way {
  /** What the probe watches. */
  readonly url: string;
  /** The process in the guest that does it. */
  readonly pid: number;
  /** Sent by the guest so far [bytes]. */
  bytes(): number;
  close(): Promise<void>;
}

interface Bench {
  readonly desk: ResourceDesk;
  readonly probe: Probe;
}

/** A program in the guest, and its process id there. */
async function withPid(
  { desk }: Bench,
  argv: readonly string[],
): Promise<{ program: GuestProgram; pid: number }> {
  const told = ['sh', '-c', 'echo PID=$$; exec "$@"', 'sh', ...argv];
  const program = await GuestProgram.start(desk.guest, told, desk.desktop.environment);
  const [, pid] = await program.says(/PID=(\d+)/);
  return { program, pid: Number(pid) };
}

/** CPU time of a process of the guest so far, of all its threads [ms]. */
async function cpuMs({ desk }: Bench, pid: number): Promise<number> {
  const { stdout } = await desk.guest.exec(['cat', `/proc/${pid}/stat`]);
  const fields = stdout
    .toString()
    .replace(/^.*\) /, '')
    .split(' ');
  // USER_HZ is 100; the kernel scales both to the exact time that the process ran.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function byAgent(bench: Bench, node: number): Promise<Way> {
  const { desk, probe } = bench;
  const bridge = await desk.startBridge({
    allowOrigins: [probe.origin],
    engine: 'x264',
    bitrate: { min: BITRATE_KBPS, start: BITRATE_KBPS, max: BITRATE_KBPS },
  });
  const argv = desk.agent.argv('run', '--bridge', 'vsock:2:8471', '--node', `${node}`);
  const { program, pid } = await withPid(bench, argv);
  await program.says(/the bridge shows the desktop/);
  const id = encodeURIComponent(bridge.sessions.list()[0]?.id ?? '');
  return {
    url: `${bridge.url.replace(/^http/, 'ws')}v1/sessions/${id}/stream`,
    pid,
    bytes: () => desk.link.count.bytes,
    close: async () => {
      await program.kill();
      await bridge.close();
    },
  };
}

/** Takes one connection of the guest over TCP. */
async function listen(take: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer(take);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0 };
}

/** A pipeline in the guest that captures the painter and sends what it makes of it over TCP. */
function capture(port: number, ...made: string[]): string[] {
  return [
    ...['gst-launch-1.0', '-q', 'pipewiresrc', 'target-object=pw-paint', 'do-timestamp=true'],
    'min-buffers=2', // it wants 8 otherwise, and the painter has 4
    ...['!', 'video/x-raw,format=BGRx', '!', 'queue', 'max-size-buffers=1', 'leaky=downstream'],
    ...['!', 'videoconvert', ...made],
    ...['!', 'tcpclientsink', `host=${HOST}`, `port=${port}`, 'sync=false'],
  ];
}

async function byRawTcp(bench: Bench): Promise<Way> {
  const relay = await AccessUnitRelay.listen({ width: WIDTH, height: HEIGHT });
  const raw = `rawvideoparse format=nv12 width=${WIDTH} height=${HEIGHT} framerate=${FPS}/1`;
  const encoder = spawn(
    'gst-launch-1.0',
    [
      ...['-q', 'fdsrc', 'fd=0', 'blocksize=262144', '!', ...raw.split(' ')],
      ...['!', 'queue', 'max-size-buffers=1', 'leaky=downstream', ...x264Pipeline(BITRATE_KBPS)],
      ...['!', 'fdsink', 'fd=1', 'sync=false'],
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  encoder.stdin.on('error', () => undefined);
  encoder.stdout.on('data', (chunk: Buffer) => relay.push(chunk));
  let bytes = 0;
  const { server, port } = await listen((socket) => {
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    socket.on('error', () => undefined).pipe(encoder.stdin);
  });
  // What the link does not take is dropped before it.
  const newest = ['!', 'queue', 'max-size-buffers=1', 'leaky=downstream'];
  const argv = capture(port, '!', 'video/x-raw,format=NV12', ...newest);
  const { program, pid } = await withPid(bench, argv);
  return {
    url: relay.url,
    pid,
    bytes: () => bytes,
    close: async () => {
      await program.kill();
      encoder.kill('SIGKILL');
      server.close();
      relay.close();
    },
  };
}

async function byGuestEncoder(bench: Bench): Promise<Way> {
  const relay = await AccessUnitRelay.listen({ width: WIDTH, height: HEIGHT });
  let bytes = 0;
  const { server, port } = await listen((socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        relay.push(chunk);
      });
  });
  const argv = capture(port, '!', 'video/x-raw,format=I420', ...x264Pipeline(BITRATE_KBPS));
  const { program, pid } = await withPid(bench, argv);
  return {
    url: relay.url,
    pid,
    bytes: () => bytes,
    close: async () => {
      await program.kill();
      server.close();
      relay.close();
    },
  };
}

interface Round {
  readonly latencies: number[];
  readonly frames: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly seconds: number;
}

async function round(
  bench: Bench,
  memory: PaintedMemory,
  start: (bench: Bench, node: number) => Promise<Way>,
  offset: ClockOffset,
  seconds: number,
): Promise<Round> {
  const { desk, probe } = bench;
  const { program: painter, node } = await desk.paint(SIZE, memory);
  const way = await start(bench, node);
  try {
    await painter.says(/"state":"streaming"/);
    await painter.write(`run ${FPS}\n`);
    await probe.watch('way', way.url);
    await probe.until('way', (w) => w.decoded.some((d) => d.mark), 60_000);
    await sleep(WARM_UP_MS);
    const from = (await probe.collect('way')).decoded.length;
    const before = { bytes: way.bytes(), cpu: await cpuMs(bench, way.pid), at: performance.now() };
    await sleep(seconds * 1000);
    const cpu = (await cpuMs(bench, way.pid)) - before.cpu;
    const bytes = way.bytes() - before.bytes;
    const took = (performance.now() - before.at) / 1000;
    const { decoded, errors } = await probe.collect('way');
    if (errors.length > 0) throw new Error(`the decoder failed: ${errors.join('; ')}`);
    const seen = new Set<number>();
    const latencies: number[] = [];
    for (const { mark, decodedUs, keepalive } of decoded.slice(from)) {
      if (!mark || keepalive || seen.has(mark.sequence)) continue;
      seen.add(mark.sequence);
      latencies.push((decodedUs - offset.us - mark.microseconds) / 1000);
    }
    return { latencies, frames: latencies.length, bytes, cpuMs: cpu, seconds: took };
  } finally {
    await probe.stop();
    await way.close();
    await painter.kill();
  }
}

const WAYS: Readonly<
  Record<string, { memory: PaintedMemory; start: (bench: Bench, node: number) => Promise<Way> }>
> = {
  'resource-id': { memory: 'dumb', start: byAgent },
  'memfd-upload': { memory: 'memfd', start: byAgent },
  'raw-nv12-tcp': { memory: 'memfd', start: byRawTcp },
  'guest-encode': { memory: 'memfd', start: byGuestEncoder },
};

export const benchmark: Benchmark = {
  about: `painted in an emulated guest to decoded in Chromium, ${SIZE}, ${FPS} pictures a second asked for`,
  async run({ quick, progress }) {
    const seconds = quick ? 5 : 20;
    const rounds = quick ? 1 : 3;
    await using network = await GuestNetwork.start();
    progress('boots a guest');
    await using desk = await ResourceDesk.start({ qemuArgs: network.qemuArgs, progress });
    await network.configure(desk.guest);
    const probe = await Probe.launch();
    try {
      const bench = { desk, probe };
      const all = new Map<string, Round[]>();
      let uncertainty = 0;
      for (let i = 0; i < rounds; i++) {
        for (const [name, { memory, start }] of Object.entries(WAYS)) {
          const offset = await clockOffset(desk);
          uncertainty = Math.max(uncertainty, offset.uncertaintyUs / 1000);
          progress(`round ${i + 1} of ${rounds}: ${name}, ${seconds} s`);
          const measured = await round(bench, memory, start, offset, seconds);
          all.set(name, [...(all.get(name) ?? []), measured]);
        }
      }
      return [...all].map(([name, list]): Case => {
        const sum = (pick: (round: Round) => number) => list.reduce((n, r) => n + pick(r), 0);
        const frames = sum((r) => r.frames);
        const latencies = list.flatMap((r) => r.latencies);
        return {
          case: name,
          metrics: {
            link_bytes_per_frame: rounded(sum((r) => r.bytes) / frames),
            agent_cpu_ms_per_frame: rounded(sum((r) => r.cpuMs) / frames),
            fps: rounded(frames / sum((r) => r.seconds)),
            painted_to_decoded_ms_p50: rounded(percentile(latencies, 0.5)),
            painted_to_decoded_ms_p95: rounded(percentile(latencies, 0.95)),
            clock_uncertainty_ms: rounded(uncertainty),
          },
        };
      });
    } finally {
      await probe.close();
    }
  },
};
