// A virtio-serial port. QEMU serves its host side as a Unix socket that takes one client at a time, so
// the bridge is the client here, and comes back whenever the connection ends.
import { connect, type Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Accept, Transport, TransportSpec } from './transport.js';

/**
 * Pause before the next attempt [ms]. It lets the guest see that the host has gone: a new connection
 * that follows at once would look like the old one to it.
 */
const PAUSE_MS = 1000;

/** Connects as soon as QEMU listens; never fails, as the VM may be started later. */
export function connectSerial(
  { path, vm }: Extract<TransportSpec, { kind: 'serial' }>,
  accept: Accept,
  log: Logger,
): Transport {
  const name = `serial:${path}`;
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let told = '';
  const attempt = (): void => {
    const next = connect(path);
    socket = next;
    let reached = false;
    next.once('connect', () => {
      reached = true;
      told = '';
      accept(next);
    });
    next.on('error', (error) => {
      if (!reached && told !== error.message) {
        told = error.message;
        log.info({ transport: name }, `no VM yet, will try on: ${error.message}`);
      }
    });
    next.once('close', () => {
      if (!closed) timer = setTimeout(attempt, PAUSE_MS);
    });
  };
  attempt();
  return {
    name,
    local: false,
    ...(vm && { vm }),
    close: async () => {
      closed = true;
      clearTimeout(timer);
      if (socket?.connecting) socket.destroy();
    },
  };
}
