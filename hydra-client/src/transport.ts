// Requests over a Unix socket, with limits on what an answer may take.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { z } from 'zod';
import { ErrorBody } from './api.js';
import { HydraError } from './errors.js';

/** Largest answer that is taken [bytes]: fifteen leases on each of a dozen GPUs are a tenth of it. */
const MAX_ANSWER = 1024 * 1024;

export interface TransportOptions {
  /** Path of the socket. */
  readonly socket: string;
  /** Token of a container's socket. */
  readonly token?: string;
  /** An answer has to be there within this time [ms]; 10 s where absent. */
  readonly timeout?: number;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** Speaks with one socket; holds no connection between requests. */
export class Transport {
  constructor(private readonly options: TransportOptions) {}

  /**
   * One request and its answer.
   * @throws {HydraError} what the agent said, or why there is no answer of it
   */
  async ask<T>(method: Method, path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
    const limit = this.options.timeout ?? 10_000;
    const signal = AbortSignal.timeout(limit);
    const { status, value } = await this.#answer(method, path, body, signal).catch((error) => {
      if (error instanceof HydraError) throw error;
      if (signal.aborted) {
        const message = `${method} ${path}: no answer at ${this.options.socket} within ${limit} ms`;
        throw new HydraError('TIMEOUT', message, 'look at the log of scanbridge-agent');
      }
      throw this.#unreachable(error);
    });
    if (status >= 400) throw this.#refusal(status, value);
    const checked = schema.safeParse(value);
    if (checked.success) return checked.data;
    const issue = checked.error.issues[0];
    throw this.#badAnswer(`${issue?.path.join('.') || 'body'}: ${issue?.message}`);
  }

  /**
   * Opens a stream of events; resolves when its headers are there.
   * @throws {HydraError}
   */
  async open(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#send('GET', path, undefined, signal).catch((error) => {
      throw this.#unreachable(error);
    });
    if (response.statusCode === 200) return response;
    throw this.#refusal(response.statusCode ?? 0, parse(await this.#text(response)));
  }

  async #answer(method: Method, path: string, body: unknown, signal: AbortSignal) {
    const response = await this.#send(method, path, body, signal);
    return { status: response.statusCode ?? 0, value: parse(await this.#text(response)) };
  }

  #send(method: Method, path: string, body: unknown, signal: AbortSignal) {
    const { socket, token } = this.options;
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise<IncomingMessage>((resolve, reject) => {
      const sent: ClientRequest = request(
        {
          socketPath: socket,
          method,
          path,
          signal,
          agent: false,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        },
        resolve,
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }

  async #text(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER) throw this.#badAnswer(`an answer of more than ${MAX_ANSWER} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  }

  #refusal(status: number, value: unknown): HydraError {
    const known = ErrorBody.safeParse(value);
    if (!known.success) return this.#badAnswer(`status ${status} without a known error`);
    const { code, message, remedy } = known.data.error;
    return new HydraError(code, message, remedy);
  }

  #badAnswer(what: string): HydraError {
    const message = `${this.options.socket} does not answer as this API does: ${what}`;
    return new HydraError('BAD_ANSWER', message, 'is that the socket of scanbridge-agent leases?');
  }

  #unreachable(error: unknown): HydraError {
    if (error instanceof HydraError) return error;
    const { code, message } = error as NodeJS.ErrnoException;
    const remedy =
      code === 'EACCES'
        ? 'this user may not use the socket; ask as the user that the agent allows'
        : 'is "scanbridge-agent leases" running? In a container: was it started with its --device?';
    const text = `no agent answers at ${this.options.socket}: ${message}`;
    return new HydraError('NO_AGENT', text, remedy, { cause: error });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
