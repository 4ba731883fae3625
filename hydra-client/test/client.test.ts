// The client against servers on real sockets that answer as they should not. How it speaks with the agent is tested there.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { HydraError, LeaseClient, OwnLeaseClient } from '../src/index.js';

async function socketFor(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'scanbridge-hydra-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 's');
}

/** A server that answers every request so. */
async function serve(
  t: ExecutionContext,
  answer: (response: ServerResponse) => void,
): Promise<string> {
  const path = await socketFor(t);
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return path;
}

const codeOf = async (t: ExecutionContext, promise: Promise<unknown>): Promise<string> => {
  const error = await t.throwsAsync(promise, { instanceOf: HydraError });
  t.true((error?.remedy.length ?? 0) > 5, 'a remedy');
  return error?.code ?? '';
};

test('nobody there: which socket, and what to do', async (t) => {
  const socket = await socketFor(t);
  const client = new LeaseClient({ socket });
  const error = await t.throwsAsync(client.list(), { instanceOf: HydraError });
  t.is(error?.code, 'NO_AGENT');
  t.true(error?.message.includes(socket));
  t.is(await codeOf(t, OwnLeaseClient.open('/nonexistent')), 'NO_AGENT');
});

test("the agent's errors come with their code and remedy", async (t) => {
  const body = {
    error: { code: 'NO_SCANOUT_FREE', message: 'all are in use', remedy: 'release one' },
  };
  const socket = await serve(t, (response) => response.writeHead(409).end(JSON.stringify(body)));
  const create = new LeaseClient({ socket }).create({ owner: 'a', width: 640, height: 480 });
  const error = await t.throwsAsync(create, { instanceOf: HydraError });
  t.like(error, { code: 'NO_SCANOUT_FREE', message: 'all are in use', remedy: 'release one' });
});

test('what is no answer of this API is said so', async (t) => {
  const lease = { leases: [{ id: '../../etc/passwd' }] };
  for (const [name, answer] of [
    ['no JSON', (r: ServerResponse) => r.end('<html>')],
    ['another shape', (r: ServerResponse) => r.end(JSON.stringify(lease))],
    ['an error of somebody else', (r: ServerResponse) => r.writeHead(500).end('{"error":"x"}')],
    ['too long', (r: ServerResponse) => r.end('x'.repeat(2_000_000))],
  ] as const) {
    const client = new LeaseClient({ socket: await serve(t, answer) });
    t.is(await codeOf(t, client.list()), 'BAD_ANSWER', name);
  }
});

test('silence ends in a timeout, noise in an error', async (t) => {
  const silent = await serve(t, () => undefined);
  t.is(await codeOf(t, new LeaseClient({ socket: silent, timeout: 100 }).list()), 'TIMEOUT');
  const path = await socketFor(t);
  const noise = createRawServer((socket) =>
    socket.on('error', () => undefined).end('\x16\x03\x01'),
  );
  await new Promise<void>((resolve) => noise.listen(path, resolve));
  t.teardown(() => noise.close());
  t.is(await codeOf(t, new LeaseClient({ socket: path }).list()), 'NO_AGENT');
});

test('events: one after the other, and the connection goes with the loop', async (t) => {
  let closed: () => void = () => undefined;
  const end = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const socket = await serve(t, (response) => {
    response.on('close', () => closed());
    response.write(':\n\nevent: leases\ndata: {"type":"leases",\n');
    response.write('data: "leases":[]}\r\n\r\ndata: {"type":"leases","leases":[]}\n\n');
  });
  let count = 0;
  for await (const event of new LeaseClient({ socket }).events(new AbortController().signal)) {
    t.deepEqual(event, { type: 'leases', leases: [] });
    if (++count === 2) break;
  }
  await end;
  const stop = new AbortController();
  const aborted = new LeaseClient({ socket }).events(stop.signal);
  await aborted.next();
  await aborted.next();
  stop.abort();
  t.deepEqual(await aborted.next(), { done: true, value: undefined });
});

test('events that are none, that are too long, or that just end, are errors', async (t) => {
  for (const [name, text] of [
    ['no JSON', 'data: x\n\n'],
    ['unknown', 'data: {"type":"other"}\n\n'],
    ['a line without end', `data: ${'x'.repeat(400_000)}`],
    ['an event without end', 'data: x\n'.repeat(300_000)],
    ['the end', ''],
  ] as const) {
    const socket = await serve(t, (response) => response.end(text));
    const events = new LeaseClient({ socket }).events(new AbortController().signal);
    const code = await codeOf(t, events.next());
    t.is(code, name === 'the end' ? 'NO_AGENT' : 'BAD_ANSWER', name);
  }
});
