import test from 'ava';
import { Backoff } from '../src/backoff.js';
import { cursorMode, makeSources, parseRecord, type RunArguments } from '../src/cli/run.js';
import { parseBridge } from '../src/transports.js';

const args = (given: Record<string, unknown>): RunArguments =>
  ({ maxFps: 60, record: 'primary', ...given }) as RunArguments;

test('sources have ids of their own', (t) => {
  const sources = makeSources(
    args({ mutter: ['', 'unix:path=/x'], portal: '', node: [4, 5] }),
    'metadata',
  );
  t.deepEqual(
    sources.map((source) => source.id),
    ['desktop', 'desktop-2', 'desktop-3', 'node-4', 'node-5'],
  );
});

test('options without sense are refused in words', (t) => {
  t.throws(() => makeSources(args({}), 'metadata'), { message: /--mutter, --portal or --node/ });
  t.throws(() => makeSources(args({ mutter: '', maxFps: Number.NaN }), 'metadata'), {
    message: /max-fps/,
  });
  t.throws(() => makeSources(args({ node: Number.NaN }), 'metadata'), { message: /no node id/ });
  for (const text of ['/tmp/x', 'vsock:2', 'vsock:x:1', 'tcp:host', 'tcp:host:0', 'udp:a:1', '']) {
    t.throws(() => parseBridge(text), { message: /unix:PATH/ }, text);
  }
  t.throws(() => parseRecord('virtual:0x0'), { message: /virtual:1280x720/ });
  t.deepEqual(parseRecord('virtual:1920x1080'), { virtual: { width: 1920, height: 1080 } });
  t.deepEqual(parseRecord('monitor:Meta-0'), { monitor: 'Meta-0' });
});

test('the cursor is beside the picture where descriptors can be passed, else in it', (t) => {
  const near = parseBridge('unix:/run/agents.sock');
  const far = parseBridge('auto');
  t.is(cursorMode(undefined, near), 'metadata');
  t.is(cursorMode(undefined, far), 'embedded');
  t.is(cursorMode('hidden', far), 'hidden');
  t.throws(() => cursorMode('metadata', far), { message: /embedded or hidden/ });
});

test('pauses grow to their limit and start again after success', (t) => {
  const backoff = new Backoff(100, 400);
  const within = (pause: number, middle: number) =>
    pause >= middle * 0.75 && pause <= middle * 1.25;
  for (const middle of [100, 200, 400, 400]) t.true(within(backoff.next(), middle));
  backoff.reset();
  t.true(within(backoff.next(), 100));
});

test('a bridge is at one address, or at the first that answers', (t) => {
  t.deepEqual(parseBridge('unix:/run/a:b'), [{ kind: 'unix', path: '/run/a:b' }]);
  t.deepEqual(parseBridge('vsock:2:8471'), [{ kind: 'vsock', cid: 2, port: 8471 }]);
  t.deepEqual(parseBridge('tcp:[::1]:8471', 'secret'), [
    { kind: 'tcp', host: '::1', port: 8471, token: 'secret' },
  ]);
  t.deepEqual(
    parseBridge('auto').map(({ kind }) => kind),
    ['vsock', 'serial'],
  );
  t.deepEqual(
    parseBridge('auto', 'secret').map(({ kind }) => kind),
    ['vsock', 'serial', 'tcp'],
  );
});
