// Who may do what: tokens, the page's origin, and the name by which the bridge is called.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { HostRefusedError, OptionError, OriginRefusedError, UnauthorizedError } from './errors.js';
import type { Access } from './viewers/connection.js';

/** Shortest secret: 16 characters of base64 are 96 bits. */
export const MIN_SECRET = 16;

/** What a token opens. */
export interface TokenSpec {
  readonly secret: string;
  /** Only this session; absent: all of them, and the list. */
  readonly session?: string;
  readonly access: Access;
}

/** What a request may do. */
export interface Grant {
  readonly access: Access;
  /** Only this session; absent: all. */
  readonly session?: string;
}

/** Whether a grant opens a session. */
export function opens(grant: Grant, session: string): boolean {
  return grant.session === undefined || grant.session === session;
}

const Scope = z.strictObject({
  session: z.string().min(1).max(128).optional(),
  access: z.enum(['view', 'control']).default('control'),
});

/**
 * Reads a token as the command line gives it: `SECRET[,session=ID][,access=view|control]`.
 * @throws {OptionError}
 */
export function parseToken(text: string): TokenSpec {
  const [secret = '', ...parts] = text.split(',');
  if (secret.length < MIN_SECRET) {
    throw new OptionError(
      `a token has ${secret.length} characters, fewer than ${MIN_SECRET}`,
      'make one with: openssl rand -hex 16',
    );
  }
  const scope = Scope.safeParse(Object.fromEntries(parts.map((part) => part.split('=', 2))));
  if (!scope.success) {
    throw new OptionError(
      `a token's scope is not understood: ${parts.join(',')}`,
      'write SECRET[,session=ID][,access=view|control]',
    );
  }
  const { session, access } = scope.data;
  return { secret, access, ...(session !== undefined && { session }) };
}

/** Whether an address is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  return isIPv4(name) && name.startsWith('127.');
}

/** How a bridge decides. */
export interface AuthOptions {
  /** Address that it listens on. */
  readonly host: string;
  readonly tokens: readonly TokenSpec[];
  /** Origins of other pages that may use it, as `https://name[:port]`. */
  readonly allowOrigins: readonly string[];
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Checks requests. Says no by throwing a BridgeError with the HTTP status. */
export class Auth {
  readonly #tokens: readonly { readonly digest: Buffer; readonly grant: Grant }[];
  readonly #origins: ReadonlySet<string>;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #loopback: boolean;

  /** @throws {OptionError} when the bridge would be open to others than this machine */
  constructor(options: AuthOptions) {
    this.#loopback = isLoopback(options.host);
    if (!this.#loopback && options.tokens.length === 0) {
      throw new OptionError(
        `${options.host} is reached from other machines, so viewers need a token`,
        'add --token SECRET (make one with: openssl rand -hex 16), or listen on 127.0.0.1',
      );
    }
    const origins = options.allowOrigins.map(parseOrigin);
    this.#origins = new Set(origins.map((url) => url.origin));
    this.#allowedHosts = new Set(origins.map((url) => url.host));
    this.#tokens = options.tokens.map(({ secret, session, access }) => ({
      digest: digest(secret),
      grant: { access, ...(session !== undefined && { session }) },
    }));
  }

  /**
   * Host and Origin: whether a page of somewhere else makes this browser talk to us.
   * @throws {HostRefusedError | OriginRefusedError}
   */
  checkOrigin(request: IncomingMessage): void {
    const host = request.headers.host ?? '';
    if (this.#loopback && !this.#isOurName(host)) throw new HostRefusedError(host || '(no Host)');
    const { origin } = request.headers;
    if (origin === undefined || this.#origins.has(origin)) return;
    if (sameHost(origin, host)) return;
    throw new OriginRefusedError(origin);
  }

  /**
   * What the request's token opens; everything, where the bridge has no tokens.
   * @throws {UnauthorizedError}
   */
  grant(request: IncomingMessage, url: URL): Grant {
    if (this.#tokens.length === 0) return { access: 'control' };
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const given = bearer ?? url.searchParams.get('token');
    if (given === null) throw new UnauthorizedError('this bridge wants a token');
    const theirs = digest(given);
    let found: Grant | undefined;
    // All are compared, each in constant time: the time tells nothing about any of them.
    for (const token of this.#tokens) {
      if (timingSafeEqual(token.digest, theirs)) found ??= token.grant;
    }
    if (!found) throw new UnauthorizedError('this token is not one of this bridge');
    return found;
  }

  #isOurName(host: string): boolean {
    if (this.#allowedHosts.has(host.toLowerCase())) return true;
    if (!URL.canParse(`http://${host}`)) return false;
    return isLoopback(new URL(`http://${host}`).hostname);
  }
}

/** Whether a page of `origin` came from the server that is addressed as `host`; default ports may be left out. */
function sameHost(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const page = new URL(origin);
  const ours = `${page.protocol}//${host}`;
  return page.host !== '' && URL.canParse(ours) && new URL(ours).host === page.host;
}

function parseOrigin(text: string): URL {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
  throw new OptionError(`"${text}" is no origin`, 'write it as https://name or https://name:port');
}
