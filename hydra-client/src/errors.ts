import type { ErrorCode } from './api.js';

/** Codes of the client itself: nobody answered, somebody else did, or not in time. */
export type ClientCode = 'NO_AGENT' | 'BAD_ANSWER' | 'TIMEOUT';

/** Why a request failed. `code` is for programs, `message` says what happened, `remedy` what to do. */
export class HydraError extends Error {
  constructor(
    readonly code: ErrorCode | ClientCode,
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'HydraError';
  }
}
