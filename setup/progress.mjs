// One live line on a terminal: what is going on, how far, for how long. Elsewhere plain lines, at most
// one every ten seconds, so that a log stays readable.

const PLAIN_INTERVAL_MS = 10_000;
const LIVE_INTERVAL_MS = 100;

/** The line of one step. */
class Step {
  #title;
  #started = performance.now();
  #detail = '';
  #shown = 0;
  #timer;

  /** @param {string} title */
  constructor(title) {
    this.#title = title;
    if (process.stderr.isTTY) this.#timer = setInterval(() => this.#live(), 500).unref();
    else this.#plain();
  }

  /** @param {string} detail how far it is: "43 %, unpacking foo" or "[3/17]" */
  update(detail) {
    this.#detail = detail;
    const now = performance.now();
    const interval = process.stderr.isTTY ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (now - this.#shown < interval) return;
    if (process.stderr.isTTY) this.#live();
    else this.#plain();
  }

  /** @param {'done' | 'failed'} how */
  end(how) {
    clearInterval(this.#timer);
    const mark = how === 'done' ? '✓' : '✗';
    const line = `${mark} ${this.#title} (${this.#elapsed()})`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}\n` : `${line}\n`);
  }

  #elapsed() {
    const seconds = (performance.now() - this.#started) / 1000;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }

  #live() {
    this.#shown = performance.now();
    const line = `… ${this.#title} (${this.#elapsed()}) ${this.#detail}`;
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  }

  #plain() {
    this.#shown = performance.now();
    process.stderr.write(`… ${this.#title}${this.#detail === '' ? '' : `: ${this.#detail}`}\n`);
  }
}

/**
 * Runs `work` under a progress line.
 * @template T
 * @param {string} title
 * @param {(update: (detail: string) => void) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const line = new Step(title);
  try {
    const result = await work((detail) => line.update(detail));
    line.end('done');
    return result;
  } catch (error) {
    line.end('failed');
    throw error;
  }
}
