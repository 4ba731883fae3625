/** A reason to stop that the user can act on: printed as it is, without a stack. */
export class Failure extends Error {
  name = 'Failure';

  /**
   * @param {string} message what happened and what to do
   * @param {string} [output] the end of what the failing command wrote
   */
  constructor(message, output = '') {
    super(message);
    this.output = output;
  }
}

/**
 * Runs `main` and turns a Failure into a message and exit code 1.
 * @param {() => Promise<void>} main
 */
export async function exitOnFailure(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.output !== '') process.stderr.write(`${error.output.trimEnd()}\n\n`);
    process.stderr.write(`scanbridge: ${error.message}\n`);
    process.exitCode = 1;
  }
}
