#!/usr/bin/env node
// The command line of the agent.
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { cdi, cdiOptions } from './cli/cdi.js';
import { devices } from './cli/devices.js';
import { doctor } from './cli/doctor.js';
import { kubeletPlugin, kubeletPluginOptions } from './cli/kubelet-plugin.js';
import { leases, leasesOptions } from './cli/leases.js';
import { resolve, resolveOptions } from './cli/resolve.js';
import { run, runOptions } from './cli/run.js';
import { desktopOptions, runDesktop } from './desktop/index.js';

const json = { type: 'boolean', default: false, describe: 'print JSON' } as const;

function report(error: unknown): void {
  const { code, message } = error as { code?: string; message?: string };
  const suffix = code === undefined ? '' : ` (${code})`;
  process.stderr.write(`scanbridge-agent: ${message ?? String(error)}${suffix}\n`);
  process.exitCode = 1;
}

await yargs(hideBin(process.argv))
  .scriptName('scanbridge-agent')
  .usage('$0 COMMAND\n\nShows the desktops of this machine to a Scanbridge bridge.')
  .command('run', 'capture desktops and show them to the bridge', runOptions, run)
  .command('desktop', 'start a headless desktop and show it', desktopOptions, runDesktop)
  .command('leases', 'lend scanouts of this VM to containers', leasesOptions, leases)
  .command('cdi', 'show what containers get with --device of a lease', cdiOptions, cdi)
  .command(
    'kubelet-plugin',
    'offer the scanouts of this VM to Kubernetes',
    kubeletPluginOptions,
    kubeletPlugin,
  )
  .command(
    'resolve <node>',
    "show what the VM's host calls the buffers of a PipeWire node",
    resolveOptions,
    resolve,
  )
  .command(
    'devices',
    'list GPUs and the layouts of memory that they import',
    (y: Argv) => y.option('json', json),
    devices,
  )
  .command(
    'doctor',
    'tell what is missing to show a desktop',
    (y: Argv) =>
      y
        .option('json', json)
        .option('bridge', { type: 'string', describe: 'look for it, as run --bridge does' }),
    doctor,
  )
  .demandCommand(1, 'Name a command; --help lists them.')
  .strict()
  .recommendCommands()
  .alias('h', 'help')
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .fail((message, error, y) => {
    if (error) throw error;
    process.stderr.write(`scanbridge-agent: ${message}\n\n`);
    y.showHelp();
    process.exit(2);
  })
  .parseAsync()
  .catch(report);
