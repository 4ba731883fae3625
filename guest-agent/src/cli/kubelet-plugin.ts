// scanbridge-agent kubelet-plugin
import { MANAGER_SOCKET } from '@scanbridge/hydra';
import type { Argv } from 'yargs';
import { OptionError } from '../errors.js';
import { KUBELET_FOLDER, ScanoutPlugin } from '../kubelet/plugin.js';
import { createLog } from '../log.js';
import { untilStopped } from './signals.js';

export function kubeletPluginOptions(yargs: Argv) {
  return yargs
    .option('socket', { type: 'string', default: MANAGER_SOCKET, describe: 'of the agent' })
    .option('kubelet', {
      type: 'string',
      default: KUBELET_FOLDER,
      describe: "the kubelet's folder of device plugins",
    })
    .option('size', {
      type: 'string',
      default: '1920x1080',
      describe: 'of a display until its viewer or its container asks for another',
    })
    .option('uid', {
      type: 'number',
      default: 0,
      describe: 'user id of the containers that take scanouts (securityContext.runAsUser)',
    })
    .example('$0 kubelet-plugin --uid 1000', 'as a DaemonSet: docs/hydra.md');
}

type KubeletPluginArguments = Awaited<ReturnType<typeof kubeletPluginOptions>['argv']>;

/** Runs until SIGINT, SIGTERM or SIGHUP. */
export async function kubeletPlugin(args: KubeletPluginArguments): Promise<void> {
  const [, width, height] = /^(\d{2,4})x(\d{2,4})$/.exec(args.size) ?? [];
  if (width === undefined || height === undefined) {
    throw new OptionError(`--size ${args.size}: write it as 1920x1080.`);
  }
  const stopped = untilStopped();
  const plugin = ScanoutPlugin.start(
    args.kubelet,
    { socket: args.socket, width: Number(width), height: Number(height), uid: args.uid },
    createLog('info'),
  );
  await stopped;
  await plugin.close();
}
