// The whole agent, as it was built here, in a guest: what an installed package would be.
import { cp, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Guest } from './guest.js';

/** Where the agent lies in the guest; every user may read it. */
export const AGENT_FOLDER = '/usr/local/lib/scanbridge';
/** Its command, in the guest's PATH. */
const COMMAND = '/usr/local/bin/scanbridge-agent';
/** What a package of this repository needs at run time, as far as it has it. */
const OWN_PARTS = ['package.json', 'dist/src', 'dist/lib', 'build/Release', 'src/kubelet'];
/** What packages of others have beside their code. */
const SUPERFLUOUS = /\.(map|[cm]?ts|md|markdown|flow)$|\/(test|tests|bench|docs|examples)$/;

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Puts the agent and all that it imports into a guest. */
export async function installAgentPackage(guest: Guest): Promise<void> {
  const stage = await mkdtemp(join(tmpdir(), 'scanbridge-agent-'));
  try {
    const root = join(stage, basename(AGENT_FOLDER));
    const done = new Set<string>();
    const from = createRequire(import.meta.url);
    await take('@scanbridge/agent', from, root, done);
    await guest.copyIn([root], dirname(AGENT_FOLDER));
    const main = `${AGENT_FOLDER}/node_modules/@scanbridge/agent/dist/src/cli.js`;
    await guest.exec(['sh', '-c', `chmod 755 ${main} && ln -s ${main} ${COMMAND}`]);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Copies a package and, each once, what it depends on. */
async function take(
  name: string,
  importer: NodeJS.Require,
  root: string,
  done: Set<string>,
): Promise<void> {
  const folder = await folderOf(name, importer);
  if (folder === undefined || done.has(name)) return;
  done.add(name);
  const to = join(root, 'node_modules', name);
  await mkdir(to, { recursive: true });
  for (const part of name.startsWith('@scanbridge/') ? OWN_PARTS : ['.']) {
    const source = join(folder, part);
    if (!(await stat(source).catch(() => undefined))) continue;
    const filter = (path: string) => path === source || !SUPERFLUOUS.test(path);
    await cp(source, join(to, part), { recursive: true, dereference: true, filter });
  }
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
  const own = createRequire(join(folder, 'package.json'));
  for (const dependency of Object.keys(manifest.dependencies ?? {})) {
    await take(dependency, own, root, done);
  }
}

/** A package's folder; undefined where it was not installed, as it is for another system. */
async function folderOf(name: string, importer: NodeJS.Require): Promise<string | undefined> {
  for (const modules of importer.resolve.paths(name) ?? []) {
    const folder = join(modules, name);
    if (await stat(join(folder, 'package.json')).catch(() => undefined)) return folder;
  }
  return undefined;
}
