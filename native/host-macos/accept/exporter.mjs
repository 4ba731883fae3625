// What QEMU exports: the picture of a scanout as an IOSurface, compared with QEMU's own screenshot.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { readSurface } from '@scanbridge/native-host-macos';
import * as surface from '@scanbridge/protocol/surface';

const LIMIT_MS = 5000;

function connect(path) {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

function within(promise, what) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} did not come within ${LIMIT_MS} ms`)),
      LIMIT_MS,
    );
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Takes pictures of one scanout, one after the other. */
export class Scanout {
  #surfaces = new Map();
  #frames = [];
  #waiting;

  static async open(path, scanout) {
    const self = new Scanout();
    self.socket = await connect(path);
    const decoder = new surface.SurfaceDecoder('server');
    self.socket.on('data', (chunk) => {
      for (const message of decoder.push(chunk)) self.#take(message, scanout);
    });
    self.#send({
      type: 'hello',
      serial: 0,
      magic: surface.SURFACE_MAGIC,
      versionMajor: surface.SURFACE_VERSION_MAJOR,
      versionMinor: surface.SURFACE_VERSION_MINOR,
      capabilities: BigInt(surface.Capability.IOSURFACE),
      name: 'accept',
    });
    return self;
  }

  #send(message) {
    this.socket.write(surface.encodeSurface(message));
  }

  #take(message, scanout) {
    if (message.type === 'hello_reply')
      this.#send({ type: 'subscribe_scanout', stream: 1, serial: 1, scanout, flags: 0 });
    else if (message.type === 'surface') this.#surfaces.set(message.surface, message);
    else if (message.type === 'error' || message.type === 'stream_end') this.#failed(message.text);
    else if (message.type === 'frame') {
      this.#frames.push(message);
      this.#waiting?.resolve();
    }
  }

  #failed(text) {
    this.failure = new Error(text);
    this.#waiting?.reject(this.failure);
  }

  /** The next frame and its pixels (B, G, R, A). */
  async next() {
    if (this.failure) throw this.failure;
    if (this.#frames.length === 0) {
      await within(
        new Promise((resolve, reject) => {
          this.#waiting = { resolve, reject };
        }),
        'a frame',
      );
    }
    const frame = this.#frames.shift();
    const description = this.#surfaces.get(frame.surface);
    const pixels = readSurface(description);
    this.#send({ type: 'release', stream: 1, sequence: frame.sequence });
    return { frame, description, pixels };
  }

  close() {
    this.socket.destroy();
  }
}

/** QEMU's own picture of a head, as rows of R, G, B. `folder` is one that QEMU may write to. */
export async function screenshot(qmp, device, head) {
  const socket = await connect(qmp);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const answer = async () => {
    for (;;) {
      const { value } = await within(lines.next(), 'an answer of QMP');
      const message = JSON.parse(value);
      if (message.error) throw new Error(message.error.desc);
      if (message.return !== undefined || message.QMP !== undefined) return;
    }
  };
  const file = `accept-${process.pid}.ppm`;
  try {
    await answer();
    for (const command of [
      { execute: 'qmp_capabilities' },
      { execute: 'screendump', arguments: { filename: file, device, head } },
    ]) {
      socket.write(`${JSON.stringify(command)}\n`);
      await answer();
    }
  } finally {
    socket.destroy();
  }
  const path = join(dirname(qmp), file);
  const ppm = readFileSync(path);
  rmSync(path);
  const [, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(
    ppm.subarray(0, 64).toString('latin1'),
  );
  return { width: Number(width), height: Number(height), rgb: ppm.subarray(-width * height * 3) };
}

/** Of the visible bytes alone, whatever order they are in: alpha is nobody's. */
export function checksum(pixels, step, [red, green, blue]) {
  const rgb = Buffer.alloc((pixels.length / step) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += step) {
    rgb[to++] = pixels[from + red];
    rgb[to++] = pixels[from + green];
    rgb[to++] = pixels[from + blue];
  }
  return createHash('sha256').update(rgb).digest('hex').slice(0, 16);
}
