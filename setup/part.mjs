import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Failure } from './failure.mjs';

/** How long a part may take to end in order. */
const END_LIMIT_MS = 6000;

/** One of the processes of `npm start`. It does not see the terminal's Ctrl-C, so that they end in order. */
export class Part {
  #child;
  #ending = false;

  /**
   * @param {string} name for messages
   * @param {string} script
   * @param {string[]} args
   * @param {{ background?: boolean }} [options] background: at low priority, and `errors` instead of the terminal
   */
  constructor(name, script, args, { background = false } = {}) {
    this.name = name;
    const command = [process.execPath, script, ...args];
    if (background) command.unshift('nice', '-n', '10');
    // Should this process be killed, they are told to end.
    if (process.platform === 'linux') command.unshift('setpriv', '--pdeathsig', 'TERM');
    this.#child = spawn(command[0], command.slice(1), {
      detached: true,
      stdio: ['ignore', 'pipe', background ? 'pipe' : 'inherit'],
    });
    /** Rejects when the part ends without having been told to. */
    this.died = new Promise((_, reject) => {
      this.#child.once('error', (error) => reject(new Failure(`${name}: ${error.message}`)));
      this.#child.once('exit', (code, signal) => {
        if (!this.#ending) reject(new Failure(`the ${name} ended (${signal ?? `code ${code}`})`));
      });
    });
    this.died.catch(() => {});
    this.exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.lines = createInterface({ input: this.#child.stdout });
    /** Lines of standard error, of a part in the background. */
    this.errors = background ? createInterface({ input: this.#child.stderr }) : undefined;
  }

  /** Resolves with the match of the first line of output that `pattern` matches. */
  line(pattern) {
    return new Promise((resolve) => {
      this.lines.on('line', (line) => {
        const match = pattern.exec(line);
        if (match !== null) resolve(match);
      });
    });
  }

  /** Asks it to end, insists after a while, and leaves nothing of what it had started. */
  async end() {
    this.#ending = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_LIMIT_MS);
      await this.exited;
      clearTimeout(timer);
    }
    try {
      process.kill(-this.#child.pid, 'SIGKILL'); // its process group: a build that it had under way
    } catch {
      // Nothing was left.
    }
  }
}
