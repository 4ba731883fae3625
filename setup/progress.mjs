// One live line on a terminal: what is going on, how far, for how long. Elsewhere plain lines, at most
// one every ten seconds, so that a log stays readable.

const PLAIN_INTERVAL_MS = 10_000;
const LIVE_INTERVAL_MS = 100;

/** Steps under way; those that run side by side share the live line. @type {Set<Step>} */
const active = new Set();
/** Redraws the live line while a step is under way, so that its seconds count. */
let ticker;

/** One step: its title, how far it is and since when. */
class Step {
  #title;
  #started = performance.now();
  #detail = '';
  #shown = 0;

  /** @param {string} title */
  constructor(title) {
    this.#title = title;
    active.add(this);
    if (!process.stderr.isTTY) this.#plain();
    else if (active.size === 1) ticker = setInterval(live, 500).unref();
  }

  /** @param {string} detail how far it is: "43 %, unpacking foo" or "[3/17]" */
  update(detail) {
    this.#detail = detail;
    const now = performance.now();
    const interval = process.stderr.isTTY ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (now - this.#shown < interval) return;
    this.#shown = now;
    if (process.stderr.isTTY) live();
    else this.#plain();
  }

  /** @param {'done' | 'failed'} how */
  end(how) {
    active.delete(this);
    const mark = how === 'done' ? '✓' : '✗';
    const line = `${mark} ${this.#title} (${this.#elapsed()})`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}\n` : `${line}\n`);
    if (active.size === 0) clearInterval(ticker);
    else if (process.stderr.isTTY) live();
  }

  toString() {
    return `${this.#title} (${this.#elapsed()}) ${this.#detail}`.trimEnd();
  }

  #elapsed() {
    const seconds = (performance.now() - this.#started) / 1000;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }

  #plain() {
    this.#shown = performance.now();
    process.stderr.write(`… ${this.#title}${this.#detail === '' ? '' : `: ${this.#detail}`}\n`);
  }
}

/** Draws the live line: all that is going on, as much of it as fits. */
function live() {
  const room = Math.floor(((process.stderr.columns || 80) - 2) / active.size) - 2;
  const line = [...active].map((step) => `… ${step}`.slice(0, room)).join('  ');
  process.stderr.write(`\r\x1b[K${line}`);
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
