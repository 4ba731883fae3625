// Agents on the Unix socket: what they may say, and what outlives their connection.
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AgentErrorCode, encodeAgent, type FromAgent } from '@scanbridge/protocol/agent';
import test from 'ava';
import fc from 'fast-check';
import { startBridge } from '../src/index.js';
import { folderFor, until, watch } from './running-bridge.js';
import { Agent, agentBridge, HELLO, OPEN } from './wire-agent.js';

test('an agent opens a session, gets input and resizes for it, and closes it', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const agent = new Agent(t, path).send(HELLO, OPEN);
  t.like(await agent.got('welcome'), { version: 1 });
  t.like(await agent.got('session-accepted'), { session: 'main', id: 'desk-one.main' });
  const viewer = watch(t, bridge, 'desk-one.main');
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  t.like(viewer.of('welcome')[0], { access: 'control', resizable: true });
  t.is(viewer.of('welcome')[0]?.session.title, 'Main desktop');
  const events = [{ kind: 'motion' as const, x: 3, y: 4 }];
  viewer.client.send({ type: 'input', events });
  viewer.client.send({ type: 'resize', width: 10, height: 10 });
  viewer.client.send({ type: 'resize', width: 800, height: 600 });
  t.deepEqual((await agent.got('session-input')).events, events);
  t.like(await agent.got('session-resize'), { session: 'main', width: 800, height: 600 });
  agent.send({ type: 'ping', token: 7 });
  t.like(await agent.got('pong'), { token: 7 });
  agent.send({ type: 'session-close', session: 'main' });
  await viewer.end();
  t.is(viewer.closed?.code, 4410);
  t.deepEqual(bridge.sessions.list(), []);
});

test('what a viewer held is released when it goes away', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const agent = new Agent(t, path).send(HELLO, OPEN);
  const viewer = watch(t, bridge, (await agent.got('session-accepted')).id);
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  viewer.client.send({
    type: 'input',
    events: [
      { kind: 'key', code: 30, pressed: true },
      { kind: 'key', code: 31, pressed: true },
      { kind: 'key', code: 30, pressed: false },
      { kind: 'button', code: 0x110, pressed: true },
      { kind: 'touch', slot: 2, phase: 'down', x: 5, y: 6 },
    ],
  });
  await agent.got('session-input');
  agent.messages.length = 0;
  viewer.client.socket.terminate();
  t.deepEqual((await agent.got('session-input')).events, [
    { kind: 'key', code: 31, pressed: false },
    { kind: 'button', code: 0x110, pressed: false },
    { kind: 'touch', slot: 2, phase: 'up', x: 5, y: 6 },
  ]);
});

test('a session keeps its id and its viewers while its agent reconnects', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const first = new Agent(t, path).send(HELLO, OPEN);
  const { id } = await first.got('session-accepted');
  const viewer = watch(t, bridge, id);
  await until('it is welcomed', () => viewer.of('welcome').length > 0);
  first.socket.destroy();
  await until('it waits', () => viewer.of('state').some(({ code }) => code === 'AGENT_GONE'));
  const restarted = { ...HELLO, instance: '00000000-0000-4000-8000-000000000001' };
  const second = new Agent(t, path).send(restarted, OPEN);
  t.is((await second.got('session-accepted')).id, id);
  await until('it starts again', () => viewer.of('state').at(-1)?.code !== 'AGENT_GONE');
  t.is(viewer.closed, undefined);
});

test('two agents of one name get sessions of their own; the same agent twice replaces itself', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const first = new Agent(t, path).send(HELLO, OPEN);
  await first.got('session-accepted');
  const other = { ...HELLO, instance: '00000000-0000-4000-8000-000000000002' };
  const second = new Agent(t, path).send(other, OPEN);
  t.is((await second.got('session-accepted')).id, 'desk-one-2.main');
  const again = new Agent(t, path).send(HELLO, OPEN);
  t.is((await again.got('session-accepted')).id, 'desk-one.main');
  await first.end();
  t.is(second.closed, false);
  t.is(bridge.sessions.list().length, 2);
});

test('a source that is not there is said plainly, and waited for without a new process', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const { id } = await new Agent(t, path).send(HELLO, OPEN).got('session-accepted');
  const viewer = watch(t, bridge, id);
  await until('it is said', () => viewer.of('state').some((s) => s.code === 'SURFACE_CONNECT'));
  const waiting = viewer.of('state').find((s) => s.code === 'SURFACE_CONNECT');
  t.is(waiting?.state, 'waiting');
  t.true((waiting?.message?.length ?? 0) > 20);
  t.is(bridge.sessions.get(id).report().restarts, 0);
  t.is(viewer.closed, undefined);
});

const bad: readonly (readonly [string, AgentErrorCode, readonly (FromAgent | Uint8Array)[]])[] = [
  ['a length of nothing', 'BAD_LENGTH', [new Uint8Array(4)]],
  ['a length beyond the limit', 'BAD_LENGTH', [new Uint8Array([0, 0, 0, 1])]],
  ['what is not msgpack', 'BAD_MESSAGE', [new Uint8Array([1, 0, 0, 0, 0xc1])]],
  ['a session before the hello', 'BAD_STATE', [OPEN]],
  ['a second hello', 'BAD_STATE', [HELLO, HELLO]],
];

for (const [what, code, messages] of bad) {
  test(`${what} gets ${code} and a closed connection`, async (t) => {
    const { path } = await agentBridge(t);
    const agent = new Agent(t, path);
    for (const m of messages) agent.socket.write(m instanceof Uint8Array ? m : encodeAgent(m));
    t.is((await agent.got('error')).code, code);
    await agent.end();
  });
}

test('a newer agent is answered with the version that both speak', async (t) => {
  const { path } = await agentBridge(t);
  t.is((await new Agent(t, path).send({ ...HELLO, version: 9 }).got('welcome')).version, 1);
});

test('what concerns one session does not end the connection', async (t) => {
  const { path } = await agentBridge(t);
  const agent = new Agent(t, path).send(HELLO, OPEN, OPEN);
  t.like(await agent.got('error'), { code: 'SESSION_EXISTS', session: 'main' });
  agent.messages.length = 0;
  agent.send({ type: 'session-close', session: 'none' });
  t.like(await agent.got('error'), { code: 'NO_SUCH_SESSION', session: 'none' });
  agent.messages.length = 0;
  const source = { kind: 'capture' as const, socket: 'relative.sock', capture: 1 };
  agent.send({ ...OPEN, session: 'second', source });
  t.like(await agent.got('error'), { code: 'SOURCE_REFUSED', session: 'second' });
  t.is(agent.closed, false);
});

test('noise ends connections, never the bridge', async (t) => {
  const { path } = await agentBridge(t);
  const honest = new Agent(t, path).send(HELLO);
  await honest.got('welcome');
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 8, maxLength: 200 }), async (noise) => {
      const agent = new Agent(t, path);
      agent.socket.end(noise);
      await agent.end();
      return true;
    }),
    { numRuns: 100 },
  );
  honest.send({ type: 'ping', token: 1 });
  t.like(await honest.got('pong'), { token: 1 });
});

test('the socket is for this user alone, replaces a stale one, and goes with the bridge', async (t) => {
  const folder = await folderFor(t);
  const path = join(folder, 'agents.sock');
  const first = await startBridge({ agents: [{ kind: 'unix', path }] });
  t.teardown(() => first.close());
  t.is((await lstat(path)).mode & 0o777, 0o600);
  await t.throwsAsync(startBridge({ agents: [{ kind: 'unix', path }] }), { code: 'LISTEN_FAILED' });
  await first.close();
  await t.throwsAsync(lstat(path), { code: 'ENOENT' });
  await writeFile(path, 'a file of somebody');
  await t.throwsAsync(startBridge({ agents: [{ kind: 'unix', path }] }), { code: 'LISTEN_FAILED' });
});
