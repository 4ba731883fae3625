// Scanouts that an agent lends: what it may ask, what is shown of it, and what is believed.
import { join } from 'node:path';
import type { FromAgent } from '@scanbridge/protocol/agent';
import test, { type ExecutionContext } from 'ava';
import { bridgeFor, folderFor, until, watch } from './running-bridge.js';
import { ScriptedSurfaceServer } from './scripted-surface-server.js';
import { Agent, HELLO } from './wire-agent.js';

const SIZE = { width: 1280, height: 720 };
const CLAIM: Extract<FromAgent, { type: 'lease-claim' }> = {
  type: 'lease-claim',
  ...{ lease: 'lease-1', owner: 'web-1', device: 0, scanout: 1, ...SIZE },
};
const CONFIGURE: Extract<FromAgent, { type: 'scanout-configure' }> = {
  type: 'scanout-configure',
  ...{ serial: 1, device: 0, scanout: 1, mode: { ...SIZE, refresh: 60_000 } },
};

/** Two VMs; agents of the first come by one way, of the second by another, of neither by a third. */
async function machines(t: ExecutionContext) {
  const folder = await folderFor(t);
  const vms = [];
  const agents = [];
  for (const name of ['one', 'two']) {
    const vm = new ScriptedSurfaceServer(join(folder, `${name}.sock`));
    await vm.start();
    t.teardown(() => vm.stop());
    vms.push(vm);
    const base = join(folder, name);
    const mapping = { name, exporter: vm.path };
    agents.push({ kind: 'vsock-unix' as const, base, port: 1, vm: mapping });
  }
  agents.push({ kind: 'vsock-unix' as const, base: join(folder, 'none'), port: 1 });
  const bridge = await bridgeFor(t, {
    testPatterns: [],
    scanouts: vms.map(({ path }) => ({ socket: path })),
    agents,
  });
  const [one, two] = vms as [ScriptedSurfaceServer, ScriptedSurfaceServer];
  const agent = (way: string, instance = HELLO.instance) =>
    new Agent(t, join(folder, `${way}_1`)).send({ ...HELLO, name: way, instance });
  const report = (id: string) =>
    bridge.sessions
      .list()
      .find((session) => session.id === id)
      ?.report();
  await until('both consoles are sessions', () => bridge.sessions.list().length === 2);
  return { ...{ one, two, bridge, agent, report }, lease: (id: string) => report(id)?.lease };
}

test("an agent's display is connected, and its owner shown as far as QEMU agrees", async (t) => {
  const { one, two, agent, lease, report } = await machines(t);
  const a = agent('one').send(CONFIGURE, CLAIM);
  t.like(await a.got('scanout-configured'), { serial: 1 });
  t.like(one.configured, [{ scanout: 1, enabled: 1, ...SIZE, refresh: 60_000 }]);
  t.deepEqual(two.configured, []);
  await until('it is claimed', () => lease('one-1') !== undefined);
  t.like(lease('one-1'), { id: 'lease-1', owner: 'web-1', check: 'pending' });
  t.true(report('one-1')?.input);

  one.draw(1, SIZE.width, SIZE.height);
  await until('QEMU agrees', () => lease('one-1')?.check === 'confirmed');
  t.is(lease('one-1')?.reason, undefined);
  one.draw(1, 800, 600);
  await until('it does not', () => lease('one-1')?.check === 'contradicted');
  t.regex(lease('one-1')?.reason ?? '', /1280x720.*800x600/);

  a.send({ type: 'lease-release', lease: 'lease-1' });
  await until('it is released', () => lease('one-1') === undefined);
  a.send({ type: 'scanout-configure', serial: 2, device: 0, scanout: 1 });
  await until('it is disconnected', () => one.configured.length === 2);
  t.like(one.configured[1], { scanout: 1, enabled: 0 });
});

test('a claim without a display is not believed', async (t) => {
  const { agent, one, lease } = await machines(t);
  const a = agent('one').send({ ...CLAIM, scanout: 0, owner: 'the boss' });
  await until('it is claimed', () => lease('one-0') !== undefined);
  t.is(lease('one-0')?.check, 'pending');
  one.reset();
  await until('a guest that reboots has no leases', () => lease('one-0') === undefined);
  a.socket.destroy();
});

test('an agent has the scanouts of its own VM, and no other', async (t) => {
  const { one, two, agent, lease } = await machines(t);
  const two2 = agent('two').send(CONFIGURE, CLAIM);
  await two2.got('scanout-configured');
  t.deepEqual(one.configured, []);
  t.is(two.configured.length, 1);
  await until('it is claimed', () => lease('two-1') !== undefined);
  t.is(lease('one-1'), undefined);

  const stranger = agent('none').send(CONFIGURE, CLAIM);
  t.regex((await stranger.got('scanout-refused')).message, /--scanout SOCKET and --vm/);
  t.is((await stranger.got('lease-refused')).lease, 'lease-1');
  // A second GPU, whose exporter the bridge was not told.
  const far = agent('one').send({ ...CONFIGURE, device: 1 });
  t.regex((await far.got('scanout-refused')).message, /first GPU/);
  t.deepEqual(one.configured, []);
});

test('a scanout has one lease, of one agent', async (t) => {
  const { agent, lease } = await machines(t);
  const a = agent('one').send(CONFIGURE, CLAIM);
  await until('it is claimed', () => lease('one-1') !== undefined);
  a.send({ ...CLAIM, lease: 'lease-2' });
  t.regex((await a.got('lease-refused')).message, /has lease lease-1 already/);
  const b = agent('one', '7b3c6a56-6d2e-4c53-9a0c-0a4f6f6f1f11');
  b.send({ ...CONFIGURE, serial: 9 }, { ...CLAIM, owner: 'thief' });
  t.regex((await b.got('scanout-refused')).message, /another agent's/);
  await b.got('lease-refused');
  t.is(lease('one-1')?.owner, 'web-1');
  // An agent that is gone has none.
  a.socket.destroy();
  await until('it is forgotten', () => lease('one-1') === undefined);
  b.send(CLAIM);
  await until('the other may have it', () => lease('one-1') !== undefined);
});

test("a viewer's size, input and end go to the agent", async (t) => {
  const { bridge, agent, lease } = await machines(t);
  const a = agent('one').send(CONFIGURE, CLAIM);
  await until('it is claimed', () => lease('one-1') !== undefined);
  const viewer = watch(t, bridge, 'one-1');
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  viewer.client.send({ type: 'resize', width: 800, height: 600 });
  t.like(await a.got('lease-resize'), { lease: 'lease-1', width: 800, height: 600 });
  viewer.client.send({ type: 'input', events: [{ kind: 'key', code: 30, pressed: true }] });
  t.like(await a.got('lease-input'), {
    lease: 'lease-1',
    events: [{ kind: 'key', code: 30, pressed: true }],
  });
  await fetch(new URL('v1/sessions/one-1', bridge.url), { method: 'DELETE' });
  t.is((await a.got('lease-end')).lease, 'lease-1');
});
