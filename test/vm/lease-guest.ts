// What leases.ts runs in the guest: a lease manager that is driven by JSON lines.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { type LeaseEvents, LeaseManager, type ScanoutMode } from '@scanbridge/agent/leases';

type Command =
  | { serial: number; call: 'allocate' | 'resize' | 'release' | 'input'; args: unknown[] }
  | { serial: number; call: 'list' | 'scanouts' | 'descriptors' | 'cycle'; args: unknown[] }
  | { configured: number; error?: string };

const tell = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

const asked = new Map<number, (error: string | undefined) => void>();
let serial = 0;

const host = {
  configure(device: number, scanout: number, mode: ScanoutMode | null): Promise<void> {
    return new Promise((resolve, reject) => {
      const configure = ++serial;
      asked.set(configure, (error) => (error === undefined ? resolve() : reject(new Error(error))));
      tell({ configure, device, scanout, mode });
    });
  },
};

const write = (level: string) => (context: unknown, text?: string) =>
  process.stderr.write(`${level} ${text ?? ''} ${JSON.stringify(context)}\n`);
const log = {
  ...{ trace: write('trace'), debug: write('debug'), info: write('info') },
  ...{ warn: write('warn'), error: write('error'), fatal: write('fatal') },
} as unknown as Parameters<typeof LeaseManager.open>[0]['log'];

const manager = await LeaseManager.open({ host, log });
manager.on('created', (lease) => tell({ event: 'created', lease }));
manager.on('changed', (lease) => tell({ event: 'changed', lease }));
manager.on('released', (lease, reason) => tell({ event: 'released', lease, reason }));

async function call(command: Exclude<Command, { configured: number }>): Promise<unknown> {
  const args = command.args as never[];
  switch (command.call) {
    case 'descriptors':
      return readdirSync('/proc/self/fd').length;
    case 'cycle':
      return await cycle();
    default:
      return await (manager[command.call] as (...args: never[]) => unknown)(...args);
  }
}

/** What a client of seatd sends: open-seat, and open-device with this path. */
function seatRequests(path: string): Buffer {
  const text = Buffer.from(`${path}\0`);
  const bytes = Buffer.alloc(10 + text.length);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(3, 4);
  bytes.writeUInt16LE(2 + text.length, 6);
  bytes.writeUInt16LE(text.length, 8);
  text.copy(bytes, 10);
  return bytes;
}

/** A lease from its request to its end, with a holder that takes the kernel's lease and dies; how long both took [ms]. */
async function cycle(): Promise<{ allocate: number; end: number }> {
  const started = performance.now();
  const lease = await manager.allocate({ owner: 'cycle', width: 800, height: 600 });
  const allocated = performance.now();
  const seat = createConnection(`${lease.directory}/seat`);
  await once(seat, 'connect');
  const active = new Promise<void>((resolve) => {
    const onChanged = (changed: LeaseEvents['changed'][0]) => {
      if (changed.id !== lease.id || changed.state !== 'active') return;
      manager.off('changed', onChanged);
      resolve();
    };
    manager.on('changed', onChanged);
  });
  seat.on('error', () => undefined);
  seat.write(seatRequests(lease.card));
  await active;
  const before = performance.now();
  const released = once(manager, 'released');
  seat.destroy();
  await released;
  // Free again when the display is gone.
  while (
    manager.scanouts().some(({ scanout, connected }) => scanout === lease.scanout && connected)
  ) {
    await once(manager, 'scanouts');
  }
  return { allocate: allocated - started, end: performance.now() - before };
}

tell({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  if ('configured' in command) {
    asked.get(command.configured)?.(command.error);
    asked.delete(command.configured);
    continue;
  }
  call(command).then(
    (result) => tell({ serial: command.serial, result: result ?? null }),
    (error) =>
      tell({ serial: command.serial, error: { code: error.code, message: error.message } }),
  );
}
await manager.close();
