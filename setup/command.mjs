import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Failure } from './failure.mjs';
import { ROOT, STATE } from './root.mjs';

const TAIL_LINES = 60;

/**
 * Runs a command to its end. Its output goes to `.setup/log/NAME.log` and, line by line, to `onLine`.
 * @param {string} name of the log
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{
 *   cwd?: string, env?: Record<string, string>, onLine?: (line: string) => void,
 *   onStatus?: (line: string) => void, allowFailure?: boolean, hint?: string,
 * }} [options] `onStatus` gets the lines of file descriptor 3
 * @returns {Promise<number>} the exit code
 */
export async function run(name, command, args, options = {}) {
  mkdirSync(join(STATE, 'log'), { recursive: true });
  const log = createWriteStream(join(STATE, 'log', `${name}.log`));
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', options.onStatus === undefined ? 'ignore' : 'pipe'],
  });
  const tail = [];
  const ended = [child.stdout, child.stderr].map((stream) =>
    readLines(stream, (line) => {
      log.write(`${line}\n`);
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      options.onLine?.(line);
    }),
  );
  if (options.onStatus !== undefined) ended.push(readLines(child.stdio[3], options.onStatus));
  const code = await new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Failure(`cannot run ${command}: ${error.message}. ${options.hint ?? ''}`.trim())),
    );
    child.once('close', (exit, signal) => resolve(exit ?? `signal ${signal}`));
  });
  await Promise.all(ended);
  log.end();
  if (code !== 0 && !options.allowFailure) {
    const line = [command, ...args].join(' ');
    throw new Failure(
      `\`${line}\` failed (${code}); all of its output: .setup/log/${name}.log` +
        (options.hint === undefined ? '' : `\n${options.hint}`),
      tail.join('\n'),
    );
  }
  return code;
}

/** @param {import('node:stream').Readable} stream @param {(line: string) => void} each */
function readLines(stream, each) {
  return new Promise((resolve) => {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
      .on('line', each)
      .once('close', resolve);
  });
}
