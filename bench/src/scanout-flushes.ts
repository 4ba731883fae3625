// When QEMU got each flush of the guest: the one clock against which every way out of the VM is measured. It is the
// trace event virtio_gpu_cmd_res_flush, at the entry of the command, before any display is told.
import { open, stat } from 'node:fs/promises';
import { PeerProgram } from './scanout-peer.js';

/** Translates CLOCK_REALTIME to CLOCK_MONOTONIC; a time daemon may slew the one while we measure. */
export class Clocks implements Disposable {
  /** CLOCK_MONOTONIC [us] and what CLOCK_REALTIME was ahead of it then [us], ascending. */
  readonly #readings: { at: number; ahead: number }[] = [];
  readonly #program: PeerProgram;

  private constructor(onReading: () => void) {
    this.#program = new PeerProgram('clocks', [], (line) => {
      const [monotonic, real] = line.split(' ').map(BigInt) as [bigint, bigint];
      this.#readings.push({ at: Number(monotonic) / 1000, ahead: Number(real - monotonic) / 1000 });
      onReading();
    });
  }

  static async start(): Promise<Clocks> {
    let clocks: Clocks | undefined;
    await new Promise<void>((resolve, reject) => {
      clocks = new Clocks(resolve);
      clocks.#program.ended().then(() => reject(new Error('clocks ended')), reject);
    });
    return clocks as Clocks;
  }

  /** @param real CLOCK_REALTIME [us] @returns CLOCK_MONOTONIC [us] */
  monotonic(real: number): number {
    let low = 0;
    let high = this.#readings.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const { at, ahead } = this.#readings[middle] as { at: number; ahead: number };
      if (at + ahead <= real) low = middle;
      else high = middle - 1;
    }
    return real - (this.#readings[low]?.ahead ?? Number.NaN);
  }

  [Symbol.dispose](): void {
    this.#program.kill();
  }
}

/** One RESOURCE_FLUSH. */
export interface Flush {
  readonly resource: number;
  /** CLOCK_MONOTONIC [us]. */
  readonly at: number;
}

const LINE = /^\d+@(\d+\.\d{6}):virtio_gpu_cmd_res_flush res 0x([0-9a-f]+),/;

/** QEMU's trace of flushes. Its cost, a line in a file, is the same for whoever is measured. */
export class FlushTrace {
  readonly #path: string;
  readonly #clocks: Clocks;
  #from = 0;

  constructor(path: string, clocks: Clocks) {
    this.#path = path;
    this.#clocks = clocks;
  }

  /** What makes a QEMU write the trace to the file `path`. */
  static qemuArgs(path: string): string[] {
    return ['-D', path, '-msg', 'timestamp=on', '-trace', 'virtio_gpu_cmd_res_flush'];
  }

  /** Forgets the flushes until now. */
  async mark(): Promise<void> {
    this.#from = (await stat(this.#path)).size;
  }

  /** The flushes since mark(). */
  async flushes(): Promise<Flush[]> {
    const file = await open(this.#path);
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(size - this.#from);
      await file.read(buffer, 0, buffer.length, this.#from);
      const flushes: Flush[] = [];
      for (const line of buffer.toString('latin1').split('\n')) {
        const match = LINE.exec(line);
        if (!match) continue;
        const real = Number(match[1]?.replace('.', ''));
        flushes.push({
          resource: Number.parseInt(match[2] as string, 16),
          at: this.#clocks.monotonic(real),
        });
      }
      return flushes;
    } finally {
      await file.close();
    }
  }
}
