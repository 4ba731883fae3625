// Compositors in a guest, each on a lease, each as a user of its own.
import type { Lease } from '@scanbridge/agent/leases';
import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';

const SIGKILL = 9;

/** A colour that a desktop is filled with: red, green, blue. */
export type Colour = readonly [number, number, number];

/** A compositor that runs. */
export class Compositor {
  private constructor(
    readonly lease: Lease,
    readonly process: GuestProcess,
    private readonly take: () => string,
  ) {}

  /**
   * Starts a program on a lease, as the lease's user and with no rights but that user's.
   *
   * @param program what a shell runs; $XDG_RUNTIME_DIR is a private folder
   */
  static async start(guest: Guest, lease: Lease, program: string): Promise<Compositor> {
    const { uid, gid, environment } = lease;
    const runtime = `/run/user/${lease.id}`;
    await guest.exec(['install', '-d', '-m', '0700', '-o', `${uid}`, '-g', `${gid}`, runtime]);
    let words = '';
    const keep = (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-16_384);
    };
    const argv = [
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      '--no-new-privs',
    ];
    const process = await guest.start([...argv, 'sh', '-c', program], {
      environment: {
        ...environment,
        XDG_RUNTIME_DIR: runtime,
        HOME: runtime,
        WLR_RENDERER: 'pixman',
      },
      directory: '/',
      onStdout: keep,
      onStderr: keep,
    });
    return new Compositor(lease, process, () => words);
  }

  /** What it has said so far. */
  said(): string {
    return this.take();
  }

  /** Ends it and all that it started, at once. */
  async kill(): Promise<void> {
    await this.process.kill(SIGKILL);
    await this.process.exit;
  }

  /** Rejects when it ends; for races with what is waited for. */
  async ended(): Promise<never> {
    const { status } = await this.process.exit;
    throw new VmError('EXEC_FAILED', `a compositor ended with ${status}:\n${this.take()}`);
  }
}
