// Rootless containers in a real VM, each with a scanout of its own, streamed by a bridge: Hydra's way from end to end.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bridge, startBridge, ViewerClient } from '@scanbridge/bridge';
import type { Lease } from '@scanbridge/hydra';
import test from 'ava';
import { BUILD_MILLISECONDS, Guest } from './guest.js';
import { asUser, Hydra, HydraRefusal, USER } from './hydra.js';

const SIZE = { width: 640, height: 480 };
const PORT = 8471;

let guest: Guest;
let hydra: Hydra;
let bridge: Bridge;
let directory: string;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  directory = await mkdtemp(join(tmpdir(), 'scanbridge-hydra-'));
  const base = join(directory, 'v');
  guest = await Guest.boot({
    heads: 4,
    frameExport: true,
    qemuArgs: ['-device', `virtio-vsock-unix-pci,guest-cid=3,path=${base}`],
  });
  const frames = guest.framesSocket;
  bridge = await startBridge({
    agents: [{ kind: 'vsock-unix', base, port: PORT, vm: { name: 'vm', exporter: frames } }],
    scanouts: [{ socket: frames, name: 'vm' }],
  });
  hydra = await Hydra.start(guest);
});

test.after.always(async () => {
  await hydra?.[Symbol.asyncDispose]();
  await bridge?.close();
  await guest?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
});

async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found) return found;
    await sleep(50);
  }
  throw new Error(`${what}: never\n${hydra.log}`);
}

/** The session on a lease's scanout, as the bridge tells it. */
const sessionOf = (lease: Lease) =>
  bridge.sessions
    .list()
    .map((session) => session.report())
    .find(({ source }) => source.kind === 'scanout' && source.scanout === lease.scanout);

/** Whether a head shows this colour in its middle, as QEMU sees it. */
async function shows(lease: Lease, colour: string, size: { width: number; height: number }) {
  const { width, height, rgb } = await guest.screendump(lease.scanout).catch(() => NOTHING);
  const at = (Math.floor(height / 2) * width + Math.floor(width / 2)) * 3;
  const middle = rgb.subarray(at, at + 3).toString('hex');
  return width === size.width && height === size.height && middle === colour;
}
const NOTHING = { width: 0, height: 0, rgb: Buffer.alloc(0) };

const weston = (colour: string): string =>
  [
    `printf '[shell]\\nbackground-color=0xff${colour}\\npanel-position=none\\n' > /tmp/weston.ini`,
    'exec weston --backend=drm --renderer=pixman --continue-without-input --idle-time=0 --config=/tmp/weston.ini',
  ].join('\n');

/** Looks around in a container, and prints it. */
const LOOK = [
  'echo "{"',
  'echo "\\"nodes\\": \\"$(ls -m /dev/dri /dev/input 2>/dev/null | tr -d "\\n")\\","',
  'echo "\\"caps\\": \\"$(sed -n "s/^CapEff:\\t//p" /proc/self/status)\\","',
  'echo "\\"seccomp\\": \\"$(sed -n "s/^Seccomp:\\t//p" /proc/self/status)\\","',
  'echo "\\"leases\\": \\"$(ls -m /run/scanbridge/leases)\\","',
  'echo "\\"manager\\": \\"$(ls /run/scanbridge/leases.sock 2>&1)\\","',
  'echo "\\"token\\": \\"$(cat $SCANBRIDGE_LEASE/token)\\","',
  'echo "\\"lease\\": \\"$SCANBRIDGE_LEASE\\""',
  'echo "}"',
].join('; ');

const COLOURS = { 'web-1': '1d3557', 'web-2': '2d6a4f' };
let first: Lease;
let second: Lease;
let firstEnd: ReturnType<Hydra['run']>;
let secondEnd: ReturnType<Hydra['run']>;

test.serial('two rootless containers stream, each from a scanout of its own', async (t) => {
  t.timeout(120_000);
  const owners = Object.keys(COLOURS);
  [first, second] = (await Promise.all(
    owners.map((owner) => hydra.create({ owner, ...SIZE, uid: USER.uid, gid: USER.uid })),
  )) as [Lease, Lease];
  t.not(first.scanout, second.scanout);
  firstEnd = hydra.run('web-1', first, weston(COLOURS['web-1']));
  secondEnd = hydra.run('web-2', second, weston(COLOURS['web-2']));
  for (const end of [firstEnd, secondEnd]) {
    void end.then(({ status, stderr }) => t.log(`a container ended: ${status} ${stderr}`));
  }
  await until('web-1 shows its colour', () => shows(first, COLOURS['web-1'], SIZE));
  await until('web-2 shows its colour', () => shows(second, COLOURS['web-2'], SIZE));

  // The bridge knows who has which, and agrees with what it sees.
  for (const lease of [first, second]) {
    const session = await until(`the session of ${lease.owner}`, () => {
      const found = sessionOf(lease);
      return found?.lease?.check === 'confirmed' && found.state === 'live' ? found : undefined;
    });
    t.like(session.lease, { id: lease.id, owner: lease.owner });
    const viewer = new ViewerClient(bridge.url, session.id);
    await new Promise((resolve) => viewer.once('unit', resolve));
    await viewer.close();
  }
  t.like(await hydra.call('health'), { status: 'ok', scanouts: 4, leases: 2 });
});

test.serial('a container has its lease and nothing else', async (t) => {
  const third = await hydra.create({ owner: 'look', ...SIZE, uid: USER.uid, gid: USER.uid });
  const { stdout, stderr } = await hydra.run('look', third, LOOK);
  const seen = JSON.parse(stdout.toString() || `"${stderr}"`) as Record<string, string>;
  t.notRegex(seen.nodes ?? '', /card/);
  t.is(seen.caps, '0000000000000000');
  t.is(seen.seccomp, '2');
  t.is(seen.leases, third.id);
  t.regex(seen.manager ?? '', /No such file/);
  t.is(seen.lease, third.directory);

  // The token of one container opens nothing at another's socket, though both are one user's.
  const token = seen.token as string;
  t.like(await hydra.call('own', `${third.directory}/api`, token), { id: third.id, owner: 'look' });
  const foreign = hydra.call('own', `${first.directory}/api`, token);
  t.is((await t.throwsAsync(foreign, { instanceOf: HydraRefusal }))?.code, 'UNAUTHORIZED');
  await hydra.call('release', third.id);

  // The user, outside of a container, may not manage, and other users may not even connect.
  const connect = (socket: string) =>
    `require("net").connect("${socket}").on("error",e=>console.log(e.code)).on("connect",()=>{console.log("connected");process.exit()})`;
  const asOther = ['setpriv', '--reuid=1001', '--regid=1001', '--clear-groups'];
  for (const argv of [
    asUser('node', '-e', connect('/run/scanbridge/leases.sock')),
    [...asOther, 'node', '-e', connect(`${first.directory}/api`)],
    [...asOther, 'node', '-e', connect(`${first.directory}/seat`)],
  ]) {
    t.is((await guest.exec(argv)).stdout.toString(), 'EACCES\n', argv.join(' '));
  }
});

test.serial('a container that is killed gives its scanout back, another one goes on', async (t) => {
  t.timeout(60_000);
  const released = hydra.until('released', first.id);
  await hydra.podman('kill', '--signal', 'KILL', 'web-1');
  await released;
  t.not((await firstEnd).status, 0);
  const one = (await hydra.scanouts()).find(({ scanout }) => scanout === first.scanout);
  t.is(one?.lease, undefined);
  t.deepEqual(
    (await hydra.list()).map(({ id }) => id),
    [second.id],
  );
  t.true(await shows(second, COLOURS['web-2'], SIZE));

  // Its device is gone, too: nobody gets another's scanout by an old name.
  const again = await hydra.run('web-1', first, 'true');
  t.not(again.status, 0);
  t.regex(again.stderr.toString(), /unresolvable CDI devices/);
});

test.serial('the daemon takes all back when it ends', async (t) => {
  t.timeout(60_000);
  await hydra.stop();
  await until('the displays are off', async () => {
    const on = 'cat /sys/class/drm/card0-Virtual-[234]/status | grep -c "^connected"';
    return (await guest.exec(['sh', '-c', on])).stdout.toString() === '0\n';
  });
  // Its compositor has lost its display; what it makes of that is its own affair.
  await hydra.podman('kill', '--signal', 'KILL', 'web-2');
  await secondEnd;
  const left = 'ls /var/run/cdi /run/scanbridge/leases /run/scanbridge/leases.sock 2>/dev/null';
  t.is((await guest.exec(['sh', '-c', left])).stdout.toString().replace(/^.*:$\n?|\n/gm, ''), '');
});
