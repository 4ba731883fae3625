// How the acceptance run reports: one line a step, with figures; a summary, and JSON for whoever compares runs.

/** Thrown by a step that cannot be done here; the text says why and what to do. */
export class Skip extends Error {}

export class Steps {
  #results = [];

  /**
   * @param {string} name
   * @param {() => Promise<{ ok: boolean, text: string, figures?: object }>} work
   */
  async run(name, work) {
    process.stderr.write(`      ${name} ...\r`);
    let result;
    try {
      const { ok, text, figures } = await work();
      result = { name, outcome: ok ? 'pass' : 'FAIL', text, figures };
    } catch (error) {
      const outcome = error instanceof Skip ? 'skip' : 'FAIL';
      const remedy = error.remedy ? ` ${error.remedy}` : '';
      result = { name, outcome, text: `${error.message}${remedy}` };
    }
    this.#results.push(result);
    process.stdout.write(`${result.outcome}  ${name}: ${result.text}\n`);
  }

  /** @returns {number} the exit code */
  finish(about, json) {
    const count = (outcome) => this.#results.filter((each) => each.outcome === outcome).length;
    const [passed, failed, skipped] = ['pass', 'FAIL', 'skip'].map(count);
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    if (json) process.stdout.write(`${JSON.stringify({ ...about, steps: this.#results })}\n`);
    return failed === 0 ? 0 : 1;
  }
}
