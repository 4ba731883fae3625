// A whole bridge: sources, sessions, listener. The command line, tests and benchmarks start it with the same call.
import { fileURLToPath } from 'node:url';
import { findGpus } from '@scanbridge/native-host-linux/gpus';
import { CloseCode } from '@scanbridge/protocol/viewer';
import { type Logger, pino } from 'pino';
import { Agents } from './agents/agents.js';
import { AgentGate } from './agents/gate.js';
import { LeaseDesk } from './agents/lease-desk.js';
import { ResourceDesk } from './agents/resource-desk.js';
import type { TransportSpec } from './agents/transports/transport.js';
import { Auth, type TokenSpec } from './auth.js';
import { type BitrateBounds, DEFAULT_BOUNDS } from './bitrate.js';
import { EngineProbe } from './engine-probe.js';
import { OptionError } from './errors.js';
import { chooseGpu } from './gpu-choice.js';
import { HttpServer } from './http/server.js';
import { StaticPage } from './http/static-page.js';
import { StreamServer } from './http/streams.js';
import { createMetrics } from './metrics.js';
import { SessionFactory } from './session-factory.js';
import { SessionRegistry } from './session-registry.js';
import { type ScanoutOptions, ScanoutSource } from './sources/scanouts.js';
import { type Codec, EngineSpec, SourceSpec } from './worker/messages.js';

/** A moving picture that needs nothing. */
export interface TestPatternOptions {
  /** Session id; `test`, `test-2`, ... where absent. */
  readonly id?: string;
  /** [pixels] */
  readonly width: number;
  readonly height: number;
  /** Pictures a second. */
  readonly fps: number;
}

export interface BridgeOptions {
  /** Address to listen on; 127.0.0.1 where absent. Any but loopback needs `tokens`. */
  readonly host?: string;
  /** 0, or absent: any free one. */
  readonly port?: number;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly tokens?: readonly TokenSpec[];
  /** Origins of other pages that may use the bridge. */
  readonly allowOrigins?: readonly string[];
  readonly testPatterns?: readonly TestPatternOptions[];
  readonly scanouts?: readonly ScanoutOptions[];
  /** Where agents may come in; nowhere where absent. */
  readonly agents?: readonly TransportSpec[];
  /** Engine, `auto` where absent. */
  readonly engine?: string;
  /** h264 where absent; also while a viewer is there that does not decode the other. */
  readonly codec?: Codec;
  /** Which paths may be taken, `auto` where absent. */
  readonly mode?: EngineSpec['mode'];
  /** PCI address or render node of the GPU that encodes; the first where absent. */
  readonly gpu?: string;
  readonly bitrate?: BitrateBounds;
  /** Pictures above this rate are dropped before encoding. */
  readonly maxFps?: number;
  /** A still picture is encoded anew this often [ms]; 0: never. */
  readonly keepaliveMs?: number;
  /** A busy encoder without viewers sleeps after this time [ms]. */
  readonly idleAfterMs?: number;
  readonly maxViewers?: number;
  /** Folder of the built viewer page. */
  readonly page?: string;
  /** Silent where absent. */
  readonly log?: Logger;
}

/** A bridge that runs. */
export interface Bridge {
  /** Where the page is, ends with a slash. */
  readonly url: string;
  readonly sessions: SessionRegistry;
  /** Where agents may come in, as `unix:PATH` or `tcp:HOST:PORT`. */
  readonly agents: readonly string[];
  /** Ends everything: viewers are told, workers' processes are gone and sockets removed when it resolves. */
  close(): Promise<void>;
}

const PAGE = fileURLToPath(new URL('../../viewer/dist', import.meta.url));

function check<T>(schema: { safeParse(value: unknown): { success: boolean } }, value: T): T {
  if (schema.safeParse(value).success) return value;
  throw new OptionError(
    `an option is out of its range: ${JSON.stringify(value)}`,
    'see "scanbridge serve --help" for what is possible',
  );
}

function engineSpec(options: BridgeOptions, bitrate: BitrateBounds): EngineSpec {
  return check(EngineSpec, {
    engine: options.engine ?? 'auto',
    codec: options.codec ?? 'h264',
    mode: options.mode ?? 'auto',
    bitrateKbps: bitrate.start,
    maxFps: options.maxFps ?? 60,
    keepaliveMs: options.keepaliveMs ?? 1000,
  } as EngineSpec);
}

function checkBitrate(bounds: BitrateBounds): BitrateBounds {
  const { min, start, max } = bounds;
  if (100 <= min && min <= start && start <= max && max <= 200_000) return bounds;
  throw new OptionError(
    `bitrates of ${min} <= ${start} <= ${max} kbit/s are not possible`,
    'choose 100 <= min <= start <= max <= 200000',
  );
}

/**
 * Starts a bridge.
 * @throws {BridgeError} OptionError or ListenError; nothing is left running then
 */
export async function startBridge(options: BridgeOptions = {}): Promise<Bridge> {
  const log = options.log ?? pino({ level: 'silent' });
  const host = options.host ?? '127.0.0.1';
  const bitrate = checkBitrate(options.bitrate ?? DEFAULT_BOUNDS);
  const gpu = options.gpu === undefined ? {} : chooseGpu(options.gpu, await findGpus());
  const engine = { ...engineSpec(options, bitrate), ...gpu };
  const patterns = (options.testPatterns ?? []).map(({ id, ...pattern }) => ({
    id,
    source: check(SourceSpec, { kind: 'test-pattern' as const, ...pattern }),
  }));
  const auth = new Auth({
    host,
    tokens: options.tokens ?? [],
    allowOrigins: options.allowOrigins ?? [],
  });

  const sessions = new SessionRegistry();
  const { idleAfterMs } = options;
  const factory = new SessionFactory(sessions, {
    engine,
    bitrate,
    log,
    ...(idleAfterMs !== undefined && { idleAfterMs }),
  });
  const scanouts: ScanoutSource[] = [];
  const desk = new LeaseDesk(() => scanouts, log);
  const agents = new Agents(factory, desk, new ResourceDesk(), log);
  const maxViewers = options.maxViewers ?? 256;
  const streams = new StreamServer(auth, sessions, maxViewers, log);
  const probe = new EngineProbe(log);
  const parts = {
    auth,
    sessions,
    metrics: createMetrics(sessions),
    page: new StaticPage(options.page ?? PAGE),
    engines: () => probe.engines(),
  };

  const gate = await AgentGate.open(options.agents ?? [], agents, log);
  let http: HttpServer;
  try {
    const { port = 0, tls } = options;
    http = await HttpServer.listen(
      { host, port, maxViewers, ...(tls && { tls }) },
      parts,
      streams,
      log,
    );
  } catch (error) {
    await gate.close();
    throw error;
  }

  for (const { id, source } of patterns) {
    const { width, height, fps } = source;
    const title = `Test pattern ${width}x${height} at ${fps}`;
    factory.create(id ?? factory.freeId('test'), title, source);
  }
  const agentsMayCome = gate.names.length > 0;
  for (const vm of options.scanouts ?? []) {
    scanouts.push(new ScanoutSource(vm, factory, log, agentsMayCome));
  }

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    for (const vm of scanouts) vm.close();
    agents.close();
    // Viewers first: they are told that the bridge goes, not that their session ended.
    await streams.close();
    await Promise.all([
      sessions.close(CloseCode.SHUTDOWN, 'SHUTDOWN', 'the bridge is shutting down'),
      gate.close(),
      http.close(),
      probe.close(),
    ]);
  };
  return {
    url: http.url,
    sessions,
    agents: gate.names,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
