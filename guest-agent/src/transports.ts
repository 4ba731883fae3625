// The ways by which the agent reaches its bridge.
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connectVsock, openSerial, VSOCK_CID_HOST, VsockError } from '@scanbridge/native-vsock';
import { AGENT_PORT, AGENT_SERIAL_PORT } from '@scanbridge/protocol/agent';
import { OptionError } from './errors.js';

/** Host of a guest in QEMU's user-mode network. */
const USER_NETWORK_HOST = '10.0.2.2';
/** Time for one connection [ms]; a host that does not answer must not keep the next way waiting. */
const CONNECT_LIMIT = 3000;

/** Where a bridge may be. */
export type BridgeAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly kind: 'serial'; readonly path: string }
  /** In the clear, and known to anybody who asks: the bridge wants the token. */
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly token?: string;
    };

/** Whether who listens there runs on this machine for sure, so that descriptors can be passed. */
export function isOnThisMachine(address: BridgeAddress): boolean {
  return address.kind === 'unix';
}

/** As the command line spells it, for logs. */
export function nameOf(address: BridgeAddress): string {
  switch (address.kind) {
    case 'unix':
    case 'serial':
      return `${address.kind}:${address.path}`;
    case 'vsock':
      return `vsock:${address.cid}:${address.port}`;
    case 'tcp':
      return `tcp:${address.host}:${address.port}`;
  }
}

/**
 * What `auto` stands for, in the order in which it is tried: vsock has connections and needs no network,
 * virtio-serial has neither connections nor limits of who may use it, TCP is in the clear.
 */
function automatic(token: string | undefined): BridgeAddress[] {
  const ways: BridgeAddress[] = [
    { kind: 'vsock', cid: VSOCK_CID_HOST, port: AGENT_PORT },
    { kind: 'serial', path: `/dev/virtio-ports/${AGENT_SERIAL_PORT}` },
  ];
  if (token === undefined) return ways;
  return [...ways, { kind: 'tcp', host: USER_NETWORK_HOST, port: AGENT_PORT, token }];
}

/**
 * Reads `unix:PATH`, `vsock:CID:PORT`, `serial:PATH`, `tcp:HOST:PORT` or `auto`.
 * @param token for TCP
 * @returns the addresses to try, in this order
 * @throws {OptionError}
 */
export function parseBridge(text: string, token?: string): BridgeAddress[] {
  if (text === 'auto') return automatic(token);
  const [, kind, rest = ''] = /^(unix|vsock|serial|tcp):(.+)$/.exec(text) ?? [];
  if (kind === 'unix' || kind === 'serial') return [{ kind, path: rest }];
  const [, host = '', digits] = /^(.+):(\d{1,10})$/.exec(rest) ?? [];
  const port = Number(digits);
  if (kind === 'vsock' && /^\d{1,10}$/.test(host) && Number(host) <= 0xffffffff) {
    if (port <= 0xffffffff) return [{ kind, cid: Number(host), port }];
  }
  if (kind === 'tcp' && port >= 1 && port <= 65_535) {
    return [{ kind, host: host.replace(/^\[|\]$/g, ''), port, ...(token && { token }) }];
  }
  throw new OptionError(
    `--bridge ${text}: write it as unix:PATH, vsock:CID:PORT, serial:PATH, tcp:HOST:PORT or auto.`,
  );
}

/**
 * Connects once. The stream that comes is connected, and is the caller's.
 * @param signal gives the attempt up
 */
export async function openTransport(address: BridgeAddress, signal: AbortSignal): Promise<Duplex> {
  switch (address.kind) {
    case 'vsock':
      return await connectVsock({ ...address, timeout: CONNECT_LIMIT, signal });
    case 'serial':
      return openSerial(address.path);
    case 'unix':
      return await connected({ path: address.path }, signal);
    case 'tcp':
      return await connected({ host: address.host, port: address.port }, signal);
  }
}

/** Why an address cannot be reached, and what to do where that is known. */
export function reasonOf(error: unknown): string {
  if (error instanceof VsockError) return `${error.message}; ${error.remedy}`;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const words: Record<string, string> = {
    ENOENT: 'there is no such socket',
    ECONNREFUSED: 'nobody listens there',
    EACCES: 'this user may not connect',
  };
  return words[code] ?? message;
}

function connected(
  to: { path: string } | { host: string; port: number },
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, noDelay: true });
    const limit = setTimeout(() => give(`no answer within ${CONNECT_LIMIT} ms`), CONNECT_LIMIT);
    const give = (why: string) => socket.destroy(new Error(why));
    const abort = () => give('given up');
    const settle = () => {
      clearTimeout(limit);
      signal.removeEventListener('abort', abort);
      socket.off('error', failed);
    };
    const failed = (error: Error) => {
      settle();
      reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', failed);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
    if (signal.aborted) abort();
  });
}
