// What viewers may say, and what the bridge does about everything else. Real WebSockets, a real engine worker.
import { once } from 'node:events';
import { CloseCode, MAX_VIEWER_MESSAGE, VIEWER_SUBPROTOCOL } from '@scanbridge/protocol/viewer';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { type Bridge, parseToken, startBridge } from '../src/index.js';
import { bridgeFor, isKey, SMALL, until, watch } from './running-bridge.js';

let shared: Bridge;
test.before(async () => {
  shared = await startBridge({ testPatterns: [SMALL] });
});
test.after.always(() => shared.close());

const HELLO = { type: 'hello', version: 1, codecs: ['avc1'] };

interface Ending {
  readonly code: number;
  readonly said: string | undefined;
}

/** Opens a socket, sends these, and waits for the end. */
async function sendAndEnd(
  bridge: Bridge,
  messages: readonly unknown[],
  path = `v1/sessions/${SMALL.id}/stream`,
): Promise<Ending> {
  const url = new URL(path, bridge.url);
  url.protocol = 'ws:';
  const socket = new WebSocket(url, VIEWER_SUBPROTOCOL);
  let said: string | undefined;
  socket.on('message', (data: Buffer, isBinary) => {
    const message = isBinary ? undefined : JSON.parse(data.toString());
    if (message?.type === 'error') said = message.code;
  });
  socket.on('error', () => undefined);
  socket.on('open', () => {
    for (const m of messages) {
      socket.send(typeof m === 'string' || m instanceof Uint8Array ? m : JSON.stringify(m));
    }
  });
  const [code] = (await once(socket, 'close')) as [number];
  return { code, said };
}

test('a viewer is welcomed, told the state and the config, and starts with a key frame', async (t) => {
  const bridge = shared;
  const viewer = watch(t, bridge);
  await viewer.units(5);
  const [welcome] = viewer.messages;
  t.like(welcome, { type: 'welcome', version: 1, access: 'view', resizable: false });
  t.is(viewer.messages[1]?.type, 'state');
  const [config] = viewer.of('config');
  t.like(config, { width: SMALL.width, height: SMALL.height });
  t.regex(config?.codec ?? '', /^avc1\.[0-9a-f]{6}$/i);
  t.true(isKey(viewer.headers[0]));
  t.is(viewer.headers[0]?.config, config?.id);
  t.deepEqual(viewer.gaps, []);
  await until('a round trip is known', () => viewer.of('stats').some((s) => s.rtt !== undefined));
});

const refused: readonly (readonly [string, readonly unknown[], number, string])[] = [
  ['not JSON', ['{'], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  ['not an object', ['[]'], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  ['a type that does not exist', [{ type: 'nonsense' }], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  ['another version', [{ ...HELLO, version: 2 }], CloseCode.BAD_MESSAGE, 'BAD_VERSION'],
  [
    'no codec in common',
    [{ ...HELLO, codecs: ['vp09'] }],
    CloseCode.BAD_MESSAGE,
    'NO_COMMON_CODEC',
  ],
  ['a hello with more', [{ ...HELLO, more: 1 }], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  [
    'something before the hello',
    [{ type: 'pong', token: 1 }],
    CloseCode.BAD_MESSAGE,
    'BAD_MESSAGE',
  ],
  ['a second hello', [HELLO, HELLO], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  ['a binary message', [new Uint8Array([1, 2, 3])], CloseCode.BAD_MESSAGE, 'BAD_MESSAGE'],
  [
    'a number out of its range',
    [HELLO, { type: 'resize', width: 0, height: 1e9 }],
    CloseCode.BAD_MESSAGE,
    'BAD_MESSAGE',
  ],
  [
    'more messages than a person makes',
    [HELLO, ...Array(3000).fill({ type: 'pong', token: 0 })],
    CloseCode.RATE_LIMIT,
    'RATE_LIMIT',
  ],
];

for (const [what, messages, code, said] of refused) {
  test(`${what} gets a coded error and a closed connection`, async (t) => {
    t.deepEqual(await sendAndEnd(shared, messages), { code, said });
  });
}

test('a message that is too long is not even read', async (t) => {
  const bridge = shared;
  const { code } = await sendAndEnd(bridge, ['x'.repeat(MAX_VIEWER_MESSAGE + 1)]);
  t.is(code, 1009);
});

test('a viewer that says nothing is closed', async (t) => {
  const bridge = shared;
  t.deepEqual(await sendAndEnd(bridge, []), { code: CloseCode.TIMEOUT, said: 'TIMEOUT' });
});

test('no session, no token, a token of another session', async (t) => {
  const secret = '0123456789abcdef';
  const bridge = await bridgeFor(t, { tokens: [parseToken(`${secret},session=other`)] });
  const path = `v1/sessions/${SMALL.id}/stream`;
  const none = await sendAndEnd(bridge, [], path);
  t.deepEqual(none, { code: CloseCode.UNAUTHORIZED, said: 'UNAUTHORIZED' });
  const wrong = await sendAndEnd(bridge, [], `${path}?token=${secret}x`);
  t.is(wrong.code, CloseCode.UNAUTHORIZED);
  const other = await sendAndEnd(bridge, [], `${path}?token=${secret}`);
  t.deepEqual(other, { code: CloseCode.NO_SUCH_SESSION, said: 'NO_SUCH_SESSION' });
});

test('input needs control', async (t) => {
  const secret = '0123456789abcdef';
  const bridge = await bridgeFor(t, { tokens: [parseToken(`${secret},access=view`)] });
  const input = { type: 'input', events: [{ kind: 'key', code: 30, pressed: true }] };
  const path = `v1/sessions/${SMALL.id}/stream?token=${secret}`;
  const ending = await sendAndEnd(bridge, [HELLO, input], path);
  t.deepEqual(ending, { code: CloseCode.FORBIDDEN, said: 'FORBIDDEN' });
});

async function upgradeStatus(
  t: ExecutionContext,
  bridge: Bridge,
  protocol: string,
  headers: Record<string, string>,
): Promise<number | undefined> {
  const url = new URL(`v1/sessions/${SMALL.id}/stream`, bridge.url.replace('http', 'ws'));
  const socket = new WebSocket(url, protocol, { headers });
  t.teardown(() => socket.terminate());
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
    socket.on('open', () => resolve(101));
  });
}

test('pages of elsewhere, other names and other protocols do not get a WebSocket', async (t) => {
  const bridge = shared;
  const origin = 'http://evil.example';
  t.is(await upgradeStatus(t, bridge, VIEWER_SUBPROTOCOL, {}), 101);
  t.is(await upgradeStatus(t, bridge, VIEWER_SUBPROTOCOL, { origin }), 403);
  t.is(await upgradeStatus(t, bridge, VIEWER_SUBPROTOCOL, { host: 'evil.example' }), 421);
  t.is(await upgradeStatus(t, bridge, 'chat', {}), 400);
});

test('more viewers than allowed are told so', async (t) => {
  const bridge = await bridgeFor(t, { maxViewers: 1 });
  const first = watch(t, bridge);
  await first.units(1);
  const second = watch(t, bridge);
  await second.end();
  t.is(second.closed?.code, CloseCode.TOO_MANY_VIEWERS);
  t.is(first.closed, undefined);
});

test('a hidden page gets nothing, and a key frame when it comes back', async (t) => {
  const bridge = shared;
  const viewer = watch(t, bridge);
  const other = watch(t, bridge);
  await viewer.units(3);
  viewer.client.send({ type: 'pause', paused: true });
  // Not even a key frame that somebody else asked for.
  const asking = setInterval(() => other.client.send({ type: 'key-frame', reason: 'test' }), 100);
  t.teardown(() => clearInterval(asking));
  await until('the pause is there', async () => {
    const { length } = viewer.headers;
    await other.units(other.headers.length + 10);
    return viewer.headers.length === length;
  });
  const { length } = viewer.headers;
  viewer.client.send({ type: 'pause', paused: false });
  await viewer.units(length + 5);
  t.true(isKey(viewer.headers[length]));
  t.is(viewer.gaps.length, 1);
});

test('a decoder that asks for a key frame gets one', async (t) => {
  const bridge = shared;
  const viewer = watch(t, bridge);
  await viewer.units(3);
  const keys = () => viewer.headers.filter(isKey).length;
  const before = keys();
  viewer.client.send({ type: 'key-frame', reason: 'the decoder lost its state' });
  await until('another key frame', () => keys() > before);
  t.pass();
});

test('nonsense of all kinds ends connections, never the bridge', async (t) => {
  const bridge = shared;
  const honest = watch(t, bridge);
  const known = fc.constantFrom('hello', 'ack', 'key-frame', 'pause', 'resize', 'input', 'pong');
  const message = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.json(),
    fc
      .tuple(known, fc.dictionary(fc.string({ maxLength: 10 }), fc.jsonValue(), { maxKeys: 5 }))
      .map(([type, rest]) => JSON.stringify({ ...rest, type })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (m, h) => {
        const last = new Uint8Array([0]);
        const { code, said } = await sendAndEnd(bridge, [...(h ? [HELLO] : []), ...m, last]);
        return code === CloseCode.BAD_MESSAGE && said !== undefined;
      },
    ),
    { numRuns: 150 },
  );
  const { length } = honest.headers;
  await honest.units(length + 5);
  t.is(honest.closed, undefined);
  t.deepEqual(honest.gaps, []);
});
