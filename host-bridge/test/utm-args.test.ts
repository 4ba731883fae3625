import test from 'ava';
import { parseScanoutSocket, parseVsock } from '../src/cli/arguments.js';
import { planUtm, type UtmOptions } from '../src/cli/utm-args.js';
import { OptionError } from '../src/errors.js';

const OPTIONS: UtmOptions = {
  desktops: 4,
  name: 'sb',
  card: 'virtio-gpu-gl-pci',
  cid: 3,
  container: '/Users/someone/Library/Group Containers/WDNLXAD4W8.com.utmapp.UTM',
};

test('the arguments name the card, the exporter and vsock', (t) => {
  t.deepEqual(planUtm(OPTIONS).qemu, [
    '-global',
    'virtio-gpu-gl-pci.max_outputs=5',
    '-object',
    'frame-export,id=scanbridge,path=sb.fe',
    '-device',
    'virtio-vsock-unix-pci,guest-cid=3,path=sb.vs',
  ]);
});

test('the bridge understands what it is told to be started with', (t) => {
  for (const desktops of [1, 15]) {
    const [, scanout = '', , vsock = ''] = planUtm({ ...OPTIONS, desktops }).serve;
    const { socket, enable } = parseScanoutSocket(scanout);
    t.is(socket, 'sb.fe');
    t.is(enable?.length, desktops);
    t.like(parseVsock(vsock), { kind: 'vsock-unix', base: 'sb.vs' });
  }
});

test('no argument has a space or a quote, at which UTM would cut it', (t) => {
  for (const line of planUtm(OPTIONS).qemu) t.notRegex(line, /[\s"]/);
});

test('what cannot work is refused', (t) => {
  const refused = { instanceOf: OptionError };
  for (const desktops of [0, 16, 1.5]) t.throws(() => planUtm({ ...OPTIONS, desktops }), refused);
  for (const cid of [2, 2 ** 32 - 1]) t.throws(() => planUtm({ ...OPTIONS, cid }), refused);
  for (const name of ['', 'a/b', 'a b', 'x'.repeat(17)])
    t.throws(() => planUtm({ ...OPTIONS, name }), refused);
  t.throws(() => planUtm({ ...OPTIONS, card: 'VGA' }), refused);
  t.throws(() => planUtm({ ...OPTIONS, container: `/${'x'.repeat(90)}` }), refused);
});
