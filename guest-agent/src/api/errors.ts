import type { ErrorBody, ErrorCode } from '@scanbridge/hydra/api';
import { LeaseError } from '../leases/index.js';

/** A request that is refused. */
export class ApiError extends Error {
  /**
   * @param message what happened, to whom
   * @param remedy what to do about it
   * @param status of HTTP
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy: string,
    readonly status: number,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** What to do about errors of the lease manager, and their HTTP status. */
const REMEDIES: Record<LeaseError['code'], readonly [status: number, remedy: string]> = {
  BAD_REQUEST: [400, 'see /openapi.json for what is possible'],
  NO_DEVICE: [503, 'end the program that drives the card, and see scanbridge-agent doctor'],
  NO_SUCH_LEASE: [404, 'GET /v1/leases lists those there are'],
  NO_SUCH_SCANOUT: [404, 'GET /v1/scanouts lists those there are'],
  SCANOUT_IN_USE: [409, 'release that lease, or leave the choice to the agent'],
  NO_SCANOUT_FREE: [
    409,
    'release one, give the VM a second virtio-gpu device, or start another VM',
  ],
  HOST_REFUSED: [
    502,
    'look at the log of the bridge; it has to be started with --scanout and --vm of this VM',
  ],
  NO_HOTPLUG: [504, 'try again; look at the log of the bridge, and at dmesg'],
  KERNEL_REFUSED: [500, 'look at the log of the agent, and at dmesg'],
  SEAT_FAILED: [500, 'look at the log of the agent'],
  ABORTED: [503, 'try again'],
};

/** Status and body that tell an error. What nobody foresaw is told without its details: they are for the log. */
export function errorAnswer(error: unknown): { status: number; body: ErrorBody } {
  if (error instanceof ApiError) {
    const { status, code, message, remedy } = error;
    return { status, body: { error: { code, message, remedy } } };
  }
  if (error instanceof LeaseError) {
    const [status, remedy] = REMEDIES[error.code];
    return { status, body: { error: { code: error.code, message: error.message, remedy } } };
  }
  const message = 'the agent failed at this request';
  const remedy = 'look at its log';
  return { status: 500, body: { error: { code: 'INTERNAL', message, remedy } } };
}
