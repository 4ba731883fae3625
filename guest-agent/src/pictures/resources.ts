// The agent in a VM, the bridge outside: virtio-gpu resource ids, and no pixel on the link.
import { type Capture, ResourceCapture, VirtioGpu } from '@scanbridge/native-guest';
import type { AgentSource, FromAgent, ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';
import type { PictureLink, PictureWay } from './way.js';

const MAX_STREAM = 65_535;

export class Resources implements PictureWay<ResourceCapture> {
  readonly #open = new Set<number>();
  #last = 0;

  private constructor(readonly host: VirtioGpu) {}

  /** @throws {VirtioGpuError} when this machine has no virtio-gpu that can be used */
  static open(): Resources {
    return new Resources(new VirtioGpu());
  }

  link(
    session: string,
    capture: Capture,
    send: (message: FromAgent) => void,
    log: Logger,
  ): PictureLink {
    if (!(capture instanceof ResourceCapture)) throw new TypeError('not a capture of this way');
    const stream = this.#nextStream();
    this.#open.add(stream);
    return new ResourceLink(session, stream, capture, send, log, () => this.#open.delete(stream));
  }

  async close(): Promise<void> {
    await this.host.close();
  }

  /** Numbers are used again as late as possible: what crosses a session's end is then of no stream. */
  #nextStream(): number {
    do this.#last = (this.#last % MAX_STREAM) + 1;
    while (this.#open.has(this.#last));
    return this.#last;
  }
}

/** One session's stream of ids. */
class ResourceLink implements PictureLink {
  readonly source: AgentSource;
  #closed = false;

  constructor(
    session: string,
    stream: number,
    private readonly capture: ResourceCapture,
    send: (message: FromAgent) => void,
    private readonly log: Logger,
    private readonly ended: () => void,
  ) {
    this.source = { kind: 'resource', stream };
    const { frames } = capture;
    frames.on(
      'geometry',
      ({ resource, width, height, stride, offset, format, modifier, backing }) => {
        send({
          type: 'resource',
          stream,
          resource,
          width,
          height,
          stride,
          offset,
          format,
          modifier: modifier.toString(16).padStart(16, '0'),
          backing,
        });
      },
    );
    frames.on('frame', ({ sequence, resource, pts, damage }) => {
      send({ type: 'frame', stream, sequence, resource, pts, ...(damage && { damage }) });
    });
    frames.on('gone', (resource) => send({ type: 'resource-gone', stream, resource }));
    frames.on('pause', () => {
      const message = 'The compositor has paused its screen cast.';
      send({ type: 'session-waiting', session, message });
    });
    frames.on('fallback', (reason) => {
      log.warn(`dma-bufs of this desktop are of no use, its pictures are copied: ${reason}`);
    });
  }

  accepted(): void {
    this.capture.frames.start();
  }

  message(message: ToAgent): void {
    if (message.type === 'release') {
      this.capture.frames.release(message.sequence);
    } else if (message.type === 'error' && message.resource !== undefined) {
      const { code, resource } = message;
      this.log.warn({ code, resource }, `the bridge refused a resource: ${message.message}`);
      this.capture.frames.avoidDmaBufs(`The bridge refused one (${code}): ${message.message}`);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.capture.frames.stop();
    this.capture.frames.removeAllListeners();
    this.ended();
  }
}
