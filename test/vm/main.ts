#!/usr/bin/env node
import { once } from 'node:events';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { TwoDesktops } from './desktops.js';
import { VmError } from './error.js';
import { Guest, type GuestOptions, MAX_HEADS } from './guest.js';
import { buildImage } from './image.js';
import { buildKernel, KERNEL_VERSIONS, type KernelVersion } from './kernel.js';
import { qemuBinary } from './qemu.js';

// As env(1), timeout(1) and shells have it.
const STATUS_TIMEOUT = 124;
const STATUS_VM_FAILED = 125;
const STATUS_CANNOT_RUN = 126;
const STATUS_NOT_FOUND = 127;
const ENOENT = 2;

// Exit handlers end QEMU and whatever is being built, and remove what they have left.
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
  process.once(signal, () => process.exit(128 + number));
}

const progress = (line: string) => process.stderr.write(`vm: ${line}\n`);

/** Writes and waits while the reader is slow. */
function writer(stream: NodeJS.WriteStream): (chunk: Buffer) => Promise<void> {
  return async (chunk) => {
    if (!stream.write(chunk)) {
      await once(stream, 'drain');
    }
  };
}

/** Runs `work` with a fresh guest, which is gone afterwards. */
async function withGuest(
  options: GuestOptions,
  work: (guest: Guest) => Promise<number>,
): Promise<number> {
  await using guest = await Guest.boot({ ...options, progress });
  return await work(guest);
}

const machine = {
  gpu: {
    choices: ['2d', 'gl'] as const,
    default: '2d' as const,
    describe: 'plain virtio-gpu, or virgl (on llvmpipe where there is no GPU)',
  },
  heads: {
    type: 'number',
    default: 1,
    describe: `heads of the virtual GPU, 1 to ${MAX_HEADS}; only the first is connected at boot`,
  },
  kernel: {
    type: 'string', // or yargs takes it for a number
    choices: KERNEL_VERSIONS,
    default: KERNEL_VERSIONS[0] as KernelVersion,
    describe: "the guest's Linux version",
  },
  accel: {
    choices: ['tcg', 'kvm'] as const,
    default: 'tcg' as const,
    describe: 'emulate the processor, which works everywhere, or use KVM',
  },
  memory: { type: 'number', default: 2048, describe: "the guest's memory in MiB" },
} as const;

await yargs(hideBin(process.argv))
  .scriptName('npm run vm --')
  .usage('$0 COMMAND\n\nA Debian guest under QEMU, fresh each time. Needs neither root nor KVM.')
  .parserConfiguration({ 'populate--': true })
  .strict()
  .demandCommand(1, 'Name a command; --help lists them.')
  .command(
    'build',
    'build QEMU, the kernels and the image, or say that they are there',
    (args) => args,
    async () => {
      progress(`QEMU: ${await qemuBinary(progress)}`);
      for (const version of KERNEL_VERSIONS) {
        progress(`kernel ${version}: ${(await buildKernel(version, progress)).kernel}`);
      }
      progress(`image: ${await buildImage(progress)}`);
    },
  )
  .command(
    'exec',
    'run a command in a fresh guest and exit with its status',
    (args) =>
      args
        .options(machine)
        .option('copy', {
          type: 'string',
          array: true,
          nargs: 1,
          default: [] as string[],
          describe: 'a file or folder to put into /root, where the command starts; may be repeated',
        })
        .option('timeout', {
          type: 'number',
          describe: `kill the command after this many seconds; the status is then ${STATUS_TIMEOUT}`,
        })
        .example('$0 exec -- uname -r', "the guest kernel's release")
        .epilogue(
          `Status ${STATUS_VM_FAILED} means that the guest itself failed; standard error says how.`,
        ),
    async (args) => {
      const argv = (args['--'] as string[] | undefined)?.map(String) ?? [];
      if (argv.length === 0) {
        throw new VmError('BAD_OPTION', 'no command: write it after "--"');
      }
      process.exitCode = await withGuest(args, async (guest) => {
        if (args.copy.length > 0) {
          await guest.copyIn(args.copy);
        }
        const { status } = await guest.exec(argv, {
          stdin: process.stdin,
          onStdout: writer(process.stdout),
          onStderr: writer(process.stderr),
          ...(args.timeout === undefined ? {} : { timeoutSeconds: args.timeout }),
        });
        return status;
      });
    },
  )
  .command(
    'start',
    'keep a guest running that shows two desktops, until Ctrl-C',
    (args) =>
      args
        .options(machine)
        .default('heads', 2)
        .default('memory', 3072)
        .option('size', {
          type: 'string',
          default: '1280x720',
          describe: 'of the desktops, in pixels',
        })
        .epilogue(
          'When the desktops are there, one line of JSON on standard output says where the sockets are: ' +
            'framesSocket (surface protocol), qmpSocket, and pid of QEMU.',
        ),
    async (args) => {
      const [, width, height] = (/^(\d+)x(\d+)$/.exec(args.size) ?? []).map(Number);
      if (!width || !height || args.heads < 2) {
        throw new VmError('BAD_OPTION', 'two desktops need a --size like 1280x720 and two --heads');
      }
      const options = { ...args, frameExport: true };
      process.exitCode = await withGuest(options, async (guest) => {
        progress(`booted in ${guest.bootSeconds.toFixed(1)} s; starting the desktops`);
        const renderer = args.gpu === 'gl' ? 'gles2' : 'pixman';
        await using desktops = await TwoDesktops.show(guest, { width, height }, renderer);
        const { framesSocket, qmpSocket, pid } = guest;
        process.stdout.write(`${JSON.stringify({ framesSocket, qmpSocket, pid })}\n`);
        progress('two desktops are shown; Ctrl-C ends the guest');
        await desktops.ended();
        return STATUS_VM_FAILED;
      });
    },
  )
  .command(
    'shell',
    'open a shell in a fresh guest',
    (args) => args.options(machine),
    async (args) => {
      process.exitCode = await withGuest(args, shell);
    },
  )
  .fail((message, error) => {
    process.stderr.write(`vm: ${error?.message ?? message}\n`);
    process.exit(exitStatus(error));
  })
  .parseAsync();

function exitStatus(error: Error | undefined): number {
  if (!(error instanceof VmError)) {
    return STATUS_VM_FAILED;
  }
  switch (error.code) {
    case 'EXEC_TIMEOUT':
      return STATUS_TIMEOUT;
    case 'EXEC_FAILED':
      return error.errno === ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
    default:
      return STATUS_VM_FAILED;
  }
}

async function shell(guest: Guest): Promise<number> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) {
    throw new VmError('BAD_OPTION', 'a shell needs a terminal; for scripts there is "exec -- sh"');
  }
  const size = () => ({ rows: stdout.rows, columns: stdout.columns });
  const remote = await guest.start(['bash', '-l'], {
    terminal: size(),
    environment: { TERM: process.env.TERM ?? 'dumb' },
    onStdout: writer(stdout),
  });
  const resized = () => void remote.resize(size().rows, size().columns).catch(() => undefined);
  const typed = (chunk: Buffer) => void remote.write(chunk).catch(() => undefined);
  stdin.setRawMode(true);
  stdout.on('resize', resized);
  stdin.on('data', typed);
  try {
    return (await remote.exit).status;
  } finally {
    stdin.off('data', typed).pause();
    stdout.off('resize', resized);
    stdin.setRawMode(false);
  }
}
