// Scanouts that are lent to compositors, in a real VM: what they show comes out of the frame exporter.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lease } from '@scanbridge/agent/leases';
import { SurfaceClient } from '@scanbridge/native-host-linux';
import test, { type ExecutionContext } from 'ava';
import { type Colour, Compositor } from './compositor.js';
import { cage, labwc, mutter, share, sway, weston } from './desktop-programs.js';
import { FrameReader } from './frames.js';
import { BUILD_MILLISECONDS, Guest, MAX_HEADS } from './guest.js';
import { GuestLeases, installAgent } from './leases.js';

const SIZE = { width: 640, height: 480 };
const SWAY_COLOUR: Colour = [0x1d, 0x35, 0x57];
const WESTON_COLOUR: Colour = [0x2d, 0x6a, 0x4f];
const MUTTER_COLOUR: Colour = [0x6a, 0x1b, 0x9a];
const OTHER_COLOUR: Colour = [0x99, 0x66, 0x11];
/** All but the console. */
const LEASABLE = MAX_HEADS - 1;

let guest: Guest;
let leases: GuestLeases;
let client: SurfaceClient;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  guest = await Guest.boot({ heads: MAX_HEADS, frameExport: true, memory: 3072 });
  await installAgent(guest);
  leases = await GuestLeases.start(guest);
  client = await SurfaceClient.connect(guest.framesSocket, { name: 'viewer' });
});
test.afterEach.always(async () => {
  // What a test that failed has left is not the next one's.
  for (const { id } of await leases.list()) await leases.release(id).catch(() => undefined);
});
test.after.always(async () => {
  await client?.close();
  await leases?.[Symbol.asyncDispose]();
  await guest?.close();
});

/** Waits until a lease's scanout shows a picture of this size that is mostly of this colour. */
async function shows(
  lease: Lease,
  compositor: Compositor,
  colour: Colour,
  size = SIZE,
): Promise<void> {
  const frames = await FrameReader.scanout(client, lease.scanout);
  const seen = frames.until(
    ({ picture }) =>
      picture.width === size.width &&
      picture.height === size.height &&
      share(picture, colour) > 0.9,
  );
  try {
    await Promise.race([seen, compositor.ended()]);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${compositor.said()}\n${leases.log}`);
  } finally {
    seen.catch(() => undefined);
    frames.release();
    await client.unsubscribe(frames.stream);
  }
}

async function start(t: ExecutionContext, lease: Lease, program: string): Promise<Compositor> {
  const compositor = await Compositor.start(guest, lease, program);
  t.teardown(() => compositor.kill());
  return compositor;
}

/** Kills a compositor; resolves when its lease is over. */
async function killed(compositor: Compositor): Promise<void> {
  const gone = leases.gone(compositor.lease.id);
  await compositor.kill();
  await gone;
}

/** What a shell script prints in the guest, as a user without any rights. */
async function asUser(uid: number, script: string): Promise<string> {
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--no-new-privs'];
  const { stdout, stderr } = await guest.exec([...user, 'sh', '-c', script], { directory: '/' });
  return `${stdout}${stderr}`;
}

test.serial('sway, weston and Mutter run at once, as three users, on three leases', async (t) => {
  const [first, second, third] = await Promise.all([
    leases.allocate({ owner: 'sway', ...SIZE, uid: 1001 }),
    leases.allocate({ owner: 'weston', ...SIZE, uid: 1002 }),
    leases.allocate({ owner: 'mutter', ...SIZE, uid: 1003 }),
  ]);
  t.is(new Set([first.scanout, second.scanout, third.scanout]).size, 3);
  const one = await start(t, first, sway(SWAY_COLOUR));
  await shows(first, one, SWAY_COLOUR);
  const two = await start(t, second, weston(WESTON_COLOUR));
  await shows(second, two, WESTON_COLOUR);
  const three = await start(t, third, mutter(MUTTER_COLOUR));
  await shows(third, three, MUTTER_COLOUR);
  const active = await leases.list();
  t.deepEqual(
    active.map(({ state, holder }) => [state, holder?.uid]),
    [
      ['active', 1001],
      ['active', 1002],
      ['active', 1003],
    ],
  );

  // One is killed: its scanout is free within a second, and the others go on.
  const gone = leases.gone(first.id);
  const before = performance.now();
  await one.kill();
  await gone;
  const took = performance.now() - before;
  t.true(took < 1000, `free after ${took} ms`);
  await shows(second, two, WESTON_COLOUR);
  await shows(third, three, MUTTER_COLOUR);
  t.deepEqual(
    (await leases.list()).map(({ id }) => id),
    [second.id, third.id],
  );
  await killed(two);
  await killed(three);
});

for (const [name, program] of [
  ['labwc', labwc],
  ['cage', cage],
] as const) {
  test.serial(`${name} runs on a lease`, async (t) => {
    const lease = await leases.allocate({ owner: name, ...SIZE, uid: 1004 });
    const compositor = await start(t, lease, program(OTHER_COLOUR));
    await shows(lease, compositor, OTHER_COLOUR);
    await killed(compositor);
    t.deepEqual(await leases.list(), []);
  });
}

test.serial('a compositor follows its display to a new size', async (t) => {
  for (const [name, program, colour] of [
    ['sway', sway(SWAY_COLOUR), SWAY_COLOUR],
    ['weston', weston(WESTON_COLOUR), WESTON_COLOUR],
    ['mutter', mutter(MUTTER_COLOUR), MUTTER_COLOUR],
  ] as const) {
    const lease = await leases.allocate({ owner: name, ...SIZE, uid: 1005 });
    const compositor = await start(t, lease, program);
    await shows(lease, compositor, colour);
    const size = { width: 1024, height: 600 };
    const resized = await leases.resize(lease.id, size);
    t.like(resized, { id: lease.id, connector: lease.connector, state: 'active', ...size });
    await shows(lease, compositor, colour, size);
    await killed(compositor);
  }
});

test.serial('all scanouts but the console are leased, and one more is refused', async (t) => {
  const all: Lease[] = [];
  for (let i = 1; i <= LEASABLE; i++) {
    all.push(await leases.allocate({ owner: `container ${i}`, ...SIZE, uid: 1000 + i }));
  }
  t.deepEqual(
    all.map(({ scanout }) => scanout).sort((a, b) => a - b),
    Array.from({ length: LEASABLE }, (_, i) => i + 1),
  );
  t.is(new Set(all.flatMap(({ inputs }) => inputs)).size, 3 * LEASABLE);
  await t.throwsAsync(leases.allocate({ owner: 'one more', ...SIZE }), {
    code: 'NO_SCANOUT_FREE',
    message: /Virtual-\d+: "container 1", not opened yet.*Virtual-\d+: "container 15"/,
  });
  await t.throwsAsync(leases.allocate({ owner: 'a certain one', ...SIZE, scanout: 3 }), {
    code: 'SCANOUT_IN_USE',
  });
  const fourth = all[3] as Lease;
  await leases.release(fourth.id);
  const again = await leases.allocate({ owner: 'after it', ...SIZE });
  t.is(again.scanout, fourth.scanout);
  for (const { id } of await leases.list()) await leases.release(id);
  t.deepEqual(
    (await leases.scanouts()).filter(({ connected }) => connected).map(({ scanout }) => scanout),
    [0],
  );
});

test.serial('what makes no sense is refused', async (t) => {
  const bad = (request: object) => leases.allocate({ owner: 'x', ...SIZE, ...request });
  await t.throwsAsync(bad({ owner: '' }), { code: 'BAD_REQUEST' });
  await t.throwsAsync(bad({ width: 10 }), { code: 'BAD_REQUEST' });
  await t.throwsAsync(bad({ height: 9000 }), { code: 'BAD_REQUEST' });
  await t.throwsAsync(bad({ refresh: 1 }), { code: 'BAD_REQUEST' });
  await t.throwsAsync(bad({ scanout: 0 }), { code: 'NO_SUCH_SCANOUT' });
  await t.throwsAsync(bad({ scanout: 99 }), { code: 'NO_SUCH_SCANOUT' });
  await t.throwsAsync(leases.release('lease-000000000000'), { code: 'NO_SUCH_LEASE' });
  t.deepEqual(await leases.list(), []);
});

test.serial('a user gets at no lease, device or input but his own', async (t) => {
  const mine = await leases.allocate({ owner: 'mine', ...SIZE, uid: 1001 });
  const other = await leases.allocate({ owner: 'other', ...SIZE, uid: 1002 });
  const probe = (uid: number, lease: Lease, ...paths: string[]) =>
    asUser(
      uid,
      `/opt/scanbridge/bin/seat-probe ${lease.environment.SEATD_SOCK} ${paths.join(' ')}`,
    );
  const [input = ''] = mine.inputs;
  const [foreignInput = ''] = other.inputs;

  // With a seat of one's own: one's own devices, and nothing else of the machine's.
  t.is(
    await probe(1001, mine, input, foreignInput, '/dev/dri/card1', '/dev/vda', '/etc/shadow'),
    [
      `${input}: opened`,
      `${foreignInput}: Permission denied`,
      '/dev/dri/card1: Permission denied',
      '/dev/vda: Permission denied',
      '/etc/shadow: Permission denied',
      '',
    ].join('\n'),
  );
  // The device's node is one's own scanout.
  const gone = leases.gone(mine.id);
  t.is(await probe(1001, mine, mine.card), `${mine.card}: lease of 1 connector\n`);
  // It was that holder's: the lease has ended with it.
  await gone;
  t.deepEqual(
    (await leases.list()).map(({ id }) => id),
    [other.id],
  );
  // With another's seat: not even a connection.
  t.regex(await probe(1003, other, other.card), /cannot connect: Permission denied/);
  // Without a seat: nothing at all.
  for (const path of [other.card, foreignInput, '/dev/uinput']) {
    t.regex(await asUser(1001, `exec 3<>${path}`), /Permission denied/, path);
  }
  t.regex(await asUser(1001, `ls ${other.directory}`), /Permission denied/);
  await leases.release(other.id);
});

/** What a device tells its readers, as "type code value"; ends after so many events. */
async function events(path: string, count: number): Promise<() => Promise<string[]>> {
  const chunks: Buffer[] = [];
  // struct input_event has 24 bytes, of which the last eight tell what happened.
  const script = `exec 3<${path}; echo open >&2; exec head -c ${24 * count} <&3`;
  let opened = () => {};
  const open = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const reader = await guest.start(['sh', '-c', script], {
    onStdout: (chunk) => {
      chunks.push(Buffer.from(chunk));
    },
    onStderr: () => opened(),
  });
  await open;
  return async () => {
    await reader.exit;
    const bytes = Buffer.concat(chunks);
    return Array.from({ length: count }, (_, i) => {
      const at = 24 * i + 16;
      return `${bytes.readUInt16LE(at)} ${bytes.readUInt16LE(at + 2)} ${bytes.readInt32LE(at + 4)}`;
    });
  };
}

test.serial("a viewer's input arrives at the lease's own devices", async (t) => {
  const lease = await leases.allocate({ owner: 'input', ...SIZE });
  const [keyboard = '', pointer = '', touch = ''] = lease.inputs;
  const keys = await events(keyboard, 4);
  const motions = await events(pointer, 8);
  const touches = await events(touch, 6);
  await leases.input(lease.id, [
    { kind: 'key', code: 30, pressed: true },
    { kind: 'motion', x: SIZE.width - 1, y: 0 },
    { kind: 'button', code: 0x110, pressed: true },
    { kind: 'axis', dx: 0, dy: 120, discrete: true },
    { kind: 'touch', slot: 2, phase: 'down', x: 0, y: SIZE.height - 1 },
    { kind: 'key', code: 30, pressed: false },
    { kind: 'motion', x: -5, y: 9999 },
  ]);
  t.deepEqual(await keys(), ['1 30 1', '0 0 0', '1 30 0', '0 0 0']);
  // Axes go from 0 to 65535; what did not change is not told.
  t.deepEqual(await motions(), [
    ...['3 0 65535', '0 0 0'],
    ...['1 272 1', '0 0 0'],
    ...['2 11 -120', '2 8 -1', '0 0 0'],
    '3 0 0',
  ]);
  t.deepEqual(await touches(), [
    ...['3 47 2', '3 57 1', '1 330 1', '3 54 65535', '3 1 65535', '0 0 0'],
  ]);
  await leases.release(lease.id);
});

test.serial(
  'a client that breaks the protocol of seatd loses its connection, and no more',
  async (t) => {
    const lease = await leases.allocate({ owner: 'mine', ...SIZE, uid: 1001 });
    const socket = lease.environment.SEATD_SOCK ?? '';
    t.is(await asUser(1001, `/opt/scanbridge/bin/seat-probe ${socket} --garbage`), 'closed\n');
    t.is((await leases.list()).length, 1);
    await leases.release(lease.id);
  },
);

test.serial('leases go on when the agent was killed, with compositors on them', async (t) => {
  const first = await leases.allocate({ owner: 'sway', ...SIZE, uid: 1001 });
  const second = await leases.allocate({ owner: 'mutter', ...SIZE, uid: 1003 });
  const unopened = await leases.allocate({ owner: 'nobody yet', ...SIZE, uid: 1002 });
  const one = await start(t, first, sway(SWAY_COLOUR));
  const two = await start(t, second, mutter(MUTTER_COLOUR));
  await shows(first, one, SWAY_COLOUR);
  await shows(second, two, MUTTER_COLOUR);
  const before = await leases.list();

  await leases.kill();
  await leases.restart(guest);
  t.deepEqual(await leases.list(), before);
  await shows(first, one, SWAY_COLOUR);
  // What they do is known as before: a seat of before ends, and another begins.
  await killed(one);
  await killed(two);
  const three = await start(t, unopened, weston(WESTON_COLOUR));
  await shows(unopened, three, WESTON_COLOUR);
  await killed(three);
  t.deepEqual(await leases.list(), []);
});

test.serial('a lease that is to be kept waits for another compositor', async (t) => {
  const lease = await leases.allocate({ owner: 'kept', ...SIZE, uid: 1001, keep: true });
  for (const colour of [WESTON_COLOUR, OTHER_COLOUR]) {
    const compositor = await start(t, lease, weston(colour));
    await shows(lease, compositor, colour);
    await compositor.kill();
    const waiting = await leases.until(lease.id, ({ state }) => state === 'waiting');
    t.like(waiting, { keep: true, connector: lease.connector });
  }
  await leases.release(lease.id);
});

test.serial('many leases leave nothing behind', async (t) => {
  // A bus that is just starting has descriptors of its own.
  const settled = async () => {
    for (let last = -1; ; ) {
      const now = await leases.descriptors();
      if (now === last) return now;
      last = now;
      await sleep(300);
    }
  };
  await leases.cycle();
  const before = await settled();
  for (let i = 0; i < 30; i++) await leases.cycle();
  t.is(await settled(), before);
  const { stdout } = await guest.exec([
    'sh',
    '-c',
    'ls /run/scanbridge/leases; pgrep -c dbus-daemon',
  ]);
  t.is(stdout.toString(), '0\n');
});
