// Bitrate that follows acknowledgements: pure logic, one estimator a viewer, and how a session joins them.
//
// Delay-based additive increase, multiplicative decrease. The delay of an access unit is the time from its send to its
// ack without what the viewer says it spent in decoder and drawing; its excess over the smallest delay of the last
// BASE_WINDOW_MS is a queue that somebody's buffer holds. Clocks of two machines are never compared.

export interface BitrateBounds {
  /** The encoder is never asked for less [kbit/s]. */
  readonly min: number;
  /** Where a session starts [kbit/s]. */
  readonly start: number;
  /** The encoder is never asked for more [kbit/s]. */
  readonly max: number;
}

export const DEFAULT_BOUNDS: BitrateBounds = { min: 300, start: 8000, max: 20_000 };

/** A queue longer than this is congestion [ms]. */
export const QUEUE_LIMIT_MS = 60;
/** Acks in a row that must show a queue before it counts: one late ack is jitter. */
export const QUEUE_ACKS = 3;
/** Rate after a decrease, as a share of the one before. */
export const DECREASE = 0.85;
/** Rate after a viewer fell behind and had to skip, as a share of the one before. */
export const SKIP_DECREASE = 0.5;
/** Increase a second without congestion, as a share of the present rate. */
export const INCREASE_PER_S = 0.08;
/** Least time between two decreases: the effect of the first must be seen before [ms]. */
export const DECREASE_PAUSE_MS = 300;
/** No increase for this long after a decrease [ms]. */
export const HOLD_MS = 2000;
/** How long the smallest delay counts [ms]. */
export const BASE_WINDOW_MS = 10_000;

/** What one viewer's connection carries. Times are of one monotonic clock [ms]. */
export class BitrateEstimator {
  #rate: number;
  #queueAcks = 0;
  #lastDecrease = Number.NEGATIVE_INFINITY;
  #lastUpdate: number | undefined;
  /** Minima of the two last half windows: a sliding minimum without a list. */
  #base = { since: 0, now: Number.POSITIVE_INFINITY, before: Number.POSITIVE_INFINITY };

  constructor(readonly bounds: BitrateBounds) {
    this.#rate = bounds.start;
  }

  /** What this viewer can take [kbit/s], within the bounds. */
  get kbps(): number {
    return Math.round(this.#rate);
  }

  /**
   * Takes an acknowledgement.
   * @param delayMs send to ack, without decoding and drawing
   */
  acked(delayMs: number, now: number): void {
    const delay = Math.max(0, delayMs);
    const queue = delay - this.#baseDelay(delay, now);
    this.#queueAcks = queue > QUEUE_LIMIT_MS ? this.#queueAcks + 1 : 0;
    if (this.#queueAcks >= QUEUE_ACKS) this.#decrease(DECREASE, now);
    else if (this.#queueAcks === 0) this.#increase(now);
    this.#lastUpdate = now;
  }

  /** The viewer fell behind: its queue was full and access units were skipped. */
  skipped(now: number): void {
    this.#decrease(SKIP_DECREASE, now);
  }

  #baseDelay(delay: number, now: number): number {
    const base = this.#base;
    if (now - base.since > BASE_WINDOW_MS / 2) {
      base.before = base.now;
      base.now = Number.POSITIVE_INFINITY;
      base.since = now;
    }
    base.now = Math.min(base.now, delay);
    return Math.min(base.now, base.before);
  }

  #decrease(factor: number, now: number): void {
    if (now - this.#lastDecrease < DECREASE_PAUSE_MS) return;
    this.#lastDecrease = now;
    this.#queueAcks = 0;
    this.#rate = Math.max(this.bounds.min, this.#rate * factor);
  }

  #increase(now: number): void {
    if (this.#lastUpdate === undefined || now - this.#lastDecrease < HOLD_MS) return;
    // A pause without acks says nothing about the connection, so it gives no increase beyond 200 ms worth.
    const seconds = Math.min(now - this.#lastUpdate, 200) / 1000;
    this.#rate = Math.min(this.bounds.max, this.#rate * (1 + INCREASE_PER_S * seconds));
  }
}

/**
 * The one bitrate of a session: the upper median of what its viewers can take. Half of the viewers at least can take
 * it; one slow viewer among two or more never lowers it, but is moved to key frames instead.
 */
export function sessionBitrate(kbps: readonly number[], bounds: BitrateBounds): number {
  if (kbps.length === 0) return bounds.start;
  const sorted = [...kbps].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

/** Whether a new target is worth telling the encoder: it differs by 5 %. */
export function worthApplying(current: number, target: number): boolean {
  return Math.abs(target - current) >= 0.05 * current;
}
