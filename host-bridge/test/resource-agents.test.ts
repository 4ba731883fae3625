// What agents of VMs may name: the bridge's part of the checks. The exporter's part is tested in a VM.
import { join } from 'node:path';
import type { FromAgent, ToAgent } from '@scanbridge/protocol/agent';
import test, { type ExecutionContext } from 'ava';
import type { Bridge } from '../src/index.js';
import { bridgeFor, folderFor, until } from './running-bridge.js';
import { Agent, HELLO } from './wire-agent.js';

const PORT = 8471;

const open = (session: string, stream: number): FromAgent => ({
  type: 'session-open',
  session,
  title: session,
  source: { kind: 'resource', stream },
  input: false,
  resizable: false,
});

const resource = (stream: number, id: number, width = 640): FromAgent => ({
  type: 'resource',
  stream,
  resource: id,
  width,
  height: 480,
  stride: width * 4,
  offset: 0,
  format: 0x34325258,
  modifier: '0000000000000000',
  backing: true,
});

const frame = (stream: number, sequence: number, id: number): FromAgent => ({
  type: 'frame',
  stream,
  sequence,
  resource: id,
  pts: sequence,
});

/** A bridge for two VMs whose QEMUs are not there, and one of which it knows no exporter. */
async function vms(t: ExecutionContext): Promise<{ bridge: Bridge; vm: (n: number) => string }> {
  const folder = await folderFor(t);
  const base = (n: number) => join(folder, `v${n}`);
  const spec = (n: number) => ({ kind: 'vsock-unix' as const, base: base(n), port: PORT });
  const exporter = (n: number) => ({ name: `vm${n}`, exporter: join(folder, `frames${n}`) });
  const agents = [{ ...spec(0), vm: exporter(0) }, { ...spec(1), vm: exporter(1) }, spec(2)];
  const bridge = await bridgeFor(t, { testPatterns: [], agents });
  return { bridge, vm: (n) => `${base(n)}_${PORT}` };
}

async function agentOf(t: ExecutionContext, socket: string, name: string): Promise<Agent> {
  const instance = `7b3c6a56-6d2e-4c53-9a0c-0a4f6f6f1f${name.length}0`;
  const agent = new Agent(t, socket).send({ ...HELLO, name, instance });
  await agent.got('welcome');
  return agent;
}

/** The answer about a resource. */
async function refusal(agent: Agent, id: number): Promise<ToAgent> {
  const find = () => agent.messages.find((m) => m.type === 'error' && m.resource === id);
  await until(`an error about resource ${id}`, () => find() !== undefined);
  return find() as ToAgent;
}

test('a VM whose exporter the bridge does not know is refused, with what to do', async (t) => {
  const { bridge, vm } = await vms(t);
  const agent = await agentOf(t, vm(2), 'a');
  agent.send(open('main', 1));
  const { code, message } = await agent.got('error');
  t.is(code, 'SOURCE_REFUSED');
  t.regex(message, /--vm NAME,exporter=SOCKET/);
  t.deepEqual(bridge.sessions.list(), []);
});

test('a session reads from the exporter of its own VM', async (t) => {
  const { bridge, vm } = await vms(t);
  const one = await agentOf(t, vm(0), 'a');
  const other = await agentOf(t, vm(1), 'bb');
  one.send(open('main', 1));
  other.send(open('main', 1));
  await Promise.all([one.got('session-accepted'), other.got('session-accepted')]);
  const sockets = bridge.sessions.list().map((session) => {
    const { source } = session.report();
    return source.kind === 'resource' ? source.socket.replace(/.*\//, '') : source.kind;
  });
  t.deepEqual(sockets.sort(), ['frames0', 'frames1']);
  // The same id in another VM is another resource.
  one.send(resource(1, 7), frame(1, 1, 9));
  other.send(resource(1, 7), frame(1, 1, 9));
  await Promise.all([one.got('release'), other.got('release')]);
  t.false([...one.messages, ...other.messages].some((m) => m.type === 'error'));
});

test("an id that one agent of a VM has named is not another one's", async (t) => {
  const { vm } = await vms(t);
  const one = await agentOf(t, vm(0), 'a');
  const other = await agentOf(t, vm(0), 'bb');
  one.send(open('main', 1), open('second', 2));
  other.send(open('main', 1));
  await Promise.all([one.got('session-accepted'), other.got('session-accepted')]);
  // Two desktops of one agent may share a buffer.
  one.send(resource(1, 7), resource(2, 7), frame(2, 1, 99));
  await one.got('release');
  other.send(resource(1, 7), frame(1, 1, 7));
  t.like(await refusal(other, 7), { code: 'RESOURCE_TAKEN', session: 'main' });
  t.is((await other.got('release')).sequence, 1, 'its frames are released');
  // One of the two gives it back; the other has it still.
  one.send({ type: 'resource-gone', stream: 1, resource: 7 }, frame(2, 2, 99));
  await until('that is handled', () => one.messages.filter((m) => m.type === 'release').length > 1);
  other.messages.length = 0;
  other.send(resource(1, 7));
  t.like(await refusal(other, 7), { code: 'RESOURCE_TAKEN' });
  one.socket.destroy();
  await one.end();
  other.messages.length = 0;
  other.send(resource(1, 7), resource(1, 8), frame(1, 2, 99));
  await other.got('release');
  t.false(
    other.messages.some((m) => m.type === 'error'),
    'its holder is gone',
  );
});

test('a desktop has 32 resources, and the desktops of an agent a bounded number of pixels', async (t) => {
  const { vm } = await vms(t);
  const agent = await agentOf(t, vm(0), 'a');
  agent.send(open('main', 1), open('second', 2));
  for (let id = 1; id <= 33; id++) agent.send(resource(1, id));
  t.like(await refusal(agent, 33), { code: 'TOO_MANY_RESOURCES', session: 'main' });
  t.is(agent.messages.filter((m) => m.type === 'error').length, 1);
  const huge = { ...resource(2, 50), width: 16_384, height: 16_384, stride: 65_536 };
  agent.send(huge as FromAgent);
  t.like(await refusal(agent, 50), { code: 'TOO_MANY_RESOURCES', session: 'second' });
});

test('a sequence that does not grow ends the connection, and nothing else', async (t) => {
  const { bridge, vm } = await vms(t);
  const agent = await agentOf(t, vm(0), 'a');
  agent.send(open('main', 1), resource(1, 7), frame(1, 2, 7), frame(1, 2, 7));
  t.is((await agent.got('error')).code, 'BAD_MESSAGE');
  await agent.end();
  t.is(bridge.sessions.list()[0]?.state, 'waiting');
  const next = await agentOf(t, vm(0), 'a');
  next.send(open('main', 1));
  await next.got('session-accepted');
});

test('an agent says why there is no picture, and viewers read it', async (t) => {
  const { bridge, vm } = await vms(t);
  const agent = await agentOf(t, vm(0), 'a');
  const message = 'the compositor starts again';
  agent.send(open('main', 1), { type: 'session-waiting', session: 'main', message });
  await agent.got('session-accepted');
  const report = () => bridge.sessions.list()[0]?.report();
  await until('the words are there', () => report()?.message === message);
  t.is(report()?.state, 'waiting');
  agent.send(resource(1, 7), frame(1, 1, 7));
  await until('they are not any more', () => report()?.message !== message);
  agent.send({ type: 'session-waiting', session: 'other', message });
  t.is((await agent.got('error')).code, 'NO_SUCH_SESSION');
});

test('what is said of a stream that is not open means nothing; a stream is of one session', async (t) => {
  const { vm } = await vms(t);
  const agent = await agentOf(t, vm(0), 'a');
  agent.send(resource(5, 7), frame(5, 1, 7), { type: 'resource-gone', stream: 5, resource: 7 });
  agent.send(open('main', 1), open('second', 1));
  const { code, session } = await agent.got('error');
  t.is(code, 'SOURCE_REFUSED');
  t.is(session, 'second');
  t.false(agent.messages.some((m) => m.type === 'release'));
});

test('an agent that says too much is read slowly, and not cut off', async (t) => {
  const { vm } = await vms(t);
  const agent = await agentOf(t, vm(0), 'a');
  agent.send(open('main', 1));
  await agent.got('session-accepted');
  const count = 6000;
  for (let sequence = 1; sequence <= count; sequence++) agent.send(frame(1, sequence, 9));
  const releases = () => agent.messages.filter((m) => m.type === 'release').length;
  await until('all are released', () => releases() === count);
  t.false(agent.messages.some((m) => m.type === 'error'));
});
