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

/** QEMU's files follow QEMU's style; the protocol's headers are generated. */
const NOT_OURS_TO_FORMAT = ['qemu-patches/', 'protocol/include/'];

function sources() {
  const patterns = ['*.c', '*.cc', '*.h', '*.hh', '*.m', '*.mm'];
  const listed = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  return execFileSync('git', listed, { cwd: ROOT, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && !NOT_OURS_TO_FORMAT.some((folder) => path.startsWith(folder)));
}

await exitOnFailure(async () => {
  const files = sources();
  if (files.length === 0) return;
  const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];
  await run('clang-format', findFormatter(), [...mode, ...files], { hint: 'npm run format' });
});
