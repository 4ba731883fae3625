// What each chain of an engine costs, and how long a switch between two takes: with the fake GPU of the engines' tests,
// because a real one is seldom there.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Benchmark, Case } from './bench.js';

const PACKAGE = dirname(
  createRequire(import.meta.url).resolve('@scanbridge/native-host-linux/package.json'),
);
const BUILD = join(PACKAGE, 'build', 'bench');
const run = promisify(execFile);

export const benchmark: Benchmark = {
  about:
    "720p pictures through each engine's paths with a fake GPU: copies and CPU of this process without the fake's own work, and the longest pause when a path fails",
  async run({ quick, progress }) {
    progress('building the program that measures');
    const options = ['-DSCANBRIDGE_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release'];
    await run('cmake', ['-S', PACKAGE, '-B', BUILD, '-G', 'Ninja', ...options]);
    await run('cmake', ['--build', BUILD, '--parallel', '2', '--target', 'paths_bench']);
    progress('measuring');
    const { stdout } = await run(join(BUILD, 'test', 'paths_bench'), [quick ? '60' : '600']);
    return stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Case);
  },
};
