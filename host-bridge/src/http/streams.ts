// WebSocket upgrades: GET /v1/sessions/ID/stream becomes a viewer.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, MAX_VIEWER_MESSAGE, VIEWER_SUBPROTOCOL } from '@scanbridge/protocol/viewer';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Auth } from '../auth.js';
import { BridgeError, TooManyViewersError } from '../errors.js';
import type { SessionRegistry } from '../session-registry.js';
import { ViewerConnection } from '../viewers/connection.js';
import { decodeId, sessionFor } from './api.js';
import { COMMON_HEADERS, errorBody } from './reply.js';

const PATH = /^\/v1\/sessions\/([^/]+)\/stream$/;

/** Close code of an error that is found before there is a viewer; browsers do not show pages HTTP statuses. */
const CLOSE_CODES: Readonly<Record<string, CloseCode>> = {
  UNAUTHORIZED: CloseCode.UNAUTHORIZED,
  NO_SUCH_SESSION: CloseCode.NO_SUCH_SESSION,
  TOO_MANY_VIEWERS: CloseCode.TOO_MANY_VIEWERS,
  SHUTDOWN: CloseCode.SHUTDOWN,
};

/** Owns all viewers' WebSockets. */
export class StreamServer {
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    // Video does not get smaller, and a compressor per viewer costs memory and time.
    perMessageDeflate: false,
    maxPayload: MAX_VIEWER_MESSAGE,
    handleProtocols: (offered) => (offered.has(VIEWER_SUBPROTOCOL) ? VIEWER_SUBPROTOCOL : false),
  });
  readonly #viewers = new Set<ViewerConnection>();
  #shutDown = false;

  constructor(
    private readonly auth: Auth,
    private readonly sessions: SessionRegistry,
    private readonly maxViewers: number,
    private readonly log: Logger,
  ) {}

  /** Connections, also those that have not said hello. */
  get viewers(): number {
    return this.#viewers.size;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, url: URL): void {
    socket.on('error', () => socket.destroy());
    try {
      this.auth.checkOrigin(request);
      if (!PATH.test(url.pathname)) {
        throw new BridgeError('NOT_FOUND', 'no stream here', 'use /v1/sessions/ID/stream', 404);
      }
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
      if (!offered.includes(VIEWER_SUBPROTOCOL)) {
        throw new BridgeError(
          'BAD_SUBPROTOCOL',
          'the viewer does not ask for a protocol that this bridge speaks',
          `ask for the WebSocket subprotocol ${VIEWER_SUBPROTOCOL}`,
          400,
        );
      }
    } catch (error) {
      refuse(socket, error);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, request, url));
  }

  /** Ends all connections; resolves when their sockets are gone. */
  async close(): Promise<void> {
    this.#shutDown = true;
    for (const viewer of this.#viewers) {
      viewer.close(CloseCode.SHUTDOWN, 'SHUTDOWN', 'the bridge is shutting down; come back later');
    }
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(ws: WebSocket, request: IncomingMessage, url: URL): void {
    try {
      if (this.#shutDown) {
        throw new BridgeError('SHUTDOWN', 'the bridge is shutting down', 'come back later', 503);
      }
      const grant = this.auth.grant(request, url);
      const session = sessionFor(
        this.sessions,
        grant,
        decodeId(PATH.exec(url.pathname)?.[1] ?? ''),
      );
      if (this.#viewers.size >= this.maxViewers) throw new TooManyViewersError(this.maxViewers);
      const log = this.log.child({ session: session.id, viewer: request.socket.remoteAddress });
      const viewer = new ViewerConnection(ws, session, grant.access, log);
      this.#viewers.add(viewer);
      ws.once('close', () => this.#viewers.delete(viewer));
    } catch (error) {
      this.#reject(ws, error);
    }
  }

  #reject(ws: WebSocket, error: unknown): void {
    ws.on('error', () => ws.terminate());
    const { code, message, remedy } =
      error instanceof BridgeError
        ? error
        : { code: 'INTERNAL', message: String(error), remedy: 'look at the log of the bridge' };
    const text = `${message}; ${remedy}`.slice(0, 512);
    ws.send(JSON.stringify({ type: 'error', code, message: text }));
    ws.close(CLOSE_CODES[code] ?? 1011, code);
    const timer = setTimeout(() => ws.terminate(), 1000);
    ws.once('close', () => clearTimeout(timer));
  }
}

/** Answers an upgrade that is none of a viewer's with plain HTTP. */
export function refuse(socket: Duplex, error: unknown): void {
  const { status, body } = errorBody(error);
  const text = `${JSON.stringify(body)}\n`;
  const headers = {
    ...COMMON_HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`);
  socket.once('finish', () => socket.destroy());
}
