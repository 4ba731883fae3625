// AF_VSOCK stream sockets of Linux as Node streams.
export {
  formatAddress,
  localCid,
  VSOCK_CID_ANY,
  VSOCK_CID_HOST,
  VSOCK_CID_LOCAL,
  VSOCK_PORT_ANY,
  type VsockAddress,
} from './address.js';
export { VsockError, type VsockErrorCode } from './errors.js';
export { listenVsock, type VsockListenOptions, VsockServer } from './server.js';
export { connectVsock, type VsockConnectOptions, VsockSocket } from './socket.js';
