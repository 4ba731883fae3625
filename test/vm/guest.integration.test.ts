import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { BUILD_MILLISECONDS, Guest } from './guest.js';

// One guest for the tests that leave it as it was.
let shared: Guest;

test.before(async (t) => {
  t.timeout(BUILD_MILLISECONDS);
  shared = await Guest.boot();
});
test.after.always(() => shared?.close());

test.serial('a command has its own output, error output and status', async (t) => {
  const { status, signal, stdout, stderr } = await shared.exec([
    'sh',
    '-c',
    'echo out; echo err >&2; exit 7',
  ]);
  t.is(stdout.toString(), 'out\n');
  t.is(stderr.toString(), 'err\n');
  t.is(status, 7);
  t.is(signal, 0);
});

test.serial('arguments, environment and directory arrive as they are', async (t) => {
  const odd = 'a "b" $HOME \\ \'c\' \n\té';
  const { stdout } = await shared.exec(
    ['sh', '-c', 'printf "%s|%s|%s|%s" "$1" "$WORD" "$HOME" "$PWD"', 'sh', odd],
    { environment: { WORD: odd, HOME: '/tmp' }, directory: '/usr' },
  );
  t.is(stdout.toString(), `${odd}|${odd}|/tmp|/usr`);
});

test.serial('a command that a signal ended says so', async (t) => {
  const { status, signal } = await shared.exec(['sh', '-c', 'kill -SEGV $$']);
  t.is(signal, 11);
  t.is(status, 139);
});

test.serial(
  'a command that is not there, and one that cannot be run, are errors with errno',
  async (t) => {
    await t.throwsAsync(shared.exec(['no-such-command']), {
      code: 'EXEC_FAILED',
      message: /no such/,
    });
    const error = await t.throwsAsync(shared.exec(['/etc/passwd']), { code: 'EXEC_FAILED' });
    t.is((error as unknown as { errno: number }).errno, 13);
    await t.throwsAsync(shared.exec(['true'], { directory: '/nowhere' }), { code: 'EXEC_FAILED' });
  },
);

test.serial('megabytes go in and out unchanged, past a kernel that talks', async (t) => {
  const data = randomBytes(8 * 1024 * 1024 + 17);
  const noise = shared.exec(['sh', '-c', 'for i in $(seq 200); do echo $i > /dev/kmsg; done']);
  const { status, stdout } = await shared.exec(['cat'], { stdin: data });
  await noise;
  t.is(status, 0);
  t.is(
    createHash('sha256').update(stdout).digest('hex'),
    createHash('sha256').update(data).digest('hex'),
  );
});

test.serial('a command that ignores its input ends all the same', async (t) => {
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(65536));
    },
  });
  const { status } = await shared.exec(['true'], { stdin: endless });
  t.is(status, 0);
  t.true(endless.destroyed);
});

test.serial('a slow sink slows the command down, and loses nothing', async (t) => {
  let size = 0;
  const { status } = await shared.exec(['head', '-c', '2000000', '/dev/zero'], {
    onStdout: async (chunk) => {
      size += chunk.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  });
  t.is(status, 0);
  t.is(size, 2_000_000);
});

test.serial('a background process does not keep its command from ending', async (t) => {
  const { stdout } = await shared.exec(['sh', '-c', 'sleep 1000 & echo $!'], {
    timeoutSeconds: 20,
  });
  const { status } = await shared.exec(['kill', stdout.toString().trim()]);
  t.is(status, 0);
});

test.serial('commands run at the same time', async (t) => {
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      shared.exec(['sh', '-c', `sleep 0.2; echo ${i}; exit ${i}`]),
    ),
  );
  t.deepEqual(
    results.map(({ status, stdout }) => `${status} ${stdout}`),
    Array.from({ length: 20 }, (_, i) => `${i} ${i}\n`),
  );
});

test.serial('a command with a terminal has one of the right size', async (t) => {
  const { stdout } = await shared.exec(['sh', '-c', 'tty && stty size'], {
    terminal: { rows: 33, columns: 99 },
  });
  t.regex(stdout.toString(), /^\/dev\/pts\/\d+\r\n33 99\r\n$/);
});

test.serial('a command that runs too long is killed with its children', async (t) => {
  await t.throwsAsync(shared.exec(['sh', '-c', 'sleep 4321; true'], { timeoutSeconds: 0.5 }), {
    code: 'EXEC_TIMEOUT',
    message: /ran longer than 0.5 s/,
  });
  const { stdout } = await shared.exec(['ps', '-eo', 'args']);
  t.notRegex(stdout.toString(), /sleep 4321/);
});

test.serial('files and folders are copied in and out', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'copy-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'in/deep'), { recursive: true });
  const data = randomBytes(1_000_003);
  await writeFile(join(folder, 'in/deep/data'), data);
  await writeFile(join(folder, 'script'), '#!/bin/sh\necho ran\n', { mode: 0o755 });

  await shared.copyIn([join(folder, 'in'), join(folder, 'script')], '/tmp');
  t.is((await shared.exec(['/tmp/script'])).stdout.toString(), 'ran\n');
  t.is((await shared.exec(['stat', '-c', '%U', '/tmp/script'])).stdout.toString(), 'root\n');
  await mkdir(join(folder, 'out'));
  await shared.copyOut('/tmp/in', join(folder, 'out'));
  t.deepEqual(await readFile(join(folder, 'out/in/deep/data')), data);
  await t.throwsAsync(shared.copyIn([join(folder, 'missing')]), { code: 'EXEC_FAILED' });
  await t.throwsAsync(shared.copyOut('/missing', folder), { code: 'EXEC_FAILED' });
});

test.serial('the guest is the promised one', async (t) => {
  const { stdout } = await shared.exec([
    'sh',
    '-c',
    '. /etc/os-release; echo $VERSION_ID; uname -r',
  ]);
  t.regex(stdout.toString(), /^13\n6\.12\./);
  for (const command of ['weston', 'sway', 'node', 'pipewire', 'wireplumber', 'seatd', 'foot']) {
    t.is((await shared.exec(['which', command])).status, 0, `${command} is missing`);
  }
  t.is((await shared.exec(['ls', '/dev/dri/card0', '/dev/dri/renderD128'])).status, 0);
});

test.serial(
  'another guest: it has nothing of the first, is reset, reboots, and dies',
  async (t) => {
    await shared.exec(['sh', '-c', 'echo > /var/left-behind; sync']);
    const guest = await Guest.boot();
    t.teardown(() => guest.close());
    t.not((await guest.exec(['test', '-e', '/var/left-behind'])).status, 0);

    // A reset fails what ran, and the guest serves again, as new.
    await guest.exec(['touch', '/var/trace']);
    const running = t.throwsAsync(guest.exec(['sleep', '1000']), { code: 'GUEST_RESET' });
    await guest.reset();
    await running;
    t.is((await guest.exec(['echo', 'back'])).stdout.toString(), 'back\n');

    // And when the guest itself reboots.
    const again = t.throwsAsync(guest.exec(['sleep', '1000']), { code: 'GUEST_RESET' });
    const rebooted = guest.ready();
    await guest.exec(['sh', '-c', 'echo b > /proc/sysrq-trigger']).catch(() => undefined);
    await again;
    await rebooted;
    t.is((await guest.exec(['true'])).status, 0);

    // A QEMU that dies is reported, and nothing stays behind.
    const folder = dirname(guest.qmpSocket);
    const doomed = guest.exec(['sleep', '1000']);
    process.kill(guest.pid, 'SIGKILL');
    await t.throwsAsync(doomed, { code: 'QEMU_DIED', message: /SIGKILL/ });
    await t.throwsAsync(guest.exec(['true']), { code: 'QEMU_DIED' });
    await guest.close();
    await t.throwsAsync(access(folder), { code: 'ENOENT' });
  },
);

test("a QEMU that does not start is reported in QEMU's own words", async (t) => {
  await t.throwsAsync(Guest.boot({ qemuArgs: ['-device', 'no-such-device'] }), {
    code: 'QEMU_DIED',
    message: /no-such-device/,
  });
});

test.serial('a guest that does not boot in time is reported with its console', async (t) => {
  await t.throwsAsync(Guest.boot({ bootSeconds: 1 }), { code: 'BOOT_TIMEOUT', message: /1 s/ });
});

test.serial('a number of heads that the device cannot have is refused', async (t) => {
  for (const heads of [0, 17, 1.5]) {
    await t.throwsAsync(Guest.boot({ heads }), { code: 'BAD_OPTION' });
  }
});

test.serial('the older kernel boots too', async (t) => {
  await using guest = await Guest.boot({ kernel: '6.1' });
  t.regex((await guest.exec(['uname', '-r'])).stdout.toString(), /^6\.1\./);
});
