import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';
import { fingerprint, isFresh, remember } from './stamp.mjs';

const VIEWER = 'host-bridge/viewer';

/** Folders of the workspaces. */
export function workspaces() {
  return JSON.parse(readFileSync(inRoot('package.json'), 'utf8')).workspaces;
}

/** What `npm start` runs; test/ and bench/ are compiled by those who run them. */
const PRODUCT = [
  'protocol',
  ...['native/guest', 'native/host-linux', 'native/host-macos', 'native/vsock'],
  ...['hydra-client', 'guest-agent', 'host-bridge'],
];

/**
 * Compiles what has changed: TypeScript, then the viewer page.
 * @param {'product' | 'all'} scope
 */
export async function ensureCompiled(scope) {
  await ensureTypeScript(scope);
  await ensureViewer();
}

async function ensureTypeScript(scope) {
  const folders = (scope === 'all' ? workspaces() : PRODUCT).filter((folder) =>
    existsSync(inRoot(folder, 'tsconfig.json')),
  );
  const state = fingerprint(
    ['tsconfig.json', 'tsconfig.base.json', 'package-lock.json', ...folders],
    (name) => /\.[cm]?tsx?$|tsconfig.*\.json$|package.*\.json$/.test(name),
  );
  const name = `typescript-${scope}`;
  const products = folders.map((folder) => `${folder}/dist`);
  if (isFresh(name, state, products)) return;
  const projects = scope === 'all' ? [] : folders.concat(existsSync(inRoot(VIEWER)) ? VIEWER : []);
  await step('TypeScript', () => run(name, process.execPath, [tsc(), '-b', ...projects]));
  for (const folder of folders) removeOrphanTests(folder);
  remember(name, state);
}

const tsc = () => inRoot('node_modules/typescript/bin/tsc');

async function ensureViewer() {
  if (!existsSync(inRoot(VIEWER, 'build.mjs'))) return;
  const state = fingerprint([VIEWER, 'protocol/src', 'protocol/package.json', 'package-lock.json']);
  if (isFresh('viewer', state, [`${VIEWER}/dist`])) return;
  await step('viewer page', () => run('viewer', process.execPath, [inRoot(VIEWER, 'build.mjs')]));
  remember('viewer', state);
}

/** The compiler leaves the output of a test that was renamed or removed, and ava would run it. */
function removeOrphanTests(folder) {
  const dist = inRoot(folder, 'dist');
  for (const name of readdirSync(dist, { recursive: true }).filter(isTest))
    if (!existsSync(inRoot(folder, name.replace(/\.js$/, '.ts')))) rmSync(join(dist, name));
}

/** Packages that have compiled tests. @returns {string[]} */
export function testedPackages() {
  return workspaces().filter((folder) => {
    const tests = inRoot(folder, folder === 'test' ? 'dist' : 'dist/test');
    return existsSync(tests) && readdirSync(tests, { recursive: true }).some(isTest);
  });
}

/** @param {string} name */
const isTest = (name) => name.endsWith('.test.js');
