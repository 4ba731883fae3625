// A message bus, PipeWire, WirePlumber and Mutter of the test's own, each of which can be killed alone.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export class Session {
  readonly #running = new Set<ChildProcess>();
  readonly #env: NodeJS.ProcessEnv;
  #pipewire: ChildProcess[] = [];
  #mutter: ChildProcess | undefined;

  private constructor(readonly folder: string) {
    this.#env = {
      PATH: process.env.PATH,
      HOME: folder,
      XDG_RUNTIME_DIR: folder,
      DBUS_SESSION_BUS_ADDRESS: this.busAddress,
      DBUS_SYSTEM_BUS_ADDRESS: this.busAddress,
      GSETTINGS_BACKEND: 'memory',
      LIBGL_ALWAYS_SOFTWARE: '1',
    };
  }

  static async start(): Promise<Session> {
    const session = new Session(await mkdtemp(join(tmpdir(), 'sb-')));
    session.#run('dbus-daemon', ['--session', '--nofork', `--address=${session.busAddress}`]);
    await until(() => access(join(session.folder, 'bus')));
    await session.startPipeWire();
    return session;
  }

  get busAddress(): string {
    return `unix:path=${this.folder}/bus`;
  }

  get remote(): string {
    return join(this.folder, 'pipewire-0');
  }

  async startPipeWire(): Promise<void> {
    const daemon = this.#run('pipewire', []);
    await until(async () => {
      const { stdout } = await promisify(execFile)('pw-cli', ['info', '0'], { env: this.#env });
      if (!stdout.includes('pipewire')) throw new Error('PipeWire does not answer');
    });
    this.#pipewire = [daemon, this.#run('wireplumber', [])];
  }

  async killPipeWire(): Promise<void> {
    await Promise.all(this.#pipewire.splice(0).map((child) => this.#end(child)));
  }

  async startMutter(): Promise<void> {
    this.#mutter = this.#run('mutter', [
      '--headless',
      '--no-x11',
      '--wayland-display=wayland-test',
      '--virtual-monitor=640x480',
    ]);
  }

  async stopMutter(): Promise<void> {
    if (this.#mutter !== undefined) await this.#end(this.#mutter);
  }

  async stop(): Promise<void> {
    for (const child of [...this.#running].reverse()) await this.#end(child);
    await rm(this.folder, { recursive: true, force: true });
  }

  #run(command: string, args: string[]): ChildProcess {
    const child = spawn(command, args, { env: this.#env, stdio: 'ignore' });
    this.#running.add(child);
    return child;
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#running.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

/** Repeats `attempt` until it succeeds. */
async function until(attempt: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(30);
    }
  }
}
