import test from 'ava';
import fc from 'fast-check';
import {
  MAX_BUFFERED_FLOOR,
  MAX_UNACKED_MS,
  MAX_UNACKED_UNITS,
  RECOVERY_MIN_MS,
  sequenceDistance,
  TOO_SLOW_MS,
  ViewerFlow,
} from '../src/viewers/flow.js';

const RATE = 1000;
const key = (sequence: number) => ({ sequence, key: true });
const delta = (sequence: number) => ({ sequence, key: false });

/** A flow that has its key frame, sequence 0 at time 0. */
function flowing(): ViewerFlow {
  const flow = new ViewerFlow();
  flow.offer(key(0), 0, RATE, 0);
  return flow;
}

test('nothing is sent before a key frame', (t) => {
  const flow = new ViewerFlow();
  t.false(flow.offer(delta(1), 0, RATE, 0));
  t.true(flow.offer(key(2), 0, RATE, 10));
  t.true(flow.offer(delta(3), 0, RATE, 20));
  t.is(flow.skipped, 1);
});

test('a full socket moves the viewer to a later key frame, once the socket is empty', (t) => {
  const flow = flowing();
  t.false(flow.offer(delta(1), MAX_BUFFERED_FLOOR * 2, RATE, 10));
  t.is(flow.state, 'behind');
  t.false(flow.offer(key(2), 1000, RATE, 20), 'a key frame while data waits');
  flow.acked(0, 30);
  t.false(flow.offer(delta(3), 0, RATE, 40), 'a delta after a gap');
  t.true(flow.offer(key(4), 0, RATE, 50));
  t.is(flow.state, 'flowing');
});

test('the socket may hold half a second of a fast stream', (t) => {
  const flow = flowing();
  t.true(flow.offer(delta(1), MAX_BUFFERED_FLOOR * 2, MAX_BUFFERED_FLOOR / 100, 10));
});

test('acks that do not come move it too: by time, and by number', (t) => {
  const late = flowing();
  t.true(late.offer(delta(1), 0, RATE, MAX_UNACKED_MS));
  t.false(late.offer(delta(2), 0, RATE, MAX_UNACKED_MS + 1));
  const many = flowing();
  for (let i = 1; i < MAX_UNACKED_UNITS; i++) t.true(many.offer(delta(i), 0, RATE, 1));
  t.false(many.offer(delta(MAX_UNACKED_UNITS), 0, RATE, 1));
  t.is(many.unacked, MAX_UNACKED_UNITS);
});

test('an ack covers what came before it, also around the end of the numbers', (t) => {
  const flow = new ViewerFlow();
  flow.offer(key(0xfffffffe), 0, RATE, 0);
  flow.offer(delta(0xffffffff), 0, RATE, 10);
  flow.offer(delta(0), 0, RATE, 20);
  flow.offer(delta(1), 0, RATE, 30);
  t.is(flow.acked(0, 50), 30);
  t.is(flow.unacked, 1);
  t.is(flow.acked(0, 60), undefined, 'the same ack again');
  t.is(sequenceDistance(0, 0xffffffff), 1);
});

test('an ack of something that was never sent is of no use to anybody', (t) => {
  const flow = flowing();
  t.is(flow.acked(77, 10), undefined);
});

test('a viewer that caught up asks for a key frame, with growing pauses', (t) => {
  const flow = flowing();
  t.false(flow.recover(0, 5), 'it is not behind');
  flow.offer(delta(1), MAX_BUFFERED_FLOOR * 2, RATE, 10);
  t.false(flow.recover(1000, 20), 'its socket is not empty');
  flow.acked(0, 30);
  t.true(flow.recover(0, 40));
  t.false(flow.recover(0, 50), 'one at a time');
  t.true(flow.recover(0, 41 + 2 * RECOVERY_MIN_MS), 'the key frame did not come');
});

test('behind for too long and not moving: too slow', (t) => {
  const flow = flowing();
  flow.offer(delta(1), MAX_BUFFERED_FLOOR * 2, RATE, 10);
  t.false(flow.tooSlow(1000, TOO_SLOW_MS));
  t.true(flow.tooSlow(1000, TOO_SLOW_MS + 11));
});

test('every sequence that is sent can be decoded: no delta after a gap, whatever happens', (t) => {
  const step = fc.record({
    key: fc.boolean(),
    buffered: fc.constantFrom(0, 1000, MAX_BUFFERED_FLOOR * 2),
    pause: fc.nat(2000),
    ack: fc.boolean(),
    restart: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const flow = new ViewerFlow();
      let now = 0;
      let last: number | undefined;
      for (const [sequence, { key: isKey, buffered, pause, ack, restart }] of steps.entries()) {
        now += pause;
        if (restart) flow.restart();
        if (flow.offer({ sequence, key: isKey }, buffered, RATE, now)) {
          if (!isKey && last !== sequence - 1) return false;
          last = sequence;
        }
        if (ack && last !== undefined) flow.acked(last, now);
        if (flow.unacked > MAX_UNACKED_UNITS) return false;
      }
      return true;
    }),
  );
  t.pass();
});
