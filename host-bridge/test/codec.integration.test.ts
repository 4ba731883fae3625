// One encode for all viewers, in a codec that all of them decode: with real encoders.
import test from 'ava';
import { bridgeFor, isKey, until, watch } from './running-bridge.js';

const codecsOf = (watcher: ReturnType<typeof watch>) =>
  watcher.of('config').map(({ codec }) => codec.slice(0, 4));

test('VP9 while everybody decodes it, H.264 for all while somebody does not', async (t) => {
  const bridge = await bridgeFor(t, { codec: 'vp9' });
  const modern = watch(t, bridge, undefined, { codecs: ['avc1', 'vp09'] });
  await modern.units(5);
  t.deepEqual(codecsOf(modern), ['vp09']);
  t.regex(modern.of('config')[0]?.codec ?? '', /^vp09\.00\.\d\d\.08$/);
  t.true(isKey(modern.headers[0]));

  const plain = watch(t, bridge, undefined, { codecs: ['avc1'] });
  await plain.units(5);
  t.is(codecsOf(plain).at(-1), 'avc1');
  await until('the other one gets H.264, too', () => codecsOf(modern).at(-1) === 'avc1');
  t.deepEqual(modern.gaps, []);

  plain.client.socket.close();
  await until('VP9 comes back', () => codecsOf(modern).at(-1) === 'vp09');
  const before = modern.headers.length;
  await modern.units(before + 5);
  t.deepEqual(modern.gaps, []);
  t.is(bridge.sessions.list()[0]?.report().restarts, 0, 'no worker was restarted for it');
});

test('a viewer without H.264 is served where the session has what it decodes', async (t) => {
  const bridge = await bridgeFor(t, { codec: 'vp9' });
  const viewer = watch(t, bridge, undefined, { codecs: ['vp09'] });
  await viewer.units(3);
  const other = await bridgeFor(t);
  const refused = watch(t, other, undefined, { codecs: ['vp09'] });
  await refused.end();
  t.is(refused.of('error')[0]?.code, 'NO_COMMON_CODEC');
});

test('a codec that no engine has gives way to H.264', async (t) => {
  // x264 is asked for, and makes no HEVC.
  const bridge = await bridgeFor(t, { codec: 'hevc', engine: 'x264' });
  const viewer = watch(t, bridge, undefined, { codecs: ['avc1', 'hvc1'] });
  await viewer.units(3);
  t.is(codecsOf(viewer).at(-1), 'avc1');
});
