import { readFileSync } from 'node:fs';
import { Failure } from './failure.mjs';
import { inRoot } from './root.mjs';

/** Fails on a Node that is older than package.json's `engines` asks for. */
export function checkNode() {
  const { engines } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const least = engines.node.replace('>=', '').split('.').map(Number);
  const have = process.versions.node.split('.').map(Number);
  const difference = [0, 1, 2].map((i) => have[i] - (least[i] ?? 0)).find((d) => d !== 0) ?? 0;
  if (difference < 0)
    throw new Failure(
      `Node ${engines.node} is needed, this is ${process.versions.node} (${process.execPath}). ` +
        'Install a newer one, from https://nodejs.org or your distribution.',
    );
}
