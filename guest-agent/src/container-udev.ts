// What a container lacks of udev: the properties of its lease's devices, and the word that its display has changed. Without
// them a compositor there finds no input devices, and does not notice that its display got another size.
import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { announceProgram } from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import type { Lease } from './leases/index.js';

/** Folder in the lease's own that a container sees as /run/udev. */
export const UDEV_FOLDER = 'udev';
const DATABASE = '/run/udev/data';
/** udev has looked at a device that was just made within this time [ms]; one that is not there has no properties. */
const SETTLE_LIMIT = 1000;
const SETTLE_INTERVAL = 20;
const ANNOUNCE_LIMIT = 2000;

const run = promisify(execFile);

/** Keeps the containers' view of udev. */
export class ContainerUdev {
  /** udev counts its messages; ours are none of its numbers. */
  #sequence = 1;

  constructor(private readonly log: Logger) {}

  /** Makes the folder of a new lease. A VM without udev has nothing to show, which is no failure. */
  async prepare(lease: Lease): Promise<void> {
    const folder = join(lease.directory, UDEV_FOLDER);
    await mkdir(join(folder, 'data'), { recursive: true, mode: 0o755 });
    // libudev listens only where it sees that there is a udev.
    await writeFile(join(folder, 'control'), '');
    const nodes = [lease.card, ...(lease.renderNode ? [lease.renderNode] : []), ...lease.inputs];
    await Promise.all(nodes.map((node) => copyProperties(node, join(folder, 'data'))));
  }

  /** Resolves when the compositor on a lease has been told that its display is another one; the log says why not. */
  async announce({ id, card, holder }: Lease): Promise<void> {
    if (!holder) return;
    try {
      const properties = await changeOf(card, this.#sequence++);
      await run(announceProgram, [String(holder.pid), ...properties], { timeout: ANNOUNCE_LIMIT });
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      const reason = (stderr || message).trim();
      this.log.warn({ lease: id }, `its compositor does not learn of its new size: ${reason}`);
    }
  }
}

/** What udev says when a card's connectors have changed. */
async function changeOf(card: string, sequence: number): Promise<string[]> {
  const path = realpathSync(`/sys/class/drm/${basename(card)}`);
  const facts = (await readFile(`${path}/uevent`, 'utf8')).trim().split('\n');
  return [
    ...['ACTION=change', `DEVPATH=${path.replace(/^\/sys/, '')}`, 'SUBSYSTEM=drm', 'HOTPLUG=1'],
    // MAJOR, MINOR, DEVTYPE; the kernel has the name without its folder.
    ...facts.filter((fact) => /^(MAJOR|MINOR|DEVTYPE)=/.test(fact)),
    ...[`DEVNAME=${card}`, `SEQNUM=${sequence}`, 'USEC_INITIALIZED=1'],
  ];
}

/** Copies what udev knows of a character device. */
async function copyProperties(node: string, to: string): Promise<void> {
  const { rdev } = await stat(node);
  // As gnu_dev_major(3) has it, without the bits of numbers that no such device has.
  const name = `c${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
  for (let waited = 0; waited <= SETTLE_LIMIT; waited += SETTLE_INTERVAL) {
    const copied = await copyFile(join(DATABASE, name), join(to, name)).then(
      () => true,
      () => false,
    );
    if (copied) return;
    if (!(await stat(DATABASE).catch(() => undefined))) return;
    await sleep(SETTLE_INTERVAL);
  }
}
