// The cursor of a session: its last shape and position, as the texts that viewers get.
import type { CursorTexts } from './viewers/connection.js';
import type { FromWorker } from './worker/messages.js';

type CursorEvent = Extract<FromWorker, { type: 'cursor' }>;

/** Positions come without the shape; who joins later needs both. */
export class SessionCursor {
  #version = 0;
  #shapeVersion = 0;
  #shape: CursorEvent['shape'];
  /** Undefined: the source has no cursor of its own, or has not said. */
  texts: CursorTexts | undefined;

  take(event: CursorEvent): void {
    this.#version++;
    const { shape, ...position } = event;
    if (shape) {
      this.#shape = shape;
      this.#shapeVersion = this.#version;
    }
    this.texts = {
      version: this.#version,
      shapeVersion: this.#shapeVersion,
      position: JSON.stringify(position),
      full: JSON.stringify({ ...position, shape: this.#shape }),
    };
  }

  /** The source starts anew. */
  forget(): void {
    this.#shape = undefined;
    this.#shapeVersion = ++this.#version;
    this.texts = undefined;
  }
}
