// Errors of the engine: a code for programs, a sentence and a remedy for people.

/**
 * - `SURFACE_CONNECT`, `SURFACE_CLOSED`, `SURFACE_IO`: the connection to the producer of surfaces.
 * - `SURFACE_LOST`: an IOSurface is gone, or may not be looked up by this process.
 * - `SURFACE_…`: the producer broke the protocol, or refused a request, with that code of it.
 * - `ENCODER_DIED`: the encoder service died, and new sessions died as well.
 * - `ENCODER_BUSY`: no hardware encoder is free.
 * - `ENCODER_MISSING`: this Mac does not encode this codec.
 * - `ENCODER_DENIED`: this process may not encode.
 * - `ENCODER_MEMORY`: the sessions of this process would need more than the service gets.
 * - `ENCODER_FAILED`: VideoToolbox reported an error, `status` says which; or what came out cannot be shown.
 * - `ENCODER_STALLED`: the encoder took a picture and returned nothing.
 * - `BAD_OPTION`: the caller's options cannot be used.
 * - `INTERNAL`: a defect of this package, or memory ran out.
 */
export type EngineErrorCode =
  | `SURFACE_${string}`
  | `ENCODER_${'DIED' | 'BUSY' | 'MISSING' | 'DENIED' | 'MEMORY' | 'FAILED' | 'STALLED'}`
  | 'BAD_OPTION'
  | 'INTERNAL';

/** The form in which native code hands an error over. */
export interface NativeError {
  code: EngineErrorCode;
  message: string;
  remedy: string;
  status?: number;
}

/** What went wrong with an engine. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: EngineErrorCode;
  /** What to do about it, one sentence. */
  readonly remedy: string;
  /** OSStatus behind it. */
  readonly status: number | undefined;

  constructor(error: NativeError) {
    super(error.message);
    this.code = error.code;
    this.remedy = error.remedy;
    this.status = error.status;
  }
}
