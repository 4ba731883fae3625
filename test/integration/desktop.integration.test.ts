import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { DesktopError, startDesktop } from '@scanbridge/agent/desktop';
import test from 'ava';

interface ProcessInfo {
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
}

/** Every process whose environment or command line names `text`. */
function processesWith(text: string): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const found = ['environ', 'cmdline'].some((file) =>
          readFileSync(`/proc/${name}/${file}`, 'latin1').includes(text),
        );
        const uid = statSync(`/proc/${name}`).uid;
        const comm = readFileSync(`/proc/${name}/comm`, 'utf8').trim();
        return found ? [{ pid: Number(name), uid, name: comm }] : [];
      } catch {
        return []; // ended meanwhile, or another user's
      }
    });
}

async function eventually(holds: () => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > deadline) return false;
    await delay(20);
  }
  return true;
}

/** Runs an ES module's text in a process of its own, in which `startDesktop` is at hand. */
function inProcess(text: string, env: NodeJS.ProcessEnv = process.env) {
  const source = `import { startDesktop } from '@scanbridge/agent/desktop';\n${text}`;
  return spawn(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: import.meta.dirname,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('a desktop runs as an unprivileged user in a private directory and leaves nothing', async (t) => {
  const desktop = await startDesktop({ width: 800, height: 600 });
  t.teardown(() => desktop.close());
  const directory = statSync(desktop.runtimeDir);
  t.is(directory.mode & 0o777, 0o700);
  t.not(directory.uid, 0);
  t.regex(desktop.connector, /^Meta-\d+$/);

  const programs = ['dbus-daemon', 'pipewire', 'wireplumber', 'mutter', 'scene', 'foot', 'vitals'];
  const running = () => processesWith(desktop.runtimeDir).filter(({ name }) => name !== 'sh');
  const allRun = () => programs.every((name) => running().some((each) => each.name === name));
  t.true(await eventually(allRun, 5000), `of ${programs} some do not run`);
  t.deepEqual(
    running().filter(({ uid }) => uid === 0),
    [],
  );

  await desktop.close();
  t.false(existsSync(desktop.runtimeDir));
  t.deepEqual(processesWith(desktop.runtimeDir), []);
});

test('several desktops run side by side', async (t) => {
  const desktops = await Promise.all([
    startDesktop({ apps: 'none' }),
    startDesktop({ apps: 'none' }),
  ]);
  t.teardown(() => Promise.all(desktops.map((desktop) => desktop.close())));
  const painters = await Promise.all(desktops.map((desktop) => desktop.runOwn('painter')));
  for (const painter of painters) t.truthy(await painter.output(/^shown 1280x720$/m));
  await desktops[0]?.close();
  t.true(painters[1]?.running);
});

test('a desktop ends with its process, even when that is killed', async (t) => {
  const child = inProcess(`
    const desktop = await startDesktop();
    console.log(desktop.runtimeDir);
    await desktop.failed;`);
  const [runtimeDir] = (await once(createInterface(child.stdout), 'line')) as [string];
  t.true(existsSync(runtimeDir));
  child.kill('SIGKILL');
  t.true(await eventually(() => !existsSync(runtimeDir), 5000), 'the directory is removed');
  t.true(await eventually(() => processesWith(runtimeDir).length === 0, 5000), 'processes ended');
});

test('the death of the compositor is reported with its name', async (t) => {
  const desktop = await startDesktop({ apps: 'none' });
  t.teardown(() => desktop.close());
  const mutter = processesWith(desktop.runtimeDir).find(({ name }) => name === 'mutter');
  process.kill(mutter?.pid ?? 0, 'SIGKILL');
  const error = await desktop.failed;
  t.true(error instanceof DesktopError);
  t.is(error.code, 'program-failed');
  t.is(error.program, 'mutter');
  t.regex(error.message, /SIGKILL/);
});

test('a missing program is named, and nothing is left', async (t) => {
  const TMPDIR = mkdtempSync(join(tmpdir(), 'scanbridge-test-'));
  chmodSync(TMPDIR, 0o755); // the desktop's user has to get in
  t.teardown(() => rmSync(TMPDIR, { recursive: true }));
  const child = inProcess(
    `try { await startDesktop(); } catch (error) { console.log(error.code, error.program); }`,
    { TMPDIR, PATH: '/nonexistent' },
  );
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  t.is(line, 'program-missing dbus-daemon');
  const [code] = (await once(child, 'exit')) as [number];
  t.is(code, 0);
  t.deepEqual(readdirSync(TMPDIR), []);
});

test('a size that no monitor has is refused', async (t) => {
  const error = await t.throwsAsync(startDesktop({ width: 0 }), { instanceOf: DesktopError });
  t.is(error?.code, 'invalid-size');
});

test('the desktop is closed to other users', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('only root can try as another user');
    return;
  }
  const desktop = await startDesktop({ apps: 'none' });
  t.teardown(() => desktop.close());
  t.throws(() =>
    execFileSync(
      'gdbus',
      ['call', '--session', '--dest=org.freedesktop.DBus'].concat(
        '--object-path=/',
        '--method=org.freedesktop.DBus.GetId',
      ),
      {
        env: { PATH: process.env.PATH, ...desktop.env },
        uid: 1,
        gid: 1,
        cwd: '/',
        stdio: 'ignore',
      },
    ),
  );
});
