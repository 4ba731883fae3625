// The kernel's AF_VSOCK, on hosts whose VMs have vhost-vsock.
import { listenVsock, VsockError } from '@scanbridge/native-vsock';
import type { Logger } from 'pino';
import { ListenError, reasonOf } from '../../errors.js';
import type { Accept, Transport } from './transport.js';

/** @throws {ListenError} also where this system has no AF_VSOCK */
export function listenKernelVsock(port: number, accept: Accept, log: Logger): Transport {
  const name = `vsock:${port}`;
  try {
    const server = listenVsock({ port });
    server.on('connection', accept);
    server.on('error', (error) => log.warn({ transport: name, code: error.code }, error.message));
    return {
      name,
      local: false,
      close: () =>
        new Promise((resolve) => {
          server.once('close', resolve);
          server.close();
        }),
    };
  } catch (error) {
    const remedy = error instanceof VsockError ? `; ${error.remedy}` : '';
    throw new ListenError(name, `${reasonOf(error)}${remedy}`);
  }
}
