// The lease API's bodies: the one truth for the agent's server, the OpenAPI document, and the client.
import { z } from 'zod';

/** Largest request body [bytes]. */
export const MAX_BODY = 16 * 1024;
/** CDI kind of a scanout, and name of the resource in Kubernetes. */
export const SCANOUT_KIND = 'scanbridge.dev/scanout';

const dimension = z.number().int().min(64).max(8192);
const refresh = z.number().min(1).max(500);
const uid = z.number().int().min(0).max(0xfffffffe);
const device = z.number().int().min(0).max(63).describe('GPU, counted from 0 by PCI address');
const scanout = z.number().int().min(0).max(15).describe('Index of the scanout on its GPU');
const leaseId = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/);

/** Body of `POST /v1/leases`. */
export const LeaseRequest = z
  .strictObject({
    owner: z.string().min(1).max(128).describe('Who will have it, for people: the container'),
    width: dimension.describe('[pixels]'),
    height: dimension.describe('[pixels]'),
    refresh: refresh.optional().describe("[Hz]; absent: the GPU's choice"),
    uid: uid
      .optional()
      .describe(
        'User, as the agent sees it, whose processes may use the lease. Absent: whoever asks',
      ),
    gid: uid.optional().describe('Group of the sockets. Absent: whoever asks'),
    scanout: scanout.optional(),
    device: device.optional(),
    keep: z
      .boolean()
      .optional()
      .describe(
        'The lease waits for another compositor when the one that held it has ended. Absent: it ends with it',
      ),
  })
  .describe('A scanout that a container wants');
export type LeaseRequest = z.input<typeof LeaseRequest>;

/** Body of `PATCH /v1/leases/{id}` and of a container's `PATCH /v1/lease`. */
export const ModeRequest = z
  .strictObject({
    width: dimension.describe('[pixels]'),
    height: dimension.describe('[pixels]'),
    refresh: refresh.optional().describe('[Hz]; absent: as it is'),
  })
  .describe("The mode that a container's display is to have");
export type ModeRequest = z.input<typeof ModeRequest>;

/** A scanout in somebody's hands. */
export const Lease = z
  .object({
    id: leaseId,
    owner: z.string(),
    uid: uid.describe('The only user, beside root, who may use it'),
    gid: uid,
    device,
    scanout,
    card: z.string().describe('For example /dev/dri/card0; a container has no access to it'),
    connector: z.string().describe('As in the guest, for example Virtual-2'),
    width: z.number().int().describe('[pixels]'),
    height: z.number().int().describe('[pixels]'),
    refresh: z.number().describe("[Hz]; 0: the GPU's choice"),
    state: z
      .enum(['waiting', 'active'])
      .describe('waiting: no compositor has opened it yet, or none has again'),
    keep: z.boolean(),
    holder: z
      .object({ pid: z.number().int(), uid })
      .optional()
      .describe('The process that opened it, as the agent sees it'),
    directory: z.string().describe("Folder of the lease's sockets and token"),
    nodes: z
      .array(z.string())
      .describe('Device nodes that a container on it shows: render node and input devices'),
    environment: z
      .record(z.string(), z.string())
      .describe('For a compositor that sees the folder at the same path'),
    cdi: z.string().describe("The device's name, for --device of podman and docker"),
    since: z.iso.datetime().describe('When it was created'),
  })
  .describe('A scanout in the hands of one container');
export type Lease = z.output<typeof Lease>;

/** What a container may know of its own lease. */
export const OwnLease = Lease.pick({
  id: true,
  owner: true,
  connector: true,
  width: true,
  height: true,
  refresh: true,
  state: true,
  since: true,
}).describe("A container's own lease");
export type OwnLease = z.output<typeof OwnLease>;

/** One scanout of a GPU. */
export const Scanout = z
  .object({
    device,
    scanout,
    card: z.string(),
    connector: z.string(),
    connected: z.boolean().describe('Whether the host has connected a display'),
    lease: leaseId.optional().describe('Absent: nobody holds it'),
  })
  .describe('A scanout, whether leased or not');
export type Scanout = z.output<typeof Scanout>;

/** Body of `GET /healthz`. */
export const Health = z
  .object({
    status: z
      .enum(['ok', 'degraded'])
      .describe('degraded: leases cannot be had; `reasons` says why'),
    reasons: z.array(z.string()),
    scanouts: z.number().int(),
    leases: z.number().int(),
  })
  .describe('Whether leases can be had');
export type Health = z.output<typeof Health>;

/** What `GET /v1/events` says, as data of one server-sent event each. */
export const LeaseEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('leases'), leases: z.array(Lease) }).describe('First on each stream'),
  z.object({ type: z.literal('created'), lease: Lease }),
  z.object({ type: z.literal('changed'), lease: Lease }).describe('State, holder or mode differ'),
  z.object({ type: z.literal('released'), lease: Lease, reason: z.string() }),
]);
export type LeaseEvent = z.output<typeof LeaseEvent>;

/** Codes of the API's errors. */
export const ErrorCode = z.enum([
  'ABORTED',
  'BAD_METHOD',
  'BAD_REQUEST',
  'BODY_TOO_LARGE',
  'BUSY',
  'FORBIDDEN',
  'HOST_REFUSED',
  'INTERNAL',
  'KERNEL_REFUSED',
  'NOT_FOUND',
  'NO_DEVICE',
  'NO_HOTPLUG',
  'NO_SCANOUT_FREE',
  'NO_SUCH_LEASE',
  'NO_SUCH_SCANOUT',
  'SCANOUT_IN_USE',
  'SEAT_FAILED',
  'TOO_MANY_STREAMS',
  'UNAUTHORIZED',
]);
export type ErrorCode = z.output<typeof ErrorCode>;

/** Body of every answer that is an error. */
export const ErrorBody = z
  .object({
    error: z.object({
      code: ErrorCode,
      message: z.string().describe('What happened, to whom'),
      remedy: z.string().describe('What to do about it'),
    }),
  })
  .describe('Why not');
export type ErrorBody = z.output<typeof ErrorBody>;
