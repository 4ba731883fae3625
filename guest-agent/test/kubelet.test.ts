// The device plugin between a kubelet's API and the lease API, both over real Unix sockets.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { ManagerApi } from '../src/api/index.js';
import { ENDPOINT, ScanoutPlugin } from '../src/kubelet/plugin.js';
import { StandInKubelet } from './stand-in-kubelet.js';
import { asLeases, StandInLeases } from './stand-in-leases.js';

const log = pino({ level: 'silent' });
const GOOD = { 'gpu0-scanout1': 'Healthy', 'gpu0-scanout2': 'Healthy' };

async function until(t: ExecutionContext, what: string, look: () => unknown): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (look()) return;
    await sleep(25);
  }
  t.fail(`never: ${what}`);
}

async function start(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'scanbridge-kubelet-'));
  const plugins = join(folder, 'plugins');
  await mkdir(plugins);
  const socket = join(folder, 'manager');
  const standIn = new StandInLeases(folder);
  const options = {
    socket,
    leases: asLeases(standIn),
    log,
    prepared: async () => undefined,
    complaints: () => [],
  };
  let api = await ManagerApi.listen(options);
  const pool = { socket, width: 1280, height: 720, uid: 0 };
  const plugin = ScanoutPlugin.start(plugins, pool, log);
  let kubelet: StandInKubelet | undefined;
  t.teardown(async () => {
    kubelet?.close();
    await plugin.close();
    await api.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    ...{ standIn, plugins, plugin },
    startKubelet: async () => {
      kubelet = await StandInKubelet.start(plugins);
      return kubelet;
    },
    stopApi: () => api.close(),
    startApi: async () => {
      api = await ManagerApi.listen(options);
    },
  };
}

const last = (kubelet: StandInKubelet) => JSON.stringify(kubelet.listings.at(-1));

test('registers, lists scanouts with their health, and allocates', async (t) => {
  const { standIn, startKubelet } = await start(t);
  const kubelet = await startKubelet();
  await until(t, 'the devices', () => last(kubelet) === JSON.stringify(GOOD));
  t.deepEqual(kubelet.registrations, [
    { version: 'v1beta1', endpoint: ENDPOINT, resourceName: 'scanbridge.dev/scanout' },
  ]);
  t.is((await kubelet.options()).size, 0);

  t.deepEqual(await kubelet.allocate(['gpu0-scanout2']), [['scanbridge.dev/scanout=lease-1']]);
  const [lease] = standIn.list();
  t.like(lease, { scanout: 2, owner: 'kubernetes/gpu0-scanout2', keep: true, width: 1280 });
  t.is(last(kubelet), JSON.stringify(GOOD));
  // The pod is over, and another one gets the scanout.
  t.deepEqual(await kubelet.allocate(['gpu0-scanout2']), [['scanbridge.dev/scanout=lease-2']]);
  t.is(standIn.list().length, 1);

  // Somebody else takes one past Kubernetes.
  const foreign = await standIn.allocate({ owner: 'web-1', width: 640, height: 480 });
  const one = { ...GOOD, 'gpu0-scanout1': 'Unhealthy' };
  await until(t, 'it is unhealthy', () => last(kubelet) === JSON.stringify(one));
  await standIn.release(foreign.id);
  await until(t, 'it is healthy', () => last(kubelet) === JSON.stringify(GOOD));
});

test('what cannot be allocated is refused with the reason, and leaves nothing behind', async (t) => {
  const { standIn, startKubelet } = await start(t);
  const kubelet = await startKubelet();
  await until(t, 'the devices', () => last(kubelet) === JSON.stringify(GOOD));
  const refused = async (...containers: string[][]) =>
    (await t.throwsAsync(kubelet.allocate(...containers)))?.message ?? '';
  t.regex(await refused(['gpu0-scanout1', 'gpu0-scanout2']), /INVALID_ARGUMENT.*takes one scanout/);
  t.regex(await refused(['gpu0-scanout1'], ['gpu0-scanout9']), /FAILED_PRECONDITION.*in use/);
  t.regex(await refused(['../etc']), /no scanout of this node/);
  t.deepEqual(standIn.list(), []);
});

test('a kubelet that starts anew empties the folder: the plugin registers again', async (t) => {
  const { startKubelet, plugins, plugin } = await start(t);
  for (let life = 0; life < 2; life++) {
    const kubelet = await startKubelet();
    await until(t, 'the devices', () => last(kubelet) === JSON.stringify(GOOD));
    kubelet.close();
    await rm(join(plugins, 'kubelet.sock'), { force: true });
    await rm(join(plugins, ENDPOINT));
  }
  await plugin.close();
  t.deepEqual(await readdir(plugins), []);
});

test('without the agent all devices are unhealthy, until it is back', async (t) => {
  const { startKubelet, stopApi, startApi } = await start(t);
  const kubelet = await startKubelet();
  await until(t, 'the devices', () => last(kubelet) === JSON.stringify(GOOD));
  await stopApi();
  const bad = { 'gpu0-scanout1': 'Unhealthy', 'gpu0-scanout2': 'Unhealthy' };
  await until(t, 'unhealthy', () => last(kubelet) === JSON.stringify(bad));
  t.regex(
    (await t.throwsAsync(kubelet.allocate(['gpu0-scanout1'])))?.message ?? '',
    /no agent answers/,
  );
  await startApi();
  await until(t, 'healthy', () => last(kubelet) === JSON.stringify(GOOD));
});
