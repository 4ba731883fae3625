// Engine workers that die, hang, or cannot start: the session says so, and its viewers stay.
import test from 'ava';
import { alive, bridgeFor, isKey, SMALL, until, watch } from './running-bridge.js';

const SIGNALS = ['SIGKILL', 'SIGABRT', 'SIGSEGV'] as const;

for (const signal of SIGNALS) {
  test(`a worker that ends by ${signal} is replaced; its viewers stay and get a key frame`, async (t) => {
    const bridge = await bridgeFor(t);
    const session = bridge.sessions.get(SMALL.id);
    const viewer = watch(t, bridge);
    await viewer.units(5);
    const { workerPid } = session.report();
    process.kill(workerPid as number, signal);
    const { length } = viewer.headers;
    await until('it restarts', () => viewer.states.includes('restarting'));
    await viewer.units(length + 10);
    t.is(viewer.closed, undefined);
    t.not(session.report().workerPid, workerPid);
    t.is(session.report().restarts, 1);
    t.is(viewer.states.at(-1), 'live');
    t.like(
      viewer.of('state').find(({ state }) => state === 'restarting'),
      {
        code: 'ENGINE_CRASHED',
      },
    );
    t.deepEqual(viewer.gaps, [], 'the sequence goes on');
    const configs = viewer.of('config').map(({ id }) => id);
    const [first, second] = configs.slice(-2);
    t.not(first, second, 'a config of its own for the new worker');
    t.true(isKey(viewer.headers.find(({ config }) => config === second)));
  });
}

test('a worker that hangs is noticed and replaced', async (t) => {
  const bridge = await bridgeFor(t);
  const viewer = watch(t, bridge);
  await viewer.units(5);
  const { workerPid } = bridge.sessions.get(SMALL.id).report();
  process.kill(workerPid as number, 'SIGSTOP');
  const { length } = viewer.headers;
  await until('it restarts', () => viewer.of('state').some(({ code }) => code === 'ENGINE_HUNG'));
  await viewer.units(length + 10);
  t.false(alive(workerPid as number));
  t.is(viewer.closed, undefined);
});

test('closing a session ends its worker and tells its viewers', async (t) => {
  const bridge = await bridgeFor(t);
  const session = bridge.sessions.get(SMALL.id);
  const viewer = watch(t, bridge);
  await viewer.units(1);
  const pid = session.report().workerPid as number;
  await bridge.sessions.remove(session);
  t.false(alive(pid));
  await viewer.end();
  t.is(viewer.closed?.code, 4410);
  t.is(viewer.states.at(-1), 'ended');
});
