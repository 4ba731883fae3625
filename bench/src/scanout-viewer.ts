// A client of the frame exporter in a process of its own, which can be frozen: a stopped process reads nothing from its
// socket and releases nothing. Run as a program it is that client:   node scanout-viewer.js SOCKET SCANOUT
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SurfaceClient } from '@scanbridge/native-host-linux';

const READY_SECONDS = 20;

export class Viewer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'close');
  }

  /** Settles when it has its first frame. */
  static async start(socket: string, scanout: number): Promise<Viewer> {
    const program = [fileURLToPath(import.meta.url), socket, String(scanout)];
    // A frozen process would outlive us, however we end: the kernel kills it then.
    const args = ['--pdeathsig', 'KILL', process.execPath, ...program];
    const viewer = new Viewer(spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'inherit'] }));
    const timeout = new AbortController();
    const outcome = await Promise.race([
      once(viewer.#child.stdout as NodeJS.ReadableStream, 'data').then(() => 'ready'),
      viewer.#ended.then(() => 'it ended'),
      sleep(READY_SECONDS * 1000, 'no frame came', { signal: timeout.signal }),
    ]);
    timeout.abort();
    if (outcome === 'ready') return viewer;
    await viewer[Symbol.asyncDispose]();
    throw new Error(`a client of scanout ${scanout} at ${socket}: ${outcome}`);
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [socket, scanout] = process.argv.slice(2) as [string, string];
  const client = await SurfaceClient.connect(socket, { name: 'bench', autoRelease: true });
  client.once('frame', () => console.log('frame'));
  client.once('end', () => process.exit(1));
  await client.subscribeScanout(Number(scanout));
}
