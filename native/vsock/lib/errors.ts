// What can go wrong with vsock, as codes that a program can act on.
import { getSystemErrorMap } from 'node:util';

export type VsockErrorCode =
  /** This system has no AF_VSOCK, or nothing that carries it to that CID. */
  | 'UNSUPPORTED'
  /** No such CID, or it is not this machine's. */
  | 'NO_SUCH_CID'
  /** Nobody listens on the port. */
  | 'REFUSED'
  /** No answer in time. */
  | 'TIMEOUT'
  /** Another program listens on the port. */
  | 'IN_USE'
  /** This process may not. */
  | 'DENIED'
  /** The other side has cut the connection, or its machine was reset. */
  | 'RESET'
  /** No descriptors or memory. */
  | 'EXHAUSTED'
  /** It was given up by its user. */
  | 'ABORTED'
  /** Anything else; the message holds the system's words. */
  | 'FAILED';

/** An error with a code; the message says what happened to whom, `remedy` what to do about it. */
export class VsockError extends Error {
  constructor(
    readonly code: VsockErrorCode,
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'VsockError';
  }
}

const NO_DEVICE = 'give the VM a vsock device and load the guest module vmw_vsock_virtio_transport';
const KNOWN: Record<string, [code: VsockErrorCode, remedy: string]> = {
  EAFNOSUPPORT: [
    'UNSUPPORTED',
    `the kernel has no AF_VSOCK, or a seccomp filter hides it: ${NO_DEVICE}`,
  ],
  ENOENT: ['UNSUPPORTED', NO_DEVICE],
  ENODEV: ['UNSUPPORTED', NO_DEVICE],
  ENETUNREACH: ['NO_SUCH_CID', 'check the CID; 2 is the host'],
  EHOSTUNREACH: ['NO_SUCH_CID', 'check the CID; 2 is the host'],
  EADDRNOTAVAIL: ['NO_SUCH_CID', "listen on any CID, or on this machine's own"],
  ECONNREFUSED: ['REFUSED', 'start what listens there, or check the port'],
  ETIMEDOUT: ['TIMEOUT', 'check that the other machine runs'],
  EBUSY: ['IN_USE', 'stop the program that has it open'],
  ENOTTY: ['UNSUPPORTED', 'name a virtio-serial port, as /dev/virtio-ports/NAME'],
  EADDRINUSE: ['IN_USE', 'stop the program that holds the port, or choose another'],
  EACCES: [
    'DENIED',
    'ports below 1024 are for root; containers need a seccomp profile with AF_VSOCK',
  ],
  EPERM: [
    'DENIED',
    'ports below 1024 are for root; containers need a seccomp profile with AF_VSOCK',
  ],
  ECONNRESET: ['RESET', 'connect again'],
  EPIPE: ['RESET', 'connect again'],
  ENOTCONN: ['RESET', 'connect again'],
  EMFILE: ['EXHAUSTED', 'raise the limit of open files, or close connections'],
  ENFILE: ['EXHAUSTED', 'raise the limit of open files, or close connections'],
  ENOBUFS: ['EXHAUSTED', 'free memory'],
  ENOMEM: ['EXHAUSTED', 'free memory'],
};

/** @param errno negative  @param what the sentence's subject */
export function fromErrno(errno: number, what: string): VsockError {
  const [name, words] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, 'unknown error'];
  const [code, remedy] = KNOWN[name] ?? ['FAILED', "the reason is the system's"];
  return new VsockError(code, `${what}: ${words} (${name})`, remedy);
}

/** Of connect(): a reset before there was a connection is a refusal. */
export function fromConnectErrno(errno: number, what: string): VsockError {
  const error = fromErrno(errno, what);
  if (error.code !== 'RESET') return error;
  return new VsockError('REFUSED', error.message, 'start what listens there, or check the port');
}
