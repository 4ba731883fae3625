// The kernel's own vsock tests between a guest and its host:  node test/dist/vm/vsock-kernel-tests.js
//
// They are tools/testing/vsock of Debian's linux-source-6.12, which is fetched, compiled and not kept. Those of
// stream sockets are run both ways, each in a process of its own on either side.

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DebianPackages, GUEST_SUITE } from './debian.js';
import { Guest } from './guest.js';
import { hostCommand } from './host-command.js';

const SOURCE_PACKAGE = 'linux-source-6.12';
/** Seen from test/dist/vm. */
const SHIM = fileURLToPath(new URL('../../vm/vsock-kernel-shim.c', import.meta.url));
const WRAPPED = ['socket', 'bind', 'listen', 'accept', 'connect', 'setsockopt', 'getsockopt'];
const SOURCES = ['vsock_test', 'vsock_test_zerocopy', 'timeout', 'control', 'util'];
const CONTROL_PORT = 9999;
const GUEST_CID = 3;
const HOST_CID = 2;
const TEST_SECONDS = 15;

const progress = (text: string) => process.stderr.write(`${text}\n`);

async function build(directory: string): Promise<string> {
  progress(`getting ${SOURCE_PACKAGE} of Debian ${GUEST_SUITE}`);
  const packages = await DebianPackages.open(GUEST_SUITE, join(directory, 'apt'));
  await packages.unpack(SOURCE_PACKAGE, directory);
  const archive = join(directory, 'usr/src', `${SOURCE_PACKAGE}.tar.xz`);
  const wanted = ['*/tools/testing/vsock', '*/tools/include'];
  await hostCommand('cannot unpack the kernel source', 'tar', [
    ...['-xf', archive, '-C', directory, '--strip-components=1', '--wildcards', ...wanted],
  ]);
  const tests = join(directory, 'tools/testing/vsock');
  const files = (await readdir(tests)).filter(
    (name) => SOURCES.includes(name.replace(/\.c$/, '')) || name === 'msg_zerocopy_common.c',
  );
  const program = join(directory, 'vsock_test');
  await hostCommand('cannot compile vsock_test', 'cc', [
    // The warnings are the kernel's affair, and those of a static getaddrinfo() nobody's: addresses are numbers.
    ...['-static', '-O2', '-w', '-D_GNU_SOURCE', `-I${join(directory, 'tools/include')}`],
    ...WRAPPED.map((name) => `-Wl,--wrap=${name}`),
    ...['-o', program, ...files.map((name) => join(tests, name)), SHIM],
  ]);
  return program;
}

interface Outcome {
  passed: boolean;
  words: string;
}

/** How one side ended. */
const outcome = (status: number | null, stdout: string, stderr: string): Outcome => ({
  passed: status === 0 && /\.\.\.ok/.test(stdout),
  words: stderr.trim().split('\n').at(-1) ?? '',
});

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'scanbridge-kvt-'));
  try {
    const program = await build(directory);
    // It ends with status 1 although nothing is wrong.
    const list = await promisify(execFile)(program, ['--list']).catch(
      (error: { stdout: string }) => error,
    );
    const tests = [...list.stdout.matchAll(/^(\d+)\t(.+)$/gm)].map(([, id, name]) => ({
      id: id as string,
      name: (name as string).trim(),
    }));
    const base = join(directory, 'v');
    await using guest = await Guest.boot({
      memory: 1024,
      qemuArgs: ['-device', `virtio-vsock-unix-pci,guest-cid=${GUEST_CID},path=${base}`],
      progress,
    });
    await guest.exec(['modprobe', 'vmw_vsock_virtio_transport']);
    await guest.copyIn([program], '/var');

    const side = (mode: string, cid: number, id: string) => [
      ...['--control-host=127.0.0.1', `--control-port=${CONTROL_PORT}`],
      ...[`--mode=${mode}`, `--peer-cid=${cid}`],
      ...tests.filter((other) => other.id !== id).map((other) => `--skip=${other.id}`),
    ];
    const inGuest = async (mode: string, id: string) => {
      const argv = ['/var/vsock_test', ...side(mode, HOST_CID, id)];
      const { status, stdout, stderr } = await guest.exec(['timeout', `${TEST_SECONDS}`, ...argv]);
      return outcome(status ?? null, stdout.toString(), stderr.toString());
    };
    const onHost = (mode: string, id: string) =>
      promisify(execFile)(program, side(mode, GUEST_CID, id), {
        env: { ...process.env, VSOCK_SHIM_BASE: base },
        timeout: TEST_SECONDS * 1000,
      }).then(
        ({ stdout, stderr }) => outcome(0, stdout, stderr),
        ({ code, stdout, stderr }) => outcome(code ?? null, stdout ?? '', stderr ?? ''),
      );

    const streams = tests.filter(({ name }) => !name.includes('SEQPACKET'));
    let passed = 0;
    for (const role of ['client', 'server'] as const) {
      for (const { id, name } of streams) {
        const server = role === 'client' ? () => onHost('server', id) : () => inGuest('server', id);
        const client = role === 'client' ? () => inGuest('client', id) : () => onHost('client', id);
        const serving = server();
        // The client does not try again; the server says when it listens only where nobody can read it.
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const results = await Promise.all([client(), serving]);
        const ok = results.every((result) => result.passed);
        passed += ok ? 1 : 0;
        const words = results.map((result) => result.words).filter((text) => text !== '');
        console.log(
          `${ok ? 'ok  ' : 'FAIL'}  guest is ${role}  ${name}${ok ? '' : `: ${words.join(' | ')}`}`,
        );
      }
    }
    console.log(
      `${passed} of ${2 * streams.length}; not run: ${tests.length - streams.length} of SOCK_SEQPACKET, which is not offered`,
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
process.exit(0);
