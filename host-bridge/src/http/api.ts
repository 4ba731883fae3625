// The HTTP API: which path does what. openapi.yaml describes it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { type Auth, type Grant, opens } from '../auth.js';
import { BridgeError, NoSuchSessionError, UnauthorizedError } from '../errors.js';
import type { Session } from '../session.js';
import type { SessionRegistry } from '../session-registry.js';
import type { EngineReport } from '../worker/messages.js';
import { COMMON_HEADERS, sendJson } from './reply.js';
import type { StaticPage } from './static-page.js';

/** What the API acts on. */
export interface ApiParts {
  readonly auth: Auth;
  readonly sessions: SessionRegistry;
  readonly metrics: Registry;
  readonly page: StaticPage;
  engines(): Promise<readonly EngineReport[]>;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly grant: Grant;
  /** What the parentheses of the pattern matched, decoded. */
  readonly id: string;
}

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  /** Needs a token for all sessions. */
  readonly whole?: boolean;
  readonly run: (parts: ApiParts, call: Call) => Promise<void> | void;
}

/** The session, if the grant opens it: what it does not open does not exist for it. */
export function sessionFor(sessions: SessionRegistry, grant: Grant, id: string): Session {
  if (!opens(grant, id)) throw new NoSuchSessionError(id);
  return sessions.get(id);
}

function needControl(grant: Grant): void {
  if (grant.access !== 'control') {
    throw new BridgeError('FORBIDDEN', 'this token may only look', 'use one with control', 403);
  }
}

const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    pattern: /^\/v1\/sessions$/,
    run: ({ sessions }, { response, grant }) => {
      const list = sessions.list().filter((session) => opens(grant, session.id));
      sendJson(response, 200, { sessions: list.map((session) => session.report()) });
    },
  },
  {
    method: 'GET',
    pattern: /^\/v1\/sessions\/([^/]+)$/,
    run: ({ sessions }, { response, grant, id }) => {
      sendJson(response, 200, sessionFor(sessions, grant, id).report());
    },
  },
  {
    method: 'DELETE',
    pattern: /^\/v1\/sessions\/([^/]+)$/,
    run: async ({ sessions }, { response, grant, id }) => {
      needControl(grant);
      const session = sessionFor(sessions, grant, id);
      if (!session.requestEnd()) await sessions.remove(session);
      sendJson(response, 202, { id });
    },
  },
  {
    method: 'POST',
    pattern: /^\/v1\/sessions\/([^/]+)\/key-frame$/,
    run: ({ sessions }, { response, grant, id }) => {
      needControl(grant);
      sessionFor(sessions, grant, id).needKeyFrame();
      sendJson(response, 202, { id });
    },
  },
  {
    method: 'GET',
    pattern: /^\/v1\/engines$/,
    run: async ({ engines }, { response }) => {
      sendJson(response, 200, { engines: await engines() });
    },
  },
  {
    method: 'GET',
    pattern: /^\/metrics$/,
    whole: true,
    run: async ({ metrics }, { response }) => {
      const text = await metrics.metrics();
      response.writeHead(200, { ...COMMON_HEADERS, 'content-type': metrics.contentType });
      response.end(text);
    },
  },
];

/** Answers one request. @throws {BridgeError} which the server turns into the error body */
export async function handleApi(
  parts: ApiParts,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const method = request.method ?? '';
  const path = url.pathname;
  if (path === '/healthz') {
    // For load balancers: no token, and nothing that a stranger should not know.
    sendJson(response, 200, { status: 'ok' });
    return;
  }
  if (!path.startsWith('/v1/') && path !== '/metrics') {
    if (method !== 'GET' && method !== 'HEAD') throw wrongMethod(method, path);
    // The page itself holds no secret: it asks for a token when the API does.
    return parts.page.serve(path, request, response);
  }
  const grant = parts.auth.grant(request, url);
  let known = false;
  for (const route of ROUTES) {
    const match = route.pattern.exec(path);
    if (!match) continue;
    known = true;
    if (route.method !== method && !(method === 'HEAD' && route.method === 'GET')) continue;
    if (route.whole && grant.session !== undefined) {
      throw new UnauthorizedError('this token opens one session only');
    }
    return route.run(parts, { request, response, grant, id: decodeId(match[1] ?? '') });
  }
  if (known) throw wrongMethod(method, path);
  throw new BridgeError('NOT_FOUND', `there is nothing at ${path}`, 'see openapi.yaml', 404);
}

/** A path segment as text; what cannot be decoded is no id. */
export function decodeId(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new NoSuchSessionError(segment);
  }
}

function wrongMethod(method: string, path: string): BridgeError {
  return new BridgeError('BAD_METHOD', `${path} does not take ${method}`, 'see openapi.yaml', 405);
}
