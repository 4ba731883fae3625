#!/usr/bin/env node
// The command line of the agent.
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';

// Modules are loaded by the command that needs them: most of them bring libraries that the others do without, and in an
// emulated VM loading all of them takes seconds.
const json = { type: 'boolean', default: false, describe: 'print JSON' } as const;

function report(error: unknown): void {
  const { code, message, remedy } = error as { code?: string; message?: string; remedy?: string };
  const suffix = code === undefined ? '' : ` (${code})`;
  const advice = remedy === undefined ? '' : `; ${remedy}`;
  process.stderr.write(`scanbridge-agent: ${message ?? String(error)}${suffix}${advice}\n`);
  process.exitCode = 1;
}

await yargs(hideBin(process.argv))
  .scriptName('scanbridge-agent')
  .usage('$0 COMMAND\n\nShows the desktops of this machine to a Scanbridge bridge.')
  .command(
    'run',
    'capture desktops and show them to the bridge',
    async (y) => (await import('./cli/run.js')).runOptions(y),
    async (args) => (await import('./cli/run.js')).run(args),
  )
  .command(
    'desktop',
    'start a headless desktop and show it',
    async (y) => (await import('./desktop/index.js')).desktopOptions(y),
    async (args) => (await import('./desktop/index.js')).runDesktop(args),
  )
  .command(
    'leases',
    'lend scanouts of this VM to containers',
    async (y) => (await import('./cli/leases.js')).leasesOptions(y),
    async (args) => (await import('./cli/leases.js')).leases(args),
  )
  .command('lease', 'use a scanout of this VM', (y: Argv) =>
    y
      .command(
        'run <program..>',
        'run a compositor on a scanout of its own',
        async (run) => (await import('./cli/lease-run.js')).leaseRunOptions(run),
        async (args) => (await import('./cli/lease-run.js')).leaseRun(args),
      )
      .demandCommand(1, 'Name what to do: scanbridge-agent lease run -- PROGRAM'),
  )
  .command(
    'cdi',
    'show what containers get with --device of a lease',
    async (y) => (await import('./cli/cdi.js')).cdiOptions(y),
    async (args) => (await import('./cli/cdi.js')).cdi(args),
  )
  .command(
    'kubelet-plugin',
    'offer the scanouts of this VM to Kubernetes',
    async (y) => (await import('./cli/kubelet-plugin.js')).kubeletPluginOptions(y),
    async (args) => (await import('./cli/kubelet-plugin.js')).kubeletPlugin(args),
  )
  .command(
    'resolve <node>',
    "show what the VM's host calls the buffers of a PipeWire node",
    async (y) => (await import('./cli/resolve.js')).resolveOptions(y),
    async (args) => (await import('./cli/resolve.js')).resolve(args),
  )
  .command(
    'devices',
    'list GPUs and the layouts of memory that they import',
    (y: Argv) => y.option('json', json),
    async (args) => (await import('./cli/devices.js')).devices(args),
  )
  .command(
    'doctor',
    'tell what is missing to show a desktop',
    (y: Argv) =>
      y
        .option('json', json)
        .option('bridge', { type: 'string', describe: 'look for it, as run --bridge does' }),
    async (args) => (await import('./cli/doctor.js')).doctor(args),
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
