// What can go wrong in this package, as codes that a program can act on.

/** Why a surface server could not be started. */
export type SurfaceServerErrorCode =
  /** The path is longer than a Unix socket address holds. */
  | 'PATH_TOO_LONG'
  /** Another process serves this path. */
  | 'IN_USE'
  /** The socket could not be made; the message holds the system's reason. */
  | 'LISTEN_FAILED';

/** Why a capture ended. */
export type CaptureErrorCode =
  /** No PipeWire daemon answers at the given place. */
  | 'CONNECT_FAILED'
  /** The daemon has no node with this id, or this client may not see it. */
  | 'NO_SUCH_NODE'
  /** Source and consumer share no format, modifier or kind of memory. */
  | 'NO_FORMAT'
  /** Negotiation did not end in time; PipeWire before 1.0 reports a missing common format only like this. */
  | 'TIMEOUT'
  /** The node was removed: the compositor ended the cast or went away. */
  | 'SOURCE_LOST'
  /** The connection to the daemon broke. */
  | 'PIPEWIRE_LOST'
  /** The source passed buffers that are smaller than the picture in them. */
  | 'BAD_BUFFER'
  /** A limit of this process is reached (descriptors, memory, captures). */
  | 'NO_MEMORY';

/** Why a screen cast could not be opened, or ended. */
export type ScreenCastErrorCode =
  /** No D-Bus daemon answers at the address. */
  | 'NO_BUS'
  /** The bus is there, but nobody offers the service. */
  | 'NO_SERVICE'
  /** The monitor does not exist. */
  | 'NO_SUCH_MONITOR'
  /** The service, or the person at the desktop, said no. */
  | 'REFUSED'
  /** The service did not answer in time. */
  | 'TIMEOUT'
  /** The session ended: the compositor stopped it, or left the bus. */
  | 'CLOSED'
  /** A call failed in a way that has no code of its own; the message holds the service's words. */
  | 'FAILED';

/** Why a virtio-gpu, or a dma-buf on it, is of no use. */
export type VirtioGpuErrorCode =
  /** No render node of this machine belongs to a virtio-gpu. */
  | 'NO_VIRTIO_GPU'
  /** There is one, but this user may not open it. */
  | 'NO_ACCESS'
  /** The kernel's driver lacks what is needed. */
  | 'DRIVER_TOO_OLD'
  /** The descriptor is something else. */
  | 'NOT_DMABUF'
  /** A dma-buf whose memory another device has. */
  | 'NOT_OF_THIS_GPU'
  /** A limit of this process, the guest or the device is reached. */
  | 'NO_MEMORY'
  /** Anything else; the message holds the system's reason. */
  | 'FAILED';

/** An error with a code; the message says what happened to whom and what to do. */
export class CodedError<Code extends string> extends Error {
  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

export class SurfaceServerError extends CodedError<SurfaceServerErrorCode> {}
export class CaptureError extends CodedError<CaptureErrorCode> {}
export class ScreenCastError extends CodedError<ScreenCastErrorCode> {}
export class VirtioGpuError extends CodedError<VirtioGpuErrorCode> {}
