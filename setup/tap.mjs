// Reads the TAP that ava writes, one suite at a time.

/**
 * @typedef {object} Result
 * @property {string} title "file › test"
 * @property {'passed' | 'failed' | 'skipped'} outcome
 * @property {string} detail reason of a skip, or the diagnosis of a failure
 */

/**
 * Collects results line by line. A test that finds at run time that hardware is missing logs
 * "SKIP: reason" (test/harness/skip.ts) and passes; it counts as skipped.
 */
export class TapReader {
  /** @type {Result[]} */
  results = [];
  #last;
  #inDiagnosis = false;

  /** @param {(result: Result) => void} onResult called as soon as a test is known to have ended */
  constructor(onResult = () => {}) {
    this.onResult = onResult;
  }

  /** @param {string} line */
  add(line) {
    const result = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (result !== null) this.#begin(result[1] === undefined, result[2]);
    else if (this.#last === undefined) return;
    else if (line === '  ---') this.#inDiagnosis = true;
    else if (line === '  ...') this.#inDiagnosis = false;
    else if (this.#inDiagnosis) this.#last.detail += `${line}\n`;
    else this.#comment(line);
  }

  #begin(passed, text) {
    const skipped = /^(.*) # (SKIP|TODO)\b ?(.*)$/.exec(text);
    this.#last = {
      title: skipped?.[1] ?? text,
      outcome: skipped !== null ? 'skipped' : passed ? 'passed' : 'failed',
      detail: skipped !== null ? skipped[3] || 'marked as skipped in its source' : '',
    };
    this.results.push(this.#last);
    this.onResult(this.#last);
  }

  #comment(line) {
    const reason = /^#\s*(?:ℹ\s*)?SKIP: (.*)$/.exec(line.trim());
    if (reason === null || this.#last.outcome !== 'passed') return;
    this.#last.outcome = 'skipped';
    this.#last.detail = reason[1];
  }
}
