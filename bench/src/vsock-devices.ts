// The vsock devices that the benchmark compares, both plugged into one guest.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DebianPackages } from '@scanbridge/test/vm/debian';
import { Guest } from '@scanbridge/test/vm/guest';
import type { Options } from './bench.js';

/** The port of the host that the guest's programs connect to. */
export const PORT = 1234;

const MEMORY_MIB = 1024;
/** Linux serves one virtio socket device at a time: which one, its driver is told. */
const DRIVER = '/sys/bus/virtio/drivers/vmw_vsock_virtio_transport';

/** The devices' names, and their places on the guest's PCI bus. */
export const DEVICES = { 'virtio-vsock-unix': '1a.0', 'vhost-device-vsock': '1b.0' } as const;

export type DeviceName = keyof typeof DEVICES;

/** Fetches Debian's package, if `directory` does not have it yet. */
async function vhostDeviceVsock(directory: string): Promise<string> {
  const binary = join(directory, 'tree/usr/bin/vhost-device-vsock');
  if (!existsSync(binary)) {
    const packages = await DebianPackages.open('sid', directory);
    await packages.unpack('vhost-device-vsock', join(directory, 'tree'));
  }
  return binary;
}

/** Waits until a process has made a socket. */
async function made(path: string, by: ChildProcess): Promise<void> {
  for (let i = 0; i < 200 && !existsSync(path); i++) {
    if (by.exitCode !== null) throw new Error(`${by.spawnfile} ended (${by.exitCode})`);
    await sleep(50);
  }
}

/** A guest with both devices, and for each the same service on the host. */
export class VsockGuest implements AsyncDisposable {
  readonly guest: Guest;
  readonly #processes: readonly ChildProcess[];

  private constructor(guest: Guest, processes: readonly ChildProcess[]) {
    this.guest = guest;
    this.#processes = processes;
  }

  /**
   * @param directory of this guest alone, for sockets.
   * @param shared a folder that guests share, for what is downloaded.
   * @param program `vsock`, compiled for the host.
   */
  static async boot(
    directory: string,
    shared: string,
    program: string,
    { progress }: Options,
  ): Promise<VsockGuest> {
    await mkdir(directory);
    const processes: ChildProcess[] = [];
    const start = (command: string, ...args: string[]) => {
      const child = spawn(command, args, { stdio: 'ignore', detached: true });
      processes.push(child);
      return child;
    };
    try {
      for (const name of Object.keys(DEVICES)) {
        const path = join(directory, `${name}_${PORT}`);
        await made(path, start(program, 'serve-unix', path));
      }
      const socket = join(directory, 'vhost-user');
      const base = (name: DeviceName) => join(directory, name);
      const daemon = start(
        await vhostDeviceVsock(shared),
        ...['--guest-cid', '4', '--socket', socket, '--uds-path', base('vhost-device-vsock')],
      );
      await made(socket, daemon);
      const unix = `guest-cid=3,path=${base('virtio-vsock-unix')},addr=${DEVICES['virtio-vsock-unix']}`;
      const memory = `memory-backend-memfd,id=memory,size=${MEMORY_MIB}M,share=on`;
      const guest = await Guest.boot({
        memory: MEMORY_MIB,
        qemuArgs: [
          ...['-object', memory, '-machine', 'memory-backend=memory'],
          ...['-device', `virtio-vsock-unix-pci,${unix}`],
          ...['-chardev', `socket,id=vsock,path=${socket}`],
          ...[
            '-device',
            `vhost-user-vsock-pci,chardev=vsock,addr=${DEVICES['vhost-device-vsock']}`,
          ],
        ],
        progress,
      });
      const vm = new VsockGuest(guest, processes);
      await vm.#shell('modprobe vmw_vsock_virtio_transport');
      return vm;
    } catch (error) {
      end(processes);
      throw error;
    }
  }

  async #shell(script: string): Promise<void> {
    const { status, stderr } = await this.guest.exec(['sh', '-c', script], { timeoutSeconds: 30 });
    if (status !== 0) throw new Error(`${script}: ${stderr}`);
  }

  /** Makes `name` the device behind the guest's AF_VSOCK. */
  async use(name: DeviceName): Promise<void> {
    const device = (place: string) => `$(ls /sys/bus/pci/devices/0000:00:${place} | grep ^virtio)`;
    const others = Object.values(DEVICES)
      .map((place) => `v=${device(place)}; [ ! -e ${DRIVER}/$v ] || echo $v > ${DRIVER}/unbind`)
      .join('; ');
    await this.#shell(`${others}; echo ${device(DEVICES[name])} > ${DRIVER}/bind`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.close();
    end(this.#processes);
  }
}

function end(processes: readonly ChildProcess[]): void {
  for (const { pid } of processes) {
    // With the children that serve a connection each.
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  }
}
