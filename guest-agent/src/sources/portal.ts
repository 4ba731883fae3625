// Any desktop with xdg-desktop-portal.
import { type CaptureHost, type CursorMode, openPortalScreenCast } from '@scanbridge/native-guest';
import { SourceError } from '../errors.js';
import { captureLost, captureReady, type OpenSource, type Source } from './source.js';

export interface PortalSourceOptions {
  id: string;
  /** D-Bus address of the desktop. Default: DBUS_SESSION_BUS_ADDRESS. */
  busAddress?: string;
  cursor: CursorMode;
  maxFps: number;
}

export class PortalSource implements Source {
  readonly id: string;
  readonly title = 'Desktop';
  /** Spares the person the dialog when the cast is opened again. */
  #restoreToken: string | undefined;

  constructor(private readonly options: PortalSourceOptions) {
    this.id = options.id;
  }

  async open(host: CaptureHost, signal: AbortSignal): Promise<OpenSource> {
    const { busAddress, cursor, maxFps } = this.options;
    const session = await openPortalScreenCast({
      cursor,
      ...(busAddress !== undefined && { busAddress }),
      ...(this.#restoreToken !== undefined && { restoreToken: this.#restoreToken }),
    });
    this.#restoreToken = session.restoreToken;
    try {
      const [stream] = session.streams;
      if (stream === undefined) throw new SourceError('SOURCE_FAILED', 'The portal cast nothing.');
      const fd = await session.openPipeWireRemote();
      const capture = host.addCapture({ node: stream.nodeId, fd, maxFps });
      const lost = Promise.race([
        captureLost(capture),
        new Promise<Error>((resolve) => session.once('closed', resolve)),
      ]);
      const close = async () => {
        await capture.close();
        await session.close();
      };
      try {
        await captureReady(capture, signal);
      } catch (error) {
        await capture.close();
        throw error;
      }
      return { capture, lost, close };
    } catch (error) {
      await session.close();
      throw error;
    }
  }
}
