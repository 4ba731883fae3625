// The real parts that tests run against, each in a runtime folder of its own and gone when the test is.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const packageFolder = dirname(
  createRequire(import.meta.url).resolve('@scanbridge/native-guest/package.json'),
);

/** A program that tells what it does as JSON lines, and is kept waiting for by what it says. */
export class Teller<Line extends { [key: string]: unknown }> {
  readonly lines: Line[] = [];
  readonly process: ChildProcessWithoutNullStreams;
  #changed: (() => void)[] = [];
  #taken = 0;

  constructor(command: string, args: string[], env: NodeJS.ProcessEnv) {
    this.process = spawn(command, args, { env, stdio: 'pipe' });
    this.process.stdin.on('error', () => {});
    this.process.stderr.pipe(process.stderr, { end: false });
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      for (const wake of this.#changed.splice(0)) wake();
    });
  }

  say(line: string): void {
    this.process.stdin.write(`${line}\n`);
  }

  /** The next line, after those that were taken before, for which `test` is true. */
  async next(test: (line: Line) => boolean, timeout = 10_000): Promise<Line> {
    const end = Date.now() + timeout;
    for (;;) {
      while (this.#taken < this.lines.length) {
        const line = this.lines[this.#taken++] as Line;
        if (test(line)) return line;
      }
      const left = end - Date.now();
      if (left <= 0) {
        throw new Error(`nothing like that was said; all lines: ${JSON.stringify(this.lines)}`);
      }
      await Promise.race([
        new Promise<void>((resolve) => this.#changed.push(resolve)),
        sleep(left, undefined, { ref: false }),
      ]);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill(signal);
    await gone;
  }
}

export type ProducerLine = { event: string; [key: string]: unknown };
export type ProbeLine = {
  type: string;
  sequence: number;
  painted: number;
  surface: number;
  damage: number[][];
  [key: string]: unknown;
};

export type PortalLine = { event: string; [key: string]: unknown };

export interface Portal {
  readonly front: Teller<never>;
  readonly backend: Teller<PortalLine>;
}

/** Starts no services: a portal, for one, would have a file system mounted into the runtime folder. */
const BUS_CONFIG = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/nonexistent</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

const PORTAL_NAME = 'org.freedesktop.portal.Desktop';
const PORTAL_FILE = `[portal]
DBusName=org.freedesktop.impl.portal.desktop.scanbridge
Interfaces=org.freedesktop.impl.portal.ScreenCast;
UseIn=scanbridge
`;

/** A message bus, PipeWire and WirePlumber of the test's own. */
export class Desktop {
  readonly #services: Teller<never>[] = [];

  private constructor(
    readonly folder: string,
    readonly env: NodeJS.ProcessEnv,
  ) {}

  static async start(): Promise<Desktop> {
    const folder = await mkdtemp(join(tmpdir(), 'sb-'));
    const desktop = new Desktop(folder, {
      PATH: process.env.PATH,
      HOME: folder,
      XDG_RUNTIME_DIR: folder,
      XDG_CONFIG_HOME: join(folder, 'config'),
      XDG_STATE_HOME: join(folder, 'state'),
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/bus`,
      DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${folder}/bus`,
      GSETTINGS_BACKEND: 'memory',
      LIBGL_ALWAYS_SOFTWARE: '1',
    });
    const bus = join(folder, 'bus.conf');
    await writeFile(bus, BUS_CONFIG);
    desktop.#run('dbus-daemon', [
      '--nofork',
      `--config-file=${bus}`,
      `--address=${desktop.busAddress}`,
    ]);
    await appears(join(folder, 'bus'));
    await desktop.startPipeWire();
    return desktop;
  }

  get busAddress(): string {
    return `unix:path=${this.folder}/bus`;
  }

  /** For CaptureOptions.remote. */
  get remote(): string {
    return join(this.folder, 'pipewire-0');
  }

  #pipewire: Teller<never>[] = [];

  async startPipeWire(): Promise<void> {
    const daemon = this.#run('pipewire', []);
    await appears(this.remote);
    this.#pipewire = [daemon, this.#run('wireplumber', [])];
    // WirePlumber is ready when it has told PipeWire its name.
    const deadline = Date.now() + 10_000;
    while (!(await this.#says('pw-cli', ['ls', 'Client'])).includes('WirePlumber')) {
      if (Date.now() > deadline) throw new Error('WirePlumber did not start');
      await sleep(50);
    }
  }

  async killPipeWire(): Promise<void> {
    await Promise.all(this.#pipewire.splice(0).map((service) => service.stop('SIGKILL')));
  }

  /** The fake producer, and its node. */
  async producer(...args: string[]): Promise<{ teller: Teller<ProducerLine>; node: number }> {
    const teller = new Teller<ProducerLine>(tool('dmabuf-producer'), args, this.env);
    this.#services.push(teller as unknown as Teller<never>);
    const line = await teller.next((l) => l.event === 'state' && l.state === 'paused');
    return { teller, node: line.node as number };
  }

  probe(socket: string, capture: number, ...args: string[]): Teller<ProbeLine> {
    const probe = new Teller<ProbeLine>(
      tool('surface-probe'),
      [socket, String(capture), ...args],
      this.env,
    );
    this.#services.push(probe as unknown as Teller<never>);
    return probe;
  }

  /** Starts any other program of the desktop. */
  run(command: string, ...args: string[]): Teller<never> {
    return this.#run(command, args);
  }

  /** The fake portal backend, which casts `node`; and the real portal in front of it, which is returned. */
  async portal(node: number, ...args: string[]): Promise<Portal> {
    const folder = join(this.folder, 'portals');
    await mkdir(folder);
    await writeFile(join(folder, 'scanbridge.portal'), PORTAL_FILE);
    const backend = new Teller<PortalLine>(
      tool('portal-backend'),
      [String(node), ...args],
      this.env,
    );
    this.#services.push(backend as unknown as Teller<never>);
    await backend.next((l) => l.event === 'ready');
    const front = this.run(
      'env',
      ...[`XDG_DESKTOP_PORTAL_DIR=${folder}`, 'XDG_CURRENT_DESKTOP=scanbridge'],
      '/usr/libexec/xdg-desktop-portal',
    );
    await this.#says('gdbus', ['wait', '--session', '--timeout=20', PORTAL_NAME]);
    return { front, backend };
  }

  async stop(): Promise<void> {
    for (const service of this.#services.reverse()) await service.stop('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  #run(command: string, args: string[]): Teller<never> {
    const service = new Teller<never>(
      'sh',
      ['-c', 'exec "$0" "$@" >/dev/null 2>&1', command, ...args],
      {
        ...this.env,
      },
    );
    this.#services.push(service);
    return service;
  }

  async #says(command: string, args: string[]): Promise<string> {
    const child = spawn(command, args, { env: this.env, stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await once(child, 'close');
    return text;
  }
}

function tool(name: string): string {
  return join(packageFolder, 'build', 'Release', name);
}

async function appears(path: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      await access(path);
      return;
    } catch {
      if (Date.now() > deadline) throw new Error(`${path} did not appear`);
      await sleep(20);
    }
  }
}
