// CDI specification of leases (Container Device Interface, https://github.com/cncf-tags/container-device-interface,
// SPEC.md): what a container runtime adds to a container that is started with --device of a lease.
import { type Lease, SCANOUT_KIND } from '@scanbridge/hydra/api';

/** Oldest version with all that is used here, as runtimes refuse what is newer than they are: 0.5.0 has names with digits first. */
const CDI_VERSION = '0.5.0';

/** What a runtime reads. */
export interface CdiSpec {
  readonly cdiVersion: string;
  readonly kind: string;
  readonly devices: readonly CdiDevice[];
}

export interface CdiDevice {
  readonly name: string;
  readonly containerEdits: {
    readonly env: readonly string[];
    readonly deviceNodes?: readonly { readonly path: string; readonly permissions: string }[];
    readonly mounts: readonly {
      readonly hostPath: string;
      readonly containerPath: string;
      readonly options: readonly string[];
    }[];
  };
}

/**
 * A container is given its lease's folder, what udev knows of its devices, its render node and input devices, and the
 * environment that makes a compositor use them. It is not given the card: the DRM lease comes over the seat's socket.
 */
export function cdiSpec(leases: readonly Lease[]): CdiSpec {
  return { cdiVersion: CDI_VERSION, kind: SCANOUT_KIND, devices: leases.map(deviceOf) };
}

function deviceOf({ id, directory, nodes, environment }: Lease): CdiDevice {
  return {
    name: id,
    containerEdits: {
      env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      // Readers differ on whether an empty list may be there.
      ...(nodes.length > 0 && {
        deviceNodes: nodes.map((path) => ({ path, permissions: 'rw' })),
      }),
      mounts: [
        {
          hostPath: directory,
          containerPath: directory,
          // Sockets in a read-only mount can be connected to; a library there can be loaded.
          options: ['bind', 'ro', 'nosuid', 'nodev'],
        },
        {
          hostPath: `${directory}/udev`,
          containerPath: '/run/udev',
          options: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'],
        },
      ],
    },
  };
}
