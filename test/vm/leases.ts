// A lease manager in a guest, driven from the host; the host's part, CONFIGURE_SCANOUT, is done here as a bridge does it.
import { EventEmitter, once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Lease, LeaseRequest, Scanout } from '@scanbridge/agent/leases';
import { SurfaceClient } from '@scanbridge/native-host-linux';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';

const SIGKILL = 9;
const GUEST_FOLDER = 'leases';

/** What a manager refused, as it came over. */
export class RefusedError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Said {
  ready?: true;
  serial?: number;
  result?: unknown;
  error?: { code: string; message: string };
  event?: 'created' | 'changed' | 'released';
  lease?: Lease;
  reason?: string;
  configure?: number;
  scanout?: number;
  mode?: { width: number; height: number; refresh: number } | null;
}

/** Puts the agent, as it was built here, into the guest (folder `leases` of root's home), and loads what input needs. */
export async function installAgent(guest: Guest): Promise<void> {
  await guest.exec(['modprobe', '-a', 'uinput', 'evdev']);
  // D-Bus wants users to have names.
  const users =
    'for i in $(seq 1001 1016); do echo "user$i:x:$i:$i::/:/bin/sh"; done >> /etc/passwd';
  await guest.exec(['sh', '-c', users]);
  const require = createRequire(import.meta.url);
  const stage = await mkdtemp(join(tmpdir(), 'scanbridge-agent-'));
  try {
    const packages: [name: string, parts: readonly string[]][] = [
      ['@scanbridge/agent', ['dist/src/leases', 'dist/src/seat']],
      [
        '@scanbridge/native-guest',
        [
          'dist/lib',
          'build/Release/scanbridge_lease.node',
          'build/Release/scanbridge-keeper',
          'build/Release/libscanbridge-buffers.so',
        ],
      ],
    ];
    const folder = join(stage, GUEST_FOLDER);
    for (const [name, parts] of packages) {
      const from = dirname(require.resolve(`${name}/package.json`));
      const to = join(folder, 'node_modules', name);
      for (const part of ['package.json', ...parts]) {
        await mkdir(dirname(join(to, part)), { recursive: true });
        await cp(join(from, part), join(to, part), { recursive: true });
      }
    }
    await cp(fileURLToPath(new URL('lease-guest.js', import.meta.url)), join(folder, 'guest.js'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await guest.copyIn([folder]);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** A lease manager in a guest with `frameExport`, and its host. */
export class GuestLeases
  extends EventEmitter<{ created: [Lease]; changed: [Lease]; released: [Lease, string] }>
  implements AsyncDisposable
{
  /** What the manager has written to its log. */
  log = '';
  readonly #client: SurfaceClient;
  #process: GuestProcess | undefined;
  #rest = '';
  #serial = 0;
  readonly #answers = new Map<number, (said: Said) => void>();
  #ready: (() => void) | undefined;

  private constructor(client: SurfaceClient) {
    super();
    this.setMaxListeners(0);
    this.#client = client;
  }

  /** Starts a manager in a guest that installAgent() has seen. */
  static async start(guest: Guest): Promise<GuestLeases> {
    const client = await SurfaceClient.connect(guest.framesSocket, { name: 'lease host' });
    const leases = new GuestLeases(client);
    await leases.restart(guest);
    return leases;
  }

  /** Starts the manager again, after kill(). */
  async restart(guest: Guest): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    this.#rest = '';
    this.#process = await guest.start(['node', `${GUEST_FOLDER}/guest.js`], {
      onStdout: (chunk) => this.#take(chunk.toString()),
      onStderr: (chunk) => {
        this.log = (this.log + chunk.toString()).slice(-65_536);
      },
    });
    const ended = this.#process.exit.then(({ status }) => {
      throw new VmError('EXEC_FAILED', `the lease manager ended with ${status}:\n${this.log}`);
    });
    ended.catch((error) => {
      for (const answer of this.#answers.values()) {
        answer({ error: { code: 'ENDED', message: error.message } });
      }
      this.#answers.clear();
    });
    await Promise.race([ready, ended]);
  }

  allocate(request: LeaseRequest): Promise<Lease> {
    return this.#call('allocate', request) as Promise<Lease>;
  }

  resize(id: string, mode: { width: number; height: number }): Promise<Lease> {
    return this.#call('resize', id, mode) as Promise<Lease>;
  }

  async release(id: string): Promise<void> {
    await this.#call('release', id);
  }

  /** What a viewer of the desktop on this lease does. */
  async input(id: string, events: readonly InputEvent[]): Promise<void> {
    await this.#call('input', id, events);
  }

  list(): Promise<Lease[]> {
    return this.#call('list') as Promise<Lease[]>;
  }

  scanouts(): Promise<Scanout[]> {
    return this.#call('scanouts') as Promise<Scanout[]>;
  }

  /** How many the manager has open. */
  descriptors(): Promise<number> {
    return this.#call('descriptors') as Promise<number>;
  }

  /** A lease, taken by a holder that dies, until its scanout is free again; how long both took in the guest [ms]. */
  cycle(): Promise<{ allocate: number; end: number }> {
    return this.#call('cycle') as Promise<{ allocate: number; end: number }>;
  }

  /** Resolves when this lease is as wanted; it may be so already. */
  async until(id: string, wanted: (lease: Lease) => boolean): Promise<Lease> {
    const now = (await this.list()).find((lease) => lease.id === id);
    if (now !== undefined && wanted(now)) return now;
    for (;;) {
      const [lease] = (await once(this, 'changed')) as [Lease];
      if (lease.id === id && wanted(lease)) return lease;
    }
  }

  /** Resolves when this lease is over. */
  async gone(id: string): Promise<void> {
    for (;;) {
      const [lease] = (await once(this, 'released')) as [Lease];
      if (lease.id === id) return;
    }
  }

  /** Ends the manager as a crash would. */
  async kill(): Promise<void> {
    await this.#process?.kill(SIGKILL);
    await this.#process?.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.end().catch(() => undefined);
    await this.#process?.exit.catch(() => undefined);
    await this.#client.close();
  }

  async #call(call: string, ...args: unknown[]): Promise<unknown> {
    const serial = ++this.#serial;
    const answer = new Promise<Said>((resolve) => this.#answers.set(serial, resolve));
    await this.#say({ serial, call, args });
    const { result, error } = await answer;
    if (error !== undefined) throw new RefusedError(error.code, error.message);
    return result;
  }

  async #say(value: unknown): Promise<void> {
    await this.#process?.write(Buffer.from(`${JSON.stringify(value)}\n`));
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#handle(JSON.parse(line) as Said);
  }

  #handle(said: Said): void {
    if (said.ready) this.#ready?.();
    if (said.configure !== undefined) void this.#configure(said);
    if (said.serial !== undefined) {
      this.#answers.get(said.serial)?.(said);
      this.#answers.delete(said.serial);
    }
    const { event, lease, reason = '' } = said;
    if (lease === undefined || event === undefined) return;
    if (event === 'released') this.emit('released', lease, reason);
    else this.emit(event, lease);
  }

  async #configure({ configure, scanout = 0, mode = null }: Said): Promise<void> {
    try {
      await this.#client.configureScanout(scanout, mode);
      await this.#say({ configured: configure });
    } catch (error) {
      await this.#say({ configured: configure, error: (error as Error).message });
    }
  }
}
