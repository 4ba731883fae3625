import test from 'ava';
import fc from 'fast-check';
import {
  type BitrateBounds,
  BitrateEstimator,
  DECREASE,
  DECREASE_PAUSE_MS,
  HOLD_MS,
  QUEUE_LIMIT_MS,
  sessionBitrate,
  worthApplying,
} from '../src/bitrate.js';

const BOUNDS: BitrateBounds = { min: 500, start: 4000, max: 10_000 };

/** Acks every 20 ms with these delays; returns the time after the last. */
function acks(estimator: BitrateEstimator, delays: readonly number[], from = 0): number {
  delays.forEach((delay, i) => {
    estimator.acked(delay, from + i * 20);
  });
  return from + delays.length * 20;
}

const steady = (count: number, delay: number): number[] => Array(count).fill(delay);

test('starts at the start and rises to the maximum on a quiet connection', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  t.is(estimator.kbps, BOUNDS.start);
  acks(estimator, steady(50, 5));
  t.true(estimator.kbps > BOUNDS.start * 1.05);
  acks(estimator, steady(2000, 5), 1000);
  t.is(estimator.kbps, BOUNDS.max);
});

test('a long but steady delay is distance, not congestion', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  acks(estimator, steady(100, 300));
  t.true(estimator.kbps > BOUNDS.start);
});

test('a delay that grows is a queue: the rate falls by one step, and stays until that had time to work', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  let now = acks(estimator, [5]);
  now = acks(estimator, steady(3, 5 + QUEUE_LIMIT_MS + 10), now);
  t.is(estimator.kbps, Math.round(BOUNDS.start * DECREASE));
  acks(estimator, steady(3, 5 + QUEUE_LIMIT_MS + 10), now);
  t.is(estimator.kbps, Math.round(BOUNDS.start * DECREASE), 'a second step too early');
  acks(estimator, steady(6, 5 + QUEUE_LIMIT_MS + 10), now + DECREASE_PAUSE_MS);
  t.is(estimator.kbps, Math.round(BOUNDS.start * DECREASE * DECREASE));
});

test('one late ack is jitter', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  acks(estimator, [5, 5, 500, 5, 5, 500, 500, 5]);
  t.true(estimator.kbps >= BOUNDS.start);
});

test('after congestion the rate is held before it rises again', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  let now = acks(estimator, [5, 200, 200, 200]);
  const low = estimator.kbps;
  now = acks(estimator, steady(50, 5), now);
  t.is(estimator.kbps, low);
  acks(estimator, steady(50, 5), now + HOLD_MS);
  t.true(estimator.kbps > low);
});

test('a viewer that had to skip halves its rate', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  estimator.skipped(0);
  t.is(estimator.kbps, BOUNDS.start / 2);
});

test('a pause in the acks gives no jump', (t) => {
  const estimator = new BitrateEstimator(BOUNDS);
  estimator.acked(5, 0);
  estimator.acked(5, 3_600_000);
  t.true(estimator.kbps < BOUNDS.start * 1.05);
});

test('whatever comes, the rate stays within its bounds', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -1000, max: 60_000 }), fc.nat(5000), fc.boolean())),
      (steps) => {
        const estimator = new BitrateEstimator(BOUNDS);
        let now = 0;
        for (const [delay, pause, skipped] of steps) {
          now += pause;
          if (skipped) estimator.skipped(now);
          else estimator.acked(delay, now);
          if (estimator.kbps < BOUNDS.min || estimator.kbps > BOUNDS.max) return false;
        }
        return true;
      },
    ),
  );
  t.pass();
});

test('a slow viewer among others does not lower the rate of the session', (t) => {
  t.is(sessionBitrate([], BOUNDS), BOUNDS.start);
  t.is(sessionBitrate([900], BOUNDS), 900);
  t.is(sessionBitrate([900, 8000], BOUNDS), 8000);
  t.is(sessionBitrate([8000, 900, 7000], BOUNDS), 7000);
  t.is(sessionBitrate([900, 8000, 800], BOUNDS), 900);
});

test('the encoder is bothered with real changes only', (t) => {
  t.false(worthApplying(4000, 4100));
  t.true(worthApplying(4000, 4200));
  t.true(worthApplying(4000, 3800));
});
