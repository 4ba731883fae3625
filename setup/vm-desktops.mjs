import { symlinkSync } from 'node:fs';
import { Failure } from './failure.mjs';
import { Part } from './part.mjs';
import { step } from './progress.mjs';
import { inRoot } from './root.mjs';
import { setUp } from './set-up.mjs';

const VM = inRoot('test/dist/vm/main.js');

/**
 * Starts the virtual machine with its two desktops beside what `npm start` shows already. QEMU, the guest's kernel and
 * its image are built first if they are not there, which takes minutes, once. Without them the rest goes on: a
 * failure is told, not thrown.
 * @param {Part[]} parts the machine is put here, to be ended with the others
 * @param {string} frames where the bridge looks for the frame exporter's socket
 */
export async function startVm(parts, frames) {
  try {
    await setUp(['run', 'build', 'qemu'], 'all');
    await step('two desktops of a virtual machine', async (update) => {
      const machine = new Part('virtual machine', VM, ['start'], { background: true });
      parts.push(machine);
      let last = '';
      machine.errors?.on('line', (line) => {
        last = line.replace(/^vm: /, '');
        update(last);
      });
      const died = machine.died.catch((error) => {
        throw new Failure(`${error.message}: ${last}`);
      });
      const [line] = await Promise.race([machine.line(/^\{.*\}$/), died]);
      symlinkSync(JSON.parse(line).framesSocket, frames);
      // It may end later on, by a shutdown in the guest for one; the bridge then says so in its place.
      died.catch(() => {});
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(
      `The desktops of the virtual machine are not there: ${error.message}\n` +
        'All else goes on. "npm run vm -- start" shows more; "npm start -- --no-vm" does without.\n',
    );
  }
}
