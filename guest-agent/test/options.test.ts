import test from 'ava';
import { Backoff } from '../src/backoff.js';
import { makeSources, parseBridge, parseRecord, type RunArguments } from '../src/cli/run.js';

const args = (given: Record<string, unknown>): RunArguments =>
  ({ maxFps: 60, cursor: 'metadata', record: 'primary', ...given }) as RunArguments;

test('sources have ids of their own', (t) => {
  const sources = makeSources(args({ mutter: ['', 'unix:path=/x'], portal: '', node: [4, 5] }));
  t.deepEqual(
    sources.map((source) => source.id),
    ['desktop', 'desktop-2', 'desktop-3', 'node-4', 'node-5'],
  );
});

test('options without sense are refused in words', (t) => {
  t.throws(() => makeSources(args({})), { message: /--mutter, --portal or --node/ });
  t.throws(() => makeSources(args({ mutter: '', maxFps: Number.NaN })), { message: /max-fps/ });
  t.throws(() => makeSources(args({ node: Number.NaN })), { message: /no node id/ });
  t.throws(() => parseBridge('/tmp/x'), { message: /unix:PATH/ });
  t.throws(() => parseRecord('virtual:0x0'), { message: /virtual:1280x720/ });
  t.deepEqual(parseRecord('virtual:1920x1080'), { virtual: { width: 1920, height: 1080 } });
  t.deepEqual(parseRecord('monitor:Meta-0'), { monitor: 'Meta-0' });
});

test('pauses grow to their limit and start again after success', (t) => {
  const backoff = new Backoff(100, 400);
  const within = (pause: number, middle: number) =>
    pause >= middle * 0.75 && pause <= middle * 1.25;
  for (const middle of [100, 200, 400, 400]) t.true(within(backoff.next(), middle));
  backoff.reset();
  t.true(within(backoff.next(), 100));
});
