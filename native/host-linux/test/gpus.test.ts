// GPUs and drivers that are not there: trees of /sys and small libraries that stand for them (test/fake-drivers).
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { findGpus, type Gpu } from '../lib/gpus.js';

const FAKES = fileURLToPath(new URL('../../test/fake-drivers', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'scanbridge-gpus-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = () => {
  const path = join(folder, String(count++));
  mkdirSync(path);
  return path;
};

interface FakeDevice {
  readonly address: string;
  readonly vendor: string;
  readonly device: string;
  readonly driver?: string;
  readonly render?: number;
}

/** A root with the part of /sys that tells of GPUs, and a network card that is none. */
function tree(devices: readonly FakeDevice[], modules: Readonly<Record<string, string>> = {}) {
  const root = fresh();
  const file = (path: string, content: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), `${content}\n`);
  };
  const link = (path: string, to: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    symlinkSync(join(root, to), join(root, path));
  };
  file('sys/devices/0000:01:00.0/class', '0x020000');
  link('sys/bus/pci/devices/0000:01:00.0', 'sys/devices/0000:01:00.0');
  for (const { address, vendor, device, driver, render } of devices) {
    const path = `sys/devices/${address}`;
    file(`${path}/class`, '0x030200');
    file(`${path}/vendor`, vendor);
    file(`${path}/device`, device);
    link(`sys/bus/pci/devices/${address}`, path);
    if (driver !== undefined) {
      mkdirSync(join(root, 'sys/bus/pci/drivers', driver), { recursive: true });
      link(`${path}/driver`, `sys/bus/pci/drivers/${driver}`);
    }
    if (render !== undefined) {
      mkdirSync(join(root, `${path}/drm/renderD${render}`), { recursive: true });
      link(`${path}/drm/renderD${render}/device`, path);
      link(`sys/class/drm/renderD${render}`, `${path}/drm/renderD${render}`);
    }
  }
  for (const [name, version] of Object.entries(modules))
    file(`sys/module/${name}/version`, version);
  return root;
}

/** An environment whose libraries are these: [file name, fake, definitions]. */
async function drivers(...libraries: [string, string, ...string[]][]): Promise<NodeJS.ProcessEnv> {
  const path = fresh();
  // Those that are not named are broken files: what this machine has installed does not count.
  for (const name of ['libcuda.so.1', 'libnvidia-encode.so.1', 'libEGL.so.1', 'libva.so.2'])
    writeFileSync(join(path, name), 'not a library');
  for (const [name, source, ...definitions] of libraries) {
    rmSync(join(path, name), { force: true });
    const flags = ['-shared', '-fPIC', '-O0', ...definitions.map((each) => `-D${each}`)];
    await promisify(execFile)('gcc', [
      ...flags,
      '-o',
      join(path, name),
      join(FAKES, `${source}.c`),
    ]);
  }
  return { ...process.env, LD_LIBRARY_PATH: path, XDG_CACHE_HOME: fresh() };
}

const H200: FakeDevice = {
  address: '0000:c1:00.0',
  vendor: '0x10de',
  device: '0x2335',
  driver: 'nvidia',
};
const ADA: FakeDevice = { ...H200, address: '0000:65:00.0', device: '0x26b9', render: 128 };
const ARC: FakeDevice = {
  address: '0000:03:00.0',
  vendor: '0x8086',
  device: '0x56a0',
  driver: 'i915',
  render: 128,
};
const NVIDIA_MODULE = { nvidia: '550.54.14' };

const verdict = (gpu: Gpu | undefined) => gpu?.engines[0]?.verdict ?? 'no such GPU';

test.serial('a machine with nothing has no GPUs', async (t) => {
  t.deepEqual(await findGpus({ root: tree([]), env: await drivers() }), []);
  t.deepEqual(await findGpus({ root: fresh(), env: await drivers() }), []);
});

test.serial('a GPU without a driver is listed, and says what is missing', async (t) => {
  const { driver: _, ...bare } = H200;
  const nouveau = { ...ADA, driver: 'nouveau' };
  const [first, second] = await findGpus({ root: tree([bare, nouveau]), env: await drivers() });
  t.is(first?.address, '0000:65:00.0');
  t.regex(verdict(first), /nouveau.*Install NVIDIA's own driver/);
  t.regex(verdict(second), /No kernel driver is bound/);
  t.is(second?.renderNode, undefined);
});

test.serial(
  'a half-installed driver: the kernel part without libraries, and libraries of another version',
  async (t) => {
    const root = tree([H200], NVIDIA_MODULE);
    const [without] = await findGpus({ root, env: await drivers() });
    t.regex(verdict(without), /550\.54\.14.*half installed.*Install/);
    const [mismatch] = await findGpus({
      root,
      env: await drivers(['libcuda.so.1', 'cuda', 'FAIL']),
    });
    t.regex(verdict(mismatch), /CUDA_ERROR_SYSTEM_DRIVER_MISMATCH.*one version/);
    const [noEncoder] = await findGpus({ root, env: await drivers(['libcuda.so.1', 'cuda']) });
    t.regex(verdict(noEncoder), /CUDA works, but libnvidia-encode\.so\.1 cannot be loaded/);
    t.is(noEncoder?.name, 'Fake "0"');
  },
);

test.serial(
  'an encoder library that loads on a chip without an encoder is not believed',
  async (t) => {
    const env = await drivers(
      ['libcuda.so.1', 'cuda'],
      ['libnvidia-encode.so.1', 'nvenc', 'ENCODERS=0'],
    );
    const [gpu] = await findGpus({ root: tree([H200], NVIDIA_MODULE), env });
    t.is(gpu?.engines[0]?.works, false);
    t.regex(verdict(gpu), /has no video encoder.*NV_ENC_ERR_UNSUPPORTED_DEVICE.*software engine/);
  },
);

test.serial(
  'two GPUs are told apart by their PCI addresses, in whatever order CUDA counts them',
  async (t) => {
    const env = await drivers(
      ['libcuda.so.1', 'cuda', 'GPUS=2'],
      ['libnvidia-encode.so.1', 'nvenc', 'ENCODERS=2'],
      ['libEGL.so.1', 'egl'],
    );
    const [ada, h200] = await findGpus({ root: tree([H200, ADA], NVIDIA_MODULE), env });
    t.like(ada, { address: '0000:65:00.0', cuda: 1, driverVersion: '550.54.14' });
    t.deepEqual(ada?.engines[0]?.codecs, [
      { codec: 'h264', maxWidth: 4096, maxHeight: 4096 },
      { codec: 'hevc', maxWidth: 8192, maxHeight: 8192 },
    ]);
    t.true(ada?.import.dmabuf);
    t.deepEqual(ada?.modifiers, ['0x0000000000000000', '0x0300000000606010']);
    t.like(h200, { address: '0000:c1:00.0', cuda: 0 });
    t.false(h200?.engines[0]?.works);
    t.false(h200?.import.dmabuf);
  },
);

for (const [what, definition, words] of [
  ['hangs', 'HANG', /hangs: while loading libcuda\.so\.1 it gave no answer for 2 s/],
  ['crashes', 'CRASH', /crashes \(SIGSEGV\) while loading libcuda\.so\.1/],
] as const) {
  test.serial(
    `a library that ${what} costs its own GPU, and no more than the patience`,
    async (t) => {
      const env = await drivers(['libcuda.so.1', 'cuda', definition], ['libEGL.so.1', 'egl']);
      const [arc, h200] = await findGpus({ root: tree([H200, ARC], NVIDIA_MODULE), env });
      t.regex(verdict(h200), words);
      t.regex(verdict(arc), /libva\.so\.2 \(libva2\) cannot be loaded/);
      t.true(arc?.import.dmabuf);
    },
  );
}

test.serial(
  'VA-API: an encoder is made before it is believed, and another driver that hangs does no harm',
  async (t) => {
    const root = tree([ARC, { ...ARC, address: '0000:04:00.0', render: 129 }]);
    const env = await drivers(['libva.so.2', 'va'], ['libva-drm.so.2', 'va']);
    const [absent] = await findGpus({ root, env });
    t.regex(verdict(absent), /renderD128 cannot be opened.*group render/);
    mkdirSync(join(root, 'dev/dri'), { recursive: true });
    for (const node of ['renderD128', 'renderD129']) writeFileSync(join(root, 'dev/dri', node), '');
    const [arc, hanging] = await findGpus({ root, env });
    t.is(arc?.name, 'Fake Arc');
    t.deepEqual(
      arc?.engines.map(({ engine, works }) => [engine, works]),
      [
        ['vaapi', true],
        ['qsv', true],
      ],
    );
    t.deepEqual(arc?.engines[0]?.codecs, [
      { codec: 'h264', maxWidth: 4096, maxHeight: 4096 },
      { codec: 'hevc', maxWidth: 4096, maxHeight: 4096, lowPower: true },
    ]);
    t.regex(verdict(hanging), /VA-API driver hangs: while initializing the VA-API driver/);
  },
);

test.serial('answers are kept until a library changes; failures are asked for again', async (t) => {
  const root = tree([H200], NVIDIA_MODULE);
  const env = await drivers(
    ['libcuda.so.1', 'cuda'],
    ['libnvidia-encode.so.1', 'nvenc'],
    ['libEGL.so.1', 'egl'],
  );
  const library = join(env.LD_LIBRARY_PATH ?? '', 'libcuda.so.1');
  const asked = join(folder, 'asked');
  env.FAKE_ASKED = asked;
  t.true((await findGpus({ root, env }))[0]?.engines[0]?.works);
  t.true(existsSync(asked));
  rmSync(asked);
  t.true((await findGpus({ root, env }))[0]?.engines[0]?.works);
  t.false(existsSync(asked), 'the second answer came from the cache');
  utimesSync(library, 1, 1);
  t.true((await findGpus({ root, env }))[0]?.engines[0]?.works);
  t.true(existsSync(asked), 'another library is asked');
  rmSync(library);
  writeFileSync(library, 'not a library');
  utimesSync(library, 1, 1);
  t.regex(verdict((await findGpus({ root, env }))[0]), /half installed/);
});
