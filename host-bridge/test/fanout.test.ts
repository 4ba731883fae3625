import { setTimeout as sleep } from 'node:timers/promises';
import { decodeVideo, encodeVideo, VideoFlag } from '@scanbridge/protocol/viewer/video';
import test from 'ava';
import { type AccessUnit, Fanout, KEY_FRAME_INTERVAL_MS, type Recipient } from '../src/fanout.js';
import { monotonicUs } from '../src/worker/framing.js';

class Counter implements Recipient {
  readonly units: AccessUnit[] = [];
  watching = true;

  unit(unit: AccessUnit): void {
    this.units.push(unit);
  }
}

function unit(sequence: number, flags = 0, config = 1): Buffer {
  const header = { flags, config, sequence, pts: 5n, capture: 1, encode: 2, bridge: 0 };
  return Buffer.from(encodeVideo(header, new Uint8Array([0, 0, 0, 1, 9])));
}

function fanoutOf(viewers: number) {
  let requests = 0;
  const fanout = new Fanout<Counter>(() => {
    requests++;
  });
  const counters = Array.from({ length: viewers }, () => new Counter());
  for (const counter of counters) fanout.recipients.add(counter);
  return { fanout, counters, requests: () => requests };
}

test('everyone gets the very same buffer, with the time that the bridge took', (t) => {
  const { fanout, counters } = fanoutOf(3);
  const message = unit(0, VideoFlag.KEY);
  fanout.push(message, monotonicUs() - 1500);
  for (const { units } of counters) t.is(units[0]?.message, message);
  const { header } = decodeVideo(message);
  t.true(header.bridge >= 1500 && header.bridge < 1_000_000);
  t.is(header.pts, 5n);
  fanout.close();
});

test('sequence and config ids go on when the worker is another one', (t) => {
  const { fanout, counters } = fanoutOf(1);
  t.is(fanout.configId(1), 1);
  fanout.push(unit(7, VideoFlag.KEY), 0);
  fanout.push(unit(8), 0);
  fanout.restart();
  const next = fanout.configId(1);
  t.not(next, 1);
  fanout.push(unit(0, VideoFlag.KEY), 0);
  const headers = counters[0]?.units.map((u) => decodeVideo(u.message).header) ?? [];
  t.deepEqual(
    headers.map((h) => h.sequence),
    [0, 1, 2],
  );
  t.deepEqual(
    headers.map((h) => h.config),
    [1, 1, next],
  );
  fanout.close();
});

test('requests for a key frame are merged until one comes', (t) => {
  const { fanout, requests } = fanoutOf(100);
  for (let i = 0; i < 100; i++) fanout.needKeyFrame();
  t.is(requests(), 1);
  fanout.close();
});

test('who asks right after a key frame waits a moment, and gets one', async (t) => {
  const { fanout, requests } = fanoutOf(1);
  fanout.needKeyFrame();
  fanout.push(unit(0, VideoFlag.KEY), 0);
  fanout.needKeyFrame();
  t.is(requests(), 1);
  await sleep(KEY_FRAME_INTERVAL_MS * 3);
  t.is(requests(), 2);
  fanout.close();
});

test('nobody watches: no key frame is made for nobody', (t) => {
  const { fanout, counters, requests } = fanoutOf(1);
  (counters[0] as Counter).watching = false;
  fanout.needKeyFrame();
  t.is(requests(), 0);
  fanout.close();
});

test('what is no video message is refused', (t) => {
  const { fanout } = fanoutOf(1);
  t.throws(() => fanout.push(Buffer.alloc(40), 0), { instanceOf: RangeError });
  t.throws(() => fanout.push(unit(0).subarray(0, 32), 0), { instanceOf: RangeError });
});
