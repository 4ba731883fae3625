// Proves that the tests of this package fail when a release, a lock or a check is taken out.
//   node mutate.mjs BUILD     BUILD/asan and BUILD/tsan are built
// Each mutant is one file with one place changed; it is compiled, linked in front of the archive that holds the file it
// replaces, and run against the one test that must notice. A mutant that survives fails the run.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mutants } from './mutants.mjs';

const WORKERS = 2;
/** What a test waits for before it fails, and what ends a mutant that hangs [ms]. */
const PATIENCE_MS = 800;
const LIMIT_MS = 15_000;
const FLAGS = { asan: 'address,undefined', tsan: 'thread' };

const here = dirname(fileURLToPath(import.meta.url));
const sources = resolve(here, '../../src');
const build = resolve(process.argv[2] ?? '.');
const folderOf = (name) => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const includes = [
  sources,
  join(folderOf('@scanbridge/protocol'), 'include'),
  join(folderOf('@scanbridge/test'), 'fakes/apple/include'),
].map((folder) => `-I${folder}`);
const scratch = mkdtempSync(join(tmpdir(), 'scanbridge-mutants-'));

function run(program, args, options = {}) {
  return new Promise((done) => {
    execFile(
      program,
      args,
      { timeout: LIMIT_MS, killSignal: 'SIGKILL', ...options },
      (error, _, stderr) => done({ failed: error !== null, stderr }),
    );
  });
}

/** Compiles and links a file in place of its original. @returns the program, or what the compiler said */
async function compile(name, text, file, program, sanitizer) {
  const source = join(scratch, `${name}.c`);
  const output = join(scratch, name);
  writeFileSync(source, text);
  const archives = [`lib${program}_main.a`, 'libproducer.a', 'libmacos_core.a', 'libapple_fakes.a'];
  const result = await run('cc', [
    ...[
      '-std=c11',
      '-D_POSIX_C_SOURCE=200809L',
      '-D_DEFAULT_SOURCE',
      '-w',
      '-g',
      '-O1',
      '-pthread',
    ],
    ...[`-fsanitize=${FLAGS[sanitizer]}`, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'],
    ...includes,
    `-I${dirname(join(sources, file))}`,
    ...[source, '-o', output],
    ...archives.map((archive) => join(build, sanitizer, archive)),
  ]);
  return result.failed ? { error: result.stderr } : { output };
}

function start(output, test) {
  return run('setarch', ['--addr-no-randomize', output, ...(test === undefined ? [] : [test])], {
    env: {
      ...process.env,
      SCANBRIDGE_TEST_PATIENCE_MS: String(PATIENCE_MS),
      ASAN_OPTIONS: 'detect_leaks=1',
      TSAN_OPTIONS: 'halt_on_error=1',
    },
  });
}

/** Finds a text whatever the formatter made of its white space. */
function pattern(text) {
  const escaped = text.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(escaped.replaceAll(/\s+/g, '\\s+'), 'g');
}

/** @returns {Promise<string | undefined>} what is wrong */
async function examine([file, from, to, program, test, sanitizer = 'asan'], index) {
  const original = readFileSync(join(sources, file), 'utf8');
  if ([...original.matchAll(pattern(from))].length !== 1)
    return `${file}: not found exactly once: ${from}`;
  const where = `${file}: "${from.trim()}" -> "${to.trim()}"`;
  const mutant = await compile(
    `m${index}`,
    original.replace(pattern(from), () => to),
    file,
    program,
    sanitizer,
  );
  if (mutant.error !== undefined) return `${where} does not compile: ${mutant.error}`;
  const { failed } = await start(mutant.output, test);
  return failed ? undefined : `${where} survives ${program}_test ${test} (${sanitizer})`;
}

/** Unchanged, every test that is used to kill a mutant must pass under the same conditions. */
async function control(program, tests, sanitizer) {
  const file = 'core/error.c';
  const text = readFileSync(join(sources, file), 'utf8');
  const good = await compile(`control-${program}-${sanitizer}`, text, file, program, sanitizer);
  if (good.error !== undefined) return `the control does not compile: ${good.error}`;
  for (const test of tests) {
    const { failed, stderr } = await start(good.output, test);
    if (failed) return `${program}_test ${test} (${sanitizer}) fails without a mutation: ${stderr}`;
  }
  return undefined;
}

/** @type {Map<string, { program: string, sanitizer: string, tests: Set<string> }>} */
const controls = new Map();
for (const [, , , program, test, sanitizer = 'asan'] of mutants) {
  const key = `${program} ${sanitizer}`;
  if (!controls.has(key)) controls.set(key, { program, sanitizer, tests: new Set() });
  controls.get(key).tests.add(test);
}
const tasks = [
  ...[...controls.values()].map((each) => () => control(each.program, each.tests, each.sanitizer)),
  ...mutants.map((mutant, i) => () => examine(mutant, i)),
];
const wrong = [];
let next = 0;
await Promise.all(
  Array.from({ length: WORKERS }, async () => {
    while (next < tasks.length) {
      const problem = await tasks[next++]();
      if (problem !== undefined) wrong.push(problem);
    }
  }),
);
rmSync(scratch, { recursive: true });
for (const problem of wrong) process.stderr.write(`${problem}\n`);
process.stdout.write(`${mutants.length} mutants, ${wrong.length} problems\n`);
process.exitCode = wrong.length === 0 ? 0 : 1;
