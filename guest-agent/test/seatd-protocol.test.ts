// The bytes are what libseat writes and reads, little-endian as on the machines that run these tests.
import test from 'ava';
import {
  encodeDeviceOpened,
  encodeEmpty,
  encodeError,
  encodeSeatOpened,
  SeatDecoder,
  SeatProtocolError,
} from '../src/seat/seatd-protocol.js';

const decode = (hex: string) => [...new SeatDecoder().push(Buffer.from(hex, 'hex'))];

const openCard = `0300 1100 0f00 ${Buffer.from('/dev/dri/card0\0').toString('hex')}`.replaceAll(
  ' ',
  '',
);

test('requests are decoded', (t) => {
  t.deepEqual(decode('01000000'), [{ kind: 'open-seat' }]);
  t.deepEqual(decode(openCard), [{ kind: 'open-device', path: '/dev/dri/card0' }]);
  t.deepEqual(decode('0400040007000000'), [{ kind: 'close-device', device: 7 }]);
  t.deepEqual(decode('06000400ffffffff'), [{ kind: 'switch-session', session: -1 }]);
  t.deepEqual(
    decode('050000000700000002000000').map(({ kind }) => kind),
    ['disable-seat', 'ping', 'close-seat'],
  );
});

test('a request may come byte by byte', (t) => {
  const decoder = new SeatDecoder();
  const seen = [...Buffer.from(openCard, 'hex')].flatMap((byte) => [
    ...decoder.push(Buffer.of(byte)),
  ]);
  t.deepEqual(seen, [{ kind: 'open-device', path: '/dev/dri/card0' }]);
});

test('answers are encoded', (t) => {
  t.is(encodeEmpty('enable-seat').toString('hex'), '06800000');
  t.is(encodeSeatOpened('seat0').toString('hex'), '01800800060073656174300000'.slice(0, 24));
  t.is(encodeDeviceOpened(3).toString('hex'), '0380040003000000');
  t.is(encodeError('EACCES').toString('hex'), 'ffff04000d000000');
});

for (const [what, hex] of [
  ['an opcode that is not there', '08000000'],
  ["a server's opcode", '01800000'],
  ['a request that should be empty', '0100010000'],
  ['a path that is longer than it says', '0300060003002f646500'],
  ['a path without an end', '030005000300414243'],
  ['a path with an end in its middle', '0300060004004100420000'.slice(0, 20)],
  ['no path', '030002000000'],
  ['a device that is cut short', '040002000700'],
  ['more than any request has', '0300ffff'],
] as const) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => decode(hex), { instanceOf: SeatProtocolError });
  });
}

test('what random bytes do is one of two things', (t) => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 16) & 0xff;
  };
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(Array.from({ length: random() % 40 }, random));
    // Often a plausible header.
    if (round % 2 === 0 && bytes.length > 4) {
      bytes.writeUInt16LE(1 + (random() % 7), 0);
      bytes.writeUInt16LE(bytes.length - 4, 2);
    }
    try {
      for (const request of new SeatDecoder().push(bytes)) t.is(typeof request.kind, 'string');
    } catch (error) {
      if (!(error instanceof SeatProtocolError)) throw error;
    }
  }
  t.pass();
});
