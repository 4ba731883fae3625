// The GPUs of this machine as the kernel tells of them, without touching a driver.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { release } from 'node:os';
import { basename, join } from 'node:path';

/** A GPU, whether or not something drives it. */
export interface Device {
  /** PCI address "0000:65:00.0"; the name of the device for those that are not on PCI. */
  readonly address: string;
  /** PCI vendor and device, 0 where it is not on PCI. */
  readonly vendor: number;
  readonly device: number;
  /** Kernel driver; undefined: nothing drives it. */
  readonly driver: string | undefined;
  /** Of a driver that is not the kernel's own, else the kernel's. */
  readonly driverVersion: string | undefined;
  /** "/dev/dri/renderD128" */
  readonly renderNode: string | undefined;
}

/** PCI base class of display controllers: VGA, 3D and others. */
const DISPLAY = 0x03;

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}

function target(link: string): string | undefined {
  try {
    return realpathSync(link);
  } catch {
    return undefined;
  }
}

const number = (value: string | undefined) => Number.parseInt(value ?? '', 16) || 0;

/**
 * Lists GPUs in the order of their addresses.
 * @param root of the file system: another one in tests
 */
export function findDevices(root = '/'): Device[] {
  const sys = join(root, 'sys');
  const nodes = new Map<string, string>();
  for (const name of list(join(sys, 'class/drm'))) {
    const device = target(join(sys, 'class/drm', name, 'device'));
    if (/^renderD\d+$/.test(name) && device) nodes.set(device, name);
  }
  const paths = list(join(sys, 'bus/pci/devices'))
    .filter((name) => number(text(join(sys, 'bus/pci/devices', name, 'class'))) >> 16 === DISPLAY)
    .map((name) => target(join(sys, 'bus/pci/devices', name)))
    .filter((path) => path !== undefined);
  // Those with a render node that are not display controllers on PCI: virtio over MMIO, systems on a chip.
  const all = new Set([...paths, ...nodes.keys()]);
  return [...all].map((path) => describe(sys, path, nodes.get(path))).sort(byAddress);
}

const byAddress = (a: Device, b: Device) => (a.address < b.address ? -1 : 1);

function describe(sys: string, path: string, node: string | undefined): Device {
  const driverPath = target(join(path, 'driver'));
  const driver = driverPath === undefined ? undefined : basename(driverPath);
  return {
    address: basename(path),
    vendor: number(text(join(path, 'vendor'))),
    device: number(text(join(path, 'device'))),
    driver,
    driverVersion: driver && (text(join(sys, 'module', driver, 'version')) ?? release()),
    renderNode: node && `/dev/dri/${node}`,
  };
}

/** The kernel part of NVIDIA's driver runs, whatever /dev/dri says: in containers that is often empty. */
export function hasNvidiaKernel(root = '/'): boolean {
  return existsSync(join(root, 'sys/module/nvidia'));
}
