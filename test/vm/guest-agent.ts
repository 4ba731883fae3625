// The real agent in a guest: its packages as they were built here, on a disk of their own.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';
import { hostCommand } from './host-command.js';

const AGENT = '@scanbridge/agent';
/** Of our own packages a guest needs what was compiled, not the sources. */
const OWN = /^@scanbridge\//;
const COMPILED = ['package.json', 'dist/src', 'dist/lib', 'src/kubelet'];
/** Where the agent lies in the guest. */
const FOLDER = '/run/agent';
const SERIAL = 'scanbridge-agent';
const SIGTERM = 15;
const SIGKILL = 9;
const SAID_LIMIT = 256 * 1024;

/** The folder of a package, as a module in `from` would find it. */
async function packageFolder(name: string, from: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return await realpath(candidate);
    if (folder === dirname(folder)) return undefined;
  }
}

/** Copies a package and what it depends on to `node_modules`, each to the same place below it as here. */
async function stagePackage(
  name: string,
  from: string,
  root: string,
  stage: string,
  done: Set<string>,
): Promise<void> {
  const folder = await packageFolder(name, from);
  if (folder === undefined || done.has(folder)) return;
  done.add(folder);
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  if (OWN.test(name)) {
    const to = join(stage, 'node_modules', name);
    for (const part of COMPILED.filter((it) => existsSync(join(folder, it)))) {
      await cp(join(folder, part), join(to, part), { recursive: true });
    }
    const built = join(folder, 'build/Release');
    if (existsSync(built)) {
      const addons = (path: string) => path === built || path.endsWith('.node');
      await cp(built, join(to, 'build/Release'), { recursive: true, filter: addons });
    }
  } else {
    const nested = join(folder, 'node_modules');
    await cp(folder, join(stage, relative(root, folder)), {
      recursive: true,
      filter: (path) => path !== nested && !/\.(map|md|d\.ts|d\.mts|d\.cts)$/.test(path),
    });
  }
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    await stagePackage(dependency, folder, root, stage, done);
  }
}

/** A disk image with the agent, for {@link GuestAgent.install}. */
export class AgentDisk implements AsyncDisposable {
  private constructor(
    private readonly folder: string,
    private readonly image: string,
  ) {}

  /** Makes it out of what is built. */
  static async make(): Promise<AgentDisk> {
    const folder = await mkdtemp(join(tmpdir(), 'scanbridge-agent-disk-'));
    const stage = join(folder, 'stage');
    const here = dirname(
      await realpath(createRequire(import.meta.url).resolve(`${AGENT}/package.json`)),
    );
    await mkdir(stage);
    // The workspace's node_modules lies beside the agent's folder.
    await stagePackage(AGENT, here, dirname(here), stage, new Set());
    const image = join(folder, 'agent.ext4');
    await hostCommand('cannot make the disk with the agent', 'sh', [
      ...[
        '-c',
        'PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1" "$2" 64M',
      ],
      ...['sh', stage, image],
    ]);
    await rm(stage, { recursive: true });
    return new AgentDisk(folder, image);
  }

  /** For GuestOptions.qemuArgs. */
  get qemuArgs(): string[] {
    return [
      '-drive',
      `id=agent,if=none,file=${this.image},format=raw,snapshot=on,cache=unsafe`,
      ...['-device', `virtio-blk-pci,drive=agent,serial=${SERIAL}`],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A program in the guest whose words a test waits for. */
export class GuestProgram {
  #said = '';
  #wake: (() => void)[] = [];
  #over: string | undefined;

  private constructor(private readonly process: GuestProcess) {}

  static async start(
    guest: Guest,
    argv: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<GuestProgram> {
    let program: GuestProgram | undefined;
    let early = '';
    const take = (data: Uint8Array) => {
      const text = Buffer.from(data).toString();
      if (program) program.#hear(text);
      else early += text;
    };
    const process = await guest.start(argv, { environment, onStdout: take, onStderr: take });
    program = new GuestProgram(process);
    program.#hear(early);
    const over = (how: string) => {
      (program as GuestProgram).#over = how;
      (program as GuestProgram).#hear('');
    };
    process.exit.then(
      ({ status, signal }) => over(`ended (status ${status}, signal ${signal})`),
      (error: Error) => over(error.message),
    );
    return program;
  }

  /** Everything it has written since the last {@link forget}, its first words left out where it wrote much. */
  get said(): string {
    return this.#said;
  }

  get running(): boolean {
    return this.#over === undefined;
  }

  forget(): void {
    this.#said = '';
  }

  /** Waits until it has written something. @throws VmError when it ends, or does not */
  says(what: RegExp, seconds = 60): Promise<RegExpExecArray> {
    return this.until((said) => what.exec(said) ?? undefined, String(what), seconds);
  }

  /** Waits until something can be found in what it has written. @throws VmError when it ends, or does not */
  async until<T>(find: (said: string) => T | undefined, what: string, seconds = 60): Promise<T> {
    const deadline = performance.now() + seconds * 1000;
    const timer = setTimeout(() => this.#hear(''), seconds * 1000);
    try {
      for (;;) {
        const found = find(this.#said);
        if (found !== undefined) return found;
        const late =
          performance.now() >= deadline ? `did not say it within ${seconds} s` : undefined;
        const how = this.#over ?? late;
        if (how !== undefined) {
          const text = `waited for ${what}, but the program ${how}: ${this.#said}`;
          throw new VmError('EXEC_FAILED', text);
        }
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async write(text: string): Promise<void> {
    await this.process.write(Buffer.from(text));
  }

  async kill(signal = SIGKILL): Promise<void> {
    await this.process.kill(signal).catch(() => undefined);
    await this.process.exit.catch(() => undefined);
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-SAID_LIMIT);
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** scanbridge-agent in a guest that was booted with {@link AgentDisk.qemuArgs}. */
export class GuestAgent {
  private constructor(private readonly guest: Guest) {}

  static async install(guest: Guest): Promise<GuestAgent> {
    const script = [
      'set -e',
      'modprobe vmw_vsock_virtio_transport',
      `mkdir -p ${FOLDER}`,
      `for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = ${SERIAL} ] && mount /dev/$(basename $disk) ${FOLDER}; done`,
      `test -f ${FOLDER}/node_modules/${AGENT}/package.json`,
    ].join('\n');
    const { status, stderr } = await guest.exec(['sh', '-c', script]);
    if (status !== 0) throw new VmError('EXEC_FAILED', `no agent in the guest: ${stderr}`);
    return new GuestAgent(guest);
  }

  /** Its command line. */
  argv(...args: string[]): string[] {
    return ['node', `${FOLDER}/node_modules/${AGENT}/dist/src/cli.js`, ...args];
  }

  start(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<GuestProgram> {
    return GuestProgram.start(this.guest, this.argv(...args), environment);
  }
}

/** A message bus, PipeWire and WirePlumber in the guest; compositors and clients are started in its environment. */
export class GuestDesktop {
  readonly environment: Readonly<Record<string, string>>;
  #bus: GuestProgram | undefined;
  #pipewire: GuestProgram[] = [];

  /** Numbers of the user and its groups; root where it is left out. */
  readonly #user: readonly string[];

  private constructor(
    private readonly guest: Guest,
    runtime: string,
    user: number,
  ) {
    this.#user =
      user === 0
        ? []
        : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--groups=video,render', '--'];
    const bus = `unix:path=${runtime}/bus`;
    this.environment = {
      XDG_RUNTIME_DIR: runtime,
      DBUS_SESSION_BUS_ADDRESS: bus,
      DBUS_SYSTEM_BUS_ADDRESS: bus,
      GSETTINGS_BACKEND: 'memory',
      LIBGL_ALWAYS_SOFTWARE: '1',
      HOME: runtime,
      XDG_CURRENT_DESKTOP: 'sway',
    };
  }

  /** @param user who runs it all: root, or a user with no right but to open the GPU */
  static async start(guest: Guest, user = 0): Promise<GuestDesktop> {
    const runtime = `/run/user/${user}`;
    const script = `mkdir -p -m 0700 ${runtime} && chown ${user}:${user} ${runtime}`;
    await guest.exec(['sh', '-c', script]);
    const desktop = new GuestDesktop(guest, runtime, user);
    desktop.#bus = await desktop.run(
      'dbus-daemon',
      '--session',
      '--nofork',
      '--print-address=1',
      `--address=unix:path=${runtime}/bus`,
    );
    await desktop.#bus.says(/unix:path/);
    await desktop.startPipeWire();
    return desktop;
  }

  /** Starts a program of the desktop. */
  run(...argv: string[]): Promise<GuestProgram> {
    return GuestProgram.start(this.guest, [...this.#user, ...argv], this.environment);
  }

  async startPipeWire(): Promise<void> {
    this.#pipewire = [await this.run('pipewire'), await this.run('wireplumber')];
    const script = 'until pw-cli ls Client 2>/dev/null | grep -q WirePlumber; do sleep 0.1; done';
    const { status } = await this.guest.exec([...this.#user, 'sh', '-c', script], {
      environment: this.environment,
      timeoutSeconds: 60,
    });
    if (status !== 0) throw new VmError('EXEC_FAILED', 'PipeWire did not start in the guest');
  }

  async killPipeWire(): Promise<void> {
    await Promise.all(this.#pipewire.splice(0).map((program) => program.kill()));
  }

  async stop(): Promise<void> {
    await this.killPipeWire();
    await this.#bus?.kill(SIGTERM);
  }
}
