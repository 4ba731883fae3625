// One session on one screen: the connection, the decoder, the cursor, the measurements, and the reason when there is
// nothing to see. Grid tiles and the full view are both made of this.
import type { FromViewer, InputEvent, SessionState, ToViewer } from '@scanbridge/protocol/viewer';
import { VideoFlag, VideoMessageError } from '@scanbridge/protocol/viewer/video';
import { Acknowledger } from './acknowledger.js';
import { Connection } from './connection.js';
import { Cursor } from './cursor.js';
import { Decoder, type Unit } from './decoder.js';
import type { Message } from './messages.js';
import { CONNECTING, FIRST_PICTURE, type Reason, sessionReason } from './reasons.js';
import { Screen } from './screen.js';
import { Rate, type TimingSummary, Timings } from './timings.js';

/** What is known of a stream at a moment. Durations in ms, rates per second. */
export interface StreamStats {
  readonly received: number;
  readonly decoded: number;
  readonly drawn: number;
  readonly lastSequence: number | undefined;
  /** Gaps in the sequence without a key frame (a bug), and with one (this viewer was too slow). */
  readonly gaps: number;
  readonly skips: number;
  readonly discarded: number;
  readonly superseded: number;
  readonly decoderRestarts: number;
  readonly connects: number;
  readonly queued: number;
  readonly receivedPerSecond: number;
  readonly drawnPerSecond: number;
  /** [kbit/s] */
  readonly bitrate: number;
  readonly codec: string | undefined;
  readonly width: number;
  readonly height: number;
  /** What the bridge says of the session and of this viewer. */
  readonly bridge: Message<'stats'> | undefined;
  /** Undefined while no new picture comes: a still desktop has no latency. */
  readonly timings: TimingSummary | undefined;
}

/** A decoded picture, for a test or a benchmark. The frame belongs to the page: use it in the callback, do not close it. */
export interface Observation {
  readonly frame: VideoFrame;
  readonly sequence: number;
  readonly flags: number;
  /** On performance.now's clock [ms]. */
  readonly receivedAt: number;
  readonly decodedAt: number;
}

/** The streams that are open on this page, by session. */
const open = new Map<string, Stream>();
export const openStreams: ReadonlyMap<string, Stream> = open;

export class Stream {
  readonly screen: Screen;
  readonly cursor: Cursor;
  readonly #connection: Connection;
  readonly #decoder: Decoder;
  readonly #acks: Acknowledger;
  readonly #timings = new Timings();
  readonly #receivedRate = new Rate();
  readonly #drawnRate = new Rate();
  readonly #byteRate = new Rate();
  #observers = new Set<(observation: Observation) => void>();

  #welcome: Message<'welcome'> | undefined;
  #stats: Message<'stats'> | undefined;
  #state: SessionState = 'starting';
  #stateMessage: string | undefined;
  #disconnected: Reason | undefined = CONNECTING;
  #trouble: Reason | undefined;
  #pictureSinceWelcome = false;
  #onScreen = true;
  #paused = document.visibilityState === 'hidden';

  /**
   * @param id the session
   * @param codecs what the browser decodes
   * @param changed called when the reason, the welcome or the picture's size has changed
   * @param thumbnail whether the picture is a small one among others
   */
  constructor(
    readonly id: string,
    codecs: readonly string[],
    readonly changed: () => void,
    thumbnail = false,
  ) {
    this.screen = new Screen(thumbnail);
    this.cursor = new Cursor(this.screen);
    this.#acks = new Acknowledger(({ sequence, decode, render }) => {
      const queued = Math.min(1000, this.#decoder.queued);
      this.#connection.send({ type: 'ack', sequence, decode, render, queued });
    });
    this.#decoder = new Decoder({
      picture: (frame, unit, config, at) => this.#picture(frame, unit, config, at),
      discarded: (sequence) => this.#acks.out(sequence),
      requestKeyFrame: (reason) => this.#connection.send({ type: 'key-frame', reason }),
      trouble: (reason) => {
        this.#trouble = reason;
        this.changed();
      },
    });
    this.#connection = new Connection(id, codecs, {
      message: (message) => this.#message(message),
      video: (message, at) => this.#video(message, at),
      status: (reason) => this.#status(reason),
    });
    document.addEventListener('visibilitychange', this.#pauseOrResume);
    open.set(id, this);
  }

  /** What the bridge said in its welcome; undefined until then, and while disconnected. */
  get welcome(): Message<'welcome'> | undefined {
    return this.#welcome;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** There is a picture, perhaps an old one: the reason tells. */
  get hasPicture(): boolean {
    return this.screen.drawn > 0;
  }

  /** Why there is no current picture; undefined when there is one. */
  get reason(): Reason | undefined {
    return (
      this.#disconnected ??
      sessionReason(this.#state, this.#stateMessage) ??
      this.#trouble ??
      (this.#pictureSinceWelcome || this.#paused ? undefined : FIRST_PICTURE)
    );
  }

  get stats(): StreamStats {
    const now = performance.now();
    const decoder = this.#decoder;
    return {
      received: decoder.received,
      decoded: decoder.decoded,
      drawn: this.screen.drawn,
      lastSequence: decoder.lastSequence,
      gaps: decoder.gaps,
      skips: decoder.skips,
      discarded: decoder.discards,
      superseded: this.screen.superseded,
      decoderRestarts: decoder.restarts,
      connects: this.#connection.connects,
      queued: decoder.queued,
      receivedPerSecond: this.#receivedRate.perSecond(now),
      drawnPerSecond: this.#drawnRate.perSecond(now),
      bitrate: (this.#byteRate.perSecond(now) * 8) / 1000,
      codec: decoder.config?.codec,
      width: this.hasPicture ? this.screen.width : 0,
      height: this.hasPicture ? this.screen.height : 0,
      bridge: this.#stats,
      timings: this.#timings.summary(now),
    };
  }

  /** Whether the view shows this stream at all; a hidden page or a tile out of sight needs no video. */
  set onScreen(onScreen: boolean) {
    this.#onScreen = onScreen;
    this.#pauseOrResume();
  }

  readonly #pauseOrResume = () => {
    const paused = !this.#onScreen || document.visibilityState === 'hidden';
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#decoder.paused();
    else this.#pictureSinceWelcome = false;
    this.#connection.send({ type: 'pause', paused });
    this.changed();
  };

  /** Sends input; what cannot be sent now is dropped. @param sparable positions that newer ones replace */
  input(events: InputEvent[], sparable = false): void {
    this.#connection.send({ type: 'input', events }, sparable);
  }

  /** Asks for another size of the desktop [device pixels]. */
  resize(width: number, height: number): void {
    this.#send({ type: 'resize', width, height });
  }

  retryNow(): void {
    this.#connection.retryNow();
  }

  /** The bridge lists this session: an ending that said otherwise is over. */
  listed(): void {
    const id = this.#disconnected?.id;
    if (id === 'no-such-session' || id === 'session-ended') this.retryNow();
  }

  /** Calls `observer` with every decoded picture. @returns a function that ends it */
  observe(observer: (observation: Observation) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  close(): void {
    if (open.get(this.id) === this) open.delete(this.id);
    document.removeEventListener('visibilitychange', this.#pauseOrResume);
    this.#connection.close();
    this.#acks.reset();
    this.#decoder.close();
    this.#observers.clear();
    this.screen.close();
  }

  #send(message: FromViewer): void {
    this.#connection.send(message);
  }

  #status(reason: Reason | undefined): void {
    this.#disconnected = reason;
    if (reason) {
      this.#welcome = undefined;
      this.#stats = undefined;
      this.#decoder.disconnected();
      this.#acks.reset();
      this.cursor.clear();
    }
    this.changed();
  }

  #message(message: ToViewer): void {
    switch (message.type) {
      case 'welcome':
        this.#welcome = message;
        this.#pictureSinceWelcome = false;
        if (this.#paused) this.#send({ type: 'pause', paused: true });
        break;
      case 'state':
        this.#state = message.state;
        this.#stateMessage = message.message;
        break;
      case 'config':
        this.#decoder.announce(message);
        break;
      case 'stats':
        this.#stats = message;
        return;
      case 'cursor':
        this.cursor.update(message);
        return;
      default:
        return;
    }
    this.changed();
  }

  #video(message: Uint8Array, at: number): void {
    // What was under way when the page was hidden has no place to be seen.
    if (this.#paused) return;
    this.#receivedRate.add(at);
    this.#byteRate.add(at, message.length);
    this.#acks.received();
    try {
      this.#decoder.push(message, at);
    } catch (error) {
      if (!(error instanceof VideoMessageError)) throw error;
      this.#connection.refuse(error.message);
    }
  }

  #picture(frame: VideoFrame, unit: Unit, config: Message<'config'>, at: number): void {
    const { header, receivedAt } = unit;
    const decode = at - receivedAt;
    for (const observer of this.#observers) {
      observer({
        frame,
        sequence: header.sequence,
        flags: header.flags,
        receivedAt,
        decodedAt: at,
      });
    }
    this.screen.show(frame, config.width, config.height, at, {
      drawn: (render) => {
        const now = at + render;
        this.#drawnRate.add(now);
        this.#acks.drawn(render);
        if (!this.#pictureSinceWelcome) {
          this.#pictureSinceWelcome = true;
          this.changed();
        }
        // A keepalive shows an old picture again: how long ago that was made is not a latency.
        if ((header.flags & VideoFlag.KEEPALIVE) === 0) {
          this.#timings.add({
            at: now,
            capture: header.capture / 1000,
            encode: header.encode / 1000,
            bridge: header.bridge / 1000,
            network: (this.#stats?.rtt ?? 0) / 2,
            decode,
            render,
          });
        }
      },
    });
    this.#acks.out(header.sequence, decode);
  }
}
