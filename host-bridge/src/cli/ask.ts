// How the command line asks a running bridge.
import type { Argv } from 'yargs';
import { BridgeError, reasonOf } from '../errors.js';
import { DEFAULT_PORT } from './serve.js';

/** Options of all commands that talk to a bridge. */
export function clientOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('bridge', {
      type: 'string',
      default: `http://127.0.0.1:${DEFAULT_PORT}/`,
      describe: 'address of the bridge, as "serve" printed it',
    })
    .option('token', {
      type: 'string',
      describe: 'token of the bridge, if it has some; also from $SCANBRIDGE_TOKEN',
    });
}

export interface ClientArguments {
  readonly bridge: string;
  readonly token?: string | undefined;
}

/** The token that a command was given. */
export function tokenOf(args: ClientArguments): string | undefined {
  return args.token ?? process.env.SCANBRIDGE_TOKEN?.split(/[\s,]+/)[0];
}

interface ErrorBody {
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
}

/** GETs JSON of the API. @throws {BridgeError} with what the bridge said, or that there is none */
export async function ask<T>(args: ClientArguments, path: string): Promise<T> {
  const token = tokenOf(args);
  let response: Response;
  try {
    response = await fetch(new URL(path, args.bridge), {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(30_000),
    });
  } catch (error) {
    const reason = error instanceof Error && error.cause ? reasonOf(error.cause) : reasonOf(error);
    throw new BridgeError(
      'NO_BRIDGE',
      `no bridge answers at ${args.bridge}: ${reason}`,
      'start one with "scanbridge serve", or name it with --bridge',
    );
  }
  const body = (await response.json().catch(() => ({}))) as T & ErrorBody;
  if (response.ok) return body;
  const { code, message, remedy } = body.error ?? {
    code: 'BAD_ANSWER',
    message: `${args.bridge} answered ${response.status}`,
    remedy: 'is that a Scanbridge?',
  };
  throw new BridgeError(code, message, remedy);
}
