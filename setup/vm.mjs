// npm run vm -- COMMAND: set-up, then the command line of the test VM (test/vm/main.ts).
import { spawnSync } from 'node:child_process';
import { exitOnFailure } from './failure.mjs';
import { inRoot } from './root.mjs';
import { setUp } from './set-up.mjs';

await exitOnFailure(async () => {
  await setUp(['run', 'build', 'test', 'qemu'], 'all');
  const args = [inRoot('test/dist/vm/main.js'), ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
});
