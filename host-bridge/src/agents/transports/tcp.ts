// TCP, for guests that have nothing better. It has no idea of who calls, so each agent shows a token.
import { createServer } from 'node:net';
import { ListenError, OptionError, reasonOf } from '../../errors.js';
import type { Accept, Transport } from './transport.js';

/** Shortest token: 16 characters of base64 are 96 bits. The agent protocol allows up to 256. */
const MIN_TOKEN = 16;
const MAX_TOKEN = 256;

/** @throws {ListenError | OptionError} */
export async function listenTcp(
  { host, port, token }: { host: string; port: number; token: string },
  accept: Accept,
): Promise<Transport> {
  if (token.length < MIN_TOKEN || token.length > MAX_TOKEN) {
    throw new OptionError(
      `the agents' token has ${token.length} characters, not ${MIN_TOKEN} to ${MAX_TOKEN}`,
      'make one with: openssl rand -hex 16',
    );
  }
  const server = createServer({ noDelay: true }, accept);
  await new Promise<void>((resolve, reject) => {
    const name = `tcp:${host}:${port}`;
    server.once('error', (error) => reject(new ListenError(name, reasonOf(error))));
    server.listen(port, host, resolve);
  });
  const bound = server.address();
  const actual = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    name: `tcp:${host}:${actual}`,
    local: false,
    token,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
