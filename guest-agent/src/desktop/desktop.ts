import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findProgram } from './account.js';
import { DesktopError } from './errors.js';
import { MediaSession } from './media-session.js';
import type { OwnProgram } from './own-programs.js';
import type { Program } from './program.js';

const run = promisify(execFile);

/** How long the compositor may take until its monitor exists, in milliseconds. */
const MONITOR_LIMIT_MS = 20_000;
const POLL_MS = 20;
const WAYLAND_DISPLAY = 'wayland-scanbridge';

/** What to start. */
export interface DesktopOptions {
  /** Size of the one monitor in pixels, 64..8192 each (1280x720). */
  readonly width?: number;
  readonly height?: number;
  /**
   * Refresh rate of the monitor in Hz, 1..500 (60). To capture N frames per second from Mutter take
   * 2 N here: a consumer's maximum equal to the refresh rate makes it drop every other frame.
   */
  readonly refresh?: number;
  /** What runs on it: the scene with a terminal beside it (default), or nothing. */
  readonly apps?: 'scene' | 'none';
}

/** A headless desktop of our own: compositor, PipeWire and programs, as an unprivileged user. */
export interface Desktop {
  readonly width: number;
  readonly height: number;
  readonly refresh: number;
  /** Name of the monitor as Mutter's ScreenCast knows it ("Meta-0"). */
  readonly connector: string;
  /** The private directory with the sockets (XDG_RUNTIME_DIR). */
  readonly runtimeDir: string;
  /** Environment for a client of the desktop: bus address, runtime directory, Wayland display. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves, never rejects, when a program that the desktop cannot do without has ended. */
  readonly failed: Promise<DesktopError>;
  /** Runs a program on the desktop, as the desktop's user; it ends with the desktop. */
  run(program: string, args?: readonly string[]): Promise<Program>;
  /** Runs one of the programs that come with this package. */
  runOwn(program: OwnProgram, args?: readonly string[]): Promise<Program>;
  /** Ends everything that was started and removes the runtime directory. Safe to call again. */
  close(): Promise<void>;
}

/**
 * Starts a desktop and returns when its monitor exists, so that it can be captured at once. If this
 * process ends without `close`, even by SIGKILL, the desktop ends too and its files are removed.
 * @throws DesktopError with the program at fault and the end of what it wrote.
 */
export async function startDesktop(options: DesktopOptions = {}): Promise<Desktop> {
  const width = checked('width', options.width ?? 1280, 64, 8192);
  const height = checked('height', options.height ?? 720, 64, 8192);
  const refresh = checked('refresh', options.refresh ?? 60, 1, 500);
  const session = await MediaSession.start();
  try {
    const compositor = await session.runEssential(
      'mutter',
      [
        '--headless',
        '--wayland',
        '--no-x11',
        `--wayland-display=${WAYLAND_DISPLAY}`,
        `--virtual-monitor=${width}x${height}@${refresh}`,
      ],
      { LIBGL_ALWAYS_SOFTWARE: '1', XDG_SESSION_TYPE: 'wayland' },
    );
    const connector = await monitorOf(session, compositor);
    const env = { ...session.env, WAYLAND_DISPLAY };
    const desktop: Desktop = {
      width,
      height,
      refresh,
      connector,
      runtimeDir: session.runtimeDir,
      env,
      failed: session.failed,
      run: (program, args) => session.run(program, args, { WAYLAND_DISPLAY }),
      runOwn: (program, args) => session.runOwn(program, args, { WAYLAND_DISPLAY }),
      close: () => session.close(),
    };
    if (options.apps !== 'none') await startApps(desktop);
    return desktop;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Name of the compositor's monitor, once it can be cast. */
async function monitorOf(session: MediaSession, compositor: Program): Promise<string> {
  const deadline = performance.now() + MONITOR_LIMIT_MS;
  for (;;) {
    const connector = await queryMonitor(session);
    if (connector !== undefined) return connector;
    if (!compositor.running) throw compositor.failure('ended before its monitor existed');
    if (performance.now() > deadline)
      throw new DesktopError(
        'not-ready',
        compositor.name,
        `${compositor.name} has no monitor after ${MONITOR_LIMIT_MS / 1000} s`,
        compositor.logTail,
      );
    await delay(POLL_MS);
  }
}

async function queryMonitor(session: MediaSession): Promise<string | undefined> {
  const gdbus = findProgram('gdbus');
  if (gdbus === undefined)
    throw new DesktopError('program-missing', 'gdbus', 'gdbus is not installed (libglib2.0-bin)');
  const call = (destination: string, path: string, method: string, ...args: string[]) =>
    run(
      gdbus,
      ['call', '--session', '--timeout=2', '--dest', destination, '--object-path', path].concat(
        '--method',
        method,
        ...args,
      ),
      { env: session.env },
    );
  try {
    const display = 'org.gnome.Mutter.DisplayConfig';
    const { stdout } = await call(
      display,
      '/org/gnome/Mutter/DisplayConfig',
      `${display}.GetCurrentState`,
    );
    const cast = 'org.gnome.Mutter.ScreenCast';
    await call(cast, '/org/gnome/Mutter/ScreenCast', 'org.freedesktop.DBus.Peer.Ping');
    // (uint32 serial, [(('Meta-0', 'MetaVendor', ...
    return /\[\(\('([^']+)'/.exec(stdout)?.[1];
  } catch {
    return undefined; // not on the bus yet
  }
}

async function startApps(desktop: Desktop): Promise<void> {
  const scene = await desktop.runOwn('scene');
  await scene.output(/^shown /m); // or the terminal would open below it
  const columns = Math.round(desktop.width * 0.4);
  const rows = Math.round(desktop.height * 0.5);
  await desktop.run('foot', [
    '--config=/dev/null',
    '--app-id=scanbridge-vitals',
    '--title=This machine',
    `--window-size-pixels=${columns}x${rows}`,
    '--override=font=monospace:size=10',
    '--override=pad=14x12',
    '--override=colors.background=10142c',
    '--override=colors.foreground=d7def5',
    '--override=csd.color=ff20264d',
    '--override=csd.button-color=ffd7def5',
    '--override=cursor.blink=no',
    '--override=scrollback.lines=0',
    `${desktop.runtimeDir}/bin/vitals`,
  ]);
}

function checked(what: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new DesktopError(
    'invalid-size',
    'desktop',
    `${what} ${value} is not a whole number from ${least} to ${most}`,
  );
}
