export type {
  ErrorCode,
  Health,
  Lease,
  LeaseEvent,
  LeaseRequest,
  ModeRequest,
  OwnLease,
  Scanout,
} from './api.js';
export {
  LeaseClient,
  type LeaseClientOptions,
  MANAGER_SOCKET,
  OwnLeaseClient,
} from './client.js';
export { type ClientCode, HydraError } from './errors.js';
export type { TransportOptions } from './transport.js';
