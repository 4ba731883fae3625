import type { Gpu } from '@scanbridge/native-host-linux/gpus';
import test from 'ava';
import { warningsFor } from '../src/cli/probe.js';
import { chooseCodec, mayJoin } from '../src/codec-choice.js';
import { chooseGpu } from '../src/gpu-choice.js';
import { pathText } from '../src/worker/engine.js';

const CHROMIUM = ['avc1', 'av01', 'vp09'];
const SAFARI = ['avc1', 'hvc1'];
const NO_H264 = ['vp09', 'av01'];

test('a codec is taken while every viewer decodes it', (t) => {
  t.is(chooseCodec('hevc', []), 'hevc');
  t.is(chooseCodec('hevc', [SAFARI]), 'hevc');
  t.is(chooseCodec('hevc', [SAFARI, CHROMIUM]), 'h264');
  t.is(chooseCodec('vp9', [CHROMIUM, NO_H264]), 'vp9');
  t.is(chooseCodec('av1', [CHROMIUM], new Set(['av1'] as const)), 'h264');
});

test('a viewer may join when there is a codec for all', (t) => {
  t.true(mayJoin('hevc', [SAFARI], CHROMIUM));
  t.true(mayJoin('vp9', [CHROMIUM], NO_H264));
  t.false(mayJoin('h264', [], NO_H264));
  t.false(mayJoin('vp9', [SAFARI], NO_H264), 'the one has no VP9, the other no H.264');
  t.false(mayJoin('vp9', [], NO_H264, new Set(['vp9'] as const)));
});

const gpu = (fields: Partial<Gpu>): Gpu => ({
  address: '0000:03:00.0',
  vendor: 0x1002,
  device: 1,
  driver: 'amdgpu',
  driverVersion: '6.1',
  renderNode: '/dev/dri/renderD128',
  name: 'one',
  engines: [{ engine: 'vaapi', works: true, verdict: '', codecs: [] }],
  import: { dmabuf: true, verdict: '' },
  modifiers: [],
  ...fields,
});
const second = gpu({ address: '0000:04:00.0', renderNode: '/dev/dri/renderD129', name: 'two' });
const nvidia = gpu({
  address: '0000:65:00.0',
  vendor: 0x10de,
  renderNode: '/dev/dri/renderD130',
  name: 'NVIDIA H200',
  cuda: 1,
  engines: [{ engine: 'nvidia', works: false, verdict: 'It has no encoder.', codecs: [] }],
});
const all = [gpu({}), second, nvidia];

test('a GPU is chosen by PCI address or render node, and told to the engines in their words', (t) => {
  t.deepEqual(chooseGpu('/dev/dri/renderD128', all), {});
  t.deepEqual(chooseGpu('04:00.0', all), { renderNode: 'renderD129' });
  t.deepEqual(chooseGpu('0000:65:00.0', all), { cuda: 1 });
  const error = t.throws(() => chooseGpu('0000:99:00.0', all));
  t.regex((error as { remedy?: string }).remedy ?? '', /0000:65:00\.0 \(NVIDIA H200\)/);
});

test('an NVIDIA GPU that does not encode is warned of; others are not', (t) => {
  t.deepEqual(warningsFor(all), ['NVIDIA H200 (0000:65:00.0) will not encode. It has no encoder.']);
});

test('the line for people names what is not installed together, and failures one by one', (t) => {
  const tried = [
    { engine: 'nvidia', path: 'dmabuf-gl', reason: 'GStreamer has no element nvh264enc.' },
    { engine: 'vaapi', path: 'dmabuf', reason: 'vapostproc does not take it.' },
  ];
  t.is(
    pathText({ path: 'system-memory', tried }),
    'system-memory; not vaapi dmabuf: vapostproc does not take it; not nvidia: not installed, or not for this GPU',
  );
  t.is(pathText({ path: 'upload', tried: [] }), 'upload');
});
