// HTTP on one Unix socket: who may come in, what there is, and the limits on what a stranger may hold open.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { PeerCredentials } from '@scanbridge/native-guest/lease';
import type { Logger } from 'pino';
import { ApiError, errorAnswer } from './errors.js';
import { peerOf } from './peer.js';

/** Limits on times [ms] and sizes [bytes]. */
const LIMITS = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 8192,
} as const;

/** One request. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: PeerCredentials;
  /** What the parentheses of the path matched. */
  readonly id: string;
  /** Aborts when the asker is gone. */
  readonly gone: AbortSignal;
}

/** What is at one path. A method gives the body of the answer, or undefined when it has answered by itself. */
export interface Route {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, (call: Call) => Promise<Answer | undefined>>>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface ApiServerOptions {
  readonly routes: readonly Route[];
  /** Looks at who asks before anything else. @throws {ApiError} to refuse */
  readonly admit: (peer: PeerCredentials, request: IncomingMessage) => void;
  /** Connections at a time; more are closed at once. */
  readonly maxConnections: number;
  readonly log: Logger;
}

/** Owns one listening socket and its connections. */
export class ApiServer {
  readonly #server: Server;

  private constructor(private readonly options: ApiServerOptions) {
    this.#server = createServer(LIMITS, (request, response) => void this.#on(request, response));
    this.#server.maxConnections = options.maxConnections;
    this.#server.on('clientError', (_, socket) => socket.destroy());
  }

  /** @throws the system's error when `path` cannot be listened on */
  static async listen(path: string, options: ApiServerOptions): Promise<ApiServer> {
    const self = new ApiServer(options);
    await new Promise<void>((resolve, reject) => {
      self.#server.once('error', reject);
      self.#server.listen({ path }, resolve);
    });
    self.#server.removeAllListeners('error');
    self.#server.on('error', (error) => options.log.error(`the listener failed: ${error.message}`));
    return self;
  }

  /** Ends the listener and all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #on(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const peer = peerOf(request.socket as Socket);
      this.options.admit(peer, request);
      const answer = await this.#run(request, {
        request,
        response,
        peer,
        id: '',
        gone: gone.signal,
      });
      if (answer) send(request, response, answer);
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      const answer = errorAnswer(error);
      if (answer.status === 500) this.options.log.error({ error: String(error) }, 'request failed');
      // What is left of the body is not read: the connection ends.
      send(request, response, answer, !request.complete);
    }
  }

  #run(request: IncomingMessage, call: Call): Promise<Answer | undefined> {
    const path = request.url?.split('?', 1)[0] ?? '';
    for (const route of this.options.routes) {
      const match = route.path.exec(path);
      if (!match) continue;
      const run = Object.hasOwn(route.methods, request.method ?? '')
        ? route.methods[request.method as string]
        : undefined;
      if (run) return run({ ...call, id: match[1] ?? '' });
      const allowed = Object.keys(route.methods).join(', ');
      const text = `${path} does not take ${request.method}`;
      throw new ApiError('BAD_METHOD', text, `it takes ${allowed}`, 405);
    }
    const text = `there is nothing at ${path.slice(0, 200)} of this socket`;
    throw new ApiError('NOT_FOUND', text, "see /openapi.json of the manager's socket", 404);
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body }: Answer,
  last = false,
): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(last && { connection: 'close' }),
  });
  response.end(text);
  if (last) response.once('finish', () => request.destroy());
}
