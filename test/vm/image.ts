import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached, recipeKey } from './cache.js';
import { DEBIAN_KEYRING, debianMirror, GUEST_SUITE } from './debian.js';
import { hostCommand, type Progress } from './host-command.js';

/** What the guest has installed, beyond Debian's essential packages. */
const PACKAGES = [
  // Compositors, and a client for each.
  'weston',
  'sway',
  'labwc',
  'cage',
  'mutter',
  'foot',
  'swaybg',
  'wlr-randr',
  // OpenGL: llvmpipe, and virgl where the VM has a GPU.
  'libgl1-mesa-dri',
  'libgles2',
  'libdrm-tests',
  // Screen capture.
  'pipewire',
  'wireplumber',
  'dbus-daemon',
  'xdg-desktop-portal-wlr',
  // What benchmarks compare with: pixels over TCP, an encoder in the guest.
  'gstreamer1.0-tools',
  'gstreamer1.0-pipewire',
  'gstreamer1.0-plugins-base',
  'gstreamer1.0-plugins-good',
  'gstreamer1.0-plugins-ugly',
  // Seats and devices.
  'seatd',
  'udev',
  'kmod',
  // Rootless containers.
  'podman',
  'crun',
  'uidmap',
  // The agent.
  'nodejs',
  'procps',
  'strace',
];

/** Debian's documentation and translations, a fifth of the image. */
const EXCLUDED = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*'];

/** The image is sparse: what the guest leaves unused costs nothing. */
const IMAGE_SIZE = '4G';

/**
 * Runs as root, or as the root of mmdebstrap's user namespace, with the tree as its argument, and writes
 * the image. That is why no root is needed: only in there do the files have their owners. The bind
 * mount shows the tree without the /proc, /sys and /dev that mmdebstrap has mounted in it; where it could
 * not mount, neither can we, and there is nothing to hide.
 */
function imageHook(image: string): string {
  return [
    'set -e',
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*',
    'echo guest > "$1/etc/hostname"',
    'echo 127.0.0.1 localhost guest > "$1/etc/hosts"',
    'echo 5ca4b21d6e5ca4b21d6e5ca4b21d6e00 > "$1/etc/machine-id"',
    'tree=$(mktemp -d)',
    'mount --bind "$1" "$tree" 2>/dev/null || { rmdir "$tree"; tree=$1; }',
    `PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$tree" '${image}' ${IMAGE_SIZE}`,
    'if [ "$tree" != "$1" ]; then umount "$tree"; rmdir "$tree"; fi',
  ].join('\n');
}

async function makeImage(directory: string, progress: Progress): Promise<void> {
  // In a user namespace the hook is another user than ours, who can write neither the cache nor,
  // perhaps, look into our home. The outer folder's name is not to be listed or guessed.
  const outer = await mkdtemp(join(tmpdir(), 'scanbridge-image-'));
  const removeNow = () => rmSync(outer, { recursive: true, force: true });
  process.on('exit', removeNow);
  try {
    await chmod(outer, 0o711);
    const scratch = await mkdtemp(join(outer, 'open-'));
    await chmod(scratch, 0o777);
    progress(`image: installing Debian ${GUEST_SUITE} with ${PACKAGES.length} packages and theirs`);
    // As root, mmdebstrap mounts /proc, /sys and /dev into the tree where all can see it, and leaves them there when it is
    // interrupted. In a mount namespace of its own they end with it.
    const root = process.getuid?.() === 0;
    const own = root
      ? ['unshare', '--mount', '--propagation', 'private', 'mmdebstrap']
      : ['mmdebstrap'];
    const [command = '', ...before] = own;
    await hostCommand('cannot make the guest image', command, [
      ...before,
      ...['--mode=auto', '--variant=essential', '--format=null', '--architectures=amd64'],
      `--include=${PACKAGES.join(',')}`,
      `--keyring=${DEBIAN_KEYRING}`,
      ...EXCLUDED.map((path) => `--dpkgopt=path-exclude=${path}`),
      '--dpkgopt=force-unsafe-io',
      '--aptopt=Acquire::Languages "none"',
      '--aptopt=APT::Install-Recommends "false"',
      `--customize-hook=${imageHook(join(scratch, 'root.ext4'))}`,
      GUEST_SUITE,
      '/dev/null',
      `deb ${await debianMirror()} ${GUEST_SUITE} main`,
    ]);
    progress('image: copying it into the cache');
    await hostCommand('cannot keep the guest image', 'cp', [
      ...['--sparse=always', join(scratch, 'root.ext4'), join(directory, 'root.ext4')],
    ]);
  } finally {
    process.off('exit', removeNow);
    await rm(outer, { recursive: true, force: true });
  }
}

/**
 * Builds or reuses the guest's file system, a raw ext4 image. It is never written to: each guest
 * gets its own layer over it.
 *
 * @returns the image's path.
 * @throws VmError `BUILD_FAILED`.
 */
export async function buildImage(progress: Progress): Promise<string> {
  const recipe = [GUEST_SUITE, ...PACKAGES, ...EXCLUDED, IMAGE_SIZE, imageHook('')];
  const directory = await cached('image', recipeKey(recipe), progress, (made) =>
    makeImage(made, progress),
  );
  return join(directory, 'root.ext4');
}
