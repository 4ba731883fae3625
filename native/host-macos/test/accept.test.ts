// The acceptance script, started as a person with a Mac starts it, on fakes: it must not be broken when it is needed.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const PACKAGE = join(import.meta.dirname, '../..');
const SCRIPT = join(PACKAGE, 'accept/accept.mjs');
const run = promisify(execFile);

if (process.platform !== 'darwin') {
  test('the steps that need no Mac pass on fakes, and the others are skipped loudly', async (t) => {
    const { buildFakes } = await import('./fakes.js');
    await buildFakes();
    const { stdout } = await run(process.execPath, [
      SCRIPT,
      '--fakes',
      '--json',
      ...['--seconds', '0.3'],
    ]);
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    t.true(summary.fakes);
    const outcomes = new Map<string, string>(
      summary.steps.map((step: { name: string; outcome: string }) => [step.name, step.outcome]),
    );
    t.is(outcomes.get('VideoToolbox h264'), 'pass');
    t.is(outcomes.get('15 desktops of 160x96 at 30/s'), 'pass');
    t.is(outcomes.get('exporter'), 'skip');
    t.false([...outcomes.values()].includes('FAIL'), stdout);
  });

  test('without a Mac it says so', async (t) => {
    const error = await t.throwsAsync(run(process.execPath, [SCRIPT]));
    t.regex((error as unknown as { stderr: string }).stderr, /no Mac/);
  });
}
