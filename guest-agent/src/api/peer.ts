// Who is at the other end of a Unix socket, as the kernel knows it.
import type { Socket } from 'node:net';
import { type PeerCredentials, peerCredentials } from '@scanbridge/native-guest/lease';

/**
 * Process and user that made the connection (SO_PEERCRED); who was given the socket later is not known.
 * @throws when the connection is gone
 */
export function peerOf(socket: Socket): PeerCredentials {
  // Node shows a socket's descriptor nowhere else.
  const { _handle } = socket as Socket & { _handle?: { fd?: number } };
  const fd = _handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('the connection is gone');
  return peerCredentials(fd);
}
