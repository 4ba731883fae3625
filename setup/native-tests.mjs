// Unit tests and fuzzers of the C and C++ code. A CMake project takes part by having the option
// SCANBRIDGE_SANITIZE, and SCANBRIDGE_FUZZ where it has fuzzers (programs named *_fuzzer).

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';
import { Failure } from './failure.mjs';
import { cmakeBuild } from './native.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';

const SANITIZERS = { asan: 'address,undefined', tsan: 'thread' };
/** Time of one fuzzer in a test run, seconds. */
const FUZZ_SECONDS = 10;
const CLANGS = ['14', '19', '18', '16'].map((version) => `clang++-${version}`).concat('clang++');

/** @returns {{ name: string, folder: string, text: string }[]} */
function projects() {
  return readdirSync(inRoot('native'))
    .flatMap((name) => [join('native', name, 'test'), join('native', name)])
    .filter((folder) => existsSync(inRoot(folder, 'CMakeLists.txt')))
    .map((folder) => ({
      name: folder.split('/')[1],
      folder,
      text: readFileSync(inRoot(folder, 'CMakeLists.txt'), 'utf8'),
    }))
    .filter(({ text }) => text.includes('SCANBRIDGE_SANITIZE'));
}

/**
 * Runs every native project's tests under the given sanitizers.
 * @param {import('./report.mjs').Report} report
 * @param {readonly (keyof typeof SANITIZERS)[]} sanitizers
 */
export async function nativeTests(report, sanitizers) {
  for (const project of projects())
    for (const sanitizer of sanitizers) await testProject(report, project, sanitizer);
}

async function testProject(report, { name, folder }, sanitizer) {
  const suite = `native/${name} (${sanitizer})`;
  const build = join('native', name, 'build', sanitizer);
  const log = `native-${name}-${sanitizer}`;
  try {
    await step(`build ${suite}`, (update) =>
      cmakeBuild(
        log,
        folder,
        build,
        [
          `-DSCANBRIDGE_SANITIZE=${SANITIZERS[sanitizer]}`,
          '-DSCANBRIDGE_TESTS=ON',
          '-DCMAKE_BUILD_TYPE=RelWithDebInfo',
        ],
        update,
      ),
    );
    await step(suite, (update) => runCtest(report, suite, join('native', name), build, update));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    report.fail(suite, 'build', `${error.output}\n${error.message}`);
  }
}

async function runCtest(report, suite, project, build, update) {
  const output = [];
  // ThreadSanitizer does not know the address layouts of newer kernels: no randomisation for it.
  const code = await run(
    `${suite.replaceAll(/[^a-z]+/g, '-')}ctest`,
    'setarch',
    ['--addr-no-randomize', 'ctest', '--test-dir', inRoot(build), '--output-on-failure'].concat(
      '--timeout',
      '120',
      '--parallel',
      '2',
      '--no-tests=error',
    ),
    {
      env: sanitizerEnv(project),
      allowFailure: true,
      onLine: (line) => {
        output.push(line);
        const progress = /^ *(\d+)\/(\d+) Test/.exec(line);
        if (progress !== null) update(`[${progress[1]}/${progress[2]}]`);
      },
    },
  );
  let failed = 0;
  for (const line of output) {
    const result = /^ *\d+\/\d+ Test +#\d+: (\S+) \.*(\*{3}| +)(\w+)/.exec(line);
    if (result === null) continue;
    const [, title, , outcome] = result;
    if (outcome === 'Passed') report.pass();
    else if (outcome === 'Skipped') report.skip(suite, title, skipReason(output, title));
    else {
      failed++;
      report.fail(suite, title, outputOfTest(output, title));
    }
  }
  if (code !== 0 && failed === 0) report.fail(suite, 'ctest', output.slice(-40).join('\n'));
}

/** What ctest printed below the line of a test, up to the line of the next one. */
function outputOfTest(output, title) {
  const start = output.findIndex((line) => line.includes(`: ${title} .`));
  const rest = output.slice(start + 1);
  const end = rest.findIndex((line) => /^ *(Start +\d+:|\d+\/\d+ Test)/.test(line));
  return rest.slice(0, end < 0 ? rest.length : end).join('\n');
}

function skipReason(output, title) {
  return /Skipped\n(.*)|SKIP: (.*)/.exec(outputOfTest(output, title))?.[1] ?? 'no reason given';
}

function sanitizerEnv(project) {
  const suppressions = inRoot(project, 'test/tsan.supp');
  const tsan = existsSync(suppressions) ? `:suppressions=${suppressions}` : '';
  return {
    ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    TSAN_OPTIONS: `halt_on_error=1${tsan}`,
  };
}

/** Runs each project's fuzzers for a short while. @param {import('./report.mjs').Report} report */
export async function fuzzers(report) {
  for (const { name, folder, text } of projects()) {
    if (!text.includes('SCANBRIDGE_FUZZ')) continue;
    const suite = `native/${name} (fuzz)`;
    const build = join('native', name, 'build', 'fuzz');
    try {
      await step(`build ${suite}`, (update) =>
        cmakeBuild(`native-${name}-fuzz`, folder, build, ['-DSCANBRIDGE_FUZZ=ON'], update, {
          CXX: clang(),
          CC: clang().replace('clang++', 'clang'),
        }),
      );
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      report.fail(suite, 'build', `${error.output}\n${error.message}`);
      continue;
    }
    for (const fuzzer of readdirSync(inRoot(build)).filter((each) => each.endsWith('_fuzzer')))
      await fuzz(report, suite, join(build, fuzzer), fuzzer);
  }
}

async function fuzz(report, suite, program, title) {
  const limits = [`-max_total_time=${FUZZ_SECONDS}`, '-rss_limit_mb=1024', '-timeout=10'];
  const output = [];
  const code = await step(`${suite} ${title}`, (update) =>
    run(`fuzz-${title}`, inRoot(program), limits, {
      cwd: inRoot(program, '..'),
      allowFailure: true,
      onLine: (line) => {
        output.push(line);
        if (line.startsWith('#')) update(line.split(' ')[0]);
      },
    }),
  );
  if (code === 0) report.pass();
  else report.fail(suite, title, output.slice(-40).join('\n'));
}

function clang() {
  const path = (process.env.PATH ?? '').split(':');
  const found = CLANGS.find((name) => path.some((folder) => existsSync(join(folder, name))));
  if (found === undefined) throw new Failure(`none of ${CLANGS.join(', ')} is installed`);
  return found;
}
