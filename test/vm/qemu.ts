import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { VmError } from './error.js';
import type { Progress } from './host-command.js';

/** The script that builds QEMU, seen from test/dist/vm. */
const BUILD_SCRIPT = fileURLToPath(new URL('../../../qemu-patches/build.sh', import.meta.url));

/** How much of QEMU's output an error shows. */
const STDERR_TAIL = 8192;

async function readable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * The patched QEMU: the one that SCANBRIDGE_QEMU names, or the one that qemu-patches/build.sh builds
 * (minutes the first time, a second later).
 *
 * @throws VmError `QEMU_MISSING`.
 */
export async function qemuBinary(progress: Progress): Promise<string> {
  const given = process.env.SCANBRIDGE_QEMU;
  if (given !== undefined) {
    if (!(await readable(given))) {
      throw new VmError('QEMU_MISSING', `SCANBRIDGE_QEMU names ${given}, which is not there`);
    }
    return given;
  }
  if (!(await readable(BUILD_SCRIPT))) {
    throw new VmError('QEMU_MISSING', `there is no ${BUILD_SCRIPT}; set SCANBRIDGE_QEMU to a QEMU`);
  }
  const child = spawn(BUILD_SCRIPT, [], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let tail = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  let line = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-STDERR_TAIL);
    line += text;
    const lines = line.split('\n');
    line = lines.pop() as string;
    for (const whole of lines) {
      progress(whole);
    }
  });
  const [status] = await once(child, 'close');
  const path = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (status !== 0 || !(await readable(path))) {
    const text = `qemu-patches/build.sh failed with status ${status}:\n${tail}\n${stdout.slice(-STDERR_TAIL)}`;
    throw new VmError('QEMU_MISSING', text.trimEnd());
  }
  return path;
}

/** A QEMU process with two private connections: its QMP monitor, and the guest's control channel. */
export class QemuProcess {
  readonly monitor: Duplex;
  readonly control: Duplex;
  readonly pid: number;
  /** Resolves with QEMU's last words when it is gone. Never rejects. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #gone = false;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.pid = pid;
    // Node makes these pipes as connected pairs of Unix sockets: no path, no race, no one else.
    this.monitor = child.stdio[3] as Duplex;
    this.control = child.stdio[4] as Duplex;
    let tail = '';
    const keep = (text: string) => {
      tail = (tail + text).slice(-STDERR_TAIL);
    };
    child.stdout?.setEncoding('utf8').on('data', keep);
    child.stderr?.setEncoding('utf8').on('data', keep);
    this.ended = once(child, 'close').then(([status, signal]) => {
      this.#gone = true;
      const how = signal ? `was ended by ${signal}` : `ended with status ${status}`;
      return `QEMU ${how}${tail.trim() === '' ? '' : `:\n${tail.trimEnd()}`}`;
    });
  }

  /**
   * Starts QEMU.
   *
   * @param args what describes the machine; the two connections are added.
   * @throws VmError `QEMU_MISSING` if the binary cannot be run.
   */
  static async start(
    binary: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Promise<QemuProcess> {
    const child = spawn(
      binary,
      [
        ...['-chardev', 'socket,id=monitor,fd=3', '-mon', 'chardev=monitor,mode=control'],
        ...['-chardev', 'socket,id=control,fd=4'],
        ...['-device', 'virtio-serial-pci,id=serial0,max_ports=4'],
        ...['-device', 'virtserialport,chardev=control,name=scanbridge.control,bus=serial0.0'],
        ...args,
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
        env: { ...process.env, ...environment },
      },
    );
    const pid = child.pid;
    if (pid === undefined) {
      const [cause] = await once(child, 'error');
      throw new VmError('QEMU_MISSING', `cannot run ${binary}: ${cause.message}`, { cause });
    }
    return new QemuProcess(child, pid);
  }

  /** Ends QEMU at once. The guest gets no chance to write anything, and has nothing worth writing. */
  kill(): void {
    if (!this.#gone) {
      this.#child.kill('SIGKILL');
    }
  }
}
