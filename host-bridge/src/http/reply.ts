// Answers of the HTTP API.
import type { ServerResponse } from 'node:http';
import { BridgeError, reasonOf } from '../errors.js';

/** Headers of every answer. */
export const COMMON_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Sends JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    ...COMMON_HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

/** The error body of the API. */
export function errorBody(error: unknown): { status: number; body: unknown } {
  if (error instanceof BridgeError) {
    const { code, message, remedy, status } = error;
    return { status, body: { error: { code, message, remedy } } };
  }
  return {
    status: 500,
    body: {
      error: {
        code: 'INTERNAL',
        message: reasonOf(error),
        remedy: 'look at the log of the bridge',
      },
    },
  };
}

export function sendError(response: ServerResponse, error: unknown): void {
  const { status, body } = errorBody(error);
  if (response.headersSent) response.destroy();
  else sendJson(response, status, body);
}
