// The viewer page: files of one folder, read once a request, never anything outside of it.
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BridgeError } from '../errors.js';
import { COMMON_HEADERS } from './reply.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};

function notFound(path: string): BridgeError {
  return new BridgeError('NOT_FOUND', `there is nothing at ${path}`, 'the page is at /', 404);
}

/** Only what the page needs: its own files, and a WebSocket to where it came from. */
function securityPolicy(request: IncomingMessage): string {
  const host = /^[\w.:[\]-]+$/.test(request.headers.host ?? '') ? request.headers.host : '';
  const sockets = host ? ` ws://${host} wss://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self'${sockets}`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join('; ');
}

/** Serves the files below `folder`. */
export class StaticPage {
  constructor(readonly folder: string) {}

  /** @throws {BridgeError} NOT_FOUND, or PAGE_NOT_BUILT */
  async serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = await this.#find(path);
    const { size, mtime } = await stat(file);
    const etag = `"${size.toString(16)}-${mtime.getTime().toString(16)}"`;
    const headers = {
      ...COMMON_HEADERS,
      'content-security-policy': securityPolicy(request),
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-cache',
      etag,
    };
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, headers).end();
      return;
    }
    const type = TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'content-type': type, 'content-length': size });
    if (request.method === 'HEAD') response.end();
    else await pipeline(createReadStream(file), response);
  }

  async #find(path: string): Promise<string> {
    const root = await realpath(this.folder).catch(() => undefined);
    if (root === undefined) {
      throw new BridgeError(
        'PAGE_NOT_BUILT',
        'the viewer page is not built',
        'build it with: npm run build',
        503,
      );
    }
    let name: string;
    try {
      name = decodeURIComponent(path);
    } catch {
      throw notFound(path);
    }
    if (name.includes('\0')) throw notFound(path);
    const file = await realpath(join(root, name.endsWith('/') ? `${name}index.html` : name)).catch(
      () => undefined,
    );
    // After all links are resolved: whatever the path says, only what lies below the folder is served.
    if (!file?.startsWith(root + sep) || !(await stat(file)).isFile()) throw notFound(path);
    return file;
  }
}
