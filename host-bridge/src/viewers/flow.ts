// Which access units one viewer gets. Pure logic: time and buffer levels are given from outside.
//
// Queue of a viewer: what the socket has not taken plus what was not acknowledged. Depth: MAX_BUFFERED_MS of video
// (at least MAX_BUFFERED_FLOOR), MAX_UNACKED_MS, MAX_UNACKED_UNITS. Drop policy: a viewer that exceeds it gets nothing
// more until its queue is empty, and then starts again at a key frame; what was encoded is the same for everybody.

/** Bytes in the socket that are always allowed: one large key frame [bytes]. */
export const MAX_BUFFERED_FLOOR = 512 * 1024;
/** Video that may wait in the socket beyond the floor [ms]. */
export const MAX_BUFFERED_MS = 500;
/** Age of the oldest access unit without an acknowledgement [ms]. */
export const MAX_UNACKED_MS = 1500;
/** Access units without an acknowledgement. */
export const MAX_UNACKED_UNITS = 240;
/** A viewer that has been behind for so long without a pause is too slow for the stream [ms]. */
export const TOO_SLOW_MS = 8000;
/** Least time between two key frames for the sake of one slow viewer [ms]; doubles up to the maximum. */
export const RECOVERY_MIN_MS = 500;
export const RECOVERY_MAX_MS = 8000;

interface Sent {
  readonly sequence: number;
  readonly at: number;
}

/** Newest minus older sequence, modulo 2^32; negative when `a` is the older one. */
export function sequenceDistance(a: number, b: number): number {
  return (a - b) | 0;
}

export type FlowState = 'needs-key-frame' | 'flowing' | 'behind';

/** Flow state of one viewer. All times are of one monotonic clock [ms]. */
export class ViewerFlow {
  #state: FlowState = 'needs-key-frame';
  #unacked: Sent[] = [];
  #behindSince: number | undefined;
  #recoveryPause = RECOVERY_MIN_MS;
  #lastRecovery = Number.NEGATIVE_INFINITY;
  /** Access units that this viewer was spared. */
  skipped = 0;
  /** Times that this viewer fell behind. */
  falls = 0;

  get state(): FlowState {
    return this.#state;
  }

  get unacked(): number {
    return this.#unacked.length;
  }

  /** The viewer has no use for what comes before the next key frame: it joined, resumed, or lost its decoder. */
  restart(): void {
    this.#state = 'needs-key-frame';
    this.#unacked = [];
    this.#behindSince = undefined;
  }

  /**
   * Decides about one access unit; true: send it.
   * @param buffered bytes that the socket has not taken yet
   * @param bytesPerMs of the stream, for the depth of the queue
   */
  offer(
    unit: { readonly sequence: number; readonly key: boolean },
    buffered: number,
    bytesPerMs: number,
    now: number,
  ): boolean {
    if (this.#state !== 'behind' && this.#full(buffered, bytesPerMs, now)) {
      this.#state = 'behind';
      this.#behindSince ??= now;
      this.falls++;
    }
    if (this.#state === 'behind' && this.#empty(buffered)) this.#state = 'needs-key-frame';
    if (this.#state === 'flowing' || (this.#state === 'needs-key-frame' && unit.key)) {
      this.#state = 'flowing';
      this.#unacked.push({ sequence: unit.sequence, at: now });
      return true;
    }
    this.skipped++;
    return false;
  }

  /**
   * Takes an acknowledgement of everything up to `sequence`.
   * @returns how long that unit was under way [ms], or undefined when it is not one that waits
   */
  acked(sequence: number, now: number): number | undefined {
    let sentAt: number | undefined;
    let count = 0;
    for (const sent of this.#unacked) {
      if (sequenceDistance(sequence, sent.sequence) < 0) break;
      if (sent.sequence === sequence) sentAt = sent.at;
      count++;
    }
    this.#unacked.splice(0, count);
    if (count > 0 && this.#state === 'flowing') {
      this.#behindSince = undefined;
      if (now - this.#lastRecovery > 2 * RECOVERY_MAX_MS) this.#recoveryPause = RECOVERY_MIN_MS;
    }
    return sentAt === undefined ? undefined : now - sentAt;
  }

  /** True when a key frame should be asked for, so that this viewer can go on after it was behind. */
  recover(buffered: number, now: number): boolean {
    if (this.#state === 'behind' && this.#empty(buffered)) this.#state = 'needs-key-frame';
    if (this.#state !== 'needs-key-frame' || this.#behindSince === undefined) return false;
    if (now - this.#lastRecovery < this.#recoveryPause) return false;
    this.#lastRecovery = now;
    this.#recoveryPause = Math.min(2 * this.#recoveryPause, RECOVERY_MAX_MS);
    return true;
  }

  /** True when the connection should be closed: behind for TOO_SLOW_MS and its queue still not empty. */
  tooSlow(buffered: number, now: number): boolean {
    return (
      this.#behindSince !== undefined &&
      now - this.#behindSince > TOO_SLOW_MS &&
      !this.#empty(buffered)
    );
  }

  #full(buffered: number, bytesPerMs: number, now: number): boolean {
    const oldest = this.#unacked[0];
    return (
      buffered > Math.max(MAX_BUFFERED_FLOOR, bytesPerMs * MAX_BUFFERED_MS) ||
      this.#unacked.length >= MAX_UNACKED_UNITS ||
      (oldest !== undefined && now - oldest.at > MAX_UNACKED_MS)
    );
  }

  #empty(buffered: number): boolean {
    return buffered === 0 && this.#unacked.length === 0;
  }
}
