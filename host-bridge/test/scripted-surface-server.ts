// FAKE, for the bridge's control connection only: answers as QEMU's frame-export does and does as the test says, so that
// reboots and restarts come when they are wanted. It serves no pictures; test/vm runs the real QEMU.
import { createServer, type Server, type Socket } from 'node:net';
import {
  Capability,
  type ConfigureScanout,
  encodeSurface,
  type FromServer,
  ScanoutFlag,
  SURFACE_MAGIC,
  SURFACE_VERSION_MAJOR,
  SURFACE_VERSION_MINOR,
  SurfaceDecoder,
  SurfaceError,
} from '@scanbridge/protocol/surface';

const SCANOUTS = 3;

interface Head {
  enabled: boolean;
  width: number;
  height: number;
  /** What the guest draws; absent: nothing. */
  picture?: { width: number; height: number };
}

const powerOn = (): Head[] =>
  Array.from({ length: SCANOUTS }, (_, i) => ({ enabled: i === 0, width: 1024, height: 768 }));

/** Owns a listening socket. */
export class ScriptedSurfaceServer {
  readonly configured: ConfigureScanout[] = [];
  readonly #sockets = new Set<Socket>();
  /** Connections that want scanout information: the bridge's own one. */
  readonly #control = new Set<Socket>();
  #server: Server | undefined;
  #heads = powerOn();
  #generation = 1;

  constructor(readonly path: string) {}

  async start(): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve) => this.#server?.listen(this.path, resolve));
  }

  /** As if QEMU ended: the next start is a new machine. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    this.#heads = powerOn();
    this.#generation = 1;
    await closed;
  }

  /** As a guest that reboots. */
  reset(): void {
    this.#generation++;
    this.#heads = powerOn();
    for (let scanout = 0; scanout < SCANOUTS; scanout++) this.#tell(scanout);
  }

  /** As a guest that draws a picture of this size. */
  draw(scanout: number, width: number, height: number): void {
    (this.#heads[scanout] as Head).picture = { width, height };
    this.#tell(scanout);
  }

  /** Bytes to everyone, whatever they are. */
  shout(bytes: Uint8Array): void {
    for (const socket of this.#control) socket.write(bytes);
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const decoder = new SurfaceDecoder('client');
    const send = (message: FromServer) => socket.write(encodeSurface(message));
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#control.delete(socket);
    });
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) {
        const serial = message.serial ?? 0;
        if (message.type === 'hello') {
          send({
            type: 'hello_reply',
            serial,
            magic: SURFACE_MAGIC,
            versionMajor: SURFACE_VERSION_MAJOR,
            versionMinor: SURFACE_VERSION_MINOR,
            capabilities: BigInt(Capability.SCANOUT_INFO),
            scanoutCount: SCANOUTS,
            maxStreams: 32,
            name: 'scripted',
          });
          if ((message.capabilities & BigInt(Capability.SCANOUT_INFO)) === 0n) continue;
          this.#control.add(socket);
          for (let scanout = 0; scanout < SCANOUTS; scanout++) this.#tell(scanout);
        } else if (message.type === 'configure_scanout') {
          this.#configure(message);
          send({ type: 'ok', serial });
          this.#tell(message.scanout);
        } else if (message.type === 'ping') {
          send({ type: 'pong', serial, token: message.token });
        } else {
          const text = 'the scripted server has no pictures';
          send({ type: 'error', serial, code: SurfaceError.UNSUPPORTED, fatal: 0, text });
        }
      }
    });
  }

  #configure(message: ConfigureScanout): void {
    this.configured.push(message);
    const { scanout, enabled, width, height } = message;
    this.#heads[scanout] = { enabled: enabled === 1, width, height };
  }

  #tell(scanout: number): void {
    const head = this.#heads[scanout] as Head;
    const message: FromServer = {
      type: 'scanout_info',
      scanout,
      flags: (head.enabled ? ScanoutFlag.ENABLED : 0) | (head.picture ? ScanoutFlag.ACTIVE : 0),
      width: head.picture?.width ?? 0,
      height: head.picture?.height ?? 0,
      preferredWidth: head.enabled ? head.width : 0,
      preferredHeight: head.enabled ? head.height : 0,
      refresh: 0,
      generation: this.#generation,
    };
    for (const socket of this.#control) socket.write(encodeSurface(message));
  }
}
