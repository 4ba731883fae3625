import { addon, type NativeServer, type NativeSurfaceCapture } from './addon.js';
import { Capture, type CaptureHost, type CaptureOptions, nativeOptions } from './capture.js';
import { SurfaceServerError, type SurfaceServerErrorCode } from './errors.js';

export interface SurfaceServerOptions {
  /** Where to listen: a Unix socket path of at most 107 bytes. It is made with mode 0600. */
  path: string;
  /** Who this is, for the logs of clients; cut to 31 bytes. */
  name: string;
  /** Clients at a time; one more is told TOO_MANY. Default 16. */
  maxClients?: number;
}

/** Counters since the server began. */
export interface SurfaceServerStats {
  clients: number;
  accepted: number;
  /** Clients that were turned away: over the limit, or another user's. */
  refused: number;
  /** Connections ended by a message that breaks the protocol. */
  violations: number;
}

export interface SurfaceCaptureOptions extends CaptureOptions {
  /** DRM render node whose modifiers are offered. Default: the first there is; null: shared memory and LINEAR only. */
  renderNode?: string | null;
}

/** A capture that clients of its server can subscribe to (SUBSCRIBE_CAPTURE). Their streams end with it. */
export class SurfaceCapture extends Capture<NativeSurfaceCapture> {
  /** @internal Made by SurfaceServer.addCapture. */
  constructor(server: NativeServer, options: SurfaceCaptureOptions) {
    const { renderNode } = options;
    super((event) =>
      server.addCapture(
        {
          ...nativeOptions(options),
          renderNode: renderNode === undefined ? 'auto' : (renderNode ?? ''),
        },
        event,
      ),
    );
  }

  /** Id for SUBSCRIBE_CAPTURE; never used again by this server. */
  get id(): number {
    return this.native.id;
  }
}

/** Serves captures over the surface protocol (docs/protocols/surface.md). Listens from its construction on. */
export class SurfaceServer implements CaptureHost<SurfaceCapture> {
  readonly path: string;
  readonly #native: NativeServer;
  readonly #captures = new Set<SurfaceCapture>();

  /** @throws {SurfaceServerError} */
  constructor(options: SurfaceServerOptions) {
    this.path = options.path;
    try {
      this.#native = new addon.SurfaceServer(options.path, options.name, options.maxClients ?? 16);
    } catch (error) {
      const { code, message } = error as { code: SurfaceServerErrorCode; message: string };
      throw new SurfaceServerError(code, message);
    }
  }

  /** Begins to capture at once, so that the first client finds a picture. Failures are events of the capture. */
  addCapture(options: SurfaceCaptureOptions): SurfaceCapture {
    const capture = new SurfaceCapture(this.#native, options);
    this.#captures.add(capture);
    capture.once('end', () => this.#captures.delete(capture));
    return capture;
  }

  stats(): SurfaceServerStats {
    return this.#native.stats();
  }

  /** Ends all captures and connections, and unlinks the socket. */
  async close(): Promise<void> {
    await Promise.all([...this.#captures].map((capture) => capture.close()));
    this.#native.close();
  }
}
