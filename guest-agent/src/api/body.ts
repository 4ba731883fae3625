// What comes in a request: a little JSON, or nothing.
import type { IncomingMessage } from 'node:http';
import { MAX_BODY } from '@scanbridge/hydra/api';
import type { z } from 'zod';
import { ApiError } from './errors.js';

/**
 * Reads a body and checks it.
 * @throws {ApiError} BODY_TOO_LARGE before more than MAX_BODY is held, BAD_REQUEST with the first thing that is wrong
 */
export async function readBody<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const checked = schema.safeParse(parse(await readText(request)));
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw badRequest(`${issue?.path.join('.') || 'the body'}: ${issue?.message}`);
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The iterator must leave the request alone, or there is nothing left to answer on.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) {
      const text = `the body is longer than ${MAX_BODY} bytes`;
      throw new ApiError('BODY_TOO_LARGE', text, 'see /openapi.json for what it may hold', 413);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest('the body is no JSON');
  }
}

function badRequest(message: string): ApiError {
  return new ApiError('BAD_REQUEST', message, 'see /openapi.json for what is possible', 400);
}
