import type { AgentErrorCode } from '@scanbridge/protocol/agent';

/** Why a source of pictures is not there; `code` is what the bridge is told. */
export class SourceError extends Error {
  constructor(
    readonly code: Extract<AgentErrorCode, 'SOURCE_FAILED' | 'UNSUPPORTED'>,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'SourceError';
  }
}

/** What was asked on the command line makes no sense; the message says what would. */
export class OptionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionError';
  }
}
