import { type ChildProcess, spawn } from 'node:child_process';
import { VmError } from './error.js';

/** Takes one line that tells a waiting person what is going on. */
export type Progress = (line: string) => void;

const running = new Set<ChildProcess>();

// An interrupted build must not go on without us.
process.on('exit', () => {
  for (const child of running) {
    child.kill();
  }
});

/** How much of a failed command's output its error shows. */
const ERROR_TAIL_BYTES = 4096;

/**
 * Runs a command of the host to its end and returns its standard output.
 *
 * @param purpose what the command is for, as the error begins: "cannot make the image".
 * @throws VmError `BUILD_FAILED` with the end of the command's output, and with the package to
 *   install where the command is missing.
 */
export function hostCommand(
  purpose: string,
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...options,
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let stdout = '';
    let tail = '';
    const keepTail = (text: string) => {
      tail = (tail + text).slice(-ERROR_TAIL_BYTES);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      keepTail(text);
    });
    child.stderr.setEncoding('utf8').on('data', keepTail);
    child.once('error', (cause: NodeJS.ErrnoException) => {
      running.delete(child);
      const hint =
        cause.code === 'ENOENT'
          ? `the command "${command}" is not installed; test/vm/debian-packages.txt lists the packages that have it`
          : cause.message;
      reject(new VmError('BUILD_FAILED', `${purpose}: ${hint}`, { cause }));
    });
    child.once('close', (status, signal) => {
      running.delete(child);
      if (status === 0) {
        resolve(stdout);
        return;
      }
      const how = signal ? `was ended by ${signal}` : `failed with status ${status}`;
      reject(new VmError('BUILD_FAILED', `${purpose}: ${command} ${how}:\n${tail.trimEnd()}`));
    });
  });
}
