import { SurfaceClient } from '@scanbridge/native-host-linux';
import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';

/** How long two compositors' worth of programs may take to show a window each, under emulation. */
const READY_SECONDS = 120;
/** How long the guest may take to see a display that was connected. */
const CONNECT_SECONDS = 30;
const SIGTERM = 15;

/** Waits until the guest knows of a display, so that its compositor starts with the size that was asked for. */
async function connected(
  guest: Guest,
  head: number,
  size: { width: number; height: number },
): Promise<void> {
  const modes = `/sys/class/drm/card0-Virtual-${head + 1}/modes`;
  const script = `until [ "$(head -n 1 ${modes})" = ${size.width}x${size.height} ]; do sleep 0.02; done`;
  await guest.exec(['sh', '-c', script], { timeoutSeconds: CONNECT_SECONDS });
}

/** Two desktops on the first two heads of a guest. */
export class TwoDesktops implements AsyncDisposable {
  readonly #process: GuestProcess;

  private constructor(process: GuestProcess) {
    this.#process = process;
  }

  /**
   * Connects displays to the guest's first two heads and waits until both show a desktop.
   *
   * @param guest with `frameExport` and at least two heads.
   * @param renderer `gles2` where the guest's GPU is `gl`.
   * @throws VmError `EXEC_FAILED` with what the guest's programs said.
   */
  static async show(
    guest: Guest,
    size: { width: number; height: number },
    renderer: 'pixman' | 'gles2',
  ): Promise<TwoDesktops> {
    const client = await SurfaceClient.connect(guest.framesSocket, { name: 'test VM' });
    try {
      for (const head of [0, 1]) {
        await client.configureScanout(head, size);
        await connected(guest, head, size);
      }
    } finally {
      await client.close();
    }
    let words = '';
    let ready = () => {};
    const shown = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const process = await guest.start(['two-desktops', `${size.width}x${size.height}`, renderer], {
      onStdout: (chunk) => {
        if (chunk.includes('ready\n')) ready();
      },
      onStderr: (chunk) => {
        words = (words + chunk.toString()).slice(-4096);
      },
    });
    const desktops = new TwoDesktops(process);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, READY_SECONDS * 1000, `were not there after ${READY_SECONDS} s`);
    });
    const ended = process.exit.then(({ status }) => `ended with status ${status}`);
    try {
      const failure = await Promise.race([shown, ended, late]);
      if (failure) {
        throw new VmError('EXEC_FAILED', `the guest's desktops ${failure}:\n${words.trimEnd()}`);
      }
      return desktops;
    } catch (error) {
      await desktops[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Settles when the desktops end by themselves, or when the guest does. */
  async ended(): Promise<void> {
    await this.#process.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill(SIGTERM).catch(() => undefined);
    await this.#process.exit.catch(() => undefined);
  }
}
