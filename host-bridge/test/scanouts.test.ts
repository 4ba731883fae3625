// Sessions for the scanouts of a VM: which there are, through resizes, reboots and restarts.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Bridge, ScanoutOptions } from '../src/index.js';
import { bridgeFor, folderFor, until, watch } from './running-bridge.js';
import { ScriptedSurfaceServer } from './scripted-surface-server.js';

async function machine(
  t: ExecutionContext,
  options: Partial<ScanoutOptions> = {},
): Promise<{ bridge: Bridge; vm: ScriptedSurfaceServer; ids: () => string[] }> {
  const vm = new ScriptedSurfaceServer(join(await folderFor(t), 'vm.sock'));
  await vm.start();
  t.teardown(() => vm.stop());
  const scanouts = [{ socket: vm.path, ...options }];
  const bridge = await bridgeFor(t, { testPatterns: [], scanouts });
  return { bridge, vm, ids: () => bridge.sessions.list().map(({ id }) => id) };
}

test('each scanout with a display is a session', async (t) => {
  const { ids } = await machine(t);
  await until('the console is a session', () => ids().join() === 'vm-0');
  t.pass();
});

test('displays are connected as wished', async (t) => {
  const size = { width: 1600, height: 900 };
  const { vm, ids } = await machine(t, { name: 'Build VM', enable: [1, 2], size });
  await until('three sessions', () => ids().join() === 'build-vm-0,build-vm-1,build-vm-2');
  t.like(vm.configured[0], { scanout: 1, enabled: 1, ...size });
});

test('a viewer with control resizes the display; of many wishes the last counts', async (t) => {
  const { bridge, vm, ids } = await machine(t);
  await until('a session', () => ids().length === 1);
  const viewer = watch(t, bridge, 'vm-0');
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  t.true(viewer.of('welcome')[0]?.resizable);
  for (let width = 800; width <= 1000; width += 10) {
    viewer.client.send({ type: 'resize', width, height: 600 });
  }
  await until('the wish arrives', () => vm.configured.some(({ width }) => width === 1000));
  t.true(vm.configured.length <= 3, 'wishes were not merged');
});

test('a guest reboot keeps sessions and viewers, and displays are connected anew', async (t) => {
  const { bridge, vm, ids } = await machine(t, { enable: [1] });
  await until('both sessions', () => ids().length === 2);
  const viewer = watch(t, bridge, 'vm-1');
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  const sessions = bridge.sessions.list();
  const { length } = vm.configured;
  vm.reset();
  await until('it is configured again', () => vm.configured.length > length);
  t.like(vm.configured.at(-1), { scanout: 1, enabled: 1 });
  t.deepEqual(bridge.sessions.list(), sessions);
  t.is(viewer.closed, undefined);
});

test('a VM that ends and starts again finds its viewers waiting', async (t) => {
  const { bridge, vm, ids } = await machine(t, { enable: [1] });
  await until('both sessions', () => ids().length === 2);
  const viewer = watch(t, bridge, 'vm-1');
  await vm.stop();
  await until('it is said', () => viewer.of('state').some(({ code }) => code === 'VM_GONE'));
  await vm.start();
  await until('it goes on', () => viewer.of('state').at(-1)?.code !== 'VM_GONE');
  t.is(viewer.closed, undefined);
  t.is(ids().length, 2);
});

test('a server that breaks the protocol loses the connection, and the bridge tries again', async (t) => {
  const { bridge, vm, ids } = await machine(t);
  await until('a session', () => ids().length === 1);
  const viewer = watch(t, bridge, 'vm-0');
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  vm.shout(new Uint8Array(64).fill(0xff));
  await until('it is noticed', () => viewer.of('state').some(({ code }) => code === 'VM_GONE'));
  await until('it goes on', () => viewer.of('state').at(-1)?.code !== 'VM_GONE');
  t.is(viewer.closed, undefined);
});

test('ending a session disconnects its display', async (t) => {
  const { bridge, vm, ids } = await machine(t, { enable: [1] });
  await until('both sessions', () => ids().length === 2);
  const path = new URL('v1/sessions/vm-1', bridge.url);
  t.is((await fetch(path, { method: 'DELETE' })).status, 202);
  await until('one session is left', () => ids().join() === 'vm-0');
  t.like(vm.configured.at(-1), { scanout: 1, enabled: 0 });
});
