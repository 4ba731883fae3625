// What a viewer holds down. A viewer that goes away, however it does, must not leave a key or button pressed.
import { type InputEvent, MAX_INPUT_EVENTS } from '@scanbridge/protocol/viewer';

/** Keys, buttons and fingers at a time; a viewer that presses more is no person, and the oldest ones stay tracked. */
const MAX_HELD = 64;

type Held = Extract<InputEvent, { kind: 'key' | 'button' | 'touch' }>;

const nameOf = (event: Held): string =>
  event.kind === 'touch' ? `touch ${event.slot}` : `${event.kind} ${event.code}`;

const isDown = (event: Held): boolean =>
  event.kind === 'touch' ? event.phase !== 'up' : event.pressed;

/** The keys, buttons and touches of one viewer. */
export class HeldInput {
  readonly #held = new Map<string, Held>();

  /** Takes events that are passed on. */
  take(events: readonly InputEvent[]): void {
    for (const event of events) {
      if (event.kind === 'motion' || event.kind === 'axis') continue;
      const name = nameOf(event);
      if (!isDown(event)) this.#held.delete(name);
      else if (this.#held.has(name) || this.#held.size < MAX_HELD) this.#held.set(name, event);
    }
  }

  /** Events that let go of everything; nothing is held after it. At most MAX_INPUT_EVENTS. */
  release(): InputEvent[] {
    const events = [...this.#held.values()].map(
      (event): InputEvent =>
        event.kind === 'touch' ? { ...event, phase: 'up' } : { ...event, pressed: false },
    );
    this.#held.clear();
    return events.slice(0, MAX_INPUT_EVENTS);
  }
}
