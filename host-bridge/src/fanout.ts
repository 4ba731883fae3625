// One encoded stream to any number of viewers: the same buffer to all, key-frame requests merged.
import {
  VIDEO_HEADER_BRIDGE_OFFSET,
  VIDEO_HEADER_BYTES,
  VIDEO_MESSAGE,
  VideoFlag,
} from '@scanbridge/protocol/viewer/video';
import { monotonicUs } from './worker/framing.js';

/** Least time between two key frames [ms]: viewers that join within it share one. */
export const KEY_FRAME_INTERVAL_MS = 40;
/** A request that no key frame has answered for this long is made again [ms]. */
export const KEY_FRAME_RETRY_MS = 500;

/** One encoded picture as viewers get it. */
export interface AccessUnit {
  /** Binary message of the viewer protocol. Never changed after the fan-out has it. */
  readonly message: Buffer;
  readonly sequence: number;
  readonly key: boolean;
}

/** What the fan-out knows of a viewer. Neither call may block or throw. */
export interface Recipient {
  unit(unit: AccessUnit): void;
  /** Whether a next key frame is of use to it. */
  readonly watching: boolean;
}

/** Shares one stream. A worker's units are numbered on, and its configs renumbered, across its restarts. */
export class Fanout<R extends Recipient> {
  readonly recipients = new Set<R>();
  #sequence = 0xffffffff;
  #configOffset = 0;
  #lastConfig = 0xffff;
  #requestedAt: number | undefined;
  #lastKeyAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** Access units that came from the encoder. */
  units = 0;
  keyFrames = 0;
  /** Bytes that came from the encoder. */
  bytes = 0;

  /** @param request asks the encoder for a key frame */
  constructor(private readonly request: () => void) {}

  /** A new worker takes over: its configs get ids of their own, and it owes us nothing yet. */
  restart(): void {
    this.#configOffset = (this.#lastConfig + 1) & 0xffff;
    this.#requestedAt = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The session's id of a worker's config. */
  configId(workerId: number): number {
    this.#lastConfig = (this.#configOffset + workerId) & 0xffff;
    return this.#lastConfig;
  }

  /** How long a key frame has been owed [ms]. */
  keyFrameOverdue(now: number): number {
    return this.#requestedAt === undefined ? 0 : now - this.#requestedAt;
  }

  /** Asks for a key frame: at once, unless one is under way or came a moment ago. */
  needKeyFrame(): void {
    if (this.#timer) return;
    const wait = this.#lastKeyAt + KEY_FRAME_INTERVAL_MS - performance.now();
    if (wait <= 0) this.#ask();
    else this.#timer = setTimeout(() => this.#ask(), wait);
  }

  /**
   * Sends an access unit of the present worker to everyone.
   * @param message the worker's binary message; becomes the fan-out's, which completes its header in place
   * @param outUs when the access unit came out of the engine [us, CLOCK_MONOTONIC]
   * @throws {RangeError} when it is no message of the viewer protocol
   */
  push(message: Buffer, outUs: number): void {
    if (message.length <= VIDEO_HEADER_BYTES || message[0] !== VIDEO_MESSAGE) {
      throw new RangeError('not a video message');
    }
    this.#sequence = (this.#sequence + 1) >>> 0;
    const key = ((message[1] ?? 0) & VideoFlag.KEY) !== 0;
    message.writeUInt16LE((this.#configOffset + message.readUInt16LE(2)) & 0xffff, 2);
    message.writeUInt32LE(this.#sequence, 4);
    this.units++;
    this.bytes += message.length - VIDEO_HEADER_BYTES;
    if (key) {
      this.keyFrames++;
      this.#lastKeyAt = performance.now();
      this.#requestedAt = undefined;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const bridge = Math.min(0xffffffff, Math.max(0, Math.round(monotonicUs() - outUs)));
    message.writeUInt32LE(bridge, VIDEO_HEADER_BRIDGE_OFFSET);
    const unit: AccessUnit = { message, sequence: this.#sequence, key };
    for (const recipient of this.recipients) recipient.unit(unit);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.recipients.clear();
  }

  #ask(): void {
    this.#timer = undefined;
    if (![...this.recipients].some((recipient) => recipient.watching)) {
      this.#requestedAt = undefined;
      return;
    }
    this.#requestedAt ??= performance.now();
    this.request();
    this.#timer = setTimeout(() => this.#ask(), KEY_FRAME_RETRY_MS);
  }
}
