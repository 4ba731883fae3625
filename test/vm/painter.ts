import type { GuestProcess } from './channel.js';
import { VmError } from './error.js';
import type { Guest } from './guest.js';

/** Formats that kms-paint can show; the host sees the resource in this format. */
export type PaintFormat = 'XR24' | 'AR24' | 'XB24' | 'AB24';

/** What a head shows. Sizes in pixels, `stride` in bytes, `resources` the host's ids of its two buffers. */
export interface ShownHead {
  head: number;
  width: number;
  height: number;
  format: PaintFormat;
  stride: number;
  resources: [number, number];
}

/** A connector of the guest. Its size is the one that the host prefers, 0 if it is disconnected. */
export interface HeadState {
  head: number;
  connected: boolean;
  width: number;
  height: number;
}

/** What a run of page flips did. */
export interface FlipReport {
  head: number;
  flips: number;
  seconds: number;
  worstGapMs: number;
  /** Of the last flip. */
  sequence: number;
}

/** A resource that no head shows. */
export interface PaintedResource {
  resource: number;
  width: number;
  height: number;
  format: PaintFormat;
  stride: number;
}

/** A change that kms-paint made by itself, because it follows the host. */
export type PaintEvent = ({ event: 'shown' } & ShownHead) | { event: 'off'; head: number };

/**
 * Drives kms-paint in a guest (guest/kms-paint.c), which shows known pictures on the guest's heads. One
 * painter a guest: it is the DRM master.
 */
export class Painter implements AsyncDisposable {
  #process!: GuestProcess;
  readonly #onEvent: (event: PaintEvent) => void;
  /** Who waits for an answer; at most one does. */
  readonly #waiting: { resolve: (answer: never) => void; reject: (error: Error) => void }[] = [];
  #text = '';
  #last: Promise<unknown> = Promise.resolve();
  #ended: VmError | undefined;

  private constructor(onEvent: (event: PaintEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Starts kms-paint. */
  static async start(
    guest: Guest,
    onEvent: (event: PaintEvent) => void = () => undefined,
  ): Promise<Painter> {
    const painter = new Painter(onEvent);
    let errors = '';
    painter.#process = await guest.start(['kms-paint'], {
      onStdout: (chunk) => painter.#receive(chunk.toString()),
      onStderr: (chunk) => {
        errors += chunk.toString();
      },
    });
    painter.#process.exit.then(
      ({ status }) => painter.#end(`it ended with status ${status}: ${errors.trim()}`),
      (error: Error) => painter.#end(error.message),
    );
    return painter;
  }

  /** The guest's connectors. */
  async heads(): Promise<HeadState[]> {
    return (await this.#ask<{ heads: HeadState[] }>('heads')).heads;
  }

  /**
   * Shows the background and sequence 1 on a head.
   *
   * @param size of the mode in pixels; left out it is the one that the host prefers.
   * @param surface makes the buffers larger than the picture: their size, and the picture's place.
   */
  show(
    head: number,
    size: { width: number; height: number } = { width: 0, height: 0 },
    format: PaintFormat = 'XR24',
    surface?: { width: number; height: number; left: number; top: number },
  ): Promise<ShownHead> {
    const rest = surface
      ? ` ${surface.width}x${surface.height}+${surface.left}+${surface.top}`
      : '';
    return this.#ask(`show ${head} ${size.width}x${size.height} ${format}${rest}`);
  }

  /** Makes one page flip and waits until it is done. */
  flip(head: number): Promise<{ head: number; sequence: number }> {
    return this.#ask(`flip ${head}`);
  }

  /** Flips until {@link stop}, `rate` times a second; 0 is as fast as it goes. */
  run(head: number, rate: number): Promise<unknown> {
    return this.#ask(`run ${head} ${rate}`);
  }

  stop(head: number): Promise<FlipReport> {
    return this.#ask(`stop ${head}`);
  }

  /** Switches a head off and frees its buffers. */
  off(head: number): Promise<unknown> {
    return this.#ask(`off ${head}`);
  }

  /** Shows a 64x64 cursor at a place in pixels, or moves it there. */
  cursor(head: number, x: number, y: number, hotX = 0, hotY = 0): Promise<unknown> {
    return this.#ask(`cursor ${head} ${x} ${y} ${hotX} ${hotY}`);
  }

  hideCursor(head: number): Promise<unknown> {
    return this.#ask(`hide ${head}`);
  }

  /** From now on heads take the sizes that the host prefers; the constructor's callback is told. */
  follow(): Promise<unknown> {
    return this.#ask('follow');
  }

  /** Paints a resource that no head shows. `painter`, 0 to 15, is what its mark will say. */
  resource(
    size: { width: number; height: number },
    format: PaintFormat,
    painter: number,
  ): Promise<PaintedResource> {
    return this.#ask(`resource ${size.width}x${size.height} ${format} ${painter}`);
  }

  /** Paints a resource's mark with the next sequence number and brings it to the host. */
  touch(resource: number): Promise<{ resource: number; sequence: number }> {
    return this.#ask(`touch ${resource}`);
  }

  /** Frees a resource. */
  drop(resource: number): Promise<unknown> {
    return this.#ask(`drop ${resource}`);
  }

  /** Ends kms-paint; the guest's console is shown again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end().catch(() => undefined);
    await this.#process.exit.catch(() => undefined);
  }

  #end(why: string): void {
    this.#ended = new VmError('EXEC_FAILED', `kms-paint is gone: ${why}`);
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(this.#ended);
    }
  }

  /** One command at a time, so that an answer cannot be taken for another's. */
  #ask<T>(command: string): Promise<T> {
    const answer = this.#last.then(
      () =>
        new Promise<T>((resolve, reject) => {
          if (this.#ended) {
            throw this.#ended;
          }
          this.#waiting.push({ resolve, reject });
          this.#process.write(Buffer.from(`${command}\n`)).catch(reject);
        }),
    );
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() as string;
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.event !== undefined) {
        this.#onEvent(message);
        continue;
      }
      const waiting = this.#waiting.shift();
      if (message.error !== undefined) {
        waiting?.reject(new VmError('EXEC_FAILED', `kms-paint: ${message.error}`));
      } else {
        waiting?.resolve(message as never);
      }
    }
  }
}
