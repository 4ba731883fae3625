// The CDI specification as a file that runtimes read whenever a container is started.
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lease } from '@scanbridge/hydra/api';
import { cdiSpec } from './spec.js';

/** Folder of specifications that are made at run time; podman, CRI-O and containerd look there by themselves. */
export const CDI_FOLDER = '/var/run/cdi';
/** Vendor and class, as runtimes recommend it. */
const NAME = 'scanbridge.dev-scanout.json';

/**
 * Keeps one file; it is always whole. Writes follow one another; of those that are asked for meanwhile only the last is
 * done.
 */
export class CdiFile {
  readonly path: string;
  #wanted: readonly Lease[] | undefined;
  #writing: Promise<void> | undefined;

  /** @param folder is made when it is not there */
  constructor(private readonly folder: string) {
    this.path = join(folder, NAME);
  }

  /**
   * Resolves when the file tells these leases, or later ones.
   * @throws the system's error; the file is then what it was
   */
  async write(leases: readonly Lease[]): Promise<void> {
    this.#wanted = leases;
    while (this.#wanted !== undefined || this.#writing !== undefined) {
      this.#writing ??= this.#writeNext().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  /** Without leases there is no device. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  async #writeNext(): Promise<void> {
    const leases = this.#wanted ?? [];
    this.#wanted = undefined;
    await mkdir(this.folder, { recursive: true, mode: 0o755 });
    // Runtimes read *.json and *.yaml only, so they do not see it half written.
    const scratch = `${this.path}.new-${process.pid}`;
    const file = await open(scratch, 'w', 0o644);
    try {
      await file.writeFile(`${JSON.stringify(cdiSpec(leases), null, 2)}\n`);
      // Whatever the umask: rootless runtimes read it as their users.
      await file.chmod(0o644);
    } finally {
      await file.close();
    }
    await rename(scratch, this.path);
  }
}
