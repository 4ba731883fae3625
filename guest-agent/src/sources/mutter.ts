// A desktop of Mutter: GNOME Shell, or mutter --headless.
import {
  type CaptureHost,
  type CursorMode,
  type MutterRecord,
  openMutterScreenCast,
} from '@scanbridge/native-guest';
import { captureLost, captureReady, type OpenSource, type Source } from './source.js';

export interface MutterSourceOptions {
  /** Unique among the agent's sessions. */
  id: string;
  /** D-Bus address of the desktop. Default: DBUS_SESSION_BUS_ADDRESS. */
  busAddress?: string;
  record: MutterRecord;
  cursor: CursorMode;
  maxFps: number;
  /** PipeWire socket of the desktop's session, as a path or a name. Default: the user's own. */
  remote?: string;
}

export class MutterSource implements Source {
  readonly id: string;
  readonly title: string;
  /** A virtual monitor keeps the size that a viewer gave it while the cast is opened again. */
  #record: MutterRecord;

  constructor(private readonly options: MutterSourceOptions) {
    this.id = options.id;
    this.#record = options.record;
    this.title = 'monitor' in options.record ? `Desktop ${options.record.monitor}` : 'Desktop';
  }

  async open(host: CaptureHost, signal: AbortSignal): Promise<OpenSource> {
    const { busAddress, cursor, maxFps, remote } = this.options;
    const cast = await openMutterScreenCast({
      record: this.#record,
      cursor,
      input: true,
      ...(busAddress !== undefined && { busAddress }),
    });
    const capture = host.addCapture({
      node: cast.nodeId,
      maxFps,
      ...(cast.size !== undefined && { size: cast.size }),
      ...(remote !== undefined && { remote }),
    });
    const lost = Promise.race([
      captureLost(capture),
      new Promise<Error>((resolve) => cast.once('closed', resolve)),
    ]);
    const close = async () => {
      await capture.close();
      await cast.close();
    };
    try {
      await captureReady(capture, signal);
    } catch (error) {
      await close();
      throw error;
    }
    return {
      capture,
      lost,
      close,
      input: (events) => {
        cast.input(events);
      },
      ...(cast.size !== undefined && {
        resize: (width: number, height: number) => {
          this.#record = { virtual: { width, height } };
          capture.resize(width, height);
        },
      }),
    };
  }
}
