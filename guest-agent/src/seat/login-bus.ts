// A message bus for one seat, with a stand-in for logind on it: Mutter and GNOME Shell take their devices there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Descriptor,
  isSystemError,
  type LoginEvent,
  LoginServer,
  listenUnix,
} from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import type { Shelf } from '../leases/shelf.js';
import { type OpenedDevice, refusal, type SeatDevices } from './seat-devices.js';

/** How long the bus may take to start; generous, for an emulated guest under load [ms]. */
const START_LIMIT = 20_000;

export interface LoginBusOptions {
  /** The seat's folder, in which only root may write: gets the socket `bus`. */
  directory: string;
  /** Id of the session: letters, digits and "-". */
  session: string;
  /** Who may connect, beside root; the socket is theirs. */
  uid: number;
  gid: number;
  devices: SeatDevices;
  /** For an agent after this one. */
  shelf: Shelf;
  log: Logger;
}

/** As the shelf has it. */
interface KeptBus {
  daemon: number;
  controller: Controller;
  devices: string[];
}

/** Who controls the session: unique bus name and process; or "" and 0. */
interface Controller {
  name: string;
  pid: number;
}

const NOBODY: Controller = { name: '', pid: 0 };

/** dbus-daemon's configuration: only root may be logind. Who may connect is decided by the socket's owner and mode. */
const CONFIGURATION = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>systemd:</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <deny own="org.freedesktop.login1"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*" eavesdrop="false"/>
  </policy>
  <policy user="root">
    <allow own="org.freedesktop.login1"/>
  </policy>
  <limit name="max_completed_connections">64</limit>
  <limit name="max_incomplete_connections">16</limit>
  <limit name="auth_timeout">10000</limit>
</busconfig>
`;

/** From start() to close(). */
export class LoginBus {
  #server: LoginServer | undefined;
  #closed = false;
  #controller = NOBODY;
  #held = false;
  /** By device node. */
  readonly #devices = new Map<string, OpenedDevice>();

  private constructor(
    private readonly options: LoginBusOptions,
    /** Of dbus-daemon. */
    private readonly daemon: number,
  ) {}

  /**
   * Clients may connect when this returns; it resolves when they are answered. Takes up the bus of an agent before this one.
   *
   * @throws when there is no dbus-daemon, or it does not start
   */
  static start(options: LoginBusOptions): Promise<LoginBus> {
    const kept = options.shelf.take('bus')?.value as KeptBus | undefined;
    return kept === undefined ? LoginBus.#begin(options) : LoginBus.#resume(options, kept);
  }

  static async #resume(options: LoginBusOptions, kept: KeptBus): Promise<LoginBus> {
    const bus = new LoginBus(options, kept.daemon);
    bus.#controller = kept.controller;
    for (const path of kept.devices) bus.#devices.set(path, options.devices.adopt(path));
    bus.#held = [...bus.#devices.values()].some(({ holds }) => holds);
    try {
      await bus.#serve(`unix:path=${join(options.directory, 'bus')}`);
      bus.#keep();
      return bus;
    } catch (error) {
      bus.close();
      throw error;
    }
  }

  static async #begin(options: LoginBusOptions): Promise<LoginBus> {
    const socket = join(options.directory, 'bus');
    const configuration = join(options.directory, 'bus.conf');
    let bus: LoginBus | undefined;
    // Clients may connect at once: they wait in the socket's queue, behind logind's stand-in.
    const listener = listenUnix(socket);
    try {
      chownSync(socket, options.uid, options.gid);
      writeFileSync(configuration, CONFIGURATION);
      bus = new LoginBus(options, await spawnDaemon(configuration, listener));
      await bus.#serve(`unix:path=${socket}`);
      bus.#keep();
      return bus;
    } catch (error) {
      bus?.close();
      rmSync(socket, { force: true });
      throw error;
    } finally {
      listener.close();
      rmSync(configuration, { force: true });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server?.close();
    this.#takeAll();
    this.options.shelf.forget('bus');
    endDaemon(this.daemon);
  }

  #keep(): void {
    const kept: KeptBus = {
      daemon: this.daemon,
      controller: this.#controller,
      devices: [...this.#devices.keys()],
    };
    this.options.shelf.keep('bus', kept);
  }

  #serve(address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new Error(`dbus-daemon did not start within ${START_LIMIT / 1000} s`)),
        START_LIMIT,
      );
      const { session, uid } = this.options;
      const { name: controller, pid: controllerPid } = this.#controller;
      const options = { address, session, uid, controller, controllerPid };
      this.#server = new LoginServer(options, (event) => {
        if (event.type === 'ready') resolve();
        if (event.type === 'ended') reject(new Error(event.reason));
        clearTimeout(limit);
        this.#onEvent(event);
      });
    });
  }

  #onEvent(event: LoginEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'control':
        this.#controller = { name: event.name, pid: event.pid };
        this.#keep();
        break;
      case 'take':
        this.#take(event);
        break;
      case 'give-back': {
        const path = this.options.devices.nodeOf(event.major, event.minor);
        if (path !== undefined) this.#giveBack(path);
        break;
      }
      case 'control-lost':
        this.#takeAll();
        break;
      case 'ended':
        this.options.log.error(`logind's stand-in ended: ${event.reason}`);
        this.#takeAll();
        break;
    }
  }

  #take({ serial, major, minor }: Extract<LoginEvent, { type: 'take' }>): void {
    const { devices, uid } = this.options;
    const { pid } = this.#controller;
    try {
      const path = devices.nodeOf(major, minor);
      if (path === undefined) {
        throw refusal('EACCES', `device ${major}:${minor} is not of this seat`);
      }
      if (this.#devices.has(path)) throw refusal('EBUSY', `${path} is taken already`);
      const device = devices.open(path, { pid, uid });
      this.#devices.set(path, device);
      this.#held ||= device.holds;
      this.#keep();
      this.#server?.answer(serial, device.descriptor, '');
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.options.log.debug({ pid }, `refused: ${error.message}`);
      this.#server?.answer(serial, null, error.message);
    }
  }

  #giveBack(path: string): void {
    this.#devices.get(path)?.close();
    this.#devices.delete(path);
    this.#keep();
  }

  #takeAll(): void {
    for (const device of this.#devices.values()) device.close();
    this.#devices.clear();
    const { pid } = this.#controller;
    this.#controller = NOBODY;
    if (this.#closed) return;
    this.#keep();
    if (this.#held) this.options.devices.clientGone({ pid, uid: this.options.uid });
    this.#held = false;
  }
}

/**
 * The socket is passed as systemd passes one: descriptor 3, for the process that LISTEN_PID names. It outlives an agent that
 * dies, and then is the next one's.
 */
async function spawnDaemon(configuration: string, listener: Descriptor): Promise<number> {
  const program =
    'LISTEN_PID=$$ exec dbus-daemon --config-file="$0" --nofork --nopidfile --nosyslog';
  const child = spawn('sh', ['-c', program, configuration], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', listener.fd],
    env: { PATH: process.env.PATH, LISTEN_FDS: '1' },
  });
  await once(child, 'spawn');
  child.unref();
  return child.pid as number;
}

/** Ends a dbus-daemon, if this process still is one. */
function endDaemon(pid: number): void {
  try {
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    if (name === 'dbus-daemon' || name === 'sh') process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
