export { LeaseError, type LeaseErrorCode } from './errors.js';
export type {
  Lease,
  LeaseEvents,
  LeaseHolder,
  LeaseRequest,
  LeaseState,
  Scanout,
  ScanoutMode,
} from './lease.js';
export { DEFAULT_RUNTIME_DIRECTORY, LeaseManager, type LeaseManagerOptions } from './manager.js';
export type { ScanoutHost } from './scanout-host.js';
