// The CDI specification: what runtimes accept, and a file that is always whole.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lease } from '@scanbridge/hydra/api';
import test, { type ExecutionContext } from 'ava';
import { z } from 'zod';
import { CdiFile, cdiSpec } from '../src/cdi/index.js';

const lease = (n: number): Lease => ({
  id: `lease-${n}`,
  owner: 'web-1',
  ...{ uid: 1000, gid: 1000, device: 0, scanout: n, card: '/dev/dri/card0' },
  connector: `Virtual-${n + 1}`,
  ...{ width: 1280, height: 720, refresh: 60, state: 'waiting', keep: false },
  directory: `/run/scanbridge/leases/lease-${n}`,
  nodes: ['/dev/dri/renderD128', `/dev/input/event${n}`],
  environment: { SEATD_SOCK: `/run/scanbridge/leases/lease-${n}/seat` },
  cdi: `scanbridge.dev/scanout=lease-${n}`,
  since: '2026-01-01T00:00:00.000Z',
});

/** What SPEC.md of CDI 0.5.0 asks; runtimes refuse fields that they do not know. */
const Spec = z.strictObject({
  cdiVersion: z.literal('0.5.0'),
  kind: z.string().regex(/^[a-zA-Z][a-zA-Z0-9_.-]*[a-zA-Z0-9]\/[a-zA-Z][a-zA-Z0-9_-]*[a-zA-Z0-9]$/),
  devices: z.array(
    z.strictObject({
      name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.:-]*[a-zA-Z0-9]$/),
      containerEdits: z.strictObject({
        env: z.array(z.string().regex(/^[A-Z_]+=/)),
        deviceNodes: z
          .array(
            z.strictObject({ path: z.string().startsWith('/dev/'), permissions: z.literal('rw') }),
          )
          .min(1)
          .optional(),
        mounts: z.array(
          z.strictObject({
            hostPath: z.string().startsWith('/'),
            containerPath: z.string().startsWith('/'),
            options: z.array(z.string()),
          }),
        ),
      }),
    }),
  ),
});

async function fileFor(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'scanbridge-cdi-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const inner = join(folder, 'cdi');
  return { inner, file: new CdiFile(inner) };
}

test('a device for each lease, as runtimes accept it, and never the card', (t) => {
  const spec = cdiSpec([lease(1), { ...lease(2), nodes: [] }]);
  t.true(Spec.safeParse(spec).success, Spec.safeParse(spec).error?.message);
  t.is(`${spec.kind}=${spec.devices[0]?.name}`, lease(1).cdi);
  const edits = spec.devices[0]?.containerEdits;
  t.deepEqual(edits?.env, ['SEATD_SOCK=/run/scanbridge/leases/lease-1/seat']);
  t.like(edits?.mounts[0], { hostPath: lease(1).directory, containerPath: lease(1).directory });
  t.true(edits?.mounts.every(({ options }) => options.includes('ro')));
  t.false(JSON.stringify(spec).includes('card0'));
  t.is(spec.devices[1]?.containerEdits.deviceNodes, undefined);
});

test('the file tells the newest, whoever asked first, and can be read by all', async (t) => {
  const { inner, file } = await fileFor(t);
  const names = async () =>
    Spec.parse(JSON.parse(await readFile(file.path, 'utf8'))).devices.map(({ name }) => name);
  await Promise.all([
    file.write([lease(1)]),
    file.write([lease(1), lease(2)]),
    file.write([lease(3)]),
  ]);
  t.deepEqual(await names(), ['lease-3']);
  t.is((await stat(file.path)).mode & 0o777, 0o644);
  // Readers see a whole file at any time.
  let writing = true;
  const reader = (async () => {
    while (writing) await names();
  })();
  for (let n = 0; n < 50; n++) await file.write([lease(n)]);
  writing = false;
  await reader;
  await file.write([]);
  t.deepEqual(await names(), []);
  await file.remove();
  t.deepEqual(await readdir(inner), []);
});

test('a folder that cannot be written is an error, and the next write is another try', async (t) => {
  const { inner } = await fileFor(t);
  const file = new CdiFile(join(inner, '\0'));
  await t.throwsAsync(file.write([lease(1)]));
  await t.throwsAsync(file.write([lease(1)]));
});
