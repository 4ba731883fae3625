// A PipeWire node that somebody else made.
import type { CaptureHost } from '@scanbridge/native-guest';
import { captureLost, captureReady, type OpenSource, type Source } from './source.js';

export interface NodeOptions {
  node: number;
  /** PipeWire socket, as a path or a name. Default: the user's own. */
  remote?: string;
  maxFps: number;
}

export class NodeSource implements Source {
  readonly id: string;
  readonly title: string;

  constructor(private readonly options: NodeOptions) {
    this.id = `node-${options.node}`;
    this.title = `PipeWire node ${options.node}`;
  }

  async open(host: CaptureHost, signal: AbortSignal): Promise<OpenSource> {
    const capture = host.addCapture(this.options);
    const lost = captureLost(capture);
    try {
      await captureReady(capture, signal);
    } catch (error) {
      await capture.close();
      throw error;
    }
    return { capture, lost, close: () => capture.close() };
  }
}
