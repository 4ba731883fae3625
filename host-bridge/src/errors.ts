// What can go wrong in the bridge: a code for programs, one sentence about what happened, one about what to do.

/** Base of all errors that a user of the bridge sees. */
export class BridgeError extends Error {
  /**
   * @param code for programs, upper case
   * @param message what happened, to whom
   * @param remedy what to do about it
   * @param status HTTP status where it is answered over HTTP
   */
  constructor(
    readonly code: string,
    message: string,
    readonly remedy: string,
    readonly status = 500,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** An option that cannot be used as it was given. */
export class OptionError extends BridgeError {
  constructor(message: string, remedy: string) {
    super('BAD_OPTION', message, remedy, 400);
  }
}

/** An address or socket that the bridge cannot listen on. */
export class ListenError extends BridgeError {
  constructor(where: string, reason: string) {
    super(
      'LISTEN_FAILED',
      `cannot listen on ${where}: ${reason}`,
      'stop the program that holds it, or choose another address',
    );
  }
}

export class NoSuchSessionError extends BridgeError {
  constructor(id: string) {
    super(
      'NO_SUCH_SESSION',
      `there is no session "${id}"`,
      'GET /v1/sessions lists the sessions there are',
      404,
    );
  }
}

export class SessionExistsError extends BridgeError {
  constructor(id: string) {
    super('SESSION_EXISTS', `there is already a session "${id}"`, 'choose another id', 409);
  }
}

export class UnauthorizedError extends BridgeError {
  constructor(reason: string) {
    super(
      'UNAUTHORIZED',
      reason,
      'send a token of this bridge: "Authorization: Bearer TOKEN", or ?token=TOKEN',
      401,
    );
  }
}

export class OriginRefusedError extends BridgeError {
  constructor(origin: string) {
    super(
      'ORIGIN_REFUSED',
      `a page of ${origin.slice(0, 200)} may not use this bridge`,
      'open the page from the bridge itself, or start it with --allow-origin',
      403,
    );
  }
}

export class HostRefusedError extends BridgeError {
  constructor(host: string) {
    super(
      'HOST_REFUSED',
      `the bridge is not called ${host.slice(0, 200)}`,
      'use the address that the bridge printed; a name that leads to loopback could be a rebinding attack',
      421,
    );
  }
}

export class TooManyViewersError extends BridgeError {
  constructor(limit: number) {
    super(
      'TOO_MANY_VIEWERS',
      `the bridge serves ${limit} viewers at most`,
      'close a viewer, or start the bridge with a larger --max-viewers',
      503,
    );
  }
}

/** An engine worker that did not come up, or went down. */
export class WorkerError extends BridgeError {}

/** A control connection to a surface server (QEMU) that failed. */
export class ScanoutError extends BridgeError {}

/** Any thrown value as one sentence. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
