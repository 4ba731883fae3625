// Errors of the engine and of the surface client: a code for programs, a sentence and a remedy for people.

/** Names of `enum sb_surface_error`, the codes of the surface protocol (docs/protocols/surface.md). */
type SurfaceErrorName =
  | 'BAD_MAGIC'
  | 'BAD_VERSION'
  | 'BAD_LENGTH'
  | 'BAD_TYPE'
  | 'BAD_FDS'
  | 'BAD_VALUE'
  | 'BAD_STATE'
  | 'BAD_STREAM'
  | 'TOO_MANY'
  | 'NO_SUCH_SCANOUT'
  | 'NO_SUCH_RESOURCE'
  | 'RESOURCE_MISMATCH'
  | 'NO_SUCH_CAPTURE'
  | 'UNSUPPORTED'
  | 'NO_MEMORY'
  | 'SOURCE_FAILED'
  | 'DENIED'
  | 'BAD_RELEASE';

/**
 * - `SURFACE_CONNECT`: nobody listens at the socket, or it may not be opened.
 * - `SURFACE_CLOSED`: the producer closed the connection, or died.
 * - `SURFACE_IO`: the operating system failed to receive or to send.
 * - `SURFACE_TRUNCATED`: the producer shrank the memory of a surface while it was shared.
 * - `SURFACE_…`: the producer broke the protocol, or refused a request, with that code of it.
 * - `ELEMENT_MISSING`: an engine's GStreamer element is not installed.
 * - `ENCODER_FAILED`: GStreamer reported an error; `element` and `debug` say which and where.
 * - `ENCODER_STALLED`: the encoder took a picture and returned nothing.
 * - `NO_ENGINE`: no path of any wanted engine works; `message` lists why.
 * - `BAD_OPTION`: the caller's options cannot be used.
 * - `INTERNAL`: a defect of this package, or memory ran out.
 */
export type EngineErrorCode =
  | `SURFACE_${SurfaceErrorName | 'CONNECT' | 'CLOSED' | 'IO' | 'TRUNCATED'}`
  | 'ELEMENT_MISSING'
  | 'ENCODER_FAILED'
  | 'ENCODER_STALLED'
  | 'NO_ENGINE'
  | 'BAD_OPTION'
  | 'INTERNAL';

/** The form in which native code hands an error over. */
export interface NativeError {
  code: EngineErrorCode;
  message: string;
  remedy: string;
  element?: string;
  debug?: string;
}

/** What went wrong with an engine or a surface client. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  /** What to do about it, one sentence. */
  readonly remedy: string;
  /** GStreamer element that failed. */
  readonly element: string | undefined;
  /** GStreamer's own details. */
  readonly debug: string | undefined;

  constructor(error: NativeError) {
    super(error.message);
    this.code = error.code;
    this.remedy = error.remedy;
    this.element = error.element;
    this.debug = error.debug;
  }
}
