// The lease manager's words as the API's.
import type * as api from '@scanbridge/hydra/api';
import { SCANOUT_KIND } from '@scanbridge/hydra/api';
import type { Lease, Scanout } from '../leases/index.js';

/** Frames a second as the manager counts them. */
export const toMillihertz = (hertz: number): number => Math.round(hertz * 1000);

/** Name of a lease's CDI device, which runtimes take with `--device`. */
export const cdiName = (lease: Lease): string => `${SCANOUT_KIND}=${lease.id}`;

/** Where a container finds its lease: the variable that the client package reads. */
export const LEASE_VARIABLE = 'SCANBRIDGE_LEASE';

/** Environment of a process that sees the lease's folder at the same path. */
export function environmentOf(lease: Lease): Record<string, string> {
  return { ...lease.environment, [LEASE_VARIABLE]: lease.directory };
}

export function viewLease(lease: Lease): api.Lease {
  const { id, owner, uid, gid, device, scanout, card, connector, width, height } = lease;
  return {
    ...{ id, owner, uid, gid, device, scanout, card, connector, width, height },
    refresh: lease.refresh / 1000,
    state: lease.state,
    keep: lease.keep,
    ...(lease.holder && { holder: { pid: lease.holder.pid, uid: lease.holder.uid } }),
    directory: lease.directory,
    nodes: [...(lease.renderNode === undefined ? [] : [lease.renderNode]), ...lease.inputs],
    environment: environmentOf(lease),
    cdi: cdiName(lease),
    since: new Date(lease.createdAt).toISOString(),
  };
}

/** What a container is told of its own lease: nothing of the VM around it. */
export function viewOwnLease(lease: Lease): api.OwnLease {
  const { id, owner, connector, width, height, refresh, state, since } = viewLease(lease);
  return { id, owner, connector, width, height, refresh, state, since };
}

export function viewScanout(one: Scanout): api.Scanout {
  const { device, scanout, card, connector, connected, lease } = one;
  return { device, scanout, card, connector, connected, ...(lease !== undefined && { lease }) };
}
