// A worker that starts loads Node and GStreamer: a tenth of a second of a whole core. When many have to start at once
// (an agent with many sessions, a source that fails for all of them), they take turns, so that those that run do not stop.

/** Lets `width` callers in at a time, the others in order. */
export class StartGate {
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(readonly width: number) {}

  /**
   * Calls `start` at once or when it is its turn.
   * @returns ends the turn, or the wait; further calls have no effect
   */
  enter(start: () => void): () => void {
    let state: 'waiting' | 'inside' | 'left' = 'waiting';
    const begin = () => {
      state = 'inside';
      this.#inside++;
      start();
    };
    if (this.#inside < this.width) begin();
    else this.#waiting.push(begin);
    return () => {
      if (state === 'inside') {
        this.#inside--;
        this.#waiting.shift()?.();
      } else if (state === 'waiting') {
        this.#waiting.splice(this.#waiting.indexOf(begin), 1);
      }
      state = 'left';
    };
  }
}
