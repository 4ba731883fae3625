import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ControlChannel, type GuestExit, type GuestProcess, type OutputSink } from './channel.js';
import { VmError } from './error.js';
import type { Progress } from './host-command.js';
import { buildImage } from './image.js';
import { buildKernel, KERNEL_VERSIONS, type KernelVersion } from './kernel.js';
import { type Picture, parseScreendump } from './picture.js';
import { QemuProcess, qemuBinary } from './qemu.js';
import { Qmp } from './qmp.js';

/** The scanouts of a virtio-gpu device: VIRTIO_GPU_MAX_SCANOUTS of the virtio specification. */
export const MAX_HEADS = 16;

/** What a test that boots a guest allows for, as the first one may have to build everything. */
export const BUILD_MILLISECONDS = 30 * 60_000;

/** The id of the guest's virtio-gpu device in QEMU. */
export const GPU_ID = 'gpu0';

const DEFAULT_BOOT_SECONDS = 120;
const DEFAULT_OUTPUT_LIMIT = 64 * 1024 * 1024;
/** How long a command has to die of SIGKILL before the whole guest counts as hung. */
const KILL_SECONDS = 5;
const CONSOLE_TAIL = 2000;
const SIGKILL = 9;

const KERNEL_ARGUMENTS = [
  'console=ttyS0',
  'quiet',
  // A panic ends the guest instead of hanging it.
  'panic=-1',
  'vm.root=vda',
  // An emulated processor has no side channels worth its time, and its clock does not drift.
  'mitigations=off',
  'nokaslr',
  'tsc=reliable',
  'no_timer_check',
  // A second of self-tests, and of waiting and clearing that no test looks at.
  'cryptomgr.notests',
  'init_on_alloc=0',
  'rcupdate.rcu_expedited=1',
  'audit=0',
];

/** How a guest is made. Everything has a default. */
export interface GuestOptions {
  /** `2d`: plain virtio-gpu (the default). `gl`: virgl, on llvmpipe where the host has no GPU. */
  gpu?: '2d' | 'gl';
  /** Heads of the virtual GPU, 1 (the default) to {@link MAX_HEADS}. Only the first is connected at boot. */
  heads?: number;
  /** The guest's kernel; the first of {@link KERNEL_VERSIONS} is the default. */
  kernel?: KernelVersion;
  /**
   * `tcg` (the default) emulates the processor and works everywhere. `kvm` is many times faster, but
   * that /dev/kvm is there does not mean that it works: inside some VMs it aborts QEMU.
   */
  accel?: 'tcg' | 'kvm';
  /** Memory in MiB; 2048 is the default. */
  memory?: number;
  /** Adds QEMU's frame exporter; its socket is {@link Guest.framesSocket}. */
  frameExport?: boolean;
  /** More QEMU arguments, at the end of the command line. */
  qemuArgs?: readonly string[];
  /** How long the boot may take, in seconds, without the time to build what is missing. */
  bootSeconds?: number;
  /** Is told what is being built, if something has to be. */
  progress?: Progress;
}

/** What a command in the guest is given. Everything has a default. */
export interface ExecOptions {
  /** Standard input; none by default. */
  stdin?: Buffer | string | Readable;
  /** Working directory; `/root` by default. */
  directory?: string;
  /** Environment variables on top of the guest's own. */
  environment?: Readonly<Record<string, string>>;
  /** Runs the command on a terminal of this size; its standard error is then part of its output. */
  terminal?: { rows: number; columns: number };
  /** Takes standard output instead of the result. */
  onStdout?: OutputSink;
  /** Takes standard error instead of the result. */
  onStderr?: OutputSink;
  /** The command is killed after this time. No limit by default. */
  timeoutSeconds?: number;
}

/** How a command ended and what it wrote, except what the caller's sinks took. */
export interface ExecResult extends GuestExit {
  stdout: Buffer;
  stderr: Buffer;
}

const alive = new Set<Guest>();
/** What ends guests that are not there yet, and removes what they have on the host. */
const booting = new Set<() => void>();

// The last resort, for a process that ends without closing its guests. What even this does not reach
// (SIGKILL) is left to the guest: it powers itself off when its channel closes.
process.on('exit', () => {
  for (const guest of alive) {
    guest.killNow();
  }
  for (const abandon of booting) {
    abandon();
  }
});

function collect(limit: number): { sink: OutputSink; take: () => Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    sink: (chunk) => {
      size += chunk.length;
      if (size > limit) {
        const text = `a command in the guest wrote more than ${limit} bytes; give exec a sink`;
        throw new VmError('CHANNEL_BROKEN', text);
      }
      chunks.push(Buffer.from(chunk));
    },
    take: () => Buffer.concat(chunks),
  };
}

/**
 * A fresh Debian guest under QEMU. Nothing that it writes survives it.
 *
 * ```ts
 * await using guest = await Guest.boot({ heads: 2 });
 * const { status, stdout } = await guest.exec(['uname', '-r']);
 * ```
 */
export class Guest implements AsyncDisposable {
  readonly qmp: Qmp;
  /** A QMP socket for other programs. */
  readonly qmpSocket: string;
  /** The frame exporter's socket, if the guest was made with `frameExport`. */
  readonly framesSocket: string;
  /** From the start of QEMU until the guest could run a command, in seconds. */
  readonly bootSeconds: number;
  readonly pid: number;
  readonly #qemu: QemuProcess;
  readonly #channel: ControlChannel;
  readonly #directory: string;
  #closed = false;

  private constructor(parts: {
    qemu: QemuProcess;
    qmp: Qmp;
    channel: ControlChannel;
    directory: string;
    bootSeconds: number;
  }) {
    this.#qemu = parts.qemu;
    this.qmp = parts.qmp;
    this.#channel = parts.channel;
    this.#directory = parts.directory;
    this.bootSeconds = parts.bootSeconds;
    this.pid = parts.qemu.pid;
    this.qmpSocket = join(parts.directory, 'qmp');
    this.framesSocket = join(parts.directory, 'frames');
    this.qmp.on('RESET', () => this.#channel.reset());
    alive.add(this);
  }

  /**
   * Boots a guest and waits until it can run commands. Builds QEMU, the kernel and the image first, if
   * they are not there.
   *
   * @throws VmError `BAD_OPTION`, `BUILD_FAILED`, `QEMU_MISSING`, `QEMU_DIED` (with what QEMU said), or
   *   `BOOT_TIMEOUT` (with the end of the guest's console).
   */
  static async boot(options: GuestOptions = {}): Promise<Guest> {
    const {
      gpu = '2d',
      heads = 1,
      kernel = KERNEL_VERSIONS[0] as KernelVersion,
      accel = 'tcg',
      memory = 2048,
      bootSeconds = DEFAULT_BOOT_SECONDS,
      progress = () => undefined,
    } = options;
    if (!Number.isInteger(heads) || heads < 1 || heads > MAX_HEADS) {
      throw new VmError('BAD_OPTION', `${heads} heads: a virtio-gpu device has 1 to ${MAX_HEADS}`);
    }
    const binary = await qemuBinary(progress);
    const boot = await buildKernel(kernel, progress);
    const image = await buildImage(progress);
    const directory = await mkdtemp(join(tmpdir(), 'scanbridge-vm-'));
    const device = gpu === 'gl' ? 'virtio-gpu-gl-pci' : 'virtio-gpu-pci';
    // With ERMS or FSRM Linux copies by "rep movsb", which TCG executes byte by byte: copies take three times as long.
    const cpu = accel === 'tcg' ? 'max,-erms,-fsrm' : 'max';
    const args = [
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-machine', 'q35', '-cpu', cpu],
      ...['-accel', accel === 'tcg' ? 'tcg,thread=multi' : accel],
      ...['-smp', '2', '-m', `${memory}M`],
      ...['-display', gpu === 'gl' ? 'sdl,gl=on' : 'none'],
      ...['-device', `${device},id=${GPU_ID},max_outputs=${heads}`],
      ...['-device', 'virtio-rng-pci'],
      ...['-drive', `id=root,if=none,file=${image},format=raw,snapshot=on,cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=root'],
      ...['-serial', `file:${join(directory, 'console')}`],
      ...['-qmp', `unix:${join(directory, 'qmp')},server=on,wait=off`],
      ...['-kernel', boot.kernel, '-initrd', boot.initramfs],
      '-append',
      KERNEL_ARGUMENTS.join(' '),
      ...(options.frameExport
        ? ['-object', `frame-export,id=frames0,path=${join(directory, 'frames')},device=${GPU_ID}`]
        : []),
      ...(options.qemuArgs ?? []),
    ];

    const started = performance.now();
    // QEMU makes the overlay of a snapshot there, and leaves it behind if it is killed before it has opened it.
    const environment = {
      TMPDIR: directory,
      ...(gpu === 'gl' && { SDL_VIDEODRIVER: 'offscreen' }),
    };
    const booted = new AbortController();
    let qemu: QemuProcess | undefined;
    const abandon = () => {
      qemu?.kill();
      rmSync(directory, { recursive: true, force: true });
    };
    booting.add(abandon);
    try {
      qemu = await QemuProcess.start(binary, args, environment);
      const died = qemu.ended.then(
        async (words) => new VmError('QEMU_DIED', `${words}${await consoleTail(directory)}`),
      );
      const channel = new ControlChannel(qemu.control, (what) =>
        // Its end is what one sees first of a QEMU that dies, and says least.
        Promise.race([died, delay(1000, new VmError('CHANNEL_BROKEN', what))]),
      );
      const ready = once(channel, 'hello');
      const late = delay(bootSeconds * 1000, undefined, { signal: booted.signal }).then(
        async () => {
          const text = `the guest was not ready after ${bootSeconds} s`;
          return new VmError('BOOT_TIMEOUT', `${text}${await consoleTail(directory)}`);
        },
      );
      const failure = Promise.race([died, late]).then((error): never => {
        throw error;
      });
      failure.catch(() => undefined);
      // A QEMU that dies closes its connections first; how it died says more.
      const connected = Qmp.open(qemu.monitor).catch(() => failure);
      const qmp = await Promise.race([connected, failure]);
      await Promise.race([ready, failure]);
      // Until here a panic ends QEMU, which is clearer than a guest that boots for ever.
      await qmp.execute('set-action', { reboot: 'reset' });
      const took = (performance.now() - started) / 1000;
      return new Guest({ qemu, qmp, channel, directory, bootSeconds: took });
    } catch (error) {
      qemu?.kill();
      await qemu?.ended;
      await rm(directory, { recursive: true, force: true });
      throw error;
    } finally {
      booting.delete(abandon);
      booted.abort();
    }
  }

  /**
   * Runs a command to its end. Several may run at the same time.
   *
   * It ends when the command itself ends; what it left running in the background goes on, but
   * without its output.
   *
   * @throws VmError `EXEC_FAILED` (with errno) if the command could not be started, `EXEC_TIMEOUT`,
   *   `GUEST_RESET`, `QEMU_DIED`.
   */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const stdout = collect(DEFAULT_OUTPUT_LIMIT);
    const stderr = collect(DEFAULT_OUTPUT_LIMIT);
    const process = await this.#channel.start({
      argv,
      directory: options.directory ?? '/root',
      environment: options.environment ?? {},
      terminal: options.terminal,
      stdout: options.onStdout ?? stdout.sink,
      stderr: options.onStderr ?? stderr.sink,
    });
    const input = feed(process, options.stdin);
    const exit = await this.#withTimeout(process, options.timeoutSeconds);
    await input;
    return { ...exit, stdout: stdout.take(), stderr: stderr.take() };
  }

  /**
   * Starts a command that the caller drives: its input, its terminal's size, its signals. Most callers
   * want {@link exec}.
   */
  start(argv: readonly string[], options: Omit<ExecOptions, 'stdin' | 'timeoutSeconds'> = {}) {
    const ignore = () => undefined;
    return this.#channel.start({
      argv,
      directory: options.directory ?? '/root',
      environment: options.environment ?? {},
      terminal: options.terminal,
      stdout: options.onStdout ?? ignore,
      stderr: options.onStderr ?? ignore,
    });
  }

  /** Copies files and folders of the host into an existing folder of the guest, as root's. */
  async copyIn(paths: readonly string[], directory = '/root'): Promise<void> {
    const args = paths.flatMap((path) => ['-C', dirname(resolve(path)), basename(resolve(path))]);
    const archive = spawn('tar', ['-c', '--owner=0', '--group=0', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await this.#pipe(archive, 'tar', async () => {
      const { status, stderr } = await this.exec(['tar', '-x', '-C', directory], {
        stdin: archive.stdout as Readable,
      });
      return status === 0 ? undefined : stderr.toString();
    });
  }

  /** Copies a file or folder of the guest into an existing folder of the host. */
  async copyOut(path: string, directory: string): Promise<void> {
    const archive = spawn('tar', ['-x', '-C', directory, '--no-same-owner'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const input = archive.stdin;
    input?.on('error', () => undefined); // tar's status and words tell more
    await this.#pipe(archive, 'tar', async () => {
      const { status, stderr } = await this.exec(
        ['tar', '-c', '-C', dirname(path), basename(path)],
        {
          onStdout: async (chunk) => {
            if (!input?.write(Buffer.from(chunk)) && !input?.destroyed) {
              await Promise.race([
                once(input as NodeJS.WritableStream, 'drain'),
                once(archive, 'close'),
              ]);
            }
          },
        },
      );
      input?.end();
      return status === 0 ? undefined : stderr.toString();
    });
  }

  async #pipe(
    host: ChildProcess,
    name: string,
    guest: () => Promise<string | undefined>,
  ): Promise<void> {
    let words = '';
    host.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words += text;
    });
    const ended = once(host, 'close');
    try {
      const guestWords = await guest();
      const [status] = await ended;
      if (guestWords !== undefined || status !== 0) {
        const text = `copying failed: ${guestWords ?? ''}${words}`.trim();
        throw new VmError('EXEC_FAILED', `${text} (${name} on the host ended with ${status})`);
      }
    } finally {
      host.kill();
    }
  }

  async #withTimeout(process: GuestProcess, seconds: number | undefined): Promise<GuestExit> {
    if (seconds === undefined) {
      return process.exit;
    }
    let late = false;
    let giveUp: NodeJS.Timeout | undefined;
    const name = `"${process.command.argv.join(' ')}"`;
    const timer = setTimeout(() => {
      late = true;
      process.kill(SIGKILL).catch(() => undefined);
      giveUp = setTimeout(() => {
        const text = `${name} ran longer than ${seconds} s and did not die: the guest hangs, QEMU was killed`;
        this.#channel.close(new VmError('EXEC_TIMEOUT', text));
        this.killNow();
      }, KILL_SECONDS * 1000);
    }, seconds * 1000);
    try {
      const exit = await process.exit;
      if (late) {
        throw new VmError('EXEC_TIMEOUT', `${name} ran longer than ${seconds} s and was killed`);
      }
      return exit;
    } finally {
      clearTimeout(timer);
      clearTimeout(giveUp);
    }
  }

  /**
   * What a head shows, as QEMU itself sees it: the oracle for exported frames.
   *
   * @throws VmError `QMP_FAILED` if the head has no picture.
   */
  async screendump(head: number): Promise<Picture> {
    const filename = join(this.#directory, `screendump-${head}-${Math.random()}`);
    try {
      await this.qmp.execute('screendump', { filename, device: GPU_ID, head, format: 'ppm' });
      return parseScreendump(await readFile(filename));
    } finally {
      await rm(filename, { force: true });
    }
  }

  /** Resets the guest as its reset button would, and waits until it has booted again. */
  async reset(): Promise<void> {
    const ready = this.ready();
    await this.qmp.execute('system_reset');
    await ready;
  }

  /** Waits until the guest is ready once more, after a reset from wherever. */
  ready(): Promise<void> {
    const signal = AbortSignal.timeout(DEFAULT_BOOT_SECONDS * 1000);
    return once(this.#channel, 'hello', { signal }).then(
      () => undefined,
      async (cause) => {
        const text = `the guest did not come back from a reset${await this.#consoleTail()}`;
        throw new VmError('BOOT_TIMEOUT', text, { cause });
      },
    );
  }

  /** What the guest's kernel and our init have printed on the serial console. */
  async console(): Promise<string> {
    return readFile(join(this.#directory, 'console'), 'utf8').catch(() => '');
  }

  #consoleTail(): Promise<string> {
    return consoleTail(this.#directory);
  }

  /** Ends the guest and removes everything that it left on the host. */
  async close(): Promise<void> {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#channel.close(new VmError('GUEST_CLOSED', 'the guest was closed'));
    this.#qemu.kill();
    await this.#qemu.ended;
    alive.delete(this);
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** {@link close} for where nothing can be awaited. */
  killNow(): void {
    alive.delete(this);
    this.#qemu.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function consoleTail(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'console'), 'utf8').catch(() => '');
  return text.trim() === '' ? '' : `\nguest console:\n${text.slice(-CONSOLE_TAIL).trimEnd()}`;
}

async function feed(
  process: GuestProcess,
  input: Buffer | string | Readable | undefined,
): Promise<void> {
  if (typeof input === 'string' || Buffer.isBuffer(input)) {
    await process.write(Buffer.from(input));
  } else if (input) {
    // A command that ends early must not wait for an input that never ends.
    const stop = () => input.destroy();
    process.exit.then(stop, stop);
    try {
      for await (const chunk of input) {
        await process.write(Buffer.from(chunk));
      }
    } catch (error) {
      if (!input.destroyed) {
        throw error;
      }
    }
  }
  await process.end().catch(() => undefined);
}
