// The worker's end of the media pipe: what to do when the bridge does not read.
import type { Socket } from 'node:net';
import { monotonicUs, RecordKind, recordHeader } from './framing.js';
import type { FromWorker } from './messages.js';

/**
 * Bytes that may wait for the bridge before access units are dropped [bytes]. The bridge reads at once unless it is
 * stuck; then everything up to the next key frame goes, so that no decoder sees a gap within its references.
 */
export const MAX_WAITING = 16 * 1024 * 1024;

const KEY = 1;

/** Writes records; video is never copied or turned into text. */
export class MediaPipe {
  #untilKey = false;
  /** Access units that were dropped because the bridge did not read. */
  dropped = 0;

  /**
   * @param requestKeyFrame called once when units were dropped and the bridge reads again
   */
  constructor(
    readonly socket: Socket,
    readonly requestKeyFrame: () => void,
  ) {
    socket.on('drain', () => {
      if (this.#untilKey) this.requestKeyFrame();
    });
  }

  /** Sends a complete binary message of the viewer protocol. */
  unit(message: Buffer): void {
    const now = monotonicUs();
    const key = ((message[1] ?? 0) & KEY) !== 0;
    const full = this.socket.writableLength + message.length > MAX_WAITING;
    if (full || (this.#untilKey && !key)) {
      this.#untilKey = true;
      this.dropped++;
      return;
    }
    this.#untilKey = false;
    this.#write(RecordKind.ACCESS_UNIT, message, now);
  }

  /** Sends an event; events are small and few, and are never dropped. */
  event(event: FromWorker): void {
    this.#write(RecordKind.EVENT, Buffer.from(JSON.stringify(event)), monotonicUs());
  }

  #write(kind: RecordKind, body: Buffer, timeUs: number): void {
    this.socket.cork();
    this.socket.write(recordHeader(kind, body.length, timeUs));
    this.socket.write(body);
    this.socket.uncork();
  }
}
