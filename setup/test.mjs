// npm test: set-up, then every check and every test there is.
//   node setup/test.mjs [all]     lint, schemas, native tests under sanitizers, fuzzers, all suites
//   node setup/test.mjs unit      what needs neither a desktop, a browser nor a VM: seconds
//   node setup/test.mjs coverage  the suites of "all" with a report of what they covered

import { existsSync } from 'node:fs';
import { run } from './command.mjs';
import { exitOnFailure, Failure } from './failure.mjs';
import { fuzzers, nativeTests } from './native-tests.mjs';
import { step } from './progress.mjs';
import { Report } from './report.mjs';
import { inRoot } from './root.mjs';
import { setUp } from './set-up.mjs';
import { TapReader } from './tap.mjs';
import { testedPackages } from './typescript.mjs';

/** Tests that start a desktop, a browser or a VM are named so, wherever they lie. */
const INTEGRATION = 'integration.test.js';
const BIOME = 'node_modules/@biomejs/biome/bin/biome';
const AVA = 'node_modules/ava/entrypoints/cli.mjs';
/** Keeps what it has built, so only the first call takes its minutes. */
const QEMU_BUILD = 'qemu-patches/build.sh';
const C8 = 'node_modules/c8/bin/c8.js';

const node = (script, ...args) => [process.execPath, [inRoot(script), ...args]];

/** A check that passes or fails as a whole. */
async function check(report, title, [command, args]) {
  try {
    await step(title, (update) =>
      run(title.replaceAll(' ', '-'), command, args, { onLine: (line) => update(line.trim()) }),
    );
    report.pass();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    report.fail('checks', title, `${error.output}\n${error.message}`);
  }
}

/**
 * Runs ava and reports each test.
 * @param {Report} report
 * @param {string} suite
 * @param {readonly string[]} patterns of compiled test files
 * @param {readonly string[]} [wrapper] a script that runs it, with its arguments
 */
async function ava(report, suite, patterns, wrapper = []) {
  const tap = new TapReader();
  const noise = [];
  const code = await step(suite, (update) =>
    run(
      `ava-${suite.replaceAll('/', '-')}`,
      process.execPath,
      [...wrapper, inRoot(AVA), '--tap', ...patterns],
      {
        allowFailure: true,
        onLine: (line) => {
          noise.push(line);
          tap.add(line);
          update(`${tap.results.length} tests`);
        },
      },
    ),
  );
  const again = await secondAttempt(suite, tap.results, wrapper);
  for (const result of tap.results) report.add(suite, again.get(result) ?? result);
  if (code !== 0 && !tap.results.some(({ outcome }) => outcome === 'failed'))
    report.fail(suite, `ava ended with ${code}`, noise.slice(-40).join('\n'));
}

/**
 * Runs the files of failed integration tests once more, each by itself: real desktops, browsers and guests share two
 * cores here, and one that was starved is told apart from one that is broken. A pass at the second attempt is said loudly.
 * @returns {Promise<Map<object, object>>} what replaces a failed result
 */
async function secondAttempt(suite, results, wrapper) {
  const folder = suite === 'test' ? 'test/dist' : `${suite}/dist/test`;
  const byFile = new Map();
  for (const result of results.filter(({ outcome }) => outcome === 'failed')) {
    const file = `${folder}/${result.title.split(' › ').slice(0, -1).join('/')}.test.js`;
    if (!file.endsWith(INTEGRATION) || !existsSync(inRoot(file))) continue;
    byFile.set(file, [...(byFile.get(file) ?? []), result]);
  }
  const replaced = new Map();
  for (const [file, failed] of byFile) {
    const args = [...wrapper, inRoot(AVA), '--tap', '--serial', file];
    const code = await step(`once more, alone: ${file}`, () =>
      run(`again-${file.replaceAll('/', '-')}`, process.execPath, args, { allowFailure: true }),
    );
    if (code !== 0) continue;
    for (const result of failed) {
      process.stderr.write(`FLAKY: ${suite}: ${result.title}: passed at the second attempt\n`);
      replaced.set(result, { ...result, outcome: 'passed' });
    }
  }
  return replaced;
}

/** @param {string} folder of a workspace */
const patternsOf = (folder) =>
  folder === 'test' ? ['test/dist/**/*.test.js'] : [`${folder}/dist/test/**/*.test.js`];

async function unit(report) {
  await setUp(['build', 'run'], 'all');
  const folders = testedPackages().filter((folder) => folder !== 'test');
  const patterns = folders.flatMap(patternsOf).concat(`!**/*${INTEGRATION}`);
  await ava(report, 'unit', patterns);
}

async function all(report) {
  await setUp(['build', 'run', 'test', 'qemu'], 'all');
  await check(report, 'biome', node(BIOME, 'check', '--error-on-warnings', inRoot()));
  await check(report, 'clang-format', node('setup/clang-format.mjs', '--check'));
  await check(report, 'protocol schemas', node('protocol/generate.mjs', '--check'));
  if (process.platform === 'linux' && existsSync(inRoot(QEMU_BUILD)))
    await check(report, 'QEMU with our patches', ['bash', [inRoot(QEMU_BUILD), '--qtest']]);
  await nativeTests(report, ['asan', 'tsan']);
  await fuzzers(report);
  for (const folder of testedPackages()) await ava(report, folder, patternsOf(folder));
}

async function coverage(report) {
  await setUp(['build', 'run', 'test', 'qemu'], 'all');
  const reporters = ['--reporter=text', '--reporter=html', '--reports-dir=coverage'];
  const wrapper = [inRoot(C8), ...reporters, '--exclude=**/test/**', process.execPath];
  await ava(report, 'coverage', testedPackages().flatMap(patternsOf), wrapper);
  process.stdout.write('coverage/index.html shows what was covered\n');
}

const MODES = { all, unit, coverage };

await exitOnFailure(async () => {
  const mode = process.argv[2] ?? 'all';
  if (!Object.hasOwn(MODES, mode))
    throw new Failure(`unknown kind of test "${mode}", known are ${Object.keys(MODES).join(', ')}`);
  const report = new Report();
  await MODES[mode](report);
  if (!report.finish()) process.exitCode = 1;
});
