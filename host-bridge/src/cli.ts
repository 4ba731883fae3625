#!/usr/bin/env node
// The command line of the bridge.
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { clientOptions } from './cli/ask.js';
import { listSessions } from './cli/list.js';
import { probe } from './cli/probe.js';
import { record } from './cli/record.js';
import { selftest } from './cli/selftest.js';
import { serve, serveOptions } from './cli/serve.js';
import { utmArgs, utmArgsOptions } from './cli/utm-args.js';
import { BridgeError, reasonOf } from './errors.js';

const patience = {
  type: 'number',
  default: 2,
  describe: 'how long a driver may take to answer [s]',
} as const;
const json = { type: 'boolean', default: false, describe: 'print JSON' } as const;

/** Resolves when the user presses Ctrl-C, or the system asks for an end. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

function report(error: unknown): void {
  const lines = [`scanbridge: ${reasonOf(error)}`];
  if (error instanceof BridgeError) lines.push(`  ${error.remedy} (${error.code})`);
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = 1;
}

await yargs(hideBin(process.argv))
  .scriptName('scanbridge')
  .usage('$0 COMMAND\n\nStreams Linux desktops to browsers.')
  .command('serve', 'run the bridge', serveOptions, serve)
  .command(
    'sessions',
    'list the sessions of a running bridge',
    (y: Argv) =>
      clientOptions(y).option('json', json).example('$0 sessions --json', 'for programs'),
    listSessions,
  )
  .command(
    'record <session> <file>',
    'write what a session shows into a .mkv or .h264 file',
    (y: Argv) =>
      clientOptions(y)
        .positional('session', { type: 'string', demandOption: true, describe: 'session id' })
        .positional('file', { type: 'string', demandOption: true, describe: 'file to write' })
        .option('seconds', { type: 'number', describe: 'length; without it until Ctrl-C' })
        .example('$0 record test clip.mkv --seconds 10', 'ten seconds of the test pattern'),
    async (args) => {
      const { units, bytes } = await record(args, interrupted());
      process.stdout.write(`${args.file}: ${units} pictures, ${bytes} bytes\n`);
    },
  )
  .command(
    'probe',
    'tell which engines work on this machine',
    (y: Argv) =>
      y
        .option('json', json)
        .option('patience', patience)
        .example('$0 probe', 'GPUs, their drivers and the engines, in plain words'),
    probe,
  )
  .command(
    'selftest',
    'try every engine with moving pictures; prints a report to attach to a bug',
    (y: Argv) =>
      y
        .option('json', json)
        .option('patience', patience)
        .option('seconds', { type: 'number', default: 3, describe: 'of each engine' })
        .example('$0 selftest > report.txt', 'on the machine with the GPU'),
    selftest,
  )
  .command('utm-args', 'print what to enter in UTM on a Mac', utmArgsOptions, utmArgs)
  .demandCommand(1, 'Name a command; --help lists them.')
  .strict()
  .recommendCommands()
  .alias('h', 'help')
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .fail((message, error, y) => {
    if (error) throw error;
    process.stderr.write(`scanbridge: ${message}\n\n`);
    y.showHelp();
    process.exit(2);
  })
  .parseAsync()
  .catch(report);
