// npm start: set-up, then a live desktop in the browser. On Linux a headless desktop of its own; on
// macOS, which has no such thing, a moving test pattern.
//   npm start -- [--open] [--size 1920x1080] [options of "scanbridge serve"]

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitOnFailure, Failure } from './failure.mjs';
import { Part } from './part.mjs';
import { inRoot } from './root.mjs';
import { setUp } from './set-up.mjs';
import { startVm } from './vm-desktops.mjs';

const BRIDGE = inRoot('host-bridge/dist/src/cli.js');
const AGENT = inRoot('guest-agent/dist/src/cli.js');
const FIRST_PORT = 8470;
const PORTS_TRIED = 20;
/** Until the first picture, in milliseconds. */
const LIVE_LIMIT_MS = 30_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const HELP = `usage: npm start -- [options]

Shows a live desktop in the browser, then two more out of a virtual machine. Ctrl-C ends it.

  --open        open the browser
  --size WxH    size of the desktop in pixels (1280x720)
  --port N      port of the page (${FIRST_PORT}, or the next free one)
  --no-vm       only the desktop of this machine, no virtual machine

All other options go to "scanbridge serve":
`;

function takeFlag(args, name) {
  const at = args.indexOf(name);
  if (at >= 0) args.splice(at, 1);
  return at >= 0;
}

/** Takes "--name value" or "--name=value" off the list. */
function takeOption(args, name) {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  if (at < 0) return undefined;
  const [first] = args.splice(at, 1);
  if (first !== name) return first.slice(name.length + 1);
  const [value] = args.splice(at, 1);
  if (value === undefined) throw new Failure(`${name} needs a value`);
  return value;
}

const hasOption = (args, name) => args.some((arg) => arg === name || arg.startsWith(`${name}=`));

/** @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
      .once('error', () => resolve(false))
      .listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function choosePort(args) {
  if (hasOption(args, '--port')) return [];
  for (let port = FIRST_PORT; port < FIRST_PORT + PORTS_TRIED; port++) {
    if (!(await isFree(port))) continue;
    if (port !== FIRST_PORT)
      process.stdout.write(`Port ${FIRST_PORT} is in use, so it is ${port}.\n`);
    return [`--port=${port}`];
  }
  throw new Failure(
    `the ports from ${FIRST_PORT} to ${FIRST_PORT + PORTS_TRIED - 1} are all in use; ` +
      'choose another one: npm start -- --port N',
  );
}

/** Waits until the bridge has a session with pictures. */
async function untilLive(url, token) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const deadline = performance.now() + LIVE_LIMIT_MS;
  let reason = 'no session was opened';
  while (performance.now() < deadline) {
    const answer = await fetch(new URL('v1/sessions', url), { headers })
      .then((response) => response.json())
      .catch(() => ({}));
    const [session] = answer.sessions ?? [];
    if (session?.state === 'live') return;
    if (session !== undefined) reason = session.message ?? `the session is ${session.state}`;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Failure(`no picture after ${LIVE_LIMIT_MS / 1000} s: ${reason}`);
}

function openBrowser(url) {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  spawn(program, [url], { stdio: 'ignore', detached: true })
    .once('error', () =>
      process.stdout.write(`${program} is missing: open the address yourself.\n`),
    )
    .unref();
}

async function show(args, parts, scratch) {
  const open = takeFlag(args, '--open');
  const vm = !takeFlag(args, '--no-vm') && process.platform === 'linux';
  const size = takeOption(args, '--size') ?? '1280x720';
  if (!/^\d+x\d+$/.test(size)) throw new Failure(`--size ${size}: write it as 1280x720`);
  const token = args.find((_, i) => args[i - 1] === '--token')?.split(',')[0];
  const port = await choosePort(args);
  const quiet = hasOption(args, '--log-level') ? [] : ['--log-level=warn'];
  const linux = process.platform === 'linux';
  const socket = join(scratch, 'agent.sock');
  const source = linux ? [`--agent-socket=${socket}`] : [`--test-pattern=${size}@60`];
  const frames = join(scratch, 'vm');
  if (vm) source.push(`--scanout=${frames},name=vm`);
  const bridge = new Part('bridge', BRIDGE, ['serve', ...args, ...port, ...quiet, ...source]);
  parts.push(bridge);
  const died = [bridge.died];
  if (linux) {
    // At the same time: the desktop takes longer than the bridge until it needs the other one.
    const desktop = ['desktop', `--size=${size}`, `--bridge=unix:${socket}`, ...quiet];
    const agent = new Part('desktop', AGENT, desktop);
    parts.push(agent);
    died.push(agent.died);
  }
  const [, url] = await Promise.race([bridge.line(/(https?:\/\/\S+)/), ...died]);
  await Promise.race([untilLive(url, token), ...died]);
  process.stdout.write(
    `\n  A live ${linux ? 'desktop' : 'picture'} is at ${url}\n  Ctrl-C ends it.\n\n`,
  );
  if (!linux)
    process.stdout.write('On macOS this is a test pattern; README.md tells how to stream a VM.\n');
  if (open) openBrowser(url);
  if (vm) died.push(startVm(parts, frames).then(() => new Promise(() => {})));
  await Promise.race(died);
}

await exitOnFailure(async () => {
  const args = process.argv.slice(2);
  await setUp(['run', 'build']);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    spawn(process.execPath, [BRIDGE, 'serve', '--help'], { stdio: 'inherit' });
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'scanbridge-start-'));
  // Also when a second signal ends this process before the rest is done.
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  /** @type {Part[]} */
  const parts = [];
  const asked = new Promise((resolve) => {
    for (const signal of SIGNALS)
      process.on(signal, () => {
        resolve();
        process.once(signal, () => process.exit(130)); // a second one: at once
      });
  });
  try {
    await Promise.race([show(args, parts, scratch), asked]);
  } finally {
    // The desktop before the bridge, so that viewers see their session end.
    for (const part of parts.reverse()) await part.end();
    // What set-up still installs or compiles for the virtual machine is not waited for.
    setImmediate(() => process.exit());
  }
});
