// The guest's half of the resource path: the real agent in a real guest tells the host ids and nothing else. What becomes
// of the ids is tested with the bridge.
import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_FRAME_MESSAGE } from '@scanbridge/protocol/agent';
import test, { type ExecutionContext } from 'ava';
import { IdBridge } from '../fakes/id-bridge.js';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { AgentDisk, GuestAgent, GuestDesktop, type GuestProgram } from './guest-agent.js';

const PORT = 8471;
/** Buffers of the test of leaks: minutes with 10,000 in an emulated guest. */
const CHURN = Number(process.env.SCANBRIDGE_BUFFER_CHURN ?? 1600);
const GUEST_CID = 3;
const FULL_HD = { width: 1920, height: 1080 };
const UHD = { width: 3840, height: 2160 };
const sizeOf = ({ width, height }: { width: number; height: number }) => `${width}x${height}`;

let directory: string;
let disk: AgentDisk;
let guest: Guest;
let installed: GuestAgent;
let desktop: GuestDesktop;
let bridge: IdBridge;
let agent: GuestProgram;
/** The painter whose node the agent shows. */
let paint: GuestProgram;
let node: string;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  directory = await mkdtemp(join(tmpdir(), 'scanbridge-ids-'));
  const base = join(directory, 'v');
  disk = await AgentDisk.make();
  bridge = await IdBridge.listen(`${base}_${PORT}`);
  guest = await Guest.boot({
    frameExport: true,
    qemuArgs: [
      ...disk.qemuArgs,
      ...['-device', `virtio-vsock-unix-pci,guest-cid=${GUEST_CID},path=${base}`],
    ],
  });
  installed = await GuestAgent.install(guest);
  desktop = await GuestDesktop.start(guest);
  await startPainter(FULL_HD, 'dumb');
  agent = await startAgent();
  await bridge.message('session-open');
});

test.after.always(async () => {
  await guest?.close();
  await bridge?.[Symbol.asyncDispose]();
  await disk?.[Symbol.asyncDispose]();
  if (directory) await rm(directory, { recursive: true, force: true });
});

async function startPainter(
  size: { width: number; height: number },
  memory: 'dumb' | 'gbm' | 'vgem' | 'memfd',
  buffers = 4,
): Promise<void> {
  paint = await desktop.run('pw-paint', sizeOf(size), memory, String(buffers));
  node = (await paint.says(/"state":"paused","node":(\d+)/))[1] as string;
}

function startAgent(): Promise<GuestProgram> {
  const options = ['--bridge', `vsock:2:${PORT}`, '--node', node];
  return installed.start(desktop.environment, 'run', ...options);
}

/** Another painter for the same agent program: ends both, and starts both. */
async function change(
  size: { width: number; height: number },
  memory: 'dumb' | 'vgem' | 'memfd',
): Promise<void> {
  await Promise.all([agent.kill(), paint.kill()]);
  await startPainter(size, memory);
  bridge.forget();
  agent = await startAgent();
  await bridge.message('session-open');
}

/** A line of what a command in the guest prints. */
async function line(...argv: string[]): Promise<string> {
  const { stdout, stderr, status } = await guest.exec(argv, { environment: desktop.environment });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}${stdout}`);
  return stdout.toString().trim();
}

const pidOf = (program: string) => line('pgrep', '-n', '-f', program);

/** Resource ids of the painter's pool, as the painter itself asked for them. */
function painted(): Map<number, number> {
  const pool = new Map<number, number>();
  for (const text of paint.said.split('\n')) {
    const made = /"event":"buffer","handle":(\d+),"resource":(\d+)/.exec(text);
    if (made) pool.set(Number(made[2]), Number(made[1]));
    const gone = /"event":"removed","resource":(\d+)/.exec(text);
    if (gone) pool.delete(Number(gone[1]));
  }
  return pool;
}

/** Lets the painter run until so many frames have come. */
async function frames(count: number, rate = 60) {
  bridge.forget();
  await paint.write(`run ${rate}\n`);
  await bridge.take(count);
  await paint.write('run 0\n');
  return bridge.frames;
}

function checkFrames(t: ExecutionContext, size: { width: number; height: number }): void {
  t.deepEqual(bridge.unannounced, []);
  let last = 0;
  for (const frame of bridge.frames) {
    t.true(frame.bytes <= MAX_FRAME_MESSAGE, `a frame of ${frame.bytes} bytes`);
    t.true(frame.sequence > last);
    last = frame.sequence;
    t.like(bridge.resources.get(frame.resource), { ...size, stride: size.width * 4 });
  }
}

test.serial('the ids are those of the host, not GEM handles', async (t) => {
  await frames(20);
  checkFrames(t, FULL_HD);
  const pool = painted();
  t.is(pool.size, 4);
  for (const [resource, handle] of pool) t.not(resource, handle);
  const seen = new Set(bridge.frames.map((frame) => frame.resource));
  for (const resource of seen) t.true(pool.has(resource), `${resource} is not the painter's`);
  t.true(seen.size > 1);
  for (const resource of bridge.resources.values()) {
    t.like(resource, { modifier: '0000000000000000', offset: 0, backing: true });
  }
});

test.serial('a frame is one message, and no ioctl', async (t) => {
  await frames(30); // every buffer is known
  const pid = await pidOf('cli.js run');
  const trace = await desktop.run(
    ...['strace', '-f', '-q', '-e', 'trace=ioctl', '-o', '/tmp/ioctls', '-p', pid],
  );
  const traced = `until grep -q 'TracerPid:.[1-9]' /proc/${pid}/status; do sleep 0.1; done`;
  await guest.exec(['sh', '-c', traced], { timeoutSeconds: 60 });
  await frames(30, 30);
  const frameBytes = bridge.frames.reduce((sum, frame) => sum + frame.bytes, 0);
  t.is(bridge.bytes, frameBytes, 'nothing but frames');
  const calls = async () => Number(await line('sh', '-c', 'grep -c DRM /tmp/ioctls || true'));
  t.is(await calls(), 0);
  // New buffers are what calls are for.
  await paint.write(`resize ${FULL_HD.width - 16}x${FULL_HD.height}\n`);
  await paint.write('run 30\n');
  await bridge.message('resource');
  await paint.write('run 0\n');
  t.true((await calls()) > 0, 'the trace shows the calls that there are');
  await trace.kill(2);
});

test.serial('resolve names the same buffers', async (t) => {
  const found = JSON.parse(await line(...installed.argv('resolve', node, '--json'))) as {
    buffers: { kind: string; resource: number }[];
  };
  t.deepEqual(found.buffers.map(({ resource }) => resource).sort(), [...painted().keys()].sort());
});

test.serial('a host that releases nothing does not stop the desktop', async (t) => {
  bridge.releases = false;
  bridge.forget();
  paint.forget();
  await paint.write('run 30\n');
  const [frame] = await bridge.take(1);
  // The compositor goes on drawing for longer than the agent keeps a buffer for the host.
  const drawn = (said: string) => said.split('"event":"frame"').length > 90 || undefined;
  await paint.until(drawn, '90 pictures');
  t.is(bridge.frames.length, 1, 'a frame came although the one before was not released');
  bridge.releases = true;
  if (frame) bridge.release(frame);
  await bridge.take(5);
  await paint.write('run 0\n');
  t.is(agent.said.includes('error'), false, agent.said);
});

test.serial('4K: a frame takes as many bytes of the link', async (t) => {
  await change(UHD, 'dumb');
  await frames(20, 30);
  checkFrames(t, UHD);
});

test.serial(`${CHURN} buffers come and go, and nothing of them stays`, async (t) => {
  t.timeout(CHURN * 60);
  await Promise.all([agent.kill(), paint.kill()]);
  await startPainter({ width: 416, height: 64 }, 'dumb', 16);
  bridge.forget();
  agent = await startAgent();
  await bridge.message('session-open');
  const pool = 16;
  const pid = await pidOf('cli.js run');
  const counts = async () => ({
    agentFiles: Number(await line('sh', '-c', `ls /proc/${pid}/fd | wc -l`)),
    agentMappings: Number(await line('sh', '-c', `grep -c dmabuf /proc/${pid}/maps || true`)),
    hostMemory: await sharedMemories(guest.pid),
  });
  const sizes = ['432x64', '416x64'];
  const renegotiate = async (rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      paint.forget();
      await paint.write(`resize ${sizes[i % 2]}\n`);
      const made = (said: string) => said.split('"event":"buffer"').length > pool || undefined;
      await paint.until(made, `${pool} buffers`);
    }
  };
  await renegotiate(4);
  await frames(1, 30);
  const before = await counts();
  await renegotiate(CHURN / pool);
  await frames(1, 30);
  const after = await counts();
  // A buffer that was shown has a descriptor for as long as it is in the pool: how many were is chance.
  t.true(Math.abs(after.agentFiles - before.agentFiles) <= pool, `${after.agentFiles} descriptors`);
  t.is(after.agentMappings, before.agentMappings);
  // A GEM handle, a dma-buf or a resource that is left over keeps its memory on the host.
  t.is(after.hostMemory, before.hostMemory);
  // Linux uses no id twice, so this counts them.
  t.true(Math.max(...bridge.resources.keys()) >= CHURN);
});

/** Anonymous shared memory that a process holds: each 2D resource of QEMU is one. */
async function sharedMemories(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')),
  );
  return links.filter((link) => link.startsWith('/memfd:')).length;
}

test.serial(
  'dma-bufs of another GPU are refused in words, and shared memory is taken',
  async (t) => {
    await guest.exec(['modprobe', 'vgem']);
    await change(FULL_HD, 'vgem');
    await agent.says(/dma-bufs of this desktop are of no use.*not of \/dev\/dri/);
    await frames(10, 30);
    checkFrames(t, FULL_HD);
    t.is(bridge.resources.size, 1, 'one resource of its own');
  },
);

test.serial('shared memory: the damage is copied into one resource, which has an id', async (t) => {
  await change(FULL_HD, 'memfd');
  await frames(20, 30);
  checkFrames(t, FULL_HD);
  t.is(new Set(bridge.frames.map((frame) => frame.resource)).size, 1);
  t.like(bridge.frames.at(-1), { damage: { x: 0, y: 0, width: 416, height: 64 } });
});

test.serial('a headless Mutter: kill -9 of agent, compositor and PipeWire in turn', async (t) => {
  await Promise.all([agent.kill(), paint.kill()]);
  const startMutter = () =>
    desktop.run(
      ...['mutter', '--headless', '--wayland', '--no-x11', '--virtual-monitor', '1280x720'],
    );
  const startMutterAgent = () => {
    const options = ['run', '--bridge', `vsock:2:${PORT}`, '--mutter'];
    return installed.start(desktop.environment, ...options);
  };
  let mutter = await startMutter();
  bridge.forget();
  agent = await startMutterAgent();
  t.like(await bridge.message('session-open', 100), {
    source: { kind: 'resource' },
    input: true,
  });
  await bridge.take(1);
  t.like([...bridge.resources.values()][0], { width: 1280, height: 720, stride: 5120 });

  // The bridge.
  bridge.forget();
  bridge.drop();
  await bridge.message('session-open');
  await bridge.take(1);

  // The agent, which its unit would start again.
  bridge.forget();
  await agent.kill();
  agent = await startMutterAgent();
  await bridge.message('session-open', 100);
  await bridge.take(1);

  // The compositor.
  bridge.forget();
  await mutter.kill();
  await bridge.message('session-close');
  bridge.forget();
  mutter = await startMutter();
  await bridge.message('session-open', 100);
  await bridge.take(1);

  // PipeWire; Mutter finds the new one.
  bridge.forget();
  await desktop.killPipeWire();
  await bridge.message('session-close');
  bridge.forget();
  await desktop.startPipeWire();
  await bridge.message('session-open', 100);
  await bridge.take(1);
  await mutter.kill();
});
