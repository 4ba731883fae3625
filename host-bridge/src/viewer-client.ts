// A viewer without a screen: for the recorder, for tests, and for benchmarks.
import { EventEmitter } from 'node:events';
import {
  type FromViewer,
  parseToViewer,
  type ToViewer,
  VIEWER_SUBPROTOCOL,
  VIEWER_VERSION,
} from '@scanbridge/protocol/viewer';
import { decodeVideo, MAX_ACCESS_UNIT, type VideoHeader } from '@scanbridge/protocol/viewer/video';
import { WebSocket } from 'ws';

/** Acknowledge every so many access units; the protocol wants every fourth at least. */
const ACK_EVERY = 4;
const ACK_INTERVAL_MS = 50;

export interface ViewerClientOptions {
  readonly token?: string;
  /** What it decodes, RFC 6381 prefixes; `avc1` where absent. */
  readonly codecs?: readonly string[];
  /** false: none is sent, as by a viewer that is stuck. */
  readonly acknowledge?: boolean;
}

/** Emits 'message' for each text message, 'unit' for each access unit, and 'close' exactly once. */
export class ViewerClient extends EventEmitter<{
  message: [ToViewer];
  unit: [VideoHeader, Uint8Array];
  close: [code: number, reason: string];
}> {
  readonly socket: WebSocket;
  #unacked = 0;
  #newest: number | undefined;
  #ackTimer: NodeJS.Timeout | undefined;

  /**
   * Connects and says hello.
   * @param base address of the bridge, as Bridge.url
   */
  constructor(
    base: string,
    session: string,
    private readonly options: ViewerClientOptions = {},
  ) {
    super();
    const url = new URL(`v1/sessions/${encodeURIComponent(session)}/stream`, base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const { token } = options;
    this.socket = new WebSocket(url, VIEWER_SUBPROTOCOL, {
      perMessageDeflate: false,
      maxPayload: MAX_ACCESS_UNIT + 1024 * 1024,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    });
    this.socket.on('open', () =>
      this.send({
        type: 'hello',
        version: VIEWER_VERSION,
        codecs: [...(options.codecs ?? ['avc1'])],
      }),
    );
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#onUnit(data);
      else this.#onText(parseToViewer(data.toString('utf8')));
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', (code, reason) => {
      clearTimeout(this.#ackTimer);
      this.emit('close', code, reason.toString('utf8'));
    });
  }

  send(message: FromViewer): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Resolves with the close code. */
  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise<void>((resolve) => this.once('close', () => resolve()));
    this.socket.close(1000);
    await closed;
  }

  #onText(message: ToViewer): void {
    if (message.type === 'ping') this.send({ type: 'pong', token: message.token });
    this.emit('message', message);
  }

  #onUnit(data: Buffer): void {
    const { header, accessUnit } = decodeVideo(data);
    this.#newest = header.sequence;
    this.#unacked++;
    if (this.#unacked >= ACK_EVERY) this.#ack();
    else this.#ackTimer ??= setTimeout(() => this.#ack(), ACK_INTERVAL_MS);
    this.emit('unit', header, accessUnit);
  }

  #ack(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#unacked = 0;
    if (this.#newest === undefined || this.options.acknowledge === false) return;
    this.send({ type: 'ack', sequence: this.#newest, decode: 0, render: 0, queued: 0 });
  }
}
