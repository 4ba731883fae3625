// Pictures in resources, between an agent and a worker: what is shown, what is released, and when.
import test from 'ava';
import fc from 'fast-check';
import { GuestClock } from '../src/sources/guest-clock.js';
import { ResourceStream } from '../src/sources/resource-stream.js';
import type { FeedCommand } from '../src/worker/messages.js';

const layout = (resource: number) => ({
  type: 'resource' as const,
  stream: 1,
  resource,
  width: 640,
  height: 480,
  stride: 2560,
  offset: 0,
  format: 0x34325258,
  modifier: '0000000000000000',
  backing: true,
});
const rect = (x: number, y: number, width: number, height: number) => ({ x, y, width, height });
type Rect = ReturnType<typeof rect>;

/** A stream with an agent and a worker that do what a test says. */
class Desk {
  readonly stream = new ResourceStream();
  readonly commands: FeedCommand[] = [];
  readonly released: number[] = [];
  readonly refused: number[] = [];
  #sequence = 0;

  constructor() {
    this.stream.connect((command) => this.commands.push(command));
    this.stream.begin({
      release: (sequence) => this.released.push(sequence),
      refused: (resource) => this.refused.push(resource),
    });
  }

  open(): this {
    this.stream.onWorker({ type: 'source', open: true });
    return this;
  }

  show(resource: number, damage?: Rect): number {
    this.#sequence++;
    const frame = { type: 'frame' as const, stream: 1, sequence: this.#sequence, resource };
    const pts = this.#sequence * 1000;
    this.stream.show({ ...frame, pts, ...(damage && { damage }) }, pts + 5000);
    return this.#sequence;
  }

  /** Frames that the worker was told of. */
  get frames() {
    return this.commands.filter((c) => c.type === 'frame');
  }

  /** The worker has read the newest frame. */
  done(): void {
    this.stream.onWorker({ type: 'released', token: this.frames.at(-1)?.token ?? 0 });
  }
}

test('a frame goes to the worker, and its release back to the agent, once', (t) => {
  const desk = new Desk().open();
  desk.stream.add(layout(7));
  const sequence = desk.show(7, rect(0, 0, 8, 8));
  t.deepEqual(desk.frames, [
    { type: 'frame', token: 1, resource: 7, pts: 6000, damage: rect(0, 0, 8, 8) },
  ]);
  t.deepEqual(desk.released, []);
  desk.done();
  desk.done();
  t.deepEqual(desk.released, [sequence]);
});

test('the newest frame waits; an older one is released unread, and its damage is not lost', (t) => {
  const desk = new Desk().open();
  desk.stream.add(layout(7));
  desk.show(7);
  const second = desk.show(7, rect(0, 0, 8, 8));
  desk.show(7, rect(100, 50, 8, 8));
  t.deepEqual(desk.released, [second]);
  desk.done();
  t.deepEqual(desk.frames.at(-1)?.damage, rect(0, 0, 108, 58));
});

test('without a worker the newest frame is kept unreleased, and shown when there is one', (t) => {
  const desk = new Desk();
  desk.stream.add(layout(7));
  const first = desk.show(7, rect(0, 0, 8, 8));
  t.deepEqual(desk.released, []);
  desk.show(7, rect(8, 8, 8, 8));
  t.deepEqual(desk.released, [first]);
  t.deepEqual(desk.commands, []);
  desk.open();
  // An encoder that is new has seen nothing: all of it has changed.
  t.is(desk.frames.length, 1);
  t.is(desk.frames[0]?.damage, undefined);
});

test('a worker that follows another one shows what viewers saw last', (t) => {
  const desk = new Desk().open();
  desk.stream.add(layout(7));
  const sequence = desk.show(7, rect(0, 0, 8, 8));
  desk.done();
  desk.stream.lost();
  desk.open();
  t.is(desk.frames.length, 2);
  t.is(desk.frames[1]?.damage, undefined);
  desk.done();
  t.deepEqual(desk.released, [sequence], 'nobody waits for its release any more');
});

test('a frame that a worker died with is shown by the next one, and released after that', (t) => {
  const desk = new Desk().open();
  desk.stream.add(layout(7));
  const sequence = desk.show(7);
  desk.stream.lost();
  desk.open();
  t.is(desk.frames.length, 2);
  t.deepEqual(desk.released, []);
  // The late word of the one that died is about another token.
  desk.stream.onWorker({ type: 'released', token: desk.frames[0]?.token as number });
  t.deepEqual(desk.released, []);
  desk.done();
  t.deepEqual(desk.released, [sequence]);
});

test('frames in resources that are not known, gone, or refused are released at once', (t) => {
  const desk = new Desk().open();
  const unknown = desk.show(9);
  desk.stream.add(layout(7));
  desk.stream.onWorker({
    type: 'resource-refused',
    resource: 7,
    code: 'SURFACE_NO_SUCH_RESOURCE',
    message: 'there is none',
  });
  const refused = desk.show(7);
  t.deepEqual(desk.released, [unknown, refused]);
  t.deepEqual(desk.refused, [7]);
  t.deepEqual(desk.frames, []);
  desk.stream.add(layout(7));
  desk.show(7, rect(0, 0, 8, 8));
  t.is(desk.frames[0]?.damage, undefined, 'what the lost ones changed is not known');
  const waiting = desk.show(7);
  desk.stream.remove(7);
  t.deepEqual(desk.released, [unknown, refused, waiting]);
  t.deepEqual(desk.commands.at(-1), { type: 'resource-gone', resource: 7 });
});

test('nothing of an agent that is gone is left', (t) => {
  const desk = new Desk().open();
  desk.stream.add(layout(7));
  desk.show(7);
  desk.stream.end();
  t.deepEqual(desk.commands.at(-1), { type: 'resource-gone', resource: 7 });
  desk.done();
  t.deepEqual(desk.released, []);
  t.is(desk.stream.resources.size, 0);
});

test('whatever happens, each frame is released once, and two are held at most', (t) => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('show' as const), resource: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('add' as const), resource: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('remove' as const), resource: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('refuse' as const), resource: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constantFrom('done' as const, 'open' as const, 'lost' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const desk = new Desk();
      let shown = 0;
      for (const one of steps) {
        if (one.do === 'show') shown = desk.show(one.resource);
        else if (one.do === 'add') desk.stream.add(layout(one.resource));
        else if (one.do === 'remove') desk.stream.remove(one.resource);
        else if (one.do === 'refuse') {
          const { resource } = one;
          desk.stream.onWorker({ type: 'resource-refused', resource, code: 'X', message: '' });
        } else if (one.do === 'done') desk.done();
        else if (one.do === 'open') desk.open();
        else desk.stream.lost();
        t.is(new Set(desk.released).size, desk.released.length);
        t.true(shown - desk.released.length <= 2);
      }
      desk.open();
      for (let i = 0; i < 3; i++) desk.done();
      return desk.released.length === shown;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test("a guest's times keep their distances, and never lie in the future or go back", (t) => {
  const clock = new GuestClock();
  t.is(clock.toHost(1_000, 50_000), 50_000);
  // This one took 4 ms longer on its way.
  t.is(clock.toHost(17_000, 70_000), 66_020);
  t.is(clock.toHost(34_000, 83_000), 83_000);
  // A VM that was stopped for an hour.
  t.is(clock.toHost(51_000, 3_600_100_000), 3_600_100_000);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.maxSafeNat(), fc.nat(100_000))), (times) => {
      const hostile = new GuestClock();
      let now = 1_000_000;
      let last = 0;
      for (const [guest, step] of times) {
        now += step;
        const host = hostile.toHost(guest, now);
        if (!Number.isSafeInteger(host) || host > now || host < last) return false;
        last = host;
      }
      return true;
    }),
  );
});
