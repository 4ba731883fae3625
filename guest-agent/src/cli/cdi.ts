// scanbridge-agent cdi
import { LeaseClient, MANAGER_SOCKET } from '@scanbridge/hydra';
import type { Argv } from 'yargs';
import { CdiFile, cdiSpec } from '../cdi/index.js';
import { createLog } from '../log.js';
import { untilStopped } from './signals.js';

export function cdiOptions(yargs: Argv) {
  return yargs
    .option('socket', { type: 'string', default: MANAGER_SOCKET, describe: 'of the agent' })
    .option('directory', {
      type: 'string',
      describe: 'keeps the specification in this folder up to date until it is ended',
    })
    .example('$0 cdi', 'what a container gets that is started with --device of a lease')
    .example('$0 cdi --directory ~/.config/cdi', 'for podman --cdi-spec-dir');
}

type CdiArguments = Awaited<ReturnType<typeof cdiOptions>['argv']>;

/** Prints the specification, or keeps a file of it. The daemon keeps one in /var/run/cdi by itself. */
export async function cdi(args: CdiArguments): Promise<void> {
  const client = new LeaseClient({ socket: args.socket });
  if (args.directory === undefined) {
    process.stdout.write(`${JSON.stringify(cdiSpec(await client.list()), null, 2)}\n`);
    return;
  }
  const file = new CdiFile(args.directory);
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  try {
    for await (const event of client.events(stop.signal)) {
      await file.write(event.type === 'leases' ? event.leases : await client.list());
      createLog('info').info({ file: file.path, event: event.type }, 'written');
    }
  } finally {
    // Without the agent the leases are gone, too.
    await file.remove();
  }
}
