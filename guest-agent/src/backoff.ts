/** Pauses between attempts: double each time up to a limit, spread so that many agents do not come at once. */
export class Backoff {
  #next: number;

  /** @param first pause [ms]  @param limit longest pause [ms] */
  constructor(
    private readonly first: number,
    private readonly limit: number,
  ) {
    this.#next = first;
  }

  /** The next pause [ms]. */
  next(): number {
    const pause = this.#next * (0.75 + Math.random() / 2);
    this.#next = Math.min(this.limit, this.#next * 2);
    return pause;
  }

  /** After success: the next failure starts with the first pause again. */
  reset(): void {
    this.#next = this.first;
  }
}
