import { EventEmitter } from 'node:events';
import { addon, type NativePortal } from './addon.js';
import { ScreenCastError, type ScreenCastErrorCode } from './errors.js';
import type { CursorMode } from './mutter.js';

export interface PortalOptions {
  /** D-Bus address of the desktop's session bus. Default: DBUS_SESSION_BUS_ADDRESS. */
  busAddress?: string;
  cursor: CursorMode;
  /** What may be picked. Default: monitor. */
  source?: 'monitor' | 'window';
  /** Token of an earlier session, which spares the person the dialog. */
  restoreToken?: string;
  /** Time for the person to answer the dialog [ms]. Default 120000. */
  timeout?: number;
}

export interface PortalStream {
  /** PipeWire node, for CaptureOptions.node. */
  nodeId: number;
  /** Size as the portal tells it, in the compositor's logical pixels; 0 when it does not. */
  width: number;
  height: number;
}

interface PortalEvents {
  /** The session is over and was not closed by this side. */
  closed: [ScreenCastError];
}

/** A cast through xdg-desktop-portal. It lives as long as this object is open. */
export class PortalSession extends EventEmitter<PortalEvents> {
  readonly streams: PortalStream[];
  /** For PortalOptions.restoreToken of the next session. */
  readonly restoreToken: string | undefined;
  readonly #native: NativePortal;
  readonly #closed: Promise<void>;
  readonly #calls: Map<number, { resolve: (fd: number) => void; reject: (e: Error) => void }>;
  #serial = 0;

  /** @internal Made by openPortalScreenCast. */
  constructor(
    native: NativePortal,
    calls: Map<number, { resolve: (fd: number) => void; reject: (e: Error) => void }>,
    streams: PortalStream[],
    restoreToken: string,
    closed: Promise<void>,
  ) {
    super();
    this.#native = native;
    this.#calls = calls;
    this.#closed = closed;
    this.streams = streams;
    this.restoreToken = restoreToken === '' ? undefined : restoreToken;
  }

  /**
   * Opens a connection to PipeWire that sees this session's nodes only, for CaptureOptions.fd. The caller owns it.
   * @throws {ScreenCastError}
   */
  async openPipeWireRemote(): Promise<number> {
    this.#serial += 1;
    const serial = this.#serial;
    return await new Promise((resolve, reject) => {
      this.#calls.set(serial, { resolve, reject });
      this.#native.openPipeWireRemote(serial);
    });
  }

  /** Ends the cast. */
  async close(): Promise<void> {
    this.#native.close();
    await this.#closed;
  }
}

/**
 * Opens a cast through the desktop portal; the desktop may ask the person in front of it.
 * @throws {ScreenCastError}
 */
export async function openPortalScreenCast(options: PortalOptions): Promise<PortalSession> {
  return await new Promise((resolve, reject) => {
    let session: PortalSession | undefined;
    let end: () => void = () => {};
    const ended = new Promise<void>((done) => {
      end = done;
    });
    const calls = new Map<number, { resolve: (fd: number) => void; reject: (e: Error) => void }>();
    const native: NativePortal = new addon.Portal(
      {
        busAddress: options.busAddress ?? '',
        cursor: options.cursor,
        window: options.source === 'window',
        restoreToken: options.restoreToken ?? '',
        timeout: options.timeout ?? 120_000,
      },
      (event) => {
        switch (event.type) {
          case 'open':
            session = new PortalSession(native, calls, event.streams, event.restoreToken, ended);
            resolve(session);
            break;
          case 'remote':
            calls.get(event.serial)?.resolve(event.fd);
            calls.delete(event.serial);
            break;
          case 'remote-failed':
            calls
              .get(event.serial)
              ?.reject(new ScreenCastError(event.code as ScreenCastErrorCode, event.message));
            calls.delete(event.serial);
            break;
          case 'closed': {
            const error = new ScreenCastError(event.code as ScreenCastErrorCode, event.message);
            if (session === undefined) reject(error);
            else session.emit('closed', error);
            break;
          }
          case 'end':
            for (const call of calls.values()) {
              call.reject(new ScreenCastError('CLOSED', 'The portal session was closed.'));
            }
            calls.clear();
            end();
            break;
        }
      },
    );
  });
}
