import { EventEmitter } from 'node:events';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import { addon, type NativeMutter } from './addon.js';
import { ScreenCastError, type ScreenCastErrorCode } from './errors.js';

/** How the cursor is captured: in the picture, beside it (CURSOR messages), or not at all. */
export type CursorMode = 'hidden' | 'embedded' | 'metadata';

/** A connector's name such as "Meta-0", the primary monitor, or a new virtual monitor of a chosen size [pixels]. */
export type MutterRecord =
  | { monitor: string }
  | { primary: true }
  | { virtual: { width: number; height: number } };

export interface MutterOptions {
  /** D-Bus address of the desktop's session bus. Default: DBUS_SESSION_BUS_ADDRESS. */
  busAddress?: string;
  record: MutterRecord;
  cursor: CursorMode;
  /** Whether input() is wanted. */
  input: boolean;
  /** Time for the whole opening [ms]. Default 10000. */
  timeout?: number;
}

interface ScreenCastEvents {
  /** The session is over and was not closed by this side. */
  closed: [ScreenCastError];
}

/** A cast of Mutter's ScreenCast interface, and input to the same desktop. It lives as long as this object is open. */
export class ScreenCastSession extends EventEmitter<ScreenCastEvents> {
  /** PipeWire node of the cast, for CaptureOptions.node. */
  readonly nodeId: number;
  /** Whether input() reaches the desktop. */
  readonly hasInput: boolean;
  /** Size to pass as CaptureOptions.size; only virtual monitors have one. */
  readonly size: { width: number; height: number } | undefined;
  readonly #native: NativeMutter;
  readonly #closed: Promise<void>;

  /** @internal Made by openMutterScreenCast. */
  constructor(native: NativeMutter, options: MutterOptions, nodeId: number, closed: Promise<void>) {
    super();
    this.#native = native;
    this.#closed = closed;
    this.nodeId = nodeId;
    this.hasInput = options.input;
    this.size = 'virtual' in options.record ? options.record.virtual : undefined;
  }

  /**
   * Applies input events in order. Positions are pixels of the cast's picture. Never waits: at most 1024 events
   * are under way; when the desktop does not take them, further motion is dropped and false is returned.
   */
  input(events: readonly InputEvent[]): boolean {
    return this.#native.input(events);
  }

  /** Ends the cast. */
  async close(): Promise<void> {
    this.#native.close();
    await this.#closed;
  }
}

/**
 * Opens a cast of a running Mutter (GNOME Shell, or mutter --headless).
 * @throws {ScreenCastError}
 */
export async function openMutterScreenCast(options: MutterOptions): Promise<ScreenCastSession> {
  return await new Promise((resolve, reject) => {
    let session: ScreenCastSession | undefined;
    let end: () => void = () => {};
    const ended = new Promise<void>((done) => {
      end = done;
    });
    const { record } = options;
    const native: NativeMutter = new addon.Mutter(
      {
        busAddress: options.busAddress ?? '',
        monitor: 'monitor' in record ? record.monitor : '',
        virtual: 'virtual' in record,
        cursor: options.cursor,
        input: options.input,
        timeout: options.timeout ?? 10_000,
      },
      (event) => {
        if (event.type === 'open') {
          session = new ScreenCastSession(native, options, event.nodeId, ended);
          resolve(session);
          return;
        }
        if (event.type === 'closed') {
          const error = new ScreenCastError(event.code as ScreenCastErrorCode, event.message);
          if (session === undefined) reject(error);
          else session.emit('closed', error);
          return;
        }
        end();
      },
    );
  });
}
