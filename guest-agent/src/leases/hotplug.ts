// What the kernel tells about DRM devices, without udev.
import { EventEmitter } from 'node:events';
import { type Descriptor, openUevents, readUevents } from '@scanbridge/native-guest/lease';

interface HotplugEvents {
  /** The displays of this DRM node ("/dev/dri/card0") may be others. */
  hotplug: [card: string];
  /** A DRM lease of this node has begun or ended. */
  lease: [card: string];
  /** Events were lost: anything may have happened. */
  lost: [];
}

/** The kernel's events from construction to close(). */
export class Hotplug extends EventEmitter<HotplugEvents> {
  readonly #socket: Descriptor = openUevents();

  constructor() {
    super();
    // One waits per scanout that is being configured.
    this.setMaxListeners(0);
    this.#socket.watch(() => this.#read());
  }

  close(): void {
    this.#socket.close();
  }

  #read(): void {
    for (const event of readUevents(this.#socket)) {
      if (event.ACTION === undefined) this.emit('lost');
      if (event.SUBSYSTEM !== 'drm' || event.DEVNAME === undefined) continue;
      const card = `/dev/${event.DEVNAME}`;
      if (event.HOTPLUG === '1') this.emit('hotplug', card);
      if (event.LEASE === '1') this.emit('lease', card);
    }
  }
}
