import test from 'ava';
import fc from 'fast-check';
import { StartGate } from '../src/worker/start-gate.js';

test('so many are inside at a time, the others follow in order', (t) => {
  const gate = new StartGate(2);
  const started: number[] = [];
  const leave = [1, 2, 3, 4].map((n) => gate.enter(() => started.push(n)));
  t.deepEqual(started, [1, 2]);
  leave[2]?.();
  leave[0]?.();
  t.deepEqual(started, [1, 2, 4], 'the third gave up waiting');
  leave[0]?.();
  leave[2]?.();
  gate.enter(() => started.push(5));
  t.deepEqual(started, [1, 2, 4], 'leaving twice lets nobody in');
});

test('never more than its width, and nobody is forgotten', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(fc.nat(20)), (width, order) => {
      const gate = new StartGate(width);
      let inside = 0;
      let started = 0;
      let most = 0;
      const leave = order.map(() => {
        let mine = false;
        const go = gate.enter(() => {
          mine = true;
          started++;
          most = Math.max(most, ++inside);
        });
        return () => {
          if (!mine) return false;
          mine = false;
          inside--;
          go();
          return true;
        };
      });
      while (leave.some((l) => l()));
      return started === order.length && most <= width;
    }),
  );
  t.pass();
});
