// One encode for any number of viewers; slow viewers; viewers that come and go. Real engine worker, real sockets.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CloseCode } from '@scanbridge/protocol/viewer';
import { VideoFlag } from '@scanbridge/protocol/viewer/video';
import test from 'ava';
import { bridgeFor, isKey, SMALL, until, Watcher, watch } from './running-bridge.js';

for (const count of [1, 10, 100]) {
  test.serial(`exactly one encode with ${count} viewers`, async (t) => {
    const bridge = await bridgeFor(t, { idleAfterMs: 500 });
    const session = bridge.sessions.get(SMALL.id);
    const viewers = Array.from({ length: count }, () => watch(t, bridge));
    await until('everyone watches', () => viewers.every(({ headers }) => headers.length > 0));
    const from = session.report().accessUnits;
    await until('60 units more', () => session.report().accessUnits >= from + 60);
    await Promise.all(viewers.map(({ client }) => client.close()));
    // The encoder sleeps without viewers, so that both counters come to rest.
    await until('the encoder sleeps', async () => {
      const { accessUnits } = session.report();
      await sleep(1200);
      return session.report().accessUnits === accessUnits;
    });
    const { encoded, accessUnits, keyFrames } = session.report();
    // The access units that were under way when the encoder was sent to sleep had nobody to go to: 4 at most.
    const unsent = encoded - accessUnits;
    t.true(unsent >= 0 && unsent <= 4, `${encoded} encoded, the bridge got ${accessUnits}`);
    t.true(accessUnits < from + 60 + 4 * SMALL.fps, `${accessUnits} units, ${from} before`);
    t.true(keyFrames < 20, `${keyFrames} key frames for ${count} viewers that came at once`);
    for (const viewer of viewers) {
      t.true(viewer.headers.length >= 60);
      t.true(isKey(viewer.headers[0]));
      t.deepEqual(viewer.gaps, []);
    }
  });
}

test.serial(
  'a viewer that joins a still desktop gets a key frame of the picture that stands',
  async (t) => {
    // One picture a second is still for a viewer that joins between two.
    const still = { id: 'still', width: 320, height: 180, fps: 1 };
    const bridge = await bridgeFor(t, { testPatterns: [still], keepaliveMs: 0 });
    const first = watch(t, bridge, 'still');
    await first.units(3);
    for (let i = 0; i < 5; i++) {
      // Just after a picture: the next one is far away.
      const { length } = first.headers;
      await first.units(length + 1);
      await sleep(100);
      const viewer = watch(t, bridge, 'still');
      await viewer.units(1);
      t.is(viewer.headers[0]?.flags, VideoFlag.KEY | VideoFlag.KEEPALIVE, `join ${i}`);
      await viewer.client.close();
    }
  },
);

test.serial('a sleeping encoder wakes for a viewer', async (t) => {
  const bridge = await bridgeFor(t, { idleAfterMs: 500 });
  const session = bridge.sessions.get(SMALL.id);
  const viewer = watch(t, bridge);
  await viewer.units(3);
  await viewer.client.close();
  await until('the encoder sleeps', async () => {
    const { accessUnits } = session.report();
    await sleep(500);
    return session.report().accessUnits === accessUnits;
  });
  const next = watch(t, bridge);
  await next.units(10);
  t.true(isKey(next.headers[0]));
  t.is(session.report().restarts, 0);
  t.is(session.report().state, 'live');
});

test.serial('a viewer that stands still slows nobody, and goes on at a key frame', async (t) => {
  const bridge = await bridgeFor(t);
  const fast = watch(t, bridge);
  const slow = watch(t, bridge);
  await Promise.all([fast.units(10), slow.units(10)]);
  slow.client.socket.pause();
  const from = fast.headers.length;
  await fast.units(from + 4 * SMALL.fps);
  const { length } = slow.headers;
  slow.client.socket.resume();
  await until('the slow one goes on', () => slow.gaps.length > 0);
  await slow.units(length + 30);
  t.deepEqual(fast.gaps, []);
  t.deepEqual(
    slow.gaps.map((at) => isKey(slow.headers[at])),
    slow.gaps.map(() => true),
  );
  await until('it is told', () => slow.of('stats').some(({ skipped }) => skipped > 0));
  t.true(fast.of('stats').every(({ skipped }) => skipped === 0));
});

test.serial('a viewer that never acknowledges is closed as too slow', async (t) => {
  const bridge = await bridgeFor(t);
  const good = watch(t, bridge);
  const mute = watch(t, bridge, SMALL.id, { acknowledge: false });
  await mute.end();
  t.is(mute.closed?.code, CloseCode.TOO_SLOW);
  t.like(mute.of('error')[0], { code: 'TOO_SLOW' });
  t.is(good.closed, undefined);
  t.deepEqual(good.gaps, []);
});

test.serial('500 connects and disconnects leave descriptors and memory as they were', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const heap = async () => {
    await sleep(200);
    collect();
    return process.memoryUsage().heapUsed;
  };
  const bridge = await bridgeFor(t);
  const session = bridge.sessions.get(SMALL.id);
  const comeAndGo = async (times: number) => {
    for (let i = 0; i < times; i += 5) {
      const viewers = Array.from({ length: 5 }, () => new Watcher(bridge.url, SMALL.id));
      await Promise.all(viewers.map((viewer) => viewer.units(1)));
      // Every second one is cut instead of closed.
      for (const [n, { client }] of viewers.entries()) {
        if (n % 2 === 0) client.socket.terminate();
        else client.socket.close();
      }
      await Promise.all(viewers.map((viewer) => viewer.end()));
    }
    await until('nobody is left', () => session.report().viewers === 0);
  };
  await comeAndGo(50);
  const before = { descriptors: descriptors(), heap: await heap() };
  await comeAndGo(500);
  await until('descriptors are closed', () => descriptors() <= before.descriptors);
  const grown = (await heap()) - before.heap;
  t.true(grown < 1_500_000, `the heap has grown by ${grown} bytes`);
  t.is(session.report().restarts, 0);
});
