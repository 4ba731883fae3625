import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DesktopError } from './errors.js';

/** The programs of this package that run on a desktop (desktop-apps/). */
export const OWN_PROGRAMS = ['scene', 'vitals', 'painter', 'pw-painter'] as const;

/** One of them. */
export type OwnProgram = (typeof OWN_PROGRAMS)[number];

/** Absolute path of the built program. @throws DesktopError `program-missing` when it is not built. */
export function builtProgram(name: OwnProgram): string {
  const path = fileURLToPath(new URL(`../../../desktop-apps/build/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  throw new DesktopError('program-missing', name, `${name} is not built: run "npm run build"`);
}

/** Where `name` is run from: a copy in the runtime directory, which the desktop's user can reach. */
export function copiedProgram(runtimeDir: string, name: OwnProgram): string {
  return join(runtimeDir, 'bin', name);
}
