// What leases, seats and virtual input need of the kernel and Node does not have: DRM leases, hotplug events, descriptors over Unix
// sockets, uinput. An addon of its own, which needs neither PipeWire nor a GPU's libraries.
//
// What the kernel refuses is thrown as a SystemError. Calls do not wait.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What the kernel refused, and to whom. */
export interface SystemError extends Error {
  /** errno's name: "EBUSY". */
  code: string;
}

/** Whether this is what the kernel refused, of this kind if one is named. */
export function isSystemError(error: unknown, code?: string): error is SystemError {
  if (!(error instanceof Error && 'code' in error)) return false;
  return code === undefined ? typeof error.code === 'string' : error.code === code;
}

/** Owns a file descriptor until close(). */
export interface Descriptor {
  readonly open: boolean;
  /** The number, for calls that borrow it; -1 when it is closed. */
  readonly fd: number;
  /** Calls `ready` again and again while there is something to read; null ends that. Keeps the process alive. */
  watch(ready: (() => void) | null): void;
  /** A second descriptor of the same open file. */
  duplicate(): Descriptor;
  /** Does nothing when it is closed. */
  close(): void;
}

/** A virtio-gpu device. */
export interface VirtioGpu {
  /** "/dev/dri/card0" */
  card: string;
  /** "/dev/dri/renderD128"; empty: none. */
  renderNode: string;
  /** On its bus; for PCI "0000:00:02.0". */
  address: string;
  /** Whether it renders (virgl), or only shows. */
  renders: boolean;
}

export interface DisplayMode {
  /** [pixels]; 0: off */
  width: number;
  height: number;
  /** [mHz] */
  refresh: number;
  preferred: boolean;
}

/** A connector with the objects that drive it. */
export interface Head {
  /** virtio-gpu's number: the place of the CRTC among the device's. */
  scanout: number;
  /** Object ids of the kernel. */
  connector: number;
  crtc: number;
  primary: number;
  /** 0: none. */
  cursor: number;
  /** "Virtual-1" */
  name: string;
  connected: boolean;
  modes: DisplayMode[];
}

export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

export type VirtualInputKind = 'pointer' | 'keyboard' | 'touch';

/** What a LoginServer tells; `take` wants an answer(). */
export type LoginEvent =
  | { type: 'ready' }
  | { type: 'control'; name: string; pid: number }
  | { type: 'take'; serial: number; major: number; minor: number }
  | { type: 'give-back'; major: number; minor: number }
  | { type: 'control-lost' }
  | { type: 'ended'; reason: string };

/** A stand-in for logind on a private bus; see native/guest/src/seat/login_server.h. */
export interface LoginServer {
  /** Answers a `take`: with a copy of the descriptor, or (null) with why not. */
  answer(serial: number, descriptor: Descriptor | null, refusal: string): void;
  /** Leaves the bus. Events that are under way still come. */
  close(): void;
}

interface LeaseAddon {
  LoginServer: new (
    options: {
      /** D-Bus address. */
      address: string;
      /** Id of the session: letters, digits and "-". */
      session: string;
      uid: number;
      /** Who controlled the session when a server before this one ended: unique bus name and process; or "" and 0. */
      controller: string;
      controllerPid: number;
    },
    event: (event: LoginEvent) => void,
  ) => LoginServer;
  /** The virtio-gpu devices of this machine, by address. */
  listVirtioGpus(): VirtioGpu[];
  /** Opens a DRM node and becomes its master; EBUSY where another process is. */
  openMaster(card: string): Descriptor;
  /** Opens a DRM node whose master this process is, for making and sharing buffers, and for nothing else. */
  openForBuffers(card: string): Descriptor;
  /** `probe`: the connector of which the driver is asked anew, 0 for none; of the others it tells what was known last. */
  listHeads(master: Descriptor, probe: number): Head[];
  /** The mode that a CRTC has. */
  currentMode(master: Descriptor, crtc: number): DisplayMode;
  /** Lends connector, CRTC and planes until the last copy of the descriptor is closed, or the lease is revoked. */
  createLease(master: Descriptor, head: Head): { descriptor: Descriptor; lessee: number };
  listLessees(master: Descriptor): number[];
  /** Does nothing when the lease is over. */
  revokeLease(master: Descriptor, lessee: number): void;
  /** A socket of the kernel's device events. */
  openUevents(): Descriptor;
  /** Events that have come, at most 64, as KEY=value; one without keys stands for those that were lost. */
  readUevents(socket: Descriptor): Record<string, string>[];
  /** Listens on a path with mode 0600; what was there is removed. */
  listenUnix(path: string): Descriptor;
  connectUnix(path: string): Descriptor;
  /** EAGAIN: nobody waits. */
  acceptUnix(listener: Descriptor): Descriptor;
  /** Who made the other end of a Unix socket; `fd` stays its owner's. */
  peerCredentials(fd: number): PeerCredentials;
  /** Reads up to `limit` bytes [1 to 1 MiB]; EAGAIN: nothing has come. */
  receive(
    socket: Descriptor,
    limit: number,
  ): { data: Buffer; descriptors: Descriptor[]; end: boolean };
  /** Sends all or nothing, with copies of at most 16 descriptors; EAGAIN: the other side does not read. */
  send(socket: Descriptor, data: Uint8Array, descriptors: readonly Descriptor[]): void;
  /** Of a character device; symbolic links are not followed. */
  deviceNumber(path: string): { major: number; minor: number };
  openInput(path: string): Descriptor;
  /** Takes an input device from all who share this open file. */
  revokeInput(input: Descriptor): void;
  /** Makes an input device; it is removed when its descriptor is closed. `node` is "/dev/input/eventN". */
  createVirtualInput(
    kind: VirtualInputKind,
    name: string,
    phys: string,
  ): { descriptor: Descriptor; node: string };
  /** Writes one report: type, code and value of up to 63 events. Absolute axes go from 0 to 65535. */
  writeInput(device: Descriptor, values: Int32Array): void;
}

const require = createRequire(import.meta.url);

/** For LD_PRELOAD of wlroots, where the GPU does not render; see native/guest/src/seat/buffers_preload.c. */
export const buffersLibrary = fileURLToPath(
  new URL('../../build/Release/libscanbridge-buffers.so', import.meta.url),
);

/** The program that keeps descriptors for an agent that dies; see native/guest/src/lease/keeper.cc. */
export const keeperProgram = fileURLToPath(
  new URL('../../build/Release/scanbridge-keeper', import.meta.url),
);

/** The program that tells containers of changed displays; see native/guest/src/lease/announce.cc. */
export const announceProgram = fileURLToPath(
  new URL('../../build/Release/scanbridge-announce', import.meta.url),
);

const addon: LeaseAddon = require('../../build/Release/scanbridge_lease.node');

export const {
  LoginServer,
  listVirtioGpus,
  openMaster,
  openForBuffers,
  listHeads,
  currentMode,
  createLease,
  listLessees,
  revokeLease,
  openUevents,
  readUevents,
  listenUnix,
  connectUnix,
  acceptUnix,
  peerCredentials,
  receive,
  send,
  deviceNumber,
  openInput,
  revokeInput,
  createVirtualInput,
  writeInput,
} = addon;
