/** Counts access units and bytes and says how many there were in the last second. */
export class RateMeter {
  #units = 0;
  #bytes = 0;
  #since: number | undefined;
  /** Access units a second. */
  perSecond = 0;
  /** [kbit/s] */
  kbps = 0;

  count(bytes: number, now: number): void {
    this.#since ??= now;
    this.#units++;
    this.#bytes += bytes;
  }

  /** Ends a period; called about once a second. */
  second(now: number): void {
    const seconds = this.#since === undefined ? 0 : (now - this.#since) / 1000;
    this.perSecond = seconds > 0 ? Math.round((this.#units / seconds) * 10) / 10 : 0;
    this.kbps = seconds > 0 ? Math.round((this.#bytes * 8) / seconds / 1000) : 0;
    this.#units = this.#bytes = 0;
    this.#since = now;
  }
}
