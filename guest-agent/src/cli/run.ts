// scanbridge-agent run
import { hostname } from 'node:os';
import type { CursorMode, MutterRecord } from '@scanbridge/native-guest';
import type { Argv } from 'yargs';
import { Agent } from '../agent.js';
import { OptionError } from '../errors.js';
import { createLog } from '../log.js';
import { MutterSource } from '../sources/mutter.js';
import { NodeSource } from '../sources/node.js';
import { PortalSource } from '../sources/portal.js';
import type { Source } from '../sources/source.js';
import { type BridgeAddress, isOnThisMachine, parseBridge } from '../transports.js';

/** Options of the command. */
export function runOptions(yargs: Argv) {
  return yargs
    .option('bridge', {
      type: 'string',
      demandOption: true,
      describe:
        'the bridge: unix:PATH, vsock:CID:PORT, serial:PATH, tcp:HOST:PORT; auto in a VM: vsock, then virtio-serial, then, with a token, TCP',
    })
    .option('bridge-token', {
      type: 'string',
      describe: "what the bridge's --agent-token is; also from $SCANBRIDGE_AGENT_TOKEN",
    })
    .option('mutter', {
      type: 'string',
      describe: 'a GNOME or Mutter desktop: its D-Bus address, or nothing for this session',
    })
    .option('record', {
      type: 'string',
      default: 'primary',
      describe:
        "of --mutter: primary, monitor:NAME, or virtual:WxH for a monitor of the viewer's size",
    })
    .option('portal', {
      type: 'string',
      describe: 'any desktop with a portal: its D-Bus address, or nothing for this session',
    })
    .option('node', { type: 'number', describe: 'a PipeWire node; may be given again' })
    .option('pipewire', {
      type: 'string',
      describe: 'PipeWire socket of --node and --mutter, as a path or a name',
    })
    .option('cursor', {
      choices: ['metadata', 'embedded', 'hidden'] as const,
      describe:
        'sent beside the picture, drawn into it, or neither; metadata where the bridge is on this machine, else embedded',
    })
    .option('max-fps', { type: 'number', default: 60, describe: 'pictures a second, 1 to 500' })
    .option('socket', { type: 'string', describe: 'where surfaces are served' })
    .option('name', { type: 'string', default: hostname(), describe: 'of this agent' })
    .option('log-level', {
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const,
      default: 'info' as const,
      describe: 'what is logged, as JSON lines, to standard error',
    })
    .example('$0 run --bridge unix:/run/scanbridge/agents.sock --mutter', "this session's desktop")
    .example('$0 run --bridge unix:agents.sock --node 42 --node 43', 'two PipeWire nodes')
    .example('$0 run --bridge auto --mutter', 'in a VM: ids of virtio-gpu resources, no pixels');
}

export type RunArguments = Awaited<ReturnType<typeof runOptions>['argv']>;

/** @throws {OptionError} */
export function parseRecord(record: string): MutterRecord {
  if (record === 'primary') return { primary: true };
  const monitor = /^monitor:(.+)$/.exec(record)?.[1];
  if (monitor !== undefined) return { monitor };
  const [, width, height] = /^virtual:(\d{1,5})x(\d{1,5})$/.exec(record) ?? [];
  const size = { width: Number(width), height: Number(height) };
  if (!(size.width >= 16 && size.width <= 16_384 && size.height >= 16 && size.height <= 16_384)) {
    throw new OptionError(
      `--record ${record}: write it as primary, monitor:NAME or virtual:1280x720.`,
    );
  }
  return { virtual: size };
}

/** An option that was given more than once comes as a list, although its type does not say so. */
function list<T>(value: T | undefined): T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as T[]) : [value];
}

/**
 * How the cursor is captured. Only surfaces have it beside the picture.
 * @throws {OptionError}
 */
export function cursorMode(
  asked: CursorMode | undefined,
  bridge: readonly BridgeAddress[],
): CursorMode {
  const beside = bridge.every(isOnThisMachine);
  if (asked === 'metadata' && !beside) {
    throw new OptionError(
      '--cursor metadata needs a bridge on this machine (--bridge unix:PATH); out of a VM take embedded or hidden.',
    );
  }
  return asked ?? (beside ? 'metadata' : 'embedded');
}

/** @throws {OptionError} */
export function makeSources(args: RunArguments, cursor: CursorMode): Source[] {
  const { maxFps, pipewire } = args;
  if (!(maxFps >= 1 && maxFps <= 500)) throw new OptionError('--max-fps is 1 to 500.');
  const common = { maxFps, ...(pipewire !== undefined && { remote: pipewire }) };
  const desktops = list(args.mutter).map((address) => ({ portal: false, address }));
  const portals = list(args.portal).map((address) => ({ portal: true, address }));
  const sources: Source[] = [...desktops, ...portals].map(({ portal, address }, i) => {
    const id = i === 0 ? 'desktop' : `desktop-${i + 1}`;
    const bus = address === '' ? {} : { busAddress: address };
    return portal
      ? new PortalSource({ id, cursor, maxFps, ...bus })
      : new MutterSource({ id, cursor, ...common, ...bus, record: parseRecord(args.record) });
  });
  for (const node of list(args.node)) {
    if (!Number.isInteger(node) || node < 0) throw new OptionError(`--node ${node} is no node id.`);
    sources.push(new NodeSource({ node, ...common }));
  }
  if (sources.length === 0) throw new OptionError('Name a desktop: --mutter, --portal or --node.');
  return sources;
}

/** Runs until SIGINT, SIGTERM or SIGHUP. */
export async function run(args: RunArguments): Promise<void> {
  const log = createLog(args.logLevel);
  const bridge = parseBridge(args.bridge, args.bridgeToken ?? process.env.SCANBRIDGE_AGENT_TOKEN);
  const sources = makeSources(args, cursorMode(args.cursor, bridge));
  const stopped = new Promise<string>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        resolve(signal);
        // A second signal does not wait.
        process.once(signal, () => process.exit(130));
      });
    }
  });
  const agent = await Agent.start({
    bridge,
    name: args.name.slice(0, 64),
    sources,
    log,
    ...(args.socket !== undefined && { socket: args.socket }),
  });
  log.info({ sources: sources.map((source) => source.id) }, 'running');
  const signal = await stopped;
  log.info({ signal }, 'shutting down');
  await agent.close();
}
