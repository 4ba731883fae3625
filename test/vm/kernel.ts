import { copyFile, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached, recipeKey } from './cache.js';
import { DebianPackages } from './debian.js';
import { VmError } from './error.js';
import { hostCommand, type Progress } from './host-command.js';

/** The guest's sources: test/vm/guest, seen from test/dist/vm. */
const GUEST_SOURCES = fileURLToPath(new URL('../../vm/guest/', import.meta.url));

/** The Debian release whose kernel has this version. */
const KERNEL_SUITES = { '6.12': 'trixie', '6.1': 'bookworm' } as const;

/** A kernel that the test VM can boot. */
export type KernelVersion = keyof typeof KERNEL_SUITES;

/** The kernels that the test VM can boot; the first one is the default. */
export const KERNEL_VERSIONS = Object.keys(KERNEL_SUITES) as KernelVersion[];

/** The programs that the guest finds in /opt/scanbridge/bin, and their sources. */
const GUEST_PROGRAMS = {
  control: ['control.c'],
  'kms-paint': ['kms-paint.c', 'head.c', 'drm-buffer.c'],
  'seat-probe': ['seat-probe.c'],
  vsock: ['vsock.c'],
};

/**
 * Programs that are linked with libraries of the guest, by their names for pkg-config; the others are static. The host's
 * headers are no newer than the guest's libraries.
 */
const LINKED_PROGRAMS = {
  'pw-paint': { files: ['pw-paint.c', 'drm-buffer.c'], libraries: ['libpipewire-0.3', 'gbm'] },
};

/** The scripts that the guest finds beside them, without their ".sh". */
const GUEST_SCRIPTS = ['two-desktops'] as const;

const COMPILER_FLAGS = [
  '-std=gnu11',
  '-O2',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-I/usr/include/libdrm',
];

/** Files that QEMU boots. */
export interface BootFiles {
  kernel: string;
  initramfs: string;
}

async function wantedModules(): Promise<string[]> {
  const text = await readFile(join(GUEST_SOURCES, 'modules.txt'), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** How a kernel's payload may be packed: the first bytes, and the command that unpacks it. */
const PAYLOADS = [
  { magic: [0x28, 0xb5, 0x2f, 0xfd], command: 'zstd' },
  { magic: [0xfd, 0x37, 0x7a, 0x58], command: 'xz' },
  { magic: [0x1f, 0x8b], command: 'gzip' },
] as const;

/**
 * Takes the ELF kernel out of a bzImage (Linux, Documentation/arch/x86/boot.rst). QEMU boots it
 * through its PVH entry, and the guest does not have to unpack it, which took it a quarter of the boot.
 */
async function extractKernel(bzImage: string, target: string): Promise<void> {
  const image = await readFile(bzImage);
  const start = (image.readUInt8(0x1f1) + 1) * 512 + image.readUInt32LE(0x248);
  // The last four bytes are the size of what is packed.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const packing = PAYLOADS.find(({ magic }) => magic.every((byte, i) => payload[i] === byte));
  if (!packing) {
    throw new VmError('BUILD_FAILED', `${bzImage} is packed in a way that is not known here`);
  }
  await writeFile(`${target}.packed`, payload);
  await hostCommand('cannot unpack the kernel', 'sh', [
    ...['-c', `${packing.command} -dc < "$1.packed" > "$1"`, 'sh', target],
  ]);
  await rm(`${target}.packed`);
}

/**
 * Makes a folder with `vmlinux`, `busybox` and `lib/modules/VERSION`, where the wanted modules and what
 * they depend on lie uncompressed: the guest is emulated, and unpacking is what it does slowest.
 */
async function unpackKernel(
  version: KernelVersion,
  modules: readonly string[],
  directory: string,
  progress: Progress,
): Promise<void> {
  const suite = KERNEL_SUITES[version];
  const scratch = join(directory, 'scratch');
  await mkdir(scratch);
  progress(`kernel ${version}: reading the package list of Debian ${suite}`);
  const packages = await DebianPackages.open(suite, scratch);
  const kernel = (await packages.dependencies('linux-image-amd64')).find((name) =>
    name.startsWith(`linux-image-${version}.`),
  );
  if (!kernel) {
    throw new VmError('BUILD_FAILED', `Debian ${suite} has no kernel ${version} any more`);
  }
  progress(`kernel ${version}: downloading ${kernel} (about 100 MB)`);
  const tree = join(scratch, 'tree');
  await packages.unpack(kernel, tree);
  await packages.unpack('busybox-static', tree);

  const release = kernel.slice('linux-image-'.length);
  await extractKernel(join(tree, 'boot', `vmlinuz-${release}`), join(directory, 'vmlinux'));
  const busybox = (await isFile(join(tree, 'usr/bin/busybox'))) ? 'usr/bin/busybox' : 'bin/busybox';
  await copyFile(join(tree, busybox), join(directory, 'busybox'));

  progress(`kernel ${version}: picking ${modules.length} modules`);
  // kmod looks in BASE/lib/modules; newer packages have the modules in usr/lib.
  const base = (await isDirectory(join(tree, 'usr/lib/modules'))) ? join(tree, 'usr') : tree;
  const from = join(base, 'lib/modules', release);
  const to = join(directory, 'lib/modules', release);
  await mkdir(to, { recursive: true });
  for (const list of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    await copyFile(join(from, list), join(to, list));
  }
  await hostCommand('cannot index the kernel modules', 'depmod', ['-b', base, release]);
  for (const name of modules) {
    const plan = await hostCommand(`the kernel ${release} has no module ${name}`, 'modprobe', [
      ...['-d', base, '-S', release, '--show-depends', name],
    ]);
    for (const [, path] of plan.matchAll(/^insmod (\S+)/gm)) {
      const source = path as string;
      const target = join(to, source.slice(source.indexOf(release) + release.length + 1));
      await mkdir(dirname(target), { recursive: true });
      if (!source.endsWith('.xz')) {
        await copyFile(source, target);
      } else if (!(await isFile(target.slice(0, -3)))) {
        await copyFile(source, target);
        await hostCommand('cannot unpack a kernel module', 'xz', ['-d', target]);
      }
    }
  }
  await hostCommand('cannot index the kernel modules', 'depmod', ['-b', directory, release]);
  await rm(scratch, { recursive: true });
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Packs busybox, the modules, init.sh and our own programs into `directory/initramfs`. */
async function packInitramfs(kernel: string, directory: string): Promise<void> {
  const tree = join(directory, 'tree');
  const programs = join(tree, 'opt/scanbridge/bin');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'sbin', 'newroot']) {
    await mkdir(join(tree, name), { recursive: true });
  }
  await mkdir(programs, { recursive: true });
  await cp(join(kernel, 'lib'), join(tree, 'lib'), { recursive: true });
  await hostCommand('cannot fill the initramfs', 'install', [
    ...['-m', '0755', join(kernel, 'busybox'), join(tree, 'bin/busybox')],
  ]);
  await hostCommand('cannot fill the initramfs', 'install', [
    ...['-m', '0755', join(GUEST_SOURCES, 'init.sh'), join(tree, 'init')],
  ]);
  for (const [program, files] of Object.entries(GUEST_PROGRAMS)) {
    await hostCommand(`cannot compile ${program} for the guest`, 'cc', [
      ...[...COMPILER_FLAGS, '-static', '-o', join(programs, program)],
      ...files.map((file) => join(GUEST_SOURCES, file)),
    ]);
  }
  for (const [program, { files, libraries }] of Object.entries(LINKED_PROGRAMS)) {
    const purpose = `cannot compile ${program} for the guest`;
    const flags = await hostCommand(purpose, 'pkg-config', ['--cflags', '--libs', ...libraries]);
    await hostCommand(purpose, 'cc', [
      ...[...COMPILER_FLAGS, '-o', join(programs, program)],
      ...files.map((file) => join(GUEST_SOURCES, file)),
      // Headers of others are not compiled with our warnings.
      ...flags
        .trim()
        .split(/\s+/)
        .map((flag) => flag.replace(/^-I/, '-isystem')),
    ]);
  }
  for (const script of GUEST_SCRIPTS) {
    await hostCommand('cannot fill the initramfs', 'install', [
      ...['-m', '0755', join(GUEST_SOURCES, `${script}.sh`), join(programs, script)],
    ]);
  }
  // Not compressed, for the same reason as the modules.
  const files = await hostCommand('cannot list the initramfs', 'find', ['.'], { cwd: tree });
  await writeFile(join(directory, 'files'), files);
  await hostCommand(
    'cannot pack the initramfs',
    'sh',
    ['-c', 'cpio --quiet -o -H newc -R 0:0 < ../files > ../initramfs'],
    { cwd: tree },
  );
  await rm(tree, { recursive: true });
  await rm(join(directory, 'files'));
}

/**
 * Builds or reuses the kernel and the initramfs of the guest.
 *
 * @throws VmError `BUILD_FAILED`.
 */
export async function buildKernel(version: KernelVersion, progress: Progress): Promise<BootFiles> {
  const builder = await readFile(fileURLToPath(import.meta.url), 'utf8');
  const modules = await wantedModules();
  const kernel = await cached(
    `kernel-${version}`,
    recipeKey([unpackKernel.toString(), extractKernel.toString(), ...modules]),
    progress,
    (directory) => unpackKernel(version, modules, directory, progress),
  );
  const sources = await Promise.all(
    (await readdir(GUEST_SOURCES))
      .sort()
      .map((name) => readFile(join(GUEST_SOURCES, name), 'utf8')),
  );
  const initramfs = await cached(
    `initramfs-${version}`,
    recipeKey([builder, kernel, ...sources]),
    progress,
    (directory) => packInitramfs(kernel, directory),
  );
  return { kernel: join(kernel, 'vmlinux'), initramfs: join(initramfs, 'initramfs') };
}
