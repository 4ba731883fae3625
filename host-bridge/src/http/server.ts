// The bridge's listener: HTTP (or HTTPS) for the API and the page, WebSocket upgrades for viewers.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { BridgeError, ListenError, reasonOf } from '../errors.js';
import { type ApiParts, handleApi } from './api.js';
import { sendError } from './reply.js';
import { refuse, type StreamServer } from './streams.js';

/** Limits on what a stranger may hold open. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16_384,
} as const;
/** Connections beside those of viewers. */
const SPARE_CONNECTIONS = 64;

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly maxViewers: number;
}

/** Owns the listening socket. */
export class HttpServer {
  readonly #server: Server;

  private constructor(
    private readonly options: ListenOptions,
    private readonly parts: ApiParts,
    private readonly streams: StreamServer,
    private readonly log: Logger,
  ) {
    const handler = (request: IncomingMessage, response: ServerResponse) =>
      void this.#onRequest(request, response);
    this.#server = options.tls
      ? createTlsServer({ ...LIMITS, ...options.tls }, handler)
      : createServer(LIMITS, handler);
    this.#server.maxConnections = options.maxViewers + SPARE_CONNECTIONS;
    this.#server.on('upgrade', (request, socket, head) => {
      const url = urlOf(request);
      if (url) this.streams.upgrade(request, socket, head, url);
      else refuse(socket, badUrl());
    });
  }

  /** @throws {ListenError} */
  static async listen(
    options: ListenOptions,
    parts: ApiParts,
    streams: StreamServer,
    log: Logger,
  ): Promise<HttpServer> {
    const self = new HttpServer(options, parts, streams, log);
    await new Promise<void>((resolve, reject) => {
      self.#server.once('error', (error) =>
        reject(new ListenError(`${options.host} port ${options.port}`, reasonOf(error))),
      );
      self.#server.listen({ host: options.host, port: options.port }, resolve);
    });
    self.#server.on('error', (error) => log.error({ reason: error.message }, 'listener failed'));
    return self;
  }

  /** Where the page is. */
  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${this.options.tls ? 'https' : 'http'}://${host}:${port}/`;
  }

  /** Takes no more connections and ends those that are there; viewers are closed by their own server before. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = urlOf(request);
      if (!url) throw badUrl();
      this.parts.auth.checkOrigin(request);
      await handleApi(this.parts, request, response, url);
    } catch (error) {
      if (!(error instanceof BridgeError)) {
        if (response.destroyed || request.aborted) return;
        this.log.error({ reason: reasonOf(error) }, 'request failed');
      }
      sendError(response, error);
    } finally {
      // No request of this API has a body: what comes is not read into memory.
      request.resume();
    }
  }
}

function urlOf(request: IncomingMessage): URL | undefined {
  const text = `http://bridge${request.url ?? ''}`;
  return request.url?.startsWith('/') && URL.canParse(text) ? new URL(text) : undefined;
}

function badUrl(): BridgeError {
  return new BridgeError('BAD_URL', 'this is no address', 'ask for a path like /v1/sessions', 400);
}
