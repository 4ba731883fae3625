import { addon } from './addon.js';
import { fromErrno } from './errors.js';
import { type Done, HandleStream } from './stream.js';

/**
 * A virtio-serial port of a guest. It reads as ended while nobody has the other end open at the host.
 * `end()` closes it when all is written: it has no end of one direction.
 */
export class SerialPort extends HandleStream {
  override _final(done: Done): void {
    done(null);
    this.destroy();
  }
}

/**
 * Opens a port, such as /dev/virtio-ports/NAME.
 * @throws {VsockError} UNSUPPORTED (there is none), IN_USE, DENIED, FAILED
 */
export function openSerial(path: string): SerialPort {
  const handle = new (addon().Handle)();
  const result = handle.openDevice(path);
  if (result < 0) throw fromErrno(result, path);
  return new SerialPort(handle, path, false);
}
