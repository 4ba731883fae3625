import { readFile } from 'node:fs/promises';

/** What the exporter calls memory of its own, which it copies pictures to. */
const EXPORTERS_OWN = 'frame-export';

/** Names of the shared memories that a process has mapped, by "device inode". */
export async function sharedMemories(pid: number | 'self'): Promise<Map<string, string>> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  const found = new Map<string, string>();
  for (const line of maps.split('\n')) {
    const match = /^\S+ \S+ \S+ (\S+ \d+) +\/memfd:(\S+)/.exec(line);
    if (match) found.set(match[1] as string, match[2] as string);
  }
  return found;
}

/**
 * Whether these memories, by "device inode", are the very ones into which QEMU's device transfers the guest's pixels:
 * QEMU has them mapped too, and under another name than the exporter's own memory.
 */
export async function areTheDevices(given: Iterable<string>, qemu: number): Promise<boolean> {
  const theirs = await sharedMemories(qemu);
  const names = [...given].map((id) => theirs.get(id));
  return names.length > 0 && names.every((name) => name !== undefined && name !== EXPORTERS_OWN);
}
