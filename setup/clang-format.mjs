// Formats our C and C++: node setup/clang-format.mjs --check | --write
import { execFileSync } from 'node:child_process';
import { run } from './command.mjs';
import { exitOnFailure, Failure } from './failure.mjs';
import { ROOT } from './root.mjs';

/** 14 first: releases differ in small ways, and CI has that one. */
const PROGRAMS = ['clang-format-14', 'clang-format'];

function findFormatter() {
  for (const program of PROGRAMS) {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' });
      return program;
    } catch {
      // Try the next one.
    }
  }
  throw new Failure('clang-format is missing: apt-get install clang-format-14');
}

/** QEMU's files follow QEMU's style, and are patches anyway. */
function sources() {
  const patterns = ['*.c', '*.cc', '*.h', '*.hh', '*.m', '*.mm'];
  const listed = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  return execFileSync('git', listed, { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && !path.startsWith('qemu-patches/'));
}

await exitOnFailure(async () => {
  const files = sources();
  if (files.length === 0) return;
  const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];
  await run('clang-format', findFormatter(), [...mode, ...files], { hint: 'npm run format' });
});
