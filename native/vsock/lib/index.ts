// The ways between a guest and its host, as Node streams: AF_VSOCK of Linux, and virtio-serial ports.
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
export { openSerial, SerialPort } from './serial.js';
export { listenVsock, type VsockListenOptions, VsockServer } from './server.js';
export { connectVsock, type VsockConnectOptions, VsockSocket } from './socket.js';
