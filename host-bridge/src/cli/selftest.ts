// scanbridge selftest: every path of every engine with real pictures on this machine, as a report to attach to a bug.
import { arch, cpus, release, version } from 'node:os';
import { pino } from 'pino';
import { DEFAULT_BOUNDS } from '../bitrate.js';
import { SessionFactory } from '../session-factory.js';
import { SessionRegistry } from '../session-registry.js';
import { type EngineReport, EngineSpec } from '../worker/messages.js';
import { describeProbe, probeMachine } from './probe.js';

interface SelftestArguments {
  readonly json: boolean;
  readonly patience: number;
  /** Of each engine [s]. */
  readonly seconds: number;
}

/** What an engine did with a moving test pattern. */
interface Trial {
  readonly engine: string;
  readonly codec: string;
  readonly outcome: 'streams' | 'fails';
  readonly path: string;
  readonly codecString?: string;
  readonly fps?: number;
  readonly restarts: number;
  readonly message?: string;
}

async function trial(report: EngineReport, seconds: number): Promise<Trial> {
  const { engine, codec } = report;
  const factory = new SessionFactory(new SessionRegistry(), {
    engine: EngineSpec.parse({
      engine,
      codec,
      bitrateKbps: DEFAULT_BOUNDS.start,
      maxFps: 60,
      keepaliveMs: 1000,
    }),
    bitrate: DEFAULT_BOUNDS,
    log: pino({ level: 'silent' }),
    idleAfterMs: 600_000,
  });
  const session = factory.create(`selftest-${engine}`, 'self test', {
    kind: 'test-pattern',
    width: 1280,
    height: 720,
    fps: 60,
  });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const now = session.report();
  await session.close();
  return {
    engine,
    codec,
    outcome: now.state === 'live' ? 'streams' : 'fails',
    path: now.path,
    ...(now.codec !== undefined && { codecString: now.codec }),
    fps: now.accessUnits / seconds,
    restarts: now.restarts,
    ...(now.message !== undefined && { message: now.message }),
  };
}

/** Probes without the cache, then streams with each engine of which anything works. */
export async function selftest(args: SelftestArguments): Promise<void> {
  const probe = await probeMachine(args.patience * 1000, false);
  const trials: Trial[] = [];
  for (const report of probe.engines) {
    if (report.works) trials.push(await trial(report, args.seconds));
  }
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    arch: arch(),
    kernel: release(),
    system: version(),
    node: process.version,
  };
  if (args.json) {
    process.stdout.write(`${JSON.stringify({ machine, ...probe, trials }, undefined, 2)}\n`);
  } else {
    const rows = trials.map(({ engine, codec, outcome, path, codecString, fps, message }) =>
      [
        `${engine} (${codec}): ${outcome}`,
        fps === undefined ? '' : `${fps.toFixed(0)} pictures a second of 1280x720`,
        codecString ?? '',
        path,
        message ?? '',
      ]
        .filter((text) => text !== '')
        .join('; '),
    );
    const head = Object.entries(machine).map(([name, value]) => `${name}: ${value}`);
    process.stdout.write(`${head.join('\n')}\n\n${describeProbe(probe)}\n${rows.join('\n')}\n`);
  }
  if (!trials.some(({ outcome }) => outcome === 'streams')) process.exitCode = 1;
}
