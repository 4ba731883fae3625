// The peer: a bare gst-launch pipeline from the same PipeWire node through the same encoder, whose access units
// go straight to a WebSocket.
import { type ChildProcess, spawn } from 'node:child_process';
import { AccessUnitRelay } from './access-unit-relay.js';

/** What the pipeline captures and how it encodes. */
export interface RelayOptions {
  readonly node: number;
  readonly env: Readonly<Record<string, string>>;
  readonly width: number;
  readonly height: number;
  readonly bitrateKbps: number;
}

/** The very settings of native/host-linux's x264 path, with gdppay behind it. */
export function x264Pipeline(bitrateKbps: number): string[] {
  const encoder =
    '! x264enc tune=zerolatency speed-preset=ultrafast threads=1 sliced-threads=false bframes=0';
  const stream = 'profile=constrained-baseline,stream-format=byte-stream,alignment=au';
  const rate = `key-int-max=120 bitrate=${bitrateKbps}`;
  return `${encoder} ${rate} ! video/x-h264,${stream} ! gdppay`.split(' ');
}

/** A running gst-launch and the WebSocket server in front of it. */
export class GstRelay {
  readonly #pipeline: ChildProcess;
  #errors = '';

  /** Starts both; resolves when viewers can connect. */
  static async start(options: RelayOptions): Promise<GstRelay> {
    return new GstRelay(options, await AccessUnitRelay.listen(options));
  }

  private constructor(
    { node, env, bitrateKbps }: RelayOptions,
    private readonly relay: AccessUnitRelay,
  ) {
    this.#pipeline = spawn(
      'gst-launch-1.0',
      [
        '-q',
        ...`pipewiresrc path=${node} do-timestamp=true ! video/x-raw,format=BGRx`.split(' '),
        ...'! queue max-size-buffers=1 leaky=downstream ! videoconvert ! video/x-raw,format=I420'.split(
          ' ',
        ),
        ...x264Pipeline(bitrateKbps),
        ...'! fdsink fd=1 sync=false'.split(' '),
      ],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#pipeline.stderr?.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    this.#pipeline.stdout?.on('data', (chunk: Buffer) => relay.push(chunk));
  }

  get url(): string {
    return this.relay.url;
  }

  get pid(): number {
    return this.#pipeline.pid ?? 0;
  }

  /** What the pipeline complained of so far. */
  get errors(): string {
    return this.#errors;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#pipeline.once('exit', resolve));
    this.#pipeline.kill('SIGKILL');
    await ended;
    this.relay.close();
  }
}
