// What this machine has and what it lacks to show a desktop.
import { accessSync, constants, existsSync } from 'node:fs';
import { connect } from 'node:net';
import { isAbsolute, join } from 'node:path';
import {
  listGpus,
  listVirtioGpus,
  openMutterScreenCast,
  type ScreenCastError,
  VirtioGpu,
  type VirtioGpuError,
} from '@scanbridge/native-guest';
import {
  type BridgeAddress,
  isOnThisMachine,
  nameOf,
  openTransport,
  reasonOf,
} from './transports.js';

/** `missing`: nothing works without it. `absent`: something works worse, or not at all, without it. */
export type Verdict = 'good' | 'absent' | 'missing';

export interface Finding {
  what: string;
  verdict: Verdict;
  /** What was found, and what to do about it. */
  detail: string;
}

const CAST_LIMIT = 3000;

/** Looks at everything that `run` would use; changes nothing. */
export async function examine(bridge: readonly BridgeAddress[] = []): Promise<Finding[]> {
  const findings = [await examinePipeWire(), examineBus(), await examineMutter(), examineGpus()];
  // Only ids leave a VM, so there it is needed.
  findings.push(examineVirtioGpu(bridge.some((address) => !isOnThisMachine(address))));
  if (bridge.length > 0) findings.push(await examineBridge(bridge));
  return findings;
}

async function examinePipeWire(): Promise<Finding> {
  const what = 'PipeWire';
  const name = process.env.PIPEWIRE_REMOTE ?? 'pipewire-0';
  const folder = process.env.PIPEWIRE_RUNTIME_DIR ?? process.env.XDG_RUNTIME_DIR;
  if (folder === undefined && !isAbsolute(name)) {
    return {
      what,
      verdict: 'missing',
      detail:
        "XDG_RUNTIME_DIR is not set. Run this in the desktop's session, or set it to /run/user/UID.",
    };
  }
  const path = isAbsolute(name) ? name : join(folder as string, name);
  const problem = await tryConnect(path);
  return problem === undefined
    ? { what, verdict: 'good', detail: `answers at ${path}` }
    : {
        what,
        verdict: 'missing',
        detail: `${path}: ${problem}. Start it: systemctl --user start pipewire wireplumber.`,
      };
}

function examineBus(): Finding {
  const what = 'Session bus';
  const address = process.env.DBUS_SESSION_BUS_ADDRESS;
  const standard = join(process.env.XDG_RUNTIME_DIR ?? '/nonexistent', 'bus');
  if (address !== undefined) return { what, verdict: 'good', detail: address };
  if (existsSync(standard)) return { what, verdict: 'good', detail: `unix:path=${standard}` };
  return {
    what,
    verdict: 'absent',
    detail:
      'DBUS_SESSION_BUS_ADDRESS is not set: --mutter and --portal need an address, --node works.',
  };
}

async function examineMutter(): Promise<Finding> {
  const what = 'Mutter';
  try {
    const cast = await openMutterScreenCast({
      record: { primary: true },
      cursor: 'metadata',
      input: false,
      timeout: CAST_LIMIT,
    });
    await cast.close();
    return { what, verdict: 'good', detail: 'its primary monitor can be cast' };
  } catch (error) {
    const { code, message } = error as ScreenCastError;
    return { what, verdict: 'absent', detail: `no cast (${code}): ${message}` };
  }
}

function examineGpus(): Finding {
  const what = 'GPU';
  const gpus = listGpus();
  if (gpus.length === 0) {
    return {
      what,
      verdict: 'absent',
      detail: 'no render node in /dev/dri: desktops are captured through shared memory',
    };
  }
  const usable = gpus.filter((gpu) => gpu.formats.length > 0);
  if (usable.length > 0) {
    return { what, verdict: 'good', detail: usable.map((gpu) => gpu.path).join(', ') };
  }
  const reasons = gpus.map((gpu) => {
    try {
      accessSync(gpu.path, constants.R_OK | constants.W_OK);
      return `${gpu.path}: ${gpu.error ?? 'no formats'}`;
    } catch {
      return `${gpu.path}: this user may not open it; add the user to the group "render"`;
    }
  });
  return { what, verdict: 'absent', detail: reasons.join('; ') };
}

function examineVirtioGpu(needed: boolean): Finding {
  const what = 'virtio-gpu';
  const verdict = needed ? 'missing' : 'absent';
  try {
    const gpu = new VirtioGpu();
    const how = gpu.rendering
      ? 'the host renders: dma-bufs are sent as resource ids, shared memory is copied once'
      : 'without rendering: dumb buffers are sent as resource ids, shared memory is copied once';
    return { what, verdict: 'good', detail: `${gpu.path}, ${how}` };
  } catch (error) {
    const { code, message } = error as VirtioGpuError;
    if (code === 'NO_VIRTIO_GPU' && !needed && listVirtioGpus().length === 0) {
      const detail = 'none, which only matters in a VM whose bridge is outside of it';
      return { what, verdict, detail };
    }
    return { what, verdict, detail: message };
  }
}

async function examineBridge(addresses: readonly BridgeAddress[]): Promise<Finding> {
  const what = 'Bridge';
  const problems: string[] = [];
  for (const address of addresses) {
    const name = nameOf(address);
    try {
      (await openTransport(address, new AbortController().signal)).destroy();
      return { what, verdict: 'good', detail: `listens at ${name}` };
    } catch (error) {
      problems.push(`${name}: ${reasonOf(error)}`);
    }
  }
  const remedy = 'Start it: scanbridge serve --agent-socket PATH, or --vsock BASE for a VM.';
  return { what, verdict: 'missing', detail: `${problems.join('; ')}. ${remedy}` };
}

/** What keeps this process from connecting, in words; undefined when nothing does. */
function tryConnect(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
      .on('connect', () => {
        socket.destroy();
        resolve(undefined);
      })
      .on('error', (error) => resolve(reasonOf(error)));
  });
}
