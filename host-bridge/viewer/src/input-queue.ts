// Input on its way to the desktop. Queue: the events of one display frame, in order; positions and scrolling that follow
// each other merge; a press or release is never merged, never dropped, and does not wait.
import type { InputEvent } from '@scanbridge/protocol/viewer';
import { MAX_EVENTS } from './messages.js';

export class InputQueue {
  #events: InputEvent[] = [];
  #request: number | undefined;

  /** @param send takes a message's events; `sparable` when they are positions only, which the next ones replace */
  constructor(readonly send: (events: InputEvent[], sparable: boolean) => void) {}

  push(event: InputEvent): void {
    const last = this.#events.at(-1);
    if (last && merges(last, event)) {
      this.#events[this.#events.length - 1] = merged(last, event);
    } else {
      this.#events.push(event);
    }
    const moves = event.kind === 'motion' || event.kind === 'axis' || isTouchMotion(event);
    if (!moves || this.#events.length >= MAX_EVENTS) this.flush();
    else this.#request ??= requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    if (this.#request !== undefined) cancelAnimationFrame(this.#request);
    this.#request = undefined;
    const events = this.#events;
    this.#events = [];
    if (events.length === 0) return;
    this.send(
      events,
      events.every((event) => event.kind === 'motion' || isTouchMotion(event)),
    );
  }

  close(): void {
    if (this.#request !== undefined) cancelAnimationFrame(this.#request);
    this.#request = undefined;
    this.#events = [];
  }
}

function isTouchMotion(event: InputEvent): boolean {
  return event.kind === 'touch' && event.phase === 'motion';
}

function merges(last: InputEvent, next: InputEvent): boolean {
  if (last.kind === 'motion') return next.kind === 'motion';
  if (last.kind === 'axis') return next.kind === 'axis' && last.discrete === next.discrete;
  return (
    last.kind === 'touch' &&
    next.kind === 'touch' &&
    last.slot === next.slot &&
    last.phase === 'motion' &&
    next.phase === 'motion'
  );
}

/** Of two events that merge: the newer position, the sum of scrolling (held within the protocol's limits). */
function merged(last: InputEvent, next: InputEvent): InputEvent {
  if (last.kind !== 'axis' || next.kind !== 'axis') return next;
  const hold = (value: number) => Math.min(10_000, Math.max(-10_000, value));
  return { ...next, dx: hold(last.dx + next.dx), dy: hold(last.dy + next.dy) };
}
