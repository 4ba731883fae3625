// Starts the small native programs of bench/peers.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program of bench/peers: lines come out of it, and it ends when its input does. */
export class PeerProgram {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<unknown>;
  #words = '';

  /** @param onLine is told each line of its standard output */
  constructor(name: string, args: readonly string[], onLine: (line: string) => void) {
    const program = fileURLToPath(new URL(`../../peers/build/${name}`, import.meta.url));
    this.#name = name;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#ended = once(this.#child, 'close');
    this.#ended.catch(() => undefined); // stop() tells
    this.#child.stdin?.on('error', () => undefined); // of one that is gone: its status tells
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#words = (this.#words + text).slice(-4000);
    });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', onLine);
  }

  /** Settles when it is gone; rejects unless it ended in order. */
  async ended(): Promise<void> {
    const [status] = (await this.#ended) as [number | null];
    if (status !== 0) throw new Error(`${this.#name} ended with ${status}: ${this.#words.trim()}`);
  }

  /** Lets it say what it has to say, and end. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await this.ended();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
