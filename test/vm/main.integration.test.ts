import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { BUILD_MILLISECONDS } from './guest.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

async function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

function vm(...args: string[]): Promise<Outcome> {
  return outcome(spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
}

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  t.is((await vm('build')).status, 0);
});

test.serial(
  'exec passes input, files and options on, prints what the command prints, and ends with its status',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'exec-'));
    t.teardown(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'a'), 'of a\n');
    await writeFile(join(folder, 'b'), 'of b\n');
    const script =
      'tr a-z A-Z; cat a b; ls /sys/class/drm | grep -c Virtual; echo oops >&2; exit 42';
    const child = spawn(
      process.execPath,
      [
        ...[MAIN, 'exec', '--heads', '3', '--copy', join(folder, 'a'), '--copy', join(folder, 'b')],
        ...['--', 'sh', '-c', script],
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    child.stdin.end('shout\n');
    const { status, stdout, stderr } = await outcome(child);
    t.is(stdout, 'SHOUT\nof a\nof b\n3\n');
    t.regex(stderr, /^(vm: .*\n)*oops\n$/);
    t.is(status, 42);
  },
);

test.serial('exec says by its status what went wrong, in one line', async (t) => {
  const missing = await vm('exec', '--', 'no-such-command');
  t.is(missing.status, 127);
  t.regex(missing.stderr, /^vm: cannot run "no-such-command" in the guest: no such command/m);
  const late = await vm('exec', '--timeout', '0.5', '--', 'sleep', '100');
  t.is(late.status, 124);
  t.regex(late.stderr, /^vm: "sleep 100" ran longer than 0.5 s/m);
  const nothing = await vm('exec');
  t.is(nothing.status, 125);
  t.regex(nothing.stderr, /no command/);
  const heads = await vm('exec', '--heads', '17', '--', 'true');
  t.is(heads.status, 125);
  t.regex(heads.stderr, /^vm: 17 heads: a virtio-gpu device has 1 to 16$/m);
});

for (const [signal, when] of [
  ['SIGTERM', 'runs a command'],
  ['SIGINT', 'boots'],
  ['SIGKILL', 'runs a command'],
] as const) {
  test.serial(`after ${signal} while it ${when} there is no QEMU any more`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tmp-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const child = spawn(
      process.execPath,
      [MAIN, 'exec', '--', 'sh', '-c', 'echo up; exec sleep 1000'],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: folder } },
    );
    const end = outcome(child);
    if (when === 'boots') await started(child.pid as number);
    else await once(child.stdout as NodeJS.ReadableStream, 'data');
    const qemu = Number(await children(child.pid as number));
    t.true(qemu > 0);
    child.kill(signal);
    const { status } = await end;
    t.is(status, { SIGTERM: 143, SIGINT: 130, SIGKILL: null }[signal]);
    // After SIGKILL it is the guest that notices, and powers itself off.
    await t.notThrowsAsync(gone(qemu));
    if (signal !== 'SIGKILL') {
      t.deepEqual(await readdir(folder), []);
    }
  });
}

/** Waits for a process's QEMU. */
async function started(pid: number): Promise<void> {
  for (;;) {
    const names = await new Promise<string>((resolve) => {
      execFile('ps', ['-o', 'comm=', '--ppid', String(pid)], (_, stdout) => resolve(stdout));
    });
    if (names.includes('qemu-system')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function children(pid: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('ps', ['-o', 'pid=', '--ppid', String(pid)], (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim()),
    );
  });
}

async function gone(pid: number): Promise<void> {
  for (let i = 0; i < 300; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`process ${pid} is still there after 30 s`);
}
