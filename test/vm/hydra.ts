// A container manager in a guest: the agent's lease daemon, its client, and rootless podman.
import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Lease, LeaseEvent, LeaseRequest, Scanout } from '@scanbridge/hydra';
import { AGENT_FOLDER, installAgentPackage } from './agent-package.js';
import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';

/** Whose containers they are: a user without any rights. */
export const USER = { name: 'hydra', uid: 1000 } as const;
/** A read-only view of the guest's own system, as the containers' image. */
const ROOTFS = '/srv/rootfs';
const SIGTERM = 15;

/** What the agent refused. */
export class HydraRefusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Said {
  serial?: number;
  result?: unknown;
  error?: { code: string; message: string };
  event?: LeaseEvent;
  ended?: string;
}

/** A process of the guest whose lines are read. */
class LineProcess {
  said = '';
  #rest = '';
  process: GuestProcess | undefined;

  constructor(private readonly line: (line: string) => void) {}

  async start(guest: Guest, argv: readonly string[], environment = {}): Promise<void> {
    this.process = await guest.start(argv, {
      environment,
      onStdout: (chunk) => {
        const lines = (this.#rest + chunk.toString()).split('\n');
        this.#rest = lines.pop() as string;
        for (const line of lines) this.line(line);
      },
      onStderr: (chunk) => {
        this.said = (this.said + chunk.toString()).slice(-65_536);
      },
    });
  }
}

/** Makes what a newcomer's VM has already: a user with sub-ids, cgroups, an image. */
async function prepare(guest: Guest): Promise<void> {
  const script = [
    'set -e',
    'mount -t cgroup2 none /sys/fs/cgroup',
    // Rootless runtimes bind mounts into namespaces of their own.
    'mount --make-rshared /',
    `useradd -m -u ${USER.uid} ${USER.name}`,
    `install -d -m 0700 -o ${USER.uid} -g ${USER.uid} /run/user/${USER.uid}`,
    `mkdir ${ROOTFS}`,
    `mount --bind / ${ROOTFS}`,
    `mount -o remount,bind,ro ${ROOTFS}`,
    'modprobe -a vmw_vsock_virtio_transport uinput',
  ];
  const { status, stderr } = await guest.exec(['sh', '-c', script.join('\n')]);
  if (status !== 0) throw new VmError('EXEC_FAILED', `the guest has no containers: ${stderr}`);
}

/** Owns the daemon and its client in the guest. Emits 'event' for each event of the leases. */
export class Hydra extends EventEmitter<{ event: [LeaseEvent] }> implements AsyncDisposable {
  readonly #daemon = new LineProcess(() => undefined);
  readonly #client = new LineProcess((line) => this.#take(JSON.parse(line) as Said));
  readonly #answers = new Map<number, (said: Said) => void>();
  #serial = 0;
  /** By the containers. */
  #said = '';

  private constructor(private readonly guest: Guest) {
    super();
    this.setMaxListeners(0);
  }

  /** Starts both in a guest with virtio-vsock-unix; a bridge has to listen already, or soon. */
  static async start(guest: Guest): Promise<Hydra> {
    await Promise.all([prepare(guest), installAgentPackage(guest)]);
    const hydra = new Hydra(guest);
    await hydra.#start();
    return hydra;
  }

  async #start(): Promise<void> {
    await this.#daemon.start(this.guest, ['scanbridge-agent', 'leases']);
    const program = fileURLToPath(new URL('containers-guest.js', import.meta.url));
    await this.guest.copyIn([program], AGENT_FOLDER);
    const there = 'until [ -S /run/scanbridge/leases.sock ]; do sleep 0.1; done';
    const ready = this.guest.exec(['sh', '-c', there], { timeoutSeconds: 60 });
    const ended = this.#daemon.process?.exit.then(() => {
      throw new VmError('EXEC_FAILED', `scanbridge-agent leases ended:\n${this.log}`);
    });
    ended?.catch(() => undefined);
    await Promise.race([ready, ended]);
    await this.guest.exec(['sh', '-c', `echo '{"type":"module"}' > ${AGENT_FOLDER}/package.json`]);
    await this.#client.start(this.guest, ['node', `${AGENT_FOLDER}/containers-guest.js`]);
  }

  /** What the daemon and the containers have said. */
  get log(): string {
    return [this.#daemon.said, this.#client.said, this.#said].join('\n');
  }

  create(request: LeaseRequest): Promise<Lease> {
    return this.call('create', request) as Promise<Lease>;
  }

  list(): Promise<Lease[]> {
    return this.call('list') as Promise<Lease[]>;
  }

  scanouts(): Promise<Scanout[]> {
    return this.call('scanouts') as Promise<Scanout[]>;
  }

  /** A method of the client. @throws {HydraRefusal} what the agent said */
  async call(call: string, ...args: unknown[]): Promise<unknown> {
    const serial = ++this.#serial;
    const answer = new Promise<Said>((resolve) => this.#answers.set(serial, resolve));
    await this.#client.process?.write(Buffer.from(`${JSON.stringify({ serial, call, args })}\n`));
    const { result, error } = await answer;
    if (error !== undefined) throw new HydraRefusal(error.code, error.message);
    return result;
  }

  /** Resolves with the first event of this kind about this lease. */
  until(type: LeaseEvent['type'], lease: string): Promise<LeaseEvent> {
    return new Promise((resolve) => {
      const look = (event: LeaseEvent) => {
        if (event.type !== type || !('lease' in event) || event.lease.id !== lease) return;
        this.off('event', look);
        resolve(event);
      };
      this.on('event', look);
    });
  }

  /** Runs podman as the user. Settles when it ends. */
  async podman(...args: string[]) {
    const stderr: Buffer[] = [];
    const ended = await this.guest.exec(asUser('podman', ...args), {
      directory: '/',
      timeoutSeconds: 120,
      // Also for those that look on while it runs.
      onStderr: (chunk) => {
        stderr.push(Buffer.from(chunk));
        this.#said = (this.#said + chunk.toString()).slice(-16_384);
      },
    });
    return { ...ended, stderr: Buffer.concat(stderr) };
  }

  /** Starts a container on a lease; settles when it ends. */
  run(name: string, lease: Lease, script: string) {
    return this.podman(
      ...['run', '--rm', '--name', name, '--device', lease.cdi],
      // The guest has no systemd that would delegate a cgroup, and its image is read-only.
      ...['--cgroups=disabled', '--network=none', '--userns=keep-id'],
      ...['--read-only', '--read-only-tmpfs=false'],
      ...['--mount', 'type=tmpfs,dst=/run,notmpcopyup'],
      ...['--mount', 'type=tmpfs,dst=/tmp,tmpfs-mode=1777,notmpcopyup'],
      ...['--env', 'XDG_RUNTIME_DIR=/tmp', '--env', 'HOME=/tmp'],
      ...['--rootfs', ROOTFS, 'sh', '-c', script],
    );
  }

  /** Asks the daemon to end, and waits. */
  async stop(): Promise<number | undefined> {
    await this.#daemon.process?.kill(SIGTERM);
    return (await this.#daemon.process?.exit)?.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.process?.end().catch(() => undefined);
    await this.stop().catch(() => undefined);
  }

  #take(said: Said): void {
    if (said.event) this.emit('event', said.event);
    if (said.serial === undefined) return;
    this.#answers.get(said.serial)?.(said);
    this.#answers.delete(said.serial);
  }
}

/** A command as the containers' user, with nothing of root's environment. */
export function asUser(...argv: string[]): string[] {
  const { name, uid } = USER;
  const home = `/home/${name}`;
  const path = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
    ...['env', '-i', `HOME=${home}`, `USER=${name}`, `XDG_RUNTIME_DIR=/run/user/${uid}`],
    ...[`PATH=${path}`, ...argv],
  ];
}
