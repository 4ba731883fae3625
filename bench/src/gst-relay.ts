// The peer: a bare gst-launch pipeline from the same PipeWire node through the same encoder, whose access units
// go straight to a WebSocket. It speaks just enough of the viewer protocol for the probe page to decode them.
import { type ChildProcess, spawn } from 'node:child_process';
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

/** What the pipeline captures and how it encodes. */
export interface RelayOptions {
  readonly node: number;
  readonly env: Readonly<Record<string, string>>;
  readonly width: number;
  readonly height: number;
  readonly bitrateKbps: number;
}

/** A running gst-launch and the WebSocket server in front of it. */
export class GstRelay {
  readonly #server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  readonly #pipeline: ChildProcess;
  #viewer: WebSocket | undefined;
  #codec: string | undefined;
  #sequence = 0;
  #errors = '';

  /** Starts both; resolves when viewers can connect. */
  static async start(options: RelayOptions): Promise<GstRelay> {
    const relay = new GstRelay(options);
    await once(relay.#server, 'listening');
    return relay;
  }

  private constructor(private readonly options: RelayOptions) {
    const { node, env, bitrateKbps } = options;
    this.#pipeline = spawn(
      'gst-launch-1.0',
      [
        '-q',
        ...`pipewiresrc path=${node} do-timestamp=true ! video/x-raw,format=BGRx`.split(' '),
        ...'! queue max-size-buffers=1 leaky=downstream ! videoconvert ! video/x-raw,format=I420'.split(
          ' ',
        ),
        // The very settings of native/host-linux's x264 path.
        ...`! x264enc tune=zerolatency speed-preset=ultrafast threads=1 sliced-threads=false bframes=0`.split(
          ' ',
        ),
        ...`key-int-max=120 bitrate=${bitrateKbps}`.split(' '),
        ...'! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au'.split(
          ' ',
        ),
        ...'! gdppay ! fdsink fd=1 sync=false'.split(' '),
      ],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#pipeline.stderr?.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    const held = { bytes: Buffer.alloc(0) };
    this.#pipeline.stdout?.on('data', (chunk: Buffer) => {
      for (const unit of gdpBuffers(held, chunk)) this.#send(unit);
    });
    this.#server.on('connection', (socket) => {
      this.#viewer = socket;
      this.#codec = undefined;
      socket.on('message', () => undefined);
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get pid(): number {
    return this.#pipeline.pid ?? 0;
  }

  /** What the pipeline complained of so far. */
  get errors(): string {
    return this.#errors;
  }

  #send({ key, data }: Unit): void {
    if (!this.#viewer || (!this.#codec && !key)) return;
    if (!this.#codec) {
      this.#codec = codecOf(data);
      const { width, height } = this.options;
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

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#pipeline.once('exit', resolve));
    this.#pipeline.kill('SIGKILL');
    await ended;
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }
}
