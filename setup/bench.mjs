// npm run bench -- NAME [--quick] [--json]: set-up, then a benchmark. Progress goes to stderr, so that
// stdout holds the result alone.
import { spawnSync } from 'node:child_process';
import { exitOnFailure } from './failure.mjs';
import { inRoot } from './root.mjs';
import { setUp } from './set-up.mjs';

await exitOnFailure(async () => {
  await setUp(['run', 'build', 'test'], 'all');
  const args = [inRoot('bench/dist/src/main.js'), ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
});
