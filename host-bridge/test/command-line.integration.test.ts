// The command line as a user runs it: real processes, real files.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { alive, folderFor, Watcher } from './running-bridge.js';

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));
const run = promisify(execFile);
const scanbridge = (...args: readonly string[]) => run(process.execPath, [CLI, ...args]);

interface Served {
  readonly url: string;
  readonly child: ChildProcess;
}

async function serve(t: ExecutionContext, ...args: readonly string[]): Promise<Served> {
  const child = spawn(process.execPath, [CLI, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    const url = /http:\S+/.exec(text)?.[0];
    if (url) return { url, child };
  }
  throw new Error('serve printed no address');
}

const PATTERN = ['--test-pattern', '320x180@30', '--log-level', 'error'];

/** Pictures that a decoder finds in a file. */
async function decodedPictures(file: string): Promise<number> {
  const { stdout } = await run('gst-launch-1.0', [
    ...['--verbose', 'filesrc', `location=${file}`, '!', 'decodebin', '!'],
    ...['fakesink', 'silent=false', 'sync=false', 'name=out'],
  ]);
  return stdout.match(/last-message = chain/g)?.length ?? 0;
}

for (const extension of ['h264', 'mkv']) {
  test(`record writes a .${extension} file that plays`, async (t) => {
    const { url } = await serve(t, ...PATTERN);
    const file = join(await folderFor(t), `clip.${extension}`);
    const { stdout } = await scanbridge('record', 'test', file, '--seconds', '2', '--bridge', url);
    const said = Number(/(\d+) pictures/.exec(stdout)?.[1]);
    t.true(said > 20, stdout);
    t.is(await decodedPictures(file), said);
  });
}

test('record says what is wrong', async (t) => {
  const { url } = await serve(t, ...PATTERN);
  const folder = await folderFor(t);
  const no = async (expected: RegExp, ...args: string[]) => {
    const error = await t.throwsAsync<Error & { stderr: string; code: number }>(
      scanbridge(...args),
    );
    t.is(error?.code, 1);
    t.regex(error?.stderr ?? '', expected);
  };
  const file = join(folder, 'a.h264');
  await no(/NO_SUCH_SESSION/, 'record', 'none', file, '--bridge', url);
  await no(/\.mkv or \.h264/, 'record', 'test', join(folder, 'a.avi'), '--bridge', url);
  await no(/NO_BRIDGE/, 'record', 'test', file, '--bridge', 'http://127.0.0.1:1/');
  await no(/NO_BRIDGE/, 'sessions', '--bridge', 'http://127.0.0.1:1/');
});

test('sessions and probe speak to people and to programs', async (t) => {
  const { url } = await serve(t, ...PATTERN);
  t.regex((await scanbridge('sessions', '--bridge', url)).stdout, /^SESSION[^\n]*\ntest /);
  const list = JSON.parse((await scanbridge('sessions', '--json', '--bridge', url)).stdout);
  t.is(list.sessions[0].id, 'test');
  t.regex((await scanbridge('probe')).stdout, /^(x264|openh264) \(h264\): works/m);
  const probed = JSON.parse((await scanbridge('probe', '--json')).stdout);
  t.true(probed.engines.length > 0);
});

test('an address for others without a token is refused with the remedy', async (t) => {
  const error = await t.throwsAsync<Error & { stderr: string }>(
    scanbridge('serve', '--host', '0.0.0.0', '--port', '0'),
  );
  t.regex(error?.stderr ?? '', /--token/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends it and leaves nothing`, async (t) => {
    const socket = join(await folderFor(t), 'agents.sock');
    const { url, child } = await serve(t, ...PATTERN, '--agent-socket', socket);
    t.true((await lstat(socket)).isSocket());
    const viewer = new Watcher(url, 'test');
    await viewer.units(5);
    const answer = await fetch(new URL('v1/sessions/test', url));
    const { workerPid } = (await answer.json()) as { workerPid: number };
    t.true(alive(workerPid));
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number];
    t.is(code, 0);
    await viewer.end();
    t.is(viewer.closed?.code, 4503);
    t.false(alive(workerPid));
    await t.throwsAsync(lstat(socket), { code: 'ENOENT' });
  });
}

test('a bridge that is killed takes its workers with it', async (t) => {
  const { url, child } = await serve(t, ...PATTERN);
  const viewer = new Watcher(url, 'test');
  await viewer.units(1);
  const answer = await fetch(new URL('v1/sessions/test', url));
  const { workerPid } = (await answer.json()) as { workerPid: number };
  child.kill('SIGKILL');
  await once(child, 'exit');
  const end = Date.now() + 5000;
  while (alive(workerPid) && Date.now() < end) await new Promise((r) => setTimeout(r, 20));
  t.false(alive(workerPid));
});
