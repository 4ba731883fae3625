// npm run check:macos: compiles and links for macOS what runs there, so that no typing error lands.
//
// Without MACOS_SDK: with clang's own headers, our declarations of Apple's frameworks (test/fakes/apple) and of the C
// library (libc/), and linked with lists of the symbols that there are (symbols/). With MACOS_SDK=FOLDER, on a machine
// where the SDK's licence allows that: against the real headers and libraries, and the prototypes, constants and sizes of
// the fakes are compared with the real ones.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const TARGET = 'arm64-apple-macos13';
const here = import.meta.dirname;
const pack = resolve(here, '..');
const require = createRequire(import.meta.url);
const folderOf = (name) => dirname(require.resolve(`${name}/package.json`));
const fakes = join(folderOf('@scanbridge/test'), 'fakes/apple/include');
const sdk = process.env.MACOS_SDK;
const work = mkdtempSync(join(tmpdir(), 'scanbridge-check-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

function fail(message) {
  process.stderr.write(`check:macos: ${message}\n`);
  process.exit(1);
}

/** The first of these programs that there is. */
function find(...names) {
  const found = names.find((name) => spawnSync(name, ['--version']).status === 0);
  return found ?? fail(`none of ${names.join(', ')} is installed: apt-get install clang-14 lld-14`);
}

function run(program, args, what) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) fail(`${what}:\n${stderr}`);
}

const clang = find('clang-14', 'clang');
const system =
  sdk === undefined
    ? ['-nostdlibinc', '-I', fakes, '-isystem', join(here, 'libc')]
    : ['-isysroot', sdk];
const flags = ['-target', TARGET, '-Wall', '-Wextra', '-Werror', ...system];
const protocol = ['-I', join(folderOf('@scanbridge/protocol'), 'include')];

function compile(source, extra = []) {
  const object = join(work, `${source.replaceAll('/', '_')}.o`);
  run(clang, [...flags, ...extra, '-c', source, '-o', object], source);
  return object;
}

/** The addon: every C file below src/. */
function addonObjects() {
  const sources = readdirSync(join(pack, 'src'), { recursive: true })
    .filter((name) => name.endsWith('.c'))
    .sort();
  const napi = require('node-api-headers').include_dir;
  const extra = [
    '-std=c11',
    '-I',
    join(pack, 'src'),
    ...protocol,
    '-isystem',
    napi,
    '-DNAPI_VERSION=8',
  ];
  return sources.map((name) => compile(join(pack, 'src', name), extra));
}

/** What the QEMU series adds for macOS. Files that it makes are taken from the patches. */
function qemuObjects() {
  const series = resolve(pack, '../../qemu-patches/series');
  const tree = join(work, 'qemu');
  mkdirSync(tree);
  const files = [
    'ui/frame-export*',
    'include/ui/scanbridge-surface.h',
    'include/hw/virtio/virtio-gpu-observer.h',
  ];
  for (const name of readdirSync(series).sort()) {
    const patch = join(series, name);
    if (
      !/^\+\+\+ b\/(ui\/frame-export|include\/(ui\/scan|hw\/virtio\/virtio-gpu-o))/m.test(
        readFileSync(patch, 'utf8'),
      )
    )
      continue;
    // Outside of any repository, and of nothing but these files.
    execFileSync('git', ['apply', ...files.map((file) => `--include=${file}`), patch], {
      cwd: tree,
      env: { ...process.env, GIT_CEILING_DIRECTORIES: work },
    });
  }
  const extra = [
    '-std=gnu11',
    '-I',
    join(here, 'qemu'),
    '-I',
    join(tree, 'include'),
    '-I',
    join(tree, 'ui'),
  ];
  return [
    compile(join(tree, 'ui/frame-export-darwin.c'), extra),
    compile(join(tree, 'ui/frame-export-metal.m'), ['-fno-objc-arc', '-fblocks', ...extra]),
  ];
}

const FRAMEWORKS = [
  'CoreFoundation',
  'CoreMedia',
  'CoreVideo',
  'IOSurface',
  'VideoToolbox',
  'Metal',
];

/** A library of symbols and nothing else. */
function stub(name, install, symbols) {
  const file = join(work, `${name}.tbd`);
  const list = symbols.map((symbol) => `'${symbol}'`).join(', ');
  writeFileSync(
    file,
    `--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: '${install}'\nexports:\n  - targets: [ arm64-macos ]\n    symbols: [ ${list} ]\n...\n`,
  );
  return file;
}

function symbolsOf(name) {
  return readFileSync(join(here, 'symbols', `${name}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Links with nothing left undefined. */
function link(name, objects, libraries) {
  const output = join(work, name);
  if (sdk !== undefined) {
    const frameworks = FRAMEWORKS.concat('Foundation').flatMap((each) => ['-framework', each]);
    run(
      clang,
      [
        '-target',
        TARGET,
        '-isysroot',
        sdk,
        '-dynamiclib',
        ...objects,
        ...libraries,
        ...frameworks,
        '-lobjc',
        '-o',
        output,
      ],
      `linking ${name}`,
    );
    return;
  }
  const system = [
    stub('libSystem', '/usr/lib/libSystem.B.dylib', symbolsOf('libSystem')),
    stub('libobjc', '/usr/lib/libobjc.A.dylib', symbolsOf('libobjc')),
    ...FRAMEWORKS.map((each) =>
      stub(each, `/System/Library/Frameworks/${each}.framework/${each}`, symbolsOf(each)),
    ),
  ];
  const platform = ['-arch', 'arm64', '-platform_version', 'macos', '13.0', '13.0'];
  run(
    find('ld64.lld-14', 'ld64.lld'),
    [...platform, '-dylib', ...objects, ...libraries, ...system, '-o', output],
    `linking ${name}`,
  );
}

/** Prototypes, constants and sizes of the fakes against whatever headers are in use. */
function compareDeclarations() {
  const headers = ['CoreFoundation', 'CoreMedia', 'CoreVideo', 'IOSurface', 'VideoToolbox'];
  const lines = headers.map((name) => `#include <${name}/${name}.h>`);
  for (const name of headers) {
    const text = readFileSync(join(fakes, name, `${name}.h`), 'utf8').replaceAll(/\/\/.*$/gm, '');
    for (const [, prototype] of text.matchAll(/^((?:[A-Za-z]\w*[ *]+)+\w+\([^;{}]*\);)/gms))
      if (!prototype.startsWith('typedef')) lines.push(prototype);
    for (const [constant] of text.matchAll(/^extern const \w+ \w+;/gm)) lines.push(constant);
    for (const [, key, value] of text.matchAll(/\b(k\w+) = (-?\w+)/g))
      lines.push(`_Static_assert((long)${key} == (long)${value}, "${key}");`);
  }
  lines.push('_Static_assert(sizeof(CMTime) == 24, "CMTime");');
  const source = join(work, 'declarations.c');
  writeFileSync(source, `${lines.join('\n')}\n`);
  compile(source, ['-std=c11', '-Wno-deprecated-declarations']);
  return lines.length - headers.length;
}

const addon = addonObjects();
link('scanbridge_host_macos.node', addon, [stub('node', '@executable_path/node', nodeSymbols())]);
const exporter = qemuObjects();
link('frame-export.dylib', exporter, [stub('qemu', 'qemu', symbolsOf('qemu'))]);
const compared = compareDeclarations();
process.stdout.write(
  `check:macos: ${addon.length + exporter.length} files compiled for ${TARGET} and linked, ${compared} declarations compared, ${
    sdk === undefined
      ? 'with own declarations; MACOS_SDK compares them with the real ones'
      : `with ${sdk}`
  }\n`,
);

/** What Node has for addons. */
function nodeSymbols() {
  const { symbols } = require('node-api-headers');
  const names = new Set(
    Object.values(symbols).flatMap((each) => [
      ...each.js_native_api_symbols,
      ...each.node_api_symbols,
    ]),
  );
  return [...names].map((name) => `_${name}`);
}
