// Writes vectors/*.json from the TypeScript codecs and from deliberate damage. The files are committed; a test
// checks that they still hold, and that they cover every message and every code that a decoder alone can give.
import { writeFileSync } from 'node:fs';
import { pack } from 'msgpackr';
import { encodeAgent } from './dist/src/agent.js';
import { encodeSurface, SurfaceError } from './dist/src/surface.js';
import { encodeVideo } from './dist/src/viewer-video.js';

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const json = (value) =>
  JSON.parse(
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint' ? `${v}` : v instanceof Uint8Array ? hex(v) : v,
    ),
  );

const XR24 = 0x34325258;
const AR24 = 0x34325241;
const rect = (x, y, width, height) => ({ x, y, width, height });
const noPlane = { offset: 0n, size: 0n, stride: 0, fdIndex: 0 };
const plane = { offset: 0n, size: 3686400n, stride: 5120, fdIndex: 0 };

const client = [
  {
    type: 'hello',
    magic: 0x46534253,
    versionMajor: 1,
    versionMinor: 0,
    capabilities: 0x1bn,
    name: 'worker 7',
  },
  { type: 'subscribe_scanout', stream: 7, serial: 1, scanout: 15, flags: 1 },
  {
    type: 'subscribe_resource',
    stream: 8,
    serial: 2,
    resource: 41,
    flags: 0,
    width: 1919,
    height: 1079,
    format: XR24,
    stride: 7680,
    offset: 4096n,
    modifier: 0x0300000000606010n,
  },
  { type: 'subscribe_capture', stream: 9, serial: 3, capture: 1, flags: 1 },
  { type: 'unsubscribe', stream: 9, serial: 4 },
  { type: 'release', stream: 7, serial: 0, sequence: 0x1_0000_0001n },
  {
    type: 'configure_scanout',
    serial: 5,
    scanout: 1,
    enabled: 1,
    width: 2560,
    height: 1440,
    refresh: 59951,
    widthMm: 597,
    heightMm: 336,
  },
  { type: 'ping', serial: 6, token: 0xffffffffffffffffn },
  { type: 'refresh', stream: 8, serial: 7, flags: 0, damage: [] },
  {
    type: 'refresh',
    stream: 8,
    serial: 8,
    flags: 1,
    damage: [rect(0, 0, 1919, 1), rect(16, 8, 64, 64)],
  },
];
const server = [
  {
    type: 'hello_reply',
    magic: 0x46534253,
    versionMajor: 1,
    versionMinor: 0,
    capabilities: 0x31n,
    scanoutCount: 16,
    maxStreams: 32,
    name: 'qemu',
  },
  { type: 'ok', serial: 1 },
  {
    type: 'error',
    serial: 2,
    code: SurfaceError.NO_SUCH_RESOURCE,
    fatal: 0,
    text: 'there is no resource 41: it was freed, or never was',
  },
  { type: 'pong', serial: 6, token: 1n },
  {
    type: 'scanout_info',
    scanout: 1,
    flags: 3,
    width: 1280,
    height: 720,
    preferredWidth: 1280,
    preferredHeight: 720,
    refresh: 60000,
    generation: 2,
  },
  {
    type: 'surface',
    stream: 7,
    fdCount: 1,
    surface: 1,
    kind: 1,
    width: 1280,
    height: 720,
    format: XR24,
    flags: 0,
    modifier: 0n,
    planeCount: 1,
    iosurfaceId: 0,
    planes: [plane, noPlane, noPlane, noPlane],
  },
  {
    type: 'surface',
    stream: 7,
    fdCount: 4,
    surface: 2,
    kind: 2,
    width: 1280,
    height: 720,
    format: 0x3231564e,
    flags: 3,
    modifier: 0x0100000000000002n,
    planeCount: 2,
    iosurfaceId: 0,
    planes: [plane, { offset: 4096n, size: 1843200n, stride: 5120, fdIndex: 1 }, noPlane, noPlane],
  },
  {
    type: 'surface',
    stream: 7,
    fdCount: 0,
    surface: 3,
    kind: 3,
    width: 1280,
    height: 720,
    format: AR24,
    flags: 0,
    modifier: 0n,
    planeCount: 0,
    iosurfaceId: 77,
    planes: [noPlane, noPlane, noPlane, noPlane],
  },
  { type: 'surface_gone', stream: 7, surface: 1 },
  {
    type: 'frame',
    stream: 7,
    sequence: 1n,
    pts: 123456789012n,
    surface: 1,
    flags: 1,
    crop: rect(0, 0, 1280, 720),
    acquirePoint: 0n,
    releasePoint: 0n,
    refresh: 0,
    damage: [],
  },
  {
    type: 'frame',
    stream: 7,
    sequence: 2n,
    pts: 123473455679n,
    surface: 2,
    flags: 0,
    crop: rect(16, 8, 1264, 712),
    acquirePoint: 5n,
    releasePoint: 6n,
    refresh: 8,
    damage: [rect(0, 0, 64, 64), rect(1216, 640, 64, 80)],
  },
  {
    type: 'cursor',
    stream: 7,
    flags: 1,
    x: -3,
    y: 700,
    hotX: 0,
    hotY: 0,
    width: 0,
    height: 0,
    pixels: new Uint8Array(0),
  },
  {
    type: 'cursor',
    stream: 7,
    flags: 3,
    x: 10,
    y: 20,
    hotX: 1,
    hotY: 0,
    width: 2,
    height: 1,
    pixels: Uint8Array.of(1, 2, 3, 255, 0, 0, 0, 0),
  },
  { type: 'reset', stream: 7, reason: 1 },
  { type: 'state', stream: 7, state: 2 },
  { type: 'stream_end', stream: 7, code: 16, text: 'the capture was closed' },
];

const valid = [];
for (const [from, list] of [
  ['client', client],
  ['server', server],
])
  for (const message of list)
    valid.push({
      from,
      message: json({ serial: 0, ...message }),
      hex: hex(encodeSurface(message)),
    });

/** Takes a valid message and overwrites bytes: [offset, ...bytes]. */
const damaged = (list, name, ...writes) => {
  const bytes = Buffer.from(encodeSurface(list.find((m) => m.type === name)));
  for (const [offset, ...values] of writes) bytes.set(values, offset);
  return bytes;
};
const u32 = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, (n >>> 24) & 255];
const cut = (bytes, length) => {
  const out = Buffer.from(bytes.subarray(0, length));
  out.writeUInt32LE(length, 0);
  return out;
};
const grown = (bytes, by) => {
  const out = Buffer.concat([bytes, Buffer.alloc(by)]);
  out.writeUInt32LE(out.length, 0);
  return out;
};
const invalid = [
  ['length 0', 'client', damaged(client, 'ping', [0, 0, 0, 0, 0]), 'BAD_LENGTH'],
  ['length of 4 GiB', 'client', damaged(client, 'ping', [0, 255, 255, 255, 255]), 'BAD_LENGTH'],
  ['one byte short', 'client', cut(encodeSurface(client[0]), 63), 'BAD_LENGTH'],
  ['one word long', 'client', grown(encodeSurface(client[1]), 4), 'BAD_LENGTH'],
  ['type 0', 'client', damaged(client, 'ping', [4, 0, 0]), 'BAD_TYPE'],
  ['unknown type', 'client', damaged(client, 'ping', [4, 255, 255]), 'BAD_TYPE'],
  ['server message from a client', 'client', encodeSurface(server[3]), 'BAD_TYPE'],
  ['client message from a server', 'server', encodeSurface(client[7]), 'BAD_TYPE'],
  ['reserved byte of the header', 'client', damaged(client, 'ping', [7, 1]), 'BAD_VALUE'],
  ['descriptors where none belong', 'client', damaged(client, 'ping', [6, 1]), 'BAD_FDS'],
  ['seven descriptors', 'server', damaged(server, 'surface', [6, 7]), 'BAD_FDS'],
  ['stream 0', 'client', damaged(client, 'subscribe_scanout', [8, 0, 0, 0, 0]), 'BAD_STREAM'],
  ['name without NUL', 'client', damaged(client, 'hello', [63, 65]), 'BAD_VALUE'],
  ['unknown subscribe flag', 'client', damaged(client, 'subscribe_scanout', [20, 2]), 'BAD_VALUE'],
  ['resource 0', 'client', damaged(client, 'subscribe_resource', [16, 0, 0, 0, 0]), 'BAD_VALUE'],
  ['width 0', 'client', damaged(client, 'subscribe_resource', [24, 0, 0, 0, 0]), 'BAD_VALUE'],
  [
    'width 16385',
    'client',
    damaged(client, 'subscribe_resource', [24, ...u32(16385)]),
    'BAD_VALUE',
  ],
  [
    'stride of 2 GiB',
    'client',
    damaged(client, 'subscribe_resource', [36, ...u32(0x80000000)]),
    'BAD_VALUE',
  ],
  ['enabled 2', 'client', damaged(client, 'configure_scanout', [20, 2]), 'BAD_VALUE'],
  ['reserved field', 'client', damaged(client, 'configure_scanout', [44, 1]), 'BAD_VALUE'],
  ['unknown refresh flag', 'client', damaged(client, 'refresh', [16, 2]), 'BAD_VALUE'],
  ['refresh of stream 0', 'client', damaged(client, 'refresh', [8, 0, 0, 0, 0]), 'BAD_STREAM'],
  [
    'refresh of 17 rectangles',
    'client',
    grown(damaged(client, 'refresh', [20, 17]), 17 * 16),
    'BAD_LENGTH',
  ],
  [
    'refresh with a rectangle claimed, none there',
    'client',
    damaged(client, 'refresh', [20, 1]),
    'BAD_LENGTH',
  ],
  ['unknown surface kind', 'server', damaged(server, 'surface', [20, 9]), 'BAD_VALUE'],
  ['five planes', 'server', damaged(server, 'surface', [48, 5]), 'BAD_VALUE'],
  ['plane of descriptor 4', 'server', damaged(server, 'surface', [76, 4]), 'BAD_VALUE'],
  ['17 damage rectangles claimed', 'server', damaged(server, 'frame', [72, 17]), 'BAD_VALUE'],
  [
    'one damage rectangle claimed, none there',
    'server',
    damaged(server, 'frame', [72, 1]),
    'BAD_LENGTH',
  ],
  [
    'damage rectangle without width',
    'server',
    (() => {
      const bytes = Buffer.from(encodeSurface(server[10]));
      bytes.writeUInt32LE(0, bytes.length - 8);
      return bytes;
    })(),
    'BAD_VALUE',
  ],
  ['crop without height', 'server', damaged(server, 'frame', [52, 0, 0, 0, 0]), 'BAD_VALUE'],
  ['cursor of 257 pixels', 'server', damaged(server, 'cursor', [36, 1, 1]), 'BAD_VALUE'],
  [
    'cursor pixels that are not width * height * 4',
    'server',
    (() => {
      const bytes = Buffer.from(encodeSurface(server[12]));
      bytes.writeUInt32LE(4, 44);
      return bytes;
    })(),
    'BAD_VALUE',
  ],
  ['cursor cut short', 'server', cut(encodeSurface(server[12]), 52), 'BAD_LENGTH'],
  ['unknown error code', 'server', damaged(server, 'error', [16, 200]), 'BAD_VALUE'],
  ['state 0', 'server', damaged(server, 'state', [16, 0]), 'BAD_VALUE'],
  ['error text without NUL', 'server', damaged(server, 'error', [255, 65]), 'BAD_VALUE'],
].map(([name, from, bytes, code]) => ({
  name,
  from,
  hex: hex(bytes),
  code: SurfaceError[code],
  codeName: code,
}));

const video = {
  valid: [
    { flags: 1, config: 3, sequence: 0, pts: 0n, capture: 0, encode: 4100, bridge: 150 },
    {
      flags: 2,
      config: 65535,
      sequence: 0xffffffff,
      pts: 0xffffffffffffffffn,
      capture: 1,
      encode: 2,
      bridge: 3,
    },
  ].map((header) => ({
    header: json({ message: 1, ...header }),
    accessUnit: '0000000165',
    hex: hex(encodeVideo(header, Buffer.from('0000000165', 'hex'))),
  })),
  invalid: [
    {
      name: 'no access unit',
      hex: hex(
        encodeVideo(
          { flags: 0, config: 0, sequence: 0, pts: 0n, capture: 0, encode: 0, bridge: 0 },
          Uint8Array.of(1),
        ),
      ).slice(0, 64),
    },
    { name: 'empty', hex: '' },
    { name: 'message type 2', hex: `02${'00'.repeat(32)}` },
    { name: 'unknown flag', hex: `0104${'00'.repeat(31)}` },
    { name: 'reserved field', hex: `0100${'00'.repeat(26)}01000000ff` },
  ],
};

const agentMessages = [
  [
    'agent',
    {
      type: 'hello',
      version: 1,
      name: 'workshop',
      instance: '3f0c9a52-54a1-4c6e-9a54-0a6b1fb7a001',
      capabilities: ['capture'],
    },
  ],
  [
    'agent',
    {
      type: 'session-open',
      session: 'desktop-1',
      title: 'Desktop',
      source: { kind: 'capture', socket: '/run/scanbridge/surface', capture: 1 },
      input: true,
      resizable: false,
    },
  ],
  [
    'agent',
    {
      type: 'session-close',
      session: 'desktop-1',
      code: 'SOURCE_FAILED',
      message: 'the compositor ended',
    },
  ],
  ['agent', { type: 'ping', token: 4294967295 }],
  ['agent', { type: 'pong', token: 0 }],
  ['agent', { type: 'error', code: 'UNSUPPORTED', message: 'no input here', session: 'desktop-1' }],
  ['bridge', { type: 'welcome', version: 1, agent: 'agent-1', heartbeat: 2000 }],
  ['bridge', { type: 'session-accepted', session: 'desktop-1', id: 'workshop.desktop-1' }],
  [
    'bridge',
    {
      type: 'session-input',
      session: 'desktop-1',
      events: [
        { kind: 'motion', x: 1.5, y: 2 },
        { kind: 'key', code: 30, pressed: true },
      ],
    },
  ],
  ['bridge', { type: 'session-resize', session: 'desktop-1', width: 1280, height: 720 }],
  ['bridge', { type: 'session-close', session: 'desktop-1', message: 'the operator closed it' }],
  ['bridge', { type: 'ping', token: 1 }],
  ['bridge', { type: 'pong', token: 1 }],
  ['bridge', { type: 'error', code: 'NO_SUCH_SESSION', message: 'no session desktop-2' }],
  [
    'agent',
    {
      type: 'hello',
      version: 1,
      name: 'guest',
      instance: '3f0c9a52-54a1-4c6e-9a54-0a6b1fb7a001',
      capabilities: [],
      token: '0123456789abcdef',
    },
  ],
  ['bridge', { type: 'error', code: 'UNAUTHORIZED', message: 'this is not the token' }],
  [
    'agent',
    {
      type: 'session-open',
      session: 'desktop-2',
      title: 'Desktop',
      source: { kind: 'resource', stream: 65535 },
      input: false,
      resizable: false,
    },
  ],
  [
    'agent',
    { type: 'session-waiting', session: 'desktop-2', message: 'the compositor has not started' },
  ],
  [
    'agent',
    {
      type: 'resource',
      stream: 2,
      resource: 41,
      width: 1919,
      height: 1079,
      stride: 7680,
      offset: 4096,
      format: XR24,
      modifier: '0300000000606010',
      backing: false,
    },
  ],
  [
    'agent',
    {
      type: 'resource',
      stream: 65535,
      resource: 0xffffffff,
      width: 16384,
      height: 16384,
      stride: 1048576,
      offset: Number.MAX_SAFE_INTEGER,
      format: AR24,
      modifier: '0000000000000000',
      backing: true,
    },
  ],
  ['agent', { type: 'resource-gone', stream: 2, resource: 41 }],
  ['agent', { type: 'frame', stream: 2, sequence: 1, resource: 41, pts: 1_000_000 }],
  [
    'agent',
    {
      type: 'frame',
      stream: 2,
      sequence: 2,
      resource: 41,
      pts: 1_016_667,
      damage: { x: 16, y: 0, width: 300, height: 20 },
    },
  ],
  [
    'agent',
    {
      type: 'frame',
      stream: 65535,
      sequence: Number.MAX_SAFE_INTEGER,
      resource: 0xffffffff,
      pts: Number.MAX_SAFE_INTEGER,
      damage: { x: 16383, y: 16383, width: 16384, height: 16384 },
    },
  ],
  ['bridge', { type: 'release', stream: 2, sequence: 1 }],
  ['bridge', { type: 'release', stream: 65535, sequence: Number.MAX_SAFE_INTEGER }],
  [
    'bridge',
    {
      type: 'error',
      code: 'NO_SUCH_RESOURCE',
      message: 'the VM has no resource 41',
      session: 'desktop-2',
      resource: 41,
    },
  ],
  [
    'agent',
    {
      type: 'scanout-configure',
      serial: 1,
      device: 0,
      scanout: 2,
      mode: { width: 1280, height: 720, refresh: 60_000 },
    },
  ],
  ['agent', { type: 'scanout-configure', serial: 4294967295, device: 63, scanout: 15 }],
  [
    'agent',
    {
      type: 'lease-claim',
      lease: 'lease-0123456789ab',
      owner: 'web-1',
      device: 0,
      scanout: 2,
      width: 1280,
      height: 720,
    },
  ],
  ['agent', { type: 'lease-release', lease: 'lease-0123456789ab' }],
  ['bridge', { type: 'scanout-configured', serial: 1 }],
  ['bridge', { type: 'scanout-refused', serial: 2, message: 'the VM has 4 scanouts' }],
  ['bridge', { type: 'lease-refused', lease: 'lease-0123456789ab', message: 'scanout 2 is taken' }],
  ['bridge', { type: 'lease-resize', lease: 'lease-0123456789ab', width: 800, height: 600 }],
  [
    'bridge',
    {
      type: 'lease-input',
      lease: 'lease-0123456789ab',
      events: [{ kind: 'key', code: 30, pressed: true }],
    },
  ],
  ['bridge', { type: 'lease-end', lease: 'lease-0123456789ab', message: 'closed at the bridge' }],
];
/** Any msgpack value with its length in front. */
const framed = (value) => {
  const body = pack(value);
  const bytes = Buffer.alloc(4 + body.length);
  bytes.writeUInt32LE(body.length);
  bytes.set(body, 4);
  return bytes;
};
const agent = {
  valid: agentMessages.map(([sender, message]) => ({
    sender,
    message,
    hex: hex(encodeAgent(message)),
  })),
  invalid: [
    { name: 'length 0', sender: 'agent', hex: '00000000', code: 'BAD_LENGTH' },
    { name: 'length 65537', sender: 'agent', hex: '01000100', code: 'BAD_LENGTH' },
    { name: 'length of 4 GiB', sender: 'agent', hex: 'ffffffff', code: 'BAD_LENGTH' },
    {
      name: 'array that claims 4 thousand million items',
      sender: 'agent',
      hex: '05000000ddffffffff',
      code: 'BAD_MESSAGE',
    },
    {
      name: 'map that claims 65,535 entries',
      sender: 'agent',
      hex: '03000000deffff',
      code: 'BAD_MESSAGE',
    },
    {
      name: 'string that claims 255 bytes',
      sender: 'agent',
      hex: '02000000d9ff',
      code: 'BAD_MESSAGE',
    },
    { name: 'extension type', sender: 'agent', hex: '03000000d40100', code: 'BAD_MESSAGE' },
    {
      name: 'nested 9 deep',
      sender: 'agent',
      hex: `0a000000${'91'.repeat(9)}c0`,
      code: 'BAD_MESSAGE',
    },
    { name: 'two values', sender: 'agent', hex: '02000000c0c0', code: 'BAD_MESSAGE' },
    { name: 'not a map', sender: 'agent', hex: '01000000c0', code: 'BAD_MESSAGE' },
    {
      name: "bridge's message from an agent",
      sender: 'agent',
      hex: hex(encodeAgent(agentMessages[6][1])),
      code: 'BAD_MESSAGE',
    },
    ...[
      ['frame without a PTS', 'agent', [1, 2, 1, 41]],
      ['frame with half a rectangle', 'agent', [1, 2, 1, 41, 1_000_000, 0, 0]],
      ['frame with a third dimension', 'agent', [1, 2, 1, 41, 1_000_000, 0, 0, 1, 1, 1]],
      ['frame of resource 0', 'agent', [1, 2, 1, 0, 1_000_000]],
      ['frame of stream 0', 'agent', [1, 0, 1, 41, 1_000_000]],
      ['frame of stream 65,536', 'agent', [1, 65536, 1, 41, 1_000_000]],
      ['frame with sequence 0', 'agent', [1, 2, 0, 41, 1_000_000]],
      ['frame with a negative PTS', 'agent', [1, 2, 1, 41, -1]],
      ['frame with a PTS above 2^53', 'agent', [1, 2, 1, 41, 2n ** 60n]],
      ['frame with damage of no width', 'agent', [1, 2, 1, 41, 1_000_000, 0, 0, 0, 1]],
      ['frame with damage beyond 16,383', 'agent', [1, 2, 1, 41, 1_000_000, 16384, 0, 1, 1]],
      ['frame with text for a number', 'agent', [1, '2', 1, 41, 1_000_000]],
      ['compact message 2 of an agent', 'agent', [2, 2, 1, 41, 1_000_000]],
      ['empty array', 'agent', []],
      ['release from an agent', 'agent', [1, 2, 1]],
      ['frame from a bridge', 'bridge', [1, 2, 1, 41, 1_000_000]],
      ['release without a sequence', 'bridge', [1, 2]],
      ['compact message 0 of a bridge', 'bridge', [0, 2, 1]],
    ].map(([name, sender, items]) => ({
      name,
      sender,
      hex: hex(framed(items)),
      code: 'BAD_MESSAGE',
    })),
    {
      name: 'modifier that is not 16 digits',
      sender: 'agent',
      hex: hex(
        encodeAgent({ ...agentMessages.find(([, m]) => m.type === 'resource')[1], modifier: '0' }),
      ),
      code: 'BAD_MESSAGE',
    },
  ],
};

const write = (name, value) =>
  writeFileSync(
    new URL(`vectors/${name}.json`, import.meta.url),
    `${JSON.stringify(value, null, 2)}\n`,
  );
write('surface', { valid, invalid });
write('viewer-video', video);
write('agent', agent);
