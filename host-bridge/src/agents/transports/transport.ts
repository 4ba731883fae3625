// The ways by which agents reach the bridge. Each is opened by one function of this folder.
import type { Duplex } from 'node:stream';

/** The virtual machine that a transport leads to. */
export interface VirtualMachine {
  /** For people. */
  readonly name: string;
  /** Unix socket of its QEMU's frame-export object. */
  readonly exporter: string;
}

/** A way to open, in the words of the command line. */
export type TransportSpec =
  /** A Unix socket for agents of this machine (mode 0600). */
  | { readonly kind: 'unix'; readonly path: string }
  /** `BASE_<port>` of QEMU's virtio-vsock-unix, Firecracker or vhost-device-vsock: guests of one VM. */
  | {
      readonly kind: 'vsock-unix';
      readonly base: string;
      readonly port: number;
      readonly vm?: VirtualMachine;
    }
  /** The kernel's AF_VSOCK: guests of every VM of this machine. Linux only. */
  | { readonly kind: 'vsock'; readonly port: number }
  /** The socket of a virtio-serial port's character device in QEMU: one guest. */
  | { readonly kind: 'serial'; readonly path: string; readonly vm?: VirtualMachine }
  /** Whoever knows the token. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly token: string };

/** Takes the connections of a transport, and owns them. */
export type Accept = (stream: Duplex) => void;

/** A way that is open. */
export interface Transport {
  /** Where, for logs: `vsock-unix:/run/vm0_8471`. */
  readonly name: string;
  /** Whether its agents run on this machine, so that they may name sockets of it. */
  readonly local: boolean;
  /** What its agents have to show. */
  readonly token?: string;
  /** In which its agents run, if it is known. */
  readonly vm?: VirtualMachine;
  /** Takes no more connections, and leaves nothing behind. Those that it gave away go on. */
  close(): Promise<void>;
}
