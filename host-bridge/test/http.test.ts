// The HTTP API as programs and browsers meet it.
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { type Bridge, parseToken, startBridge } from '../src/index.js';
import { bridgeFor, folderFor, SMALL, until, watch } from './running-bridge.js';

const SECRET = '0123456789abcdef';

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the tests look at
  readonly body: any;
}

async function get(bridge: Bridge, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(new URL(path, bridge.url), init);
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json');
  return {
    status: response.status,
    headers: response.headers,
    body: json && text ? JSON.parse(text) : text,
  };
}

/** A path as it is, which fetch would clean. */
function getRaw(bridge: Bridge, path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(bridge.url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

test('sessions are listed, shown, and ended', async (t) => {
  const bridge = await bridgeFor(t);
  const viewer = watch(t, bridge);
  await viewer.units(3);
  const list = await get(bridge, 'v1/sessions');
  t.is(list.body.sessions.length, 1);
  const one = await get(bridge, `v1/sessions/${SMALL.id}`);
  t.like(one.body, { id: SMALL.id, state: 'live', viewers: 1, width: SMALL.width });
  t.is((await get(bridge, `v1/sessions/${SMALL.id}/key-frame`, { method: 'POST' })).status, 202);
  t.is((await get(bridge, `v1/sessions/${SMALL.id}`, { method: 'DELETE' })).status, 202);
  await viewer.end();
  t.deepEqual((await get(bridge, 'v1/sessions')).body, { sessions: [] });
});

test('errors have a code, a message and a remedy', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [] });
  for (const [path, method, status, code] of [
    ['v1/sessions/none', 'GET', 404, 'NO_SUCH_SESSION'],
    ['v1/sessions/%ff', 'GET', 404, 'NO_SUCH_SESSION'],
    ['v1/nothing', 'GET', 404, 'NOT_FOUND'],
    ['v1/sessions', 'PUT', 405, 'BAD_METHOD'],
    ['', 'POST', 405, 'BAD_METHOD'],
  ] as const) {
    const answer = await get(bridge, path, { method });
    t.is(answer.status, status, path);
    t.is(answer.body.error.code, code);
    t.true(answer.body.error.message.length > 5 && answer.body.error.remedy.length > 5);
  }
});

test('health and metrics', async (t) => {
  const bridge = await bridgeFor(t);
  const viewer = watch(t, bridge);
  await viewer.units(3);
  t.deepEqual((await get(bridge, 'healthz')).body, { status: 'ok' });
  const { body } = await get(bridge, 'metrics');
  t.regex(body, /^scanbridge_sessions 1$/m);
  t.regex(body, /^scanbridge_session_viewers\{session="test"\} 1$/m);
  t.regex(body, /^scanbridge_session_live\{session="test"\} 1$/m);
});

test('engines are probed in a process of their own', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [] });
  const { status, body } = await get(bridge, 'v1/engines');
  t.is(status, 200);
  t.true(body.engines.some((engine: { works: boolean }) => engine.works));
});

test('tokens: none, a wrong one, one for a session, one for all', async (t) => {
  const other = 'fedcba9876543210';
  const bridge = await bridgeFor(t, {
    testPatterns: [SMALL, { ...SMALL, id: 'second' }],
    tokens: [parseToken(SECRET), parseToken(`${other},session=second,access=view`)],
  });
  const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  t.is((await get(bridge, 'v1/sessions')).status, 401);
  t.is((await get(bridge, 'v1/sessions', as('x'.repeat(16)))).status, 401);
  t.is((await get(bridge, 'healthz')).status, 200);
  t.is((await get(bridge, 'v1/sessions', as(SECRET))).body.sessions.length, 2);
  const narrow = await get(bridge, 'v1/sessions', as(other));
  t.deepEqual(
    narrow.body.sessions.map((s: { id: string }) => s.id),
    ['second'],
  );
  t.is((await get(bridge, `v1/sessions/${SMALL.id}`, as(other))).status, 404);
  t.is((await get(bridge, 'metrics', as(other))).status, 401);
  const gone = await get(bridge, 'v1/sessions/second', { method: 'DELETE', ...as(other) });
  t.is(gone.status, 403);
});

test('other origins and other names are refused', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [], allowOrigins: ['https://portal.example'] });
  const from = (origin: string) => get(bridge, 'v1/sessions', { headers: { origin } });
  t.is((await from('http://evil.example')).status, 403);
  t.is((await from('https://portal.example')).status, 200);
  t.is((await from(new URL(bridge.url).origin)).status, 200);
  const { port } = new URL(bridge.url);
  const status = await new Promise<number | undefined>((resolve) => {
    const headers = { host: `evil.example:${port}` };
    request({ host: '127.0.0.1', port, path: '/v1/sessions', headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).end();
  });
  t.is(status, 421);
});

test('the page is served with its policy, and nothing outside of its folder', async (t) => {
  const folder = await folderFor(t);
  const page = join(folder, 'page');
  await mkdir(join(page, 'sub'), { recursive: true });
  await writeFile(join(folder, 'secret'), 'secret');
  await writeFile(join(page, 'index.html'), '<!doctype html>');
  await writeFile(join(page, 'sub', 'a.js'), 'export {};');
  await symlink(join(folder, 'secret'), join(page, 'link'));
  const bridge = await bridgeFor(t, { testPatterns: [], page });
  const index = await get(bridge, '');
  t.is(index.status, 200);
  t.regex(index.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  t.is(index.headers.get('x-content-type-options'), 'nosniff');
  const script = await get(bridge, 'sub/a.js');
  t.is(script.headers.get('content-type'), 'text/javascript; charset=utf-8');
  const etag = script.headers.get('etag') ?? '';
  t.is((await get(bridge, 'sub/a.js', { headers: { 'if-none-match': etag } })).status, 304);
  for (const path of [
    '/../secret',
    '/..%2fsecret',
    '/sub/..%2f..%2fsecret',
    '/%2e%2e/secret',
    '/link',
    '/sub',
    '/a%00b',
    '/%',
    '/..%5csecret',
    '//etc/passwd',
  ]) {
    const status = await getRaw(bridge, path);
    t.true(status === 404 || status === 400, `${path}: ${status}`);
  }
});

test('a page that was not built is said so', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [], page: '/nonexistent' });
  const { status, body } = await get(bridge, '');
  t.is(status, 503);
  t.is(body.error.code, 'PAGE_NOT_BUILT');
});

test('noise instead of HTTP closes the connection, not the bridge', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [] });
  const { port } = new URL(bridge.url);
  for (const noise of ['\x16\x03\x01\x02', 'GET', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`]) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.end(noise);
    socket.resume();
    await until('it is closed', () => socket.closed);
  }
  t.is((await get(bridge, 'healthz')).status, 200);
});

test('an address that is taken is an error with a remedy', async (t) => {
  const bridge = await bridgeFor(t, { testPatterns: [] });
  const port = Number(new URL(bridge.url).port);
  await t.throwsAsync(startBridge({ port }), { code: 'LISTEN_FAILED' });
  await t.throwsAsync(startBridge({ host: '0.0.0.0' }), { code: 'BAD_OPTION' });
  await t.throwsAsync(startBridge({ maxFps: 1000 }), { code: 'BAD_OPTION' });
});
