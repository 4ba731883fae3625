// scanbridge-agent leases
import { hostname } from 'node:os';
import { MANAGER_SOCKET } from '@scanbridge/hydra';
import type { Argv } from 'yargs';
import { CDI_FOLDER } from '../cdi/index.js';
import { LeaseDaemon } from '../lease-daemon.js';
import { DEFAULT_RUNTIME_DIRECTORY } from '../leases/index.js';
import { createLog } from '../log.js';
import { parseBridge } from '../transports.js';
import { untilStopped } from './signals.js';

export function leasesOptions(yargs: Argv) {
  return yargs
    .option('bridge', {
      type: 'string',
      default: 'auto',
      describe:
        'the bridge: vsock:CID:PORT, serial:PATH, tcp:HOST:PORT; auto: vsock, then virtio-serial, then, with a token, TCP',
    })
    .option('bridge-token', {
      type: 'string',
      describe: "what the bridge's --agent-token is; also from $SCANBRIDGE_AGENT_TOKEN",
    })
    .option('socket', {
      type: 'string',
      default: MANAGER_SOCKET,
      describe: 'where the container manager asks for leases; what is there is replaced',
    })
    .option('directory', {
      type: 'string',
      default: DEFAULT_RUNTIME_DIRECTORY,
      describe: 'where leases have their folders; it is emptied',
    })
    .option('cdi', {
      type: 'string',
      default: CDI_FOLDER,
      describe: 'folder of the CDI specification that is kept up to date; --no-cdi: none',
    })
    .option('user', {
      type: 'number',
      array: true,
      default: [] as number[],
      describe: 'user id that may ask for leases, beside root; needs --group, too',
    })
    .option('group', { type: 'number', describe: 'group id that may open the socket' })
    .option('name', { type: 'string', default: hostname(), describe: 'of this agent' })
    .option('log-level', {
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const,
      default: 'info' as const,
      describe: 'what is logged, as JSON lines, to standard error',
    })
    .example('$0 leases', 'in a VM whose bridge was started with --vsock and --scanout');
}

type LeasesArguments = Awaited<ReturnType<typeof leasesOptions>['argv']>;

/** Runs until SIGINT, SIGTERM or SIGHUP. */
export async function leases(args: LeasesArguments): Promise<void> {
  const log = createLog(args.logLevel);
  const stopped = untilStopped();
  // yargs makes `false` of --no-cdi, whatever the type says.
  const cdi = (args.cdi as string | false) || undefined;
  const daemon = await LeaseDaemon.start({
    bridge: parseBridge(args.bridge, args.bridgeToken ?? process.env.SCANBRIDGE_AGENT_TOKEN),
    name: args.name.slice(0, 64),
    socket: args.socket,
    runtimeDirectory: args.directory,
    users: args.user,
    ...(cdi !== undefined && { cdi }),
    ...(args.group !== undefined && { group: args.group }),
    log,
  });
  log.info({ socket: args.socket }, 'leases can be had');
  const signal = await stopped;
  log.info({ signal }, 'shutting down');
  await daemon.close();
}
