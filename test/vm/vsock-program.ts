import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostCommand } from './host-command.js';

/** The program that the guest has as /opt/scanbridge/bin/vsock, seen from test/dist/vm. */
const SOURCE = fileURLToPath(new URL('../../vm/guest/vsock.c', import.meta.url));

/**
 * Compiles `vsock` for the host, where `vsock serve-unix PATH` is the other side of a guest's `vsock`.
 * Unlike {@link VsockPeer} it can be killed like any process, and costs next to nothing of what is measured.
 *
 * @param directory an existing folder that the program goes to.
 * @returns the program's path.
 * @throws VmError `BUILD_FAILED`.
 */
export async function vsockProgram(directory: string): Promise<string> {
  const program = join(directory, 'vsock');
  const args = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, SOURCE];
  await hostCommand('cannot compile vsock for the host', 'cc', args);
  return program;
}
