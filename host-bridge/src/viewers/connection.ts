// One viewer: its WebSocket, what it says, and what it is sent.
import {
  CloseCode,
  type FromViewer,
  type InputEvent,
  parseFromViewer,
  type ToViewer,
  VIEWER_VERSION,
  ViewerProtocolError,
} from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import { type BitrateBounds, BitrateEstimator } from '../bitrate.js';
import type { AccessUnit, Recipient } from '../fanout.js';
import { ViewerFlow } from './flow.js';
import { HeldInput } from './held-input.js';
import { TokenBucket } from './token-bucket.js';

/** A viewer says hello within this time [ms]. */
export const HELLO_LIMIT_MS = 5000;
/** A ping is sent this often [ms]. */
export const HEARTBEAT_MS = 2000;
/** Pings in a row without any message of the viewer after which it is gone. */
export const MISSED_PINGS = 3;
/** Messages a second, and at once: acks of 120 fps beside a mouse of 250 Hz. */
const MESSAGE_RATE = 500;
const MESSAGE_BURST = 1000;
/** Input events a second, and at once. */
const INPUT_RATE = 2000;
const INPUT_BURST = 4000;
/** A viewer's own requests for a key frame are at least this far apart [ms]. */
const KEY_FRAME_PAUSE_MS = 250;
/** With more waiting in the socket, cursor positions wait: only the newest is sent [bytes]. */
const CURSOR_BUFFER_LIMIT = 64 * 1024;
/** With more waiting in the socket, the connection ends: video stops long before [bytes]. */
const BUFFER_LIMIT = 64 * 1024 * 1024;
/** Time to answer a close before the connection is cut [ms]. */
const CLOSE_LIMIT_MS = 1000;

export type Access = 'view' | 'control';

/** The cursor of a session as text messages, with and without its shape. */
export interface CursorTexts {
  readonly version: number;
  readonly shapeVersion: number;
  readonly full: string;
  readonly position: string;
}

/** What a viewer needs of its session. */
export interface ViewerHost {
  readonly id: string;
  readonly title: string;
  readonly resizable: boolean;
  readonly takesInput: boolean;
  readonly bitrateBounds: BitrateBounds;
  /** Of the stream, for the depth of queues. */
  readonly bytesPerMs: number;
  readonly stateText: string;
  readonly configText: string | undefined;
  readonly cursor: CursorTexts | undefined;
  /** Whether a viewer that decodes these (RFC 6381 prefixes) can be served beside the others. */
  decodable(codecs: readonly string[]): boolean;
  join(viewer: ViewerConnection): void;
  leave(viewer: ViewerConnection): void;
  /** Viewers began or ceased to watch. */
  watchingChanged(): void;
  needKeyFrame(): void;
  resize(width: number, height: number): void;
  input(events: readonly InputEvent[]): void;
}

/** Stats that are the same for all viewers of a session. */
export type SharedStats = Omit<Extract<ToViewer, { type: 'stats' }>, 'skipped' | 'rtt'>;

/** Owns one WebSocket from its upgrade to its end. */
export class ViewerConnection implements Recipient {
  readonly flow = new ViewerFlow();
  readonly estimator: BitrateEstimator;
  /** What it decodes, from its hello. */
  codecs: readonly string[] = [];
  #joined = false;
  #paused = false;
  #closed = false;
  #helloTimer: NodeJS.Timeout;
  #pingTimer: NodeJS.Timeout | undefined;
  #keyTimer: NodeJS.Timeout | undefined;
  #lastKeyRequest = Number.NEGATIVE_INFINITY;
  /** Pings since the viewer last said anything. */
  #silentPings = 0;
  #ping = { token: 0, at: 0 };
  #rtt: number | undefined;
  #cursorVersion = 0;
  #shapeVersion = 0;
  readonly #messages = new TokenBucket(MESSAGE_RATE, MESSAGE_BURST, performance.now());
  readonly #held = new HeldInput();
  readonly #events = new TokenBucket(INPUT_RATE, INPUT_BURST, performance.now());

  constructor(
    private readonly socket: WebSocket,
    private readonly session: ViewerHost,
    readonly access: Access,
    private readonly log: Logger,
  ) {
    this.estimator = new BitrateEstimator(session.bitrateBounds);
    this.#helloTimer = setTimeout(() => {
      this.close(CloseCode.TIMEOUT, 'TIMEOUT', `no hello within ${HELLO_LIMIT_MS / 1000} s`);
    }, HELLO_LIMIT_MS);
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(data, isBinary));
    socket.on('error', (error) => this.log.debug({ reason: error.message }, 'viewer socket'));
    socket.on('close', () => this.#onClose());
  }

  get watching(): boolean {
    return this.#joined && !this.#paused && !this.#closed;
  }

  /** Smoothed round trip [ms]. */
  get rtt(): number | undefined {
    return this.#rtt;
  }

  unit(unit: AccessUnit): void {
    if (!this.watching) return;
    const now = performance.now();
    const buffered = this.socket.bufferedAmount;
    const falls = this.flow.falls;
    if (this.flow.offer(unit, buffered, this.session.bytesPerMs, now)) {
      this.socket.send(unit.message);
    } else if (this.flow.falls > falls) {
      this.estimator.skipped(now);
    }
  }

  /** Sends a text that is the same for all viewers. */
  text(text: string): void {
    if (!this.#joined || this.#closed) return;
    if (this.socket.bufferedAmount > BUFFER_LIMIT) this.socket.terminate();
    else this.socket.send(text);
  }

  /** Sends the session's cursor if this viewer has not seen it and its socket is not full. */
  cursor(): void {
    const cursor = this.session.cursor;
    if (!this.watching || !cursor || cursor.version === this.#cursorVersion) return;
    if (this.socket.bufferedAmount > CURSOR_BUFFER_LIMIT) return;
    this.text(cursor.shapeVersion === this.#shapeVersion ? cursor.position : cursor.full);
    this.#cursorVersion = cursor.version;
    this.#shapeVersion = cursor.shapeVersion;
  }

  stats(shared: SharedStats): void {
    const message: ToViewer = { ...shared, skipped: this.flow.skipped };
    if (this.#rtt !== undefined) message.rtt = this.#rtt;
    this.text(JSON.stringify(message));
  }

  /** Called a few times a second: moves a viewer that has caught up to a key frame, ends one that never does. */
  tick(now: number): void {
    if (!this.watching) return;
    this.cursor();
    const buffered = this.socket.bufferedAmount;
    if (this.flow.recover(buffered, now)) this.session.needKeyFrame();
    if (this.flow.tooSlow(buffered, now)) {
      this.close(
        CloseCode.TOO_SLOW,
        'TOO_SLOW',
        'this connection is too slow for the stream; choose a smaller desktop or a better network',
      );
    }
  }

  /** Says why, then closes. */
  close(closeCode: CloseCode, code: string, message: string): void {
    if (this.#closed) return;
    this.#end();
    this.log.debug({ closeCode, code }, message);
    const error: ToViewer = { type: 'error', code, message: message.slice(0, 512) };
    if (this.socket.bufferedAmount <= BUFFER_LIMIT) this.socket.send(JSON.stringify(error));
    this.socket.close(closeCode, code);
    const timer = setTimeout(() => this.socket.terminate(), CLOSE_LIMIT_MS);
    this.socket.once('close', () => clearTimeout(timer));
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#silentPings = 0;
    if (!this.#messages.take(1, now)) {
      this.close(CloseCode.RATE_LIMIT, 'RATE_LIMIT', `more than ${MESSAGE_RATE} messages a second`);
      return;
    }
    if (isBinary) {
      this.close(CloseCode.BAD_MESSAGE, 'BAD_MESSAGE', 'a viewer sends text messages only');
      return;
    }
    try {
      this.#handle(parseFromViewer(data.toString('utf8')), now);
    } catch (error) {
      if (!(error instanceof ViewerProtocolError)) throw error;
      const code = error.message.startsWith('version:') ? 'BAD_VERSION' : 'BAD_MESSAGE';
      this.close(CloseCode.BAD_MESSAGE, code, error.message);
    }
  }

  #handle(message: FromViewer, now: number): void {
    if ((message.type === 'hello') === this.#joined) {
      throw new ViewerProtocolError(this.#joined ? 'a second hello' : 'hello comes first');
    }
    switch (message.type) {
      case 'hello':
        this.#onHello(message.codecs);
        break;
      case 'ack':
        this.#onAck(message, now);
        break;
      case 'key-frame':
        this.#onKeyFrame(now);
        break;
      case 'pause':
        this.#onPause(message.paused);
        break;
      case 'resize':
        // A wish: a page that follows its window need not know whether it may.
        if (this.access === 'control') this.session.resize(message.width, message.height);
        return;
      case 'input':
        this.#onInput(message.events, now);
        break;
      case 'pong':
        if (message.token !== this.#ping.token || this.#ping.at === 0) return;
        this.#rtt = (this.#rtt ?? now - this.#ping.at) * 0.75 + (now - this.#ping.at) * 0.25;
        this.#ping.at = 0;
    }
  }

  #onHello(codecs: readonly string[]): void {
    clearTimeout(this.#helloTimer);
    this.codecs = codecs;
    if (!this.session.decodable(codecs)) {
      this.close(
        CloseCode.BAD_MESSAGE,
        'NO_COMMON_CODEC',
        'the stream is H.264 (avc1), which this viewer does not name among its codecs',
      );
      return;
    }
    this.#joined = true;
    const { id, title, resizable, takesInput } = this.session;
    const access: Access = takesInput ? this.access : 'view';
    const welcome: ToViewer = {
      type: 'welcome',
      version: VIEWER_VERSION,
      session: { id, title },
      access,
      resizable: resizable && this.access === 'control',
      heartbeat: HEARTBEAT_MS,
    };
    this.text(JSON.stringify(welcome));
    this.text(this.session.stateText);
    if (this.session.configText) this.text(this.session.configText);
    this.#pingTimer = setInterval(() => this.#heartbeat(), HEARTBEAT_MS);
    this.#sendPing();
    this.session.join(this);
    this.cursor();
  }

  #onAck(ack: Extract<FromViewer, { type: 'ack' }>, now: number): void {
    const delay = this.flow.acked(ack.sequence, now);
    if (delay !== undefined) this.estimator.acked(delay - ack.decode - ack.render, now);
    if (this.flow.recover(this.socket.bufferedAmount, now)) this.session.needKeyFrame();
  }

  #onKeyFrame(now: number): void {
    this.flow.restart();
    if (this.#keyTimer) return;
    const wait = Math.max(0, this.#lastKeyRequest + KEY_FRAME_PAUSE_MS - now);
    this.#keyTimer = setTimeout(() => {
      this.#keyTimer = undefined;
      this.#lastKeyRequest = performance.now();
      this.session.needKeyFrame();
    }, wait);
  }

  #onPause(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.flow.restart();
    this.session.watchingChanged();
    if (!paused) {
      this.session.needKeyFrame();
      this.cursor();
    }
  }

  #onInput(events: readonly InputEvent[], now: number): void {
    if (this.access !== 'control') {
      this.close(CloseCode.FORBIDDEN, 'FORBIDDEN', 'this viewer may look, but not touch');
    } else if (!this.#events.take(events.length, now)) {
      this.close(CloseCode.RATE_LIMIT, 'RATE_LIMIT', `more than ${INPUT_RATE} events a second`);
    } else if (this.session.takesInput) {
      this.#held.take(events);
      this.session.input(events);
    }
  }

  #heartbeat(): void {
    if (this.#silentPings >= MISSED_PINGS) {
      this.close(
        CloseCode.TIMEOUT,
        'TIMEOUT',
        `nothing was heard for ${(MISSED_PINGS * HEARTBEAT_MS) / 1000} s`,
      );
      return;
    }
    this.#sendPing();
  }

  #sendPing(): void {
    this.#silentPings++;
    // One ping at a time: an answer to an older one would give a wrong round trip.
    if (this.#ping.at === 0) {
      this.#ping = { token: (this.#ping.token + 1) >>> 0, at: performance.now() };
    }
    this.text(JSON.stringify({ type: 'ping', token: this.#ping.token } satisfies ToViewer));
  }

  #end(): void {
    this.#closed = true;
    clearTimeout(this.#helloTimer);
    clearTimeout(this.#keyTimer);
    clearInterval(this.#pingTimer);
    const released = this.#held.release();
    if (released.length > 0) this.session.input(released);
    if (this.#joined) this.session.leave(this);
  }

  #onClose(): void {
    if (!this.#closed) this.#end();
  }
}
