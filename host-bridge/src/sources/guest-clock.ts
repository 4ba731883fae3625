// A guest's clock in the time of this machine. The two have nothing in common but their rate, about; so the shortest way that a
// message took is taken for no time at all.

/** The difference may grow by this much: clocks drift, and a way may have become longer [us per us]. */
const DRIFT = 0.001;
/** Times further from the expected than this are another clock's: a VM that was stopped, or restored [us]. */
const JUMP_US = 1_000_000;

/** Maps times of one guest. Results never lie in the future, and never go back. */
export class GuestClock {
  #offset: number | undefined;
  #seenAt = 0;
  #last = 0;

  /**
   * @param guestUs what the guest's clock said [us]
   * @param nowUs this machine's CLOCK_MONOTONIC when the message came [us]
   * @returns the same moment in this machine's time [us]
   */
  toHost(guestUs: number, nowUs: number): number {
    const sample = nowUs - guestUs;
    const known = this.#offset;
    const expected = known === undefined ? sample : known + DRIFT * (nowUs - this.#seenAt);
    this.#offset = sample > expected + JUMP_US ? sample : Math.min(sample, expected);
    this.#seenAt = nowUs;
    this.#last = Math.max(this.#last, Math.floor(Math.min(nowUs, guestUs + this.#offset)));
    return this.#last;
  }
}
