// scanbridge serve
import { readFile } from 'node:fs/promises';
import { findGpus } from '@scanbridge/native-host-linux/gpus';
import type { Argv } from 'yargs';
import type { TransportSpec } from '../agents/transports/transport.js';
import { parseToken } from '../auth.js';
import { DEFAULT_BOUNDS } from '../bitrate.js';
import { type BridgeOptions, startBridge } from '../bridge.js';
import { OptionError, reasonOf } from '../errors.js';
import { createLog } from '../log.js';
import { CODECS, ENGINES, MODES } from '../worker/messages.js';
import {
  parseHostPort,
  parseScanoutSocket,
  parseTestPattern,
  parseVm,
  parseVsock,
} from './arguments.js';
import { warningsFor } from './probe.js';

/** Port of a bridge that nobody told another one. */
export const DEFAULT_PORT = 8470;
/** A second signal, or this long after the first, ends the process whatever is left [ms]. */
const SHUTDOWN_LIMIT_MS = 5000;

export function serveOptions(yargs: Argv) {
  return yargs
    .option('host', {
      type: 'string',
      default: '127.0.0.1',
      describe: 'address to listen on; any but loopback needs --token',
    })
    .option('port', { type: 'number', default: DEFAULT_PORT, describe: 'port; 0: any free one' })
    .option('token', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: 'SECRET[,session=ID][,access=view|control]; also from $SCANBRIDGE_TOKEN',
    })
    .option('allow-origin', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: 'origin of another page that may use the bridge, as https://name',
    })
    .option('tls-cert', {
      type: 'string',
      describe: 'certificate chain in PEM',
      implies: 'tls-key',
    })
    .option('tls-key', { type: 'string', describe: 'its private key', implies: 'tls-cert' })
    .option('test-pattern', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: 'a session that shows a moving picture, as 1280x720@60',
    })
    .option('scanout', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe:
        "sessions of a VM: SOCKET[,name=NAME][,enable=1-2][,size=WxH] of QEMU's frame-export",
    })
    .option('agent-socket', { type: 'string', describe: 'Unix socket for agents of this machine' })
    .option('vsock', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe:
        "for agents of VMs: BASE[,port=N], the path of QEMU's virtio-vsock-unix; or kernel[,port=N]",
    })
    .option('vm', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe:
        "for agents of a VM that show resources: NAME,exporter=SOCKET,vsock=BASE[,port=N][,serial=SOCKET]; SOCKET is QEMU's frame-export",
    })
    .option('agent-serial', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: "for an agent of a VM: QEMU's socket of a virtio-serial port",
    })
    .option('agent-tcp', {
      type: 'string',
      describe: 'for agents that have nothing better: HOST:PORT, in the clear, with --agent-token',
    })
    .option('agent-token', {
      type: 'string',
      describe: 'what agents show over TCP; also from $SCANBRIDGE_AGENT_TOKEN',
    })
    .option('engine', {
      choices: ['auto', ...ENGINES] as const,
      default: 'auto' as const,
      describe: 'encoder; "scanbridge probe" tells which work',
    })
    .option('codec', {
      choices: CODECS,
      default: 'h264' as const,
      describe: 'while every viewer decodes it; else H.264',
    })
    .option('mode', {
      choices: MODES,
      default: 'auto' as const,
      describe: 'zerocopy: stay on the GPU; native: its own encoder; shm: system memory',
    })
    .option('gpu', {
      type: 'string',
      describe: 'PCI address or render node of the GPU that encodes',
    })
    .option('bitrate', {
      type: 'number',
      default: DEFAULT_BOUNDS.start,
      describe: 'where sessions start [kbit/s]',
    })
    .option('min-bitrate', { type: 'number', default: DEFAULT_BOUNDS.min, describe: '[kbit/s]' })
    .option('max-bitrate', { type: 'number', default: DEFAULT_BOUNDS.max, describe: '[kbit/s]' })
    .option('max-fps', { type: 'number', default: 60, describe: 'pictures a second at most' })
    .option('keepalive', {
      type: 'number',
      default: 1000,
      describe: 'a still picture is encoded anew this often [ms]; 0: never',
    })
    .option('max-viewers', { type: 'number', default: 256, describe: 'viewers at a time' })
    .option('log-level', {
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const,
      default: 'info' as const,
      describe: 'what is logged to standard error',
    })
    .example('$0 serve --test-pattern 1280x720@60', 'a picture to see that all works')
    .example('$0 serve --scanout vm.sock,enable=1-2', 'two more displays of a VM')
    .example('$0 serve --vsock vm0', 'agents of a VM with virtio-vsock-unix,path=vm0')
    .example('$0 serve --vm vm0,exporter=vm0.sock,vsock=vm0', 'and what they show in resources')
    .example('$0 serve --host 0.0.0.0 --token $(openssl rand -hex 16)', 'for other machines');
}

type ServeArguments = Awaited<ReturnType<typeof serveOptions>['argv']>;

async function readPem(path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new OptionError(`cannot read ${path}: ${reasonOf(error)}`, 'give a readable PEM file');
  });
}

/** In the order in which agents should prefer them. @throws {OptionError} */
function agentTransports(args: ServeArguments): TransportSpec[] {
  const { agentSocket, agentTcp } = args;
  const specs: TransportSpec[] = [...args.vm.flatMap(parseVm), ...args.vsock.map(parseVsock)];
  for (const path of args.agentSerial) specs.push({ kind: 'serial', path });
  if (agentSocket !== undefined) specs.unshift({ kind: 'unix', path: agentSocket });
  if (agentTcp === undefined) return specs;
  const token = args.agentToken ?? process.env.SCANBRIDGE_AGENT_TOKEN;
  if (token === undefined) {
    throw new OptionError(
      '--agent-tcp lets in whoever reaches it, so agents need a token',
      'add --agent-token SECRET (make one with: openssl rand -hex 16)',
    );
  }
  return [...specs, { kind: 'tcp', ...parseHostPort(agentTcp), token }];
}

async function bridgeOptions(args: ServeArguments): Promise<BridgeOptions> {
  const tokens = [...args.token, ...(process.env.SCANBRIDGE_TOKEN?.split(/\s+/) ?? [])];
  const { tlsCert, tlsKey } = args;
  return {
    host: args.host,
    port: args.port,
    tokens: tokens.filter((token) => token !== '').map(parseToken),
    allowOrigins: args.allowOrigin,
    ...(tlsCert && tlsKey && { tls: { cert: await readPem(tlsCert), key: await readPem(tlsKey) } }),
    testPatterns: args.testPattern.map(parseTestPattern),
    scanouts: args.scanout.map(parseScanoutSocket),
    agents: agentTransports(args),
    engine: args.engine,
    codec: args.codec,
    mode: args.mode,
    ...(args.gpu !== undefined && { gpu: args.gpu }),
    bitrate: {
      min: Math.min(args.minBitrate, args.bitrate),
      start: args.bitrate,
      max: args.maxBitrate,
    },
    maxFps: args.maxFps,
    keepaliveMs: args.keepalive,
    maxViewers: args.maxViewers,
    log: createLog(args.logLevel),
  };
}

/** Runs until a signal. */
export async function serve(args: ServeArguments): Promise<void> {
  const options = await bridgeOptions(args);
  const bridge = await startBridge(options);
  const { log } = options;
  if (process.platform === 'linux' && args.engine === 'auto') {
    void findGpus().then((gpus) => {
      for (const warning of warningsFor(gpus)) log?.warn({ code: 'NO_GPU_ENCODER' }, warning);
    });
  }
  process.stdout.write(`Scanbridge is at ${bridge.url}\n`);
  if (options.tokens?.length)
    process.stdout.write('Open it with ?token=SECRET behind the address.\n');
  if (!options.tls && options.host !== '127.0.0.1' && options.host !== 'localhost') {
    log?.warn('video and tokens travel in the clear: use --tls-cert, or a proxy that does TLS');
  }
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        resolve(name);
        process.once(name, () => process.exit(130));
      });
    }
  });
  log?.info({ signal }, 'shutting down');
  setTimeout(() => process.exit(1), SHUTDOWN_LIMIT_MS).unref();
  await bridge.close();
}
