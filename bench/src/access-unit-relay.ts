// Access units of any pipeline that ends in gdppay, for the probe page: speaks just enough of the viewer protocol.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { encodeVideo, VideoFlag } from '@scanbridge/protocol/viewer/video';
import { type WebSocket, WebSocketServer } from 'ws';

/** GStreamer Data Protocol 1.0: fixed header in front of each packet [bytes]. */
const GDP_HEADER = 62;
const GDP_BUFFER = 1;
/** GST_BUFFER_FLAG_DELTA_UNIT. */
const DELTA_UNIT = 1 << 13;

interface Unit {
  readonly key: boolean;
  readonly data: Buffer;
}

/** Cuts gdppay's output into buffers. */
function* gdpBuffers(held: { bytes: Buffer }, chunk: Buffer): Generator<Unit> {
  held.bytes = held.bytes.length > 0 ? Buffer.concat([held.bytes, chunk]) : chunk;
  while (held.bytes.length >= GDP_HEADER) {
    const type = held.bytes.readUInt16BE(4);
    const length = held.bytes.readUInt32BE(6);
    if (held.bytes.length < GDP_HEADER + length) return;
    const flags = held.bytes.readUInt16BE(42);
    const data = held.bytes.subarray(GDP_HEADER, GDP_HEADER + length);
    held.bytes = held.bytes.subarray(GDP_HEADER + length);
    if (type === GDP_BUFFER) yield { key: (flags & DELTA_UNIT) === 0, data };
  }
}

/** RFC 6381 string from the sequence parameter set of an access unit. */
function codecOf(unit: Buffer): string {
  for (let i = 0; i + 6 < unit.length; i++) {
    if (
      unit[i] === 0 &&
      unit[i + 1] === 0 &&
      unit[i + 2] === 1 &&
      ((unit[i + 3] ?? 0) & 31) === 7
    ) {
      return `avc1.${unit.subarray(i + 4, i + 7).toString('hex')}`;
    }
  }
  throw new Error('gst-launch: the first access unit has no sequence parameter set');
}

/** A WebSocket server that sends each access unit to its newest viewer, from a key frame on. */
export class AccessUnitRelay {
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  readonly #held = { bytes: Buffer.alloc(0) };
  #viewer: WebSocket | undefined;
  #codec: string | undefined;
  #sequence = 0;

  /** @param size of the pictures [pixels] */
  private constructor(private readonly size: { width: number; height: number }) {
    this.#server.on('connection', (socket) => {
      this.#viewer = socket;
      this.#codec = undefined;
      socket.on('message', () => undefined);
    });
  }

  /** Resolves when viewers can connect. */
  static async listen(size: { width: number; height: number }): Promise<AccessUnitRelay> {
    const relay = new AccessUnitRelay(size);
    await once(relay.#server, 'listening');
    return relay;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Takes what gdppay wrote, cut anywhere. */
  push(chunk: Buffer): void {
    for (const unit of gdpBuffers(this.#held, chunk)) this.#send(unit);
  }

  close(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  #send({ key, data }: Unit): void {
    if (!this.#viewer || (!this.#codec && !key)) return;
    if (!this.#codec) {
      this.#codec = codecOf(data);
      const { width, height } = this.size;
      const size = { width, height, codedWidth: width, codedHeight: height };
      const colorSpace = {
        primaries: 'bt709',
        transfer: 'bt709',
        matrix: 'bt709',
        fullRange: false,
      };
      this.#viewer.send(
        JSON.stringify({ type: 'config', id: 1, codec: this.#codec, ...size, colorSpace }),
      );
    }
    const durations = { capture: 0, encode: 0, bridge: 0 };
    const flags = key ? VideoFlag.KEY : 0;
    const sequence = this.#sequence++;
    this.#viewer.send(encodeVideo({ flags, config: 1, sequence, pts: 0n, ...durations }, data));
  }
}
