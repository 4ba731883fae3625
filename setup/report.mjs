import { existsSync, readFileSync } from 'node:fs';
import { inRoot } from './root.mjs';

const EXPECTED_SKIPS = 'test/expected-skips.json';

/**
 * What a test run has found: counts, the failures and the skips, and in CI the skips nobody expects.
 */
export class Report {
  #passed = 0;
  /** @type {{ suite: string, title: string, detail: string }[]} */
  #failed = [];
  /** @type {{ suite: string, title: string, detail: string }[]} */
  #skipped = [];

  /** @param {number} [count] */
  pass(count = 1) {
    this.#passed += count;
  }

  /** @param {string} suite @param {string} title @param {string} detail */
  fail(suite, title, detail = '') {
    this.#failed.push({ suite, title, detail });
    process.stdout.write(`\n✗ ${suite}: ${title}\n${detail.replace(/^/gm, '    ')}\n`);
  }

  /** @param {string} suite @param {string} title @param {string} reason */
  skip(suite, title, reason) {
    this.#skipped.push({ suite, title, detail: reason });
    process.stdout.write(`SKIP: ${suite}: ${title}: ${reason}\n`);
  }

  /** @param {string} suite @param {import('./tap.mjs').Result} result */
  add(suite, { title, outcome, detail }) {
    if (outcome === 'passed') this.pass();
    else if (outcome === 'failed') this.fail(suite, title, detail);
    else this.skip(suite, title, detail);
  }

  /** Prints the summary. @returns {boolean} whether the run is good */
  finish() {
    if (process.env.CI === 'true') this.#failUnexpectedSkips();
    const list = (heading, items) => {
      if (items.length === 0) return;
      process.stdout.write(`\n${heading}\n`);
      for (const { suite, title, detail } of items)
        process.stdout.write(
          `  ${suite}: ${title}${detail ? ` — ${detail.split('\n')[0]}` : ''}\n`,
        );
    };
    list('Skipped:', this.#skipped);
    list('Failed:', this.#failed);
    process.stdout.write(
      `\n${this.#passed} passed, ${this.#failed.length} failed, ${this.#skipped.length} skipped\n`,
    );
    return this.#failed.length === 0;
  }

  /** A skip hides a test: in CI each one has to be listed with the reason why it may be skipped. */
  #failUnexpectedSkips() {
    const expected = existsSync(inRoot(EXPECTED_SKIPS))
      ? JSON.parse(readFileSync(inRoot(EXPECTED_SKIPS), 'utf8'))
      : [];
    for (const { suite, title, detail } of this.#skipped)
      if (!expected.some((entry) => entry.suite === suite && entry.title === title))
        this.fail(suite, title, `skipped, but ${EXPECTED_SKIPS} does not list it: ${detail}`);
  }
}
