import type { LeaseManager } from '../leases/index.js';

/** What the API does with the lease manager. */
export type Leases = Pick<
  LeaseManager,
  'scanouts' | 'list' | 'get' | 'allocate' | 'resize' | 'release' | 'on' | 'off'
>;
