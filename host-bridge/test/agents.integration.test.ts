// What takes many engine workers.
import test from 'ava';
import { Agent, agentBridge, HELLO, OPEN } from './wire-agent.js';

test('an agent has 64 sessions at most', async (t) => {
  const { bridge, path } = await agentBridge(t);
  const agent = new Agent(t, path).send(HELLO);
  // A worker per session is started; what matters here is who refuses the 65th.
  for (let i = 0; i < 65; i++) agent.send({ ...OPEN, session: `s${i}` });
  t.like(await agent.got('error'), { code: 'TOO_MANY_SESSIONS', session: 's64' });
  t.is(bridge.sessions.list().length, 64);
});
