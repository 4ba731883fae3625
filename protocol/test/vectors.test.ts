// The test vectors are what a stranger's implementation is checked with: here ours is, in TypeScript.
// native/surface runs vectors/surface.json and vectors/viewer-video.json against the C checks.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { AgentDecoder, AgentProtocolError, encodeAgent, FromAgent, ToAgent } from '../src/agent.js';
import {
  decodeSurface,
  encodeSurface,
  messages,
  SurfaceError,
  SurfaceProtocolError,
} from '../src/surface.js';
import { decodeVideo, encodeVideo, VideoMessageError } from '../src/viewer-video.js';

const vectors = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'));
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
/** As a message stands in a vector file: bigints in decimal, bytes in hexadecimal. */
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint' ? `${v}` : v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v,
    ),
  );

const surface = vectors('surface');

test('surface: valid vectors decode to their message and encode to the same bytes', (t) => {
  for (const { from, message, hex } of surface.valid) {
    const decoded = decodeSurface(bytes(hex), from);
    t.deepEqual(plain(decoded), message);
    t.is(Buffer.from(encodeSurface(decoded)).toString('hex'), hex);
  }
});

test('surface: invalid vectors are refused with their code', (t) => {
  for (const { name, from, hex, code } of surface.invalid) {
    const error = t.throws(() => decodeSurface(bytes(hex), from), {
      instanceOf: SurfaceProtocolError,
    });
    t.is(error?.code, code, name);
  }
});

test('surface: every message has a valid vector, every code of a decoder an invalid one', (t) => {
  const seen = new Set(surface.valid.map((v: { message: { type: string } }) => v.message.type));
  for (const { name } of messages) t.true(seen.has(name), name);
  const codes = new Set(surface.invalid.map((v: { code: number }) => v.code));
  for (const name of ['BAD_LENGTH', 'BAD_TYPE', 'BAD_FDS', 'BAD_VALUE', 'BAD_STREAM'] as const) {
    t.true(codes.has(SurfaceError[name]), name);
  }
});

test('viewer video: vectors', (t) => {
  const video = vectors('viewer-video');
  for (const { header, accessUnit, hex } of video.valid) {
    const decoded = decodeVideo(bytes(hex));
    t.deepEqual(plain(decoded.header), header);
    t.is(Buffer.from(decoded.accessUnit).toString('hex'), accessUnit);
    t.is(Buffer.from(encodeVideo(decoded.header, decoded.accessUnit)).toString('hex'), hex);
  }
  for (const { name, hex } of video.invalid) {
    t.throws(() => decodeVideo(bytes(hex)), { instanceOf: VideoMessageError }, name);
  }
});

test('agent: vectors', (t) => {
  const agent = vectors('agent');
  const types = new Set<string>();
  for (const { sender, message, hex } of agent.valid) {
    const [decoded, ...more] = [...new AgentDecoder<'agent' | 'bridge'>(sender).push(bytes(hex))];
    t.deepEqual(decoded, message);
    t.is(more.length, 0);
    t.is(Buffer.from(encodeAgent(message)).toString('hex'), hex);
    types.add(`${sender} ${message.type}`);
  }
  for (const [sender, schema] of [
    ['agent', FromAgent],
    ['bridge', ToAgent],
  ] as const) {
    for (const option of schema.options) {
      t.true(types.has(`${sender} ${option.shape.type.value}`), option.shape.type.value);
    }
  }
  for (const { name, sender, hex, code } of agent.invalid) {
    const error = t.throws(
      () => [...new AgentDecoder<'agent' | 'bridge'>(sender).push(bytes(hex))],
      { instanceOf: AgentProtocolError },
      name,
    );
    t.is(error?.code, code, name);
  }
});
