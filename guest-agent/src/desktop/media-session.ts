import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { desktopAccount } from './account.js';
import { busConfig, compositorSettings, wireplumberConfig } from './configuration.js';
import { DesktopError } from './errors.js';
import { builtProgram, copiedProgram, OWN_PROGRAMS, type OwnProgram } from './own-programs.js';
import { Program, type Surroundings } from './program.js';
import { RuntimeDir } from './runtime-dir.js';

/** How long a daemon may take until it serves, in milliseconds. */
const READY_LIMIT_MS = 10_000;
const POLL_MS = 5;

/**
 * A message bus, PipeWire and WirePlumber of their own, apart from those of the machine: nothing on it
 * sees the user's cameras, sound cards or session, and several can run at once.
 */
export class MediaSession {
  readonly #programs: Program[] = [];
  readonly #failed: Promise<DesktopError>;
  #reportFailure: (error: DesktopError) => void = () => {};
  #closing: Promise<void> | undefined;

  private constructor(readonly surroundings: Surroundings) {
    this.#failed = new Promise((resolve) => {
      this.#reportFailure = resolve;
    });
  }

  /** Starts the three daemons and returns when clients can connect to them. */
  static async start(): Promise<MediaSession> {
    const account = desktopAccount();
    const runtimeDir = RuntimeDir.create(account, {
      files: { 'bus.conf': busConfig(account), ...wireplumberConfig(), ...compositorSettings() },
      programs: OWN_PROGRAMS.map(builtProgram),
    });
    const session = new MediaSession({
      account,
      runtimeDir,
      env: environment(runtimeDir.path, account.name),
    });
    try {
      await session.#startDaemons();
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** The directory that holds the sockets (XDG_RUNTIME_DIR). */
  get runtimeDir(): string {
    return this.surroundings.runtimeDir.path;
  }

  /** What a client of this session needs in its environment. */
  get env(): Readonly<Record<string, string>> {
    return this.surroundings.env;
  }

  /** Resolves, never rejects, when a program that the session cannot do without has ended by itself. */
  get failed(): Promise<DesktopError> {
    return this.#failed;
  }

  /** Starts a program that lives no longer than the session. */
  async run(
    program: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    if (this.#closing !== undefined)
      throw new DesktopError('program-failed', program, 'the session is closed');
    const started = await Program.start(this.surroundings, program, args, env);
    this.#programs.push(started);
    return started;
  }

  /** Starts one of this package's own programs. */
  runOwn(
    name: OwnProgram,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    return this.run(copiedProgram(this.runtimeDir, name), args, env);
  }

  /** Like `run`, for a program without which the session has failed. */
  async runEssential(
    program: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const started = await this.run(program, args, env);
    void started.exited.then(() => {
      if (this.#closing === undefined) this.#reportFailure(started.failure());
    });
    return started;
  }

  /**
   * Polls `ready` until it holds; the polls are cheap, and there is no event to wait for.
   * @throws DesktopError `not-ready` after the limit, `program-failed` as soon as `program` has ended.
   */
  async waitUntil(
    program: Program,
    what: string,
    ready: () => boolean | Promise<boolean>,
    limitMs = READY_LIMIT_MS,
  ): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!(await ready())) {
      if (!program.running) throw program.failure(`ended before ${what}`);
      if (performance.now() > deadline)
        throw new DesktopError(
          'not-ready',
          program.name,
          `${program.name}: no ${what} within ${limitMs / 1000} s`,
          program.logTail,
        );
      await delay(POLL_MS);
    }
  }

  /** Ends every program, last started first, and removes the directory. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const program of this.#programs.reverse()) await program.stop();
    await this.surroundings.runtimeDir.remove();
  }

  async #startDaemons(): Promise<void> {
    const at = (name: string): string => join(this.runtimeDir, name);
    const bus = await this.runEssential('dbus-daemon', [
      `--config-file=${at('bus.conf')}`,
      `--address=unix:path=${at('bus')}`,
      '--nofork',
      '--nosyslog',
    ]);
    const pipewire = await this.runEssential('pipewire');
    await Promise.all([
      this.waitUntil(bus, 'socket of the message bus', () => existsSync(at('bus'))),
      this.waitUntil(pipewire, 'socket of PipeWire', () => existsSync(at('pipewire-0'))),
    ]);
    await this.runEssential('wireplumber');
  }
}

function environment(runtimeDir: string, user: string): Record<string, string> {
  const bus = `unix:path=${join(runtimeDir, 'bus')}`;
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    LANG: 'C.UTF-8',
    USER: user,
    LOGNAME: user,
    SHELL: '/bin/sh',
    HOME: join(runtimeDir, 'home'),
    XDG_RUNTIME_DIR: runtimeDir,
    XDG_CONFIG_HOME: join(runtimeDir, 'config'),
    DBUS_SESSION_BUS_ADDRESS: bus,
    // Nothing here may talk to the machine's own services (logind, rtkit, upower).
    DBUS_SYSTEM_BUS_ADDRESS: bus,
    GIO_USE_VFS: 'local',
    GVFS_DISABLE_FUSE: '1',
    GSETTINGS_BACKEND: 'keyfile',
    NO_AT_BRIDGE: '1',
  };
}
