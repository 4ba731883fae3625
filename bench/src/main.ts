// npm run bench -- NAME [--quick] [--json]
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { type Benchmark, type Case, environment, type Result } from './bench.js';

const benchmarks: Readonly<Record<string, () => Promise<{ benchmark: Benchmark }>>> = {
  'desktop-latency': () => import('./desktop-latency.js'),
  'engine-paths': () => import('./engine-paths.js'),
  desktops: () => import('./desktops.js'),
  fanout: () => import('./fanout.js'),
  'guest-path': () => import('./guest-path.js'),
  heads: () => import('./heads.js'),
  join: () => import('./join.js'),
  lease: () => import('./lease.js'),
  'scanout-cost': () => import('./scanout-cost.js'),
  'scanout-export': () => import('./scanout-export.js'),
  vsock: () => import('./vsock.js'),
};
const names = Object.keys(benchmarks);

function table(cases: readonly Case[]): string {
  const columns = [...new Set(cases.flatMap((c) => Object.keys(c.metrics)))];
  const rows = [
    ['case', ...columns],
    ...cases.map((c) => [c.case, ...columns.map((name) => String(c.metrics[name] ?? ''))]),
  ];
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))).join('  ')).join('\n');
}

const argv = await yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .command('$0 <name>', 'Measures something, beside its peers where there are any', (y) =>
    y.positional('name', { choices: names, demandOption: true, type: 'string' }),
  )
  .option('quick', {
    type: 'boolean',
    default: false,
    describe: 'short rounds; not to be published',
  })
  .option('json', {
    type: 'boolean',
    default: false,
    describe: 'one JSON object on stdout, nothing else',
  })
  .strict()
  .parseAsync();

const name = argv.name as string;
const load = benchmarks[name];
if (!load) throw new Error(`no benchmark ${name}`);
const { benchmark } = await load();
const progress = (text: string) => process.stderr.write(`${name}: ${text}\n`);
progress(benchmark.about);
const cases = await benchmark.run({ quick: argv.quick, progress });
const result: Result = { bench: name, env: environment(argv.quick), cases };
process.stdout.write(argv.json ? `${JSON.stringify(result)}\n` : `${table(cases)}\n`);
process.exit(0);
