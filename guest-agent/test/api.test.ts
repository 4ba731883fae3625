// The lease API over real Unix sockets, with the client package and by hand.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HydraError, LeaseClient, type LeaseEvent, OwnLeaseClient } from '@scanbridge/hydra';
import { ErrorBody, MAX_BODY } from '@scanbridge/hydra/api';
import { openApiDocument } from '@scanbridge/hydra/openapi';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { z } from 'zod';
import { ContainerApis, ManagerApi } from '../src/api/index.js';
import { asLeases, StandInLeases } from './stand-in-leases.js';

const SIZE = { width: 1280, height: 720 };
const ME = process.getuid?.() ?? 0;
const log = pino({ level: 'silent' });

async function start(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'scanbridge-api-'));
  const socket = join(folder, 'manager');
  const standIn = new StandInLeases(folder);
  const leases = asLeases(standIn);
  const complaints: string[] = [];
  const containers = new ContainerApis(leases, log);
  const api = await ManagerApi.listen({
    ...{ socket, leases, log },
    prepared: ({ id }) => containers.ready(id),
    complaints: () => complaints,
  });
  t.teardown(async () => {
    await api.close();
    await containers.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { socket, standIn, complaints, client: new LeaseClient({ socket }) };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the tests look at
  readonly body: any;
}

/** A request as anything but our client would send it. */
function send(
  socket: string,
  method: string,
  path: string,
  options: { body?: string; token?: string } = {},
): Promise<Answer> {
  const { body, token } = options;
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = request(
      { socketPath: socket, method, path, headers, agent: false },
      (response) => {
        const type = response.headers['content-type'] ?? '';
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          // A stream has no end: its beginning is enough.
          if (type === 'text/event-stream') sent.destroy();
        });
        response.on('close', () => {
          const json = type === 'application/json' ? JSON.parse(text) : text;
          resolve({ status: response.statusCode ?? 0, type, body: json });
        });
        response.on('error', () => undefined);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function refusal(t: ExecutionContext, promise: Promise<unknown>): Promise<string> {
  const error = await t.throwsAsync(promise, { instanceOf: HydraError });
  return error?.code ?? '';
}

test('a lease from its creation to its release', async (t) => {
  const { client } = await start(t);
  const lease = await client.create({ owner: 'web-1', ...SIZE, refresh: 59.94 });
  t.like(lease, { owner: 'web-1', ...SIZE, refresh: 59.94, uid: ME, scanout: 1, state: 'waiting' });
  t.is(lease.cdi, `scanbridge.dev/scanout=${lease.id}`);
  t.deepEqual(lease.nodes, ['/dev/dri/renderD128', '/dev/input/event7']);
  t.is(lease.environment.SCANBRIDGE_LEASE, lease.directory);
  t.deepEqual(await client.get(lease.id), lease);
  t.deepEqual(await client.list(), [lease]);
  t.is((await client.scanouts())[1]?.lease, lease.id);
  t.like(await client.resize(lease.id, { width: 800, height: 600 }), { width: 800, height: 600 });
  t.like(await client.release(lease.id), { id: lease.id });
  t.is(await refusal(t, client.get(lease.id)), 'NO_SUCH_LEASE');
  t.deepEqual(await client.list(), []);
});

test('when all are in use, and when the size makes no sense', async (t) => {
  const { client } = await start(t);
  for (const owner of ['a', 'b']) await client.create({ owner, ...SIZE });
  t.is(await refusal(t, client.create({ owner: 'c', ...SIZE })), 'NO_SCANOUT_FREE');
  t.is(await refusal(t, client.create({ owner: 'd', width: 1, height: 1 })), 'BAD_REQUEST');
  t.is(await refusal(t, client.create({ owner: '', ...SIZE })), 'BAD_REQUEST');
});

test('events begin with what there is, and miss nothing', async (t) => {
  const { client } = await start(t);
  const one = await client.create({ owner: 'a', ...SIZE });
  const stop = new AbortController();
  const seen: LeaseEvent[] = [];
  for await (const event of client.events(stop.signal)) {
    seen.push(event);
    if (event.type === 'leases') await client.create({ owner: 'b', ...SIZE });
    if (event.type === 'created') await client.resize(event.lease.id, { width: 640, height: 480 });
    if (event.type === 'changed') await client.release(event.lease.id);
    if (event.type === 'released') stop.abort();
  }
  t.deepEqual(
    seen.map(({ type }) => type),
    ['leases', 'created', 'changed', 'released'],
  );
  t.like(seen[0], { leases: [one] });
  t.like(seen[3], { reason: 'the container manager took it back' });
});

test('health tells why leases cannot be had', async (t) => {
  const { client, complaints } = await start(t);
  t.deepEqual(await client.health(), { status: 'ok', reasons: [], scanouts: 3, leases: 0 });
  complaints.push('no bridge');
  t.like(await client.health(), { status: 'degraded', reasons: ['no bridge'] });
});

test('who asks and goes away leaves no lease behind', async (t) => {
  const { standIn, socket } = await start(t);
  let open: () => void = () => undefined;
  standIn.gate = new Promise((resolve) => {
    open = resolve;
  });
  const sent = request({ socketPath: socket, method: 'POST', path: '/v1/leases', agent: false });
  sent.on('error', () => undefined);
  sent.end(JSON.stringify({ owner: 'a', ...SIZE }));
  await sleep(50);
  sent.destroy();
  await sleep(50);
  open();
  await sleep(50);
  t.deepEqual(standIn.list(), []);
});

test("a container's socket gives its own lease and nothing else", async (t) => {
  const { client } = await start(t);
  const mine = await client.create({ owner: 'mine', ...SIZE });
  const other = await client.create({ owner: 'other', ...SIZE });
  const own = await OwnLeaseClient.open(mine.directory);
  const lease = await own.get();
  t.like(lease, { id: mine.id, owner: 'mine', ...SIZE });
  for (const secret of ['directory', 'card', 'uid', 'holder']) t.false(secret in lease, secret);
  t.like(await own.resize({ width: 800, height: 600 }), { width: 800 });

  const token = (await readFile(join(mine.directory, 'token'), 'utf8')).trim();
  const socket = join(mine.directory, 'api');
  for (const [method, path, status] of [
    ['GET', '/v1/leases', 404],
    ['POST', '/v1/leases', 404],
    ['GET', `/v1/leases/${other.id}`, 404],
    ['DELETE', `/v1/leases/${other.id}`, 404],
    ['GET', '/v1/events', 404],
    ['GET', '/v1/scanouts', 404],
    ['PUT', '/v1/lease', 405],
  ] as const) {
    t.is((await send(socket, method, path, { token })).status, status, `${method} ${path}`);
  }
  // Another container's token, and none.
  const theirs = join(other.directory, 'api');
  t.is((await send(theirs, 'GET', '/v1/lease', { token })).body.error.code, 'UNAUTHORIZED');
  t.is((await send(theirs, 'GET', '/v1/lease')).body.error.code, 'UNAUTHORIZED');

  await own.release();
  while ((await client.list()).length > 1) await sleep(10);
  t.is(await refusal(t, own.get()), 'NO_AGENT');
  t.like(await client.list(), [{ id: other.id }]);
});

test('sockets and token are for one user', async (t) => {
  const { client, socket } = await start(t);
  const { directory } = await client.create({ owner: 'a', ...SIZE });
  const bits = async (path: string) => (await stat(path)).mode & 0o777;
  t.is(await bits(socket), 0o600);
  t.is(await bits(join(directory, 'api')), 0o600);
  t.is(await bits(join(directory, 'token')), 0o400);
});

test('other users are told apart by the kernel', async (t) => {
  if (ME !== 0) {
    t.log('SKIP: only root can take on another user');
    t.pass();
    return;
  }
  const { client, socket } = await start(t);
  const { directory } = await client.create({ owner: 'a', ...SIZE });
  const token = (await readFile(join(directory, 'token'), 'utf8')).trim();
  // Even where somebody opens the way.
  for (const path of [socket, directory, join(directory, 'api'), join(socket, '..')]) {
    await chmod(path, 0o777);
  }
  const asNobody = async (path: string, url: string) => {
    const program = `require("http").get({socketPath:${JSON.stringify(path)},path:"${url}",headers:{authorization:"Bearer ${token}"}},r=>r.pipe(process.stdout))`;
    const ids = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const child = spawn('setpriv', [...ids, process.execPath, '-e', program], { cwd: '/' });
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    await once(child, 'close');
    return JSON.parse(text).error.code;
  };
  t.is(await asNobody(socket, '/v1/leases'), 'FORBIDDEN');
  t.is(await asNobody(join(directory, 'api'), '/v1/lease'), 'FORBIDDEN');
});

test('bodies, lines and connections have limits', async (t) => {
  const { socket, client } = await start(t);
  const long = JSON.stringify({ owner: 'x'.repeat(MAX_BODY), ...SIZE });
  t.is(
    (await send(socket, 'POST', '/v1/leases', { body: long })).body.error.code,
    'BODY_TOO_LARGE',
  );
  for (const body of [
    '',
    '{',
    '[]',
    'null',
    '{"owner":"a"}',
    '{"owner":"a","width":1e9,"height":1}',
  ]) {
    const { status, body: answer } = await send(socket, 'POST', '/v1/leases', { body });
    t.is(status, 400, body);
    t.is(answer.error.code, 'BAD_REQUEST', body);
    t.true(answer.error.remedy.length > 5);
  }
  for (const noise of ['\x16\x03\x01', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`]) {
    const raw = connect(socket);
    raw.on('error', () => undefined).resume();
    raw.end(noise);
    await once(raw, 'close');
  }
  const idle = Array.from({ length: 80 }, () => connect(socket).on('error', () => undefined));
  const closed = idle.map((one) => once(one, 'close'));
  await Promise.race(closed);
  for (const one of idle) one.destroy();
  await Promise.all(closed);
  t.deepEqual(await client.list(), []);
});

test('the document is the implementation: each of its paths answers as it says', async (t) => {
  const { socket, client } = await start(t);
  const { body: document } = await send(socket, 'GET', '/openapi.json');
  t.deepEqual(document, JSON.parse(JSON.stringify(openApiDocument())));
  const schemas = new Map(
    Object.entries(document.components.schemas as Record<string, object>).map(([name, schema]) => [
      name,
      z.fromJSONSchema(schema as never),
    ]),
  );
  /** A schema of the document, with its references resolved one level deep. */
  const read = (schema: {
    $ref?: string;
    properties?: Record<string, { items: { $ref: string } }>;
  }) => {
    if (schema.$ref) return schemas.get(schema.$ref.split('/').at(-1) as string) as z.ZodType;
    const shape = Object.entries(schema.properties ?? {}).map(([key, { items }]) => [
      key,
      z.array(schemas.get(items.$ref.split('/').at(-1) as string) as z.ZodType),
    ]);
    return z.object(Object.fromEntries(shape));
  };
  const mine = await client.create({ owner: 'own', ...SIZE });
  const token = (await readFile(join(mine.directory, 'token'), 'utf8')).trim();
  const mode = JSON.stringify({ width: 640, height: 480 });
  const bodies: Record<string, string> = {
    post: JSON.stringify({ owner: 'a', ...SIZE }),
    patch: mode,
  };
  let checked = 0;
  for (const [path, methods] of Object.entries(document.paths as Record<string, object>)) {
    // Deleting comes last.
    for (const method of ['get', 'post', 'patch', 'delete']) {
      const operation = (methods as Record<string, { tags: string[]; responses: object }>)[method];
      if (!operation) continue;
      const container = operation.tags[0] === 'container';
      const id = path.includes('{id}') ? (await client.list()).at(-1)?.id : '';
      const answer = await send(
        container ? join(mine.directory, 'api') : socket,
        method.toUpperCase(),
        path.replace('{id}', id ?? ''),
        {
          ...(bodies[method] !== undefined && { body: bodies[method] }),
          ...(container && { token }),
        },
      );
      const said = (
        operation.responses as Record<string, { content: Record<string, { schema: object }> }>
      )[String(answer.status)];
      if (!said) {
        t.fail(`${method} ${path}: ${answer.status} is not in the document`);
        continue;
      }
      const [[type, { schema }]] = Object.entries(said.content) as [[string, { schema: object }]];
      t.is(answer.type, type, `${method} ${path}`);
      const body =
        type === 'application/json' ? answer.body : JSON.parse(answer.body.split('data: ')[1]);
      const result = read(schema).safeParse(body);
      t.true(result.success, `${method} ${path}: ${result.error?.message}`);
      checked++;
    }
  }
  t.is(checked, 12);
  // And there is nothing that it does not tell.
  t.is((await send(socket, 'GET', '/v2/leases')).status, 404);
  t.true(ErrorBody.safeParse((await send(socket, 'PUT', '/v1/leases')).body).success);
});
