// One viewer's WebSocket: opens it, greets, answers pings, notices when the other side is gone, and comes back.
// Duties: exactly one socket at a time; no timer outlives `close`; nothing is queued here (what cannot be sent now is
// dropped, because it would be stale), and motions are dropped first when the network holds back.
import type { FromViewer, ToViewer } from '@scanbridge/protocol/viewer';
import { tokenFor } from './credentials.js';
import { BAD_MESSAGE, MessageError, readMessage, SUBPROTOCOL, VERSION } from './messages.js';
import { CONNECTING, endingOf, type Reason, type Said } from './reasons.js';

/** First wait before connecting again, and the longest [ms]. */
const BACKOFF_FIRST = 250;
const BACKOFF_LONGEST = 8_000;
/** Wait after an ending that a quick retry would not cure [ms]. */
const BACKOFF_LATE = 10_000;
/** A connection that lived this long was a good one: the next wait is a short one again [ms]. */
const STABLE_AFTER = 5_000;
/** An answer to the hello takes no longer [ms]. */
const WELCOME_WITHIN = 6_000;
/** Heartbeats that may be missed, and the shortest silence that counts [ms]. */
const HEARTBEATS_MISSED = 2.5;
const SILENCE_LEAST = 3_000;
/** Bytes that wait in the socket before messages that can be spared are [bytes]. */
const SEND_BUFFER = 65_536;

export interface ConnectionHandler {
  /** A text message other than ping, pong and error. */
  message(message: ToViewer): void;
  /** A binary message. @param at when it arrived, on performance.now's clock [ms] */
  video(message: Uint8Array, at: number): void;
  /** Connected and welcomed: undefined. Otherwise why not. */
  status(reason: Reason | undefined): void;
}

export class Connection {
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #supervisor: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;
  #connects = 0;
  #lastHeard = 0;
  #welcomedAt = 0;
  #said: Said | undefined;
  #closed = false;
  readonly #wake = () => {
    // Only what waits is hurried: where a person has to do something, nothing changes under their hands.
    if (document.visibilityState === 'visible' && this.#timer !== undefined) this.retryNow();
  };

  /**
   * @param id the session
   * @param codecs RFC 6381 prefixes that this browser decodes
   */
  constructor(
    readonly id: string,
    readonly codecs: readonly string[],
    readonly handler: ConnectionHandler,
  ) {
    addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
    this.#connect();
  }

  /** Connections that were welcomed so far. */
  get connects(): number {
    return this.#connects;
  }

  get open(): boolean {
    return this.#welcomedAt > 0;
  }

  /**
   * Sends a message, if there is a connection that takes it.
   * @param sparable may be dropped when the socket holds back
   */
  send(message: FromViewer, sparable = false): boolean {
    const socket = this.#socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) return false;
    if (message.type !== 'hello' && !this.open) return false;
    if (sparable && socket.bufferedAmount > SEND_BUFFER) return false;
    socket.send(JSON.stringify(message));
    return true;
  }

  /** Closes the connection because of a message that is not of the protocol. */
  refuse(reason: string): void {
    this.#said = { code: 'BAD_MESSAGE', message: `a message of the bridge is wrong (${reason})` };
    this.#drop(BAD_MESSAGE, reason);
    this.#ended(BAD_MESSAGE);
  }

  /** Connects at once, if the page is waiting to or has given up. */
  retryNow(): void {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#timer);
    this.#attempts = 0;
    this.#connect();
  }

  /** Ends the connection for good. */
  close(): void {
    this.#closed = true;
    removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#drop(1000, 'viewer left');
  }

  #connect(): void {
    this.#timer = undefined;
    const url = new URL(`v1/sessions/${encodeURIComponent(this.id)}/stream`, document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    // A browser cannot set Authorization on a WebSocket (docs/protocols/viewer.md, Connecting).
    const token = tokenFor(this.id);
    url.search = token ? new URLSearchParams({ token }).toString() : '';
    this.handler.status(CONNECTING);
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#said = undefined;
    this.#watch(WELCOME_WITHIN);
    socket.onopen = () => this.send({ type: 'hello', version: VERSION, codecs: [...this.codecs] });
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      const at = performance.now();
      this.#lastHeard = at;
      if (typeof event.data === 'string') this.#text(event.data);
      else this.handler.video(new Uint8Array(event.data), at);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#ended(event.code);
    };
  }

  #text(text: string): void {
    let message: ToViewer | undefined;
    try {
      message = readMessage(text);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.refuse(error.message);
      return;
    }
    if (message?.type === 'ping') {
      this.send({ type: 'pong', token: message.token });
    } else if (message?.type === 'error') {
      this.#said = message;
    } else if (message) {
      if (message.type === 'welcome') {
        this.#connects++;
        this.#welcomedAt = performance.now();
        const silence = Math.max(SILENCE_LEAST, message.heartbeat * HEARTBEATS_MISSED);
        this.#watch(silence);
        this.handler.status(undefined);
      }
      this.handler.message(message);
    }
  }

  /** Drops a connection over which nothing was heard for `silence` [ms]. */
  #watch(silence: number): void {
    clearTimeout(this.#supervisor);
    this.#lastHeard = performance.now();
    const check = (again: boolean) => {
      const quiet = performance.now() - this.#lastHeard;
      if (quiet < silence) {
        this.#supervisor = setTimeout(check, silence - quiet + 1, false);
      } else if (!again) {
        // The machine may have slept: let messages that wait in the event loop come in before judging.
        this.#supervisor = setTimeout(check, 250, true);
      } else {
        this.#drop(1000, 'nothing heard');
        this.#ended(1006);
      }
    };
    this.#supervisor = setTimeout(check, silence, false);
  }

  #drop(code: number, reason: string): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearTimeout(this.#supervisor);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#welcomedAt = 0;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code, reason.slice(0, 100));
  }

  #ended(code: number): void {
    if (this.#welcomedAt > 0 && performance.now() - this.#welcomedAt > STABLE_AFTER) {
      this.#attempts = 0;
    }
    this.#drop(1000, '');
    if (this.#closed) return;
    const { retry, ...reason } = endingOf(code, this.#said);
    this.handler.status(reason);
    if (retry === 'never') return;
    // Full jitter: many viewers of a bridge that restarts do not come back in the same instant.
    const limit =
      retry === 'late'
        ? BACKOFF_LATE
        : Math.min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** this.#attempts);
    this.#attempts++;
    this.#timer = setTimeout(() => this.#connect(), limit / 2 + (Math.random() * limit) / 2);
  }
}
