// Mouse, pen and touch, in pixels of the picture.
import type { Cursor } from './cursor.js';
import type { InputQueue } from './input-queue.js';
import { EVDEV_BUTTONS } from './keycodes.js';
import type { Screen } from './screen.js';

/** Touches at a time (the protocol's slots). */
const SLOTS = 16;
/** A step of a wheel in the protocol; lines of a step in Firefox; pixels of a page. */
const WHEEL_STEP = 120;
const LINES_OF_A_STEP = 3;
const PAGE = 480;

export class Pointer {
  #buttons = 0;
  /** Pointer id -> slot. */
  #touches = new Map<number, number>();
  #enabled = false;
  readonly #abort = new AbortController();

  constructor(
    readonly screen: Screen,
    readonly cursor: Cursor,
    readonly queue: InputQueue,
  ) {
    const { element } = screen;
    const on = <T extends keyof HTMLElementEventMap>(
      types: readonly T[],
      listener: (event: HTMLElementEventMap[T]) => void,
    ) => {
      for (const type of types) {
        element.addEventListener(type, listener as EventListener, {
          signal: this.#abort.signal,
          passive: false,
        });
      }
    };
    on(['pointerdown', 'pointermove', 'pointerup', 'pointercancel'], (event) => {
      if (!this.#enabled) return;
      if (event.pointerType === 'touch') this.#touch(event);
      else this.#mouse(event);
    });
    on(['pointerleave'], () => {
      this.cursor.own = false;
    });
    on(['wheel'], (event) => this.#wheel(event));
    // The menu, autoscrolling, selecting and the mouse's "back" belong to the desktop.
    on(['contextmenu', 'auxclick', 'mousedown', 'mouseup', 'dragstart'], (event) => {
      if (this.#enabled) event.preventDefault();
    });
  }

  set enabled(enabled: boolean) {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    this.screen.element.classList.toggle('controlled', enabled);
    if (!enabled) {
      this.#buttons = 0;
      this.#touches.clear();
      this.cursor.own = false;
    }
  }

  /** Releases what is pressed on the desktop. */
  releaseAll(): void {
    this.#setButtons(0);
    for (const [id, slot] of this.#touches) {
      this.queue.push({ kind: 'touch', slot, phase: 'up', x: 0, y: 0 });
      this.#touches.delete(id);
    }
  }

  close(): void {
    this.#abort.abort();
  }

  #mouse(event: PointerEvent): void {
    const { x, y, inside } = this.screen.toPicture(event.clientX, event.clientY);
    this.cursor.own = inside || this.#buttons !== 0;
    if (!inside && this.#buttons === 0) return;
    if (event.type === 'pointerdown') this.screen.element.setPointerCapture(event.pointerId);
    this.queue.push({ kind: 'motion', x, y });
    // Further buttons of a mouse come as moves: the mask tells the truth in every event.
    this.#setButtons(event.type === 'pointercancel' ? 0 : event.buttons);
  }

  #setButtons(buttons: number): void {
    EVDEV_BUTTONS.forEach((code, bit) => {
      const now = (buttons >> bit) & 1;
      if (now !== ((this.#buttons >> bit) & 1)) {
        this.queue.push({ kind: 'button', code, pressed: now === 1 });
      }
    });
    this.#buttons = buttons;
  }

  #touch(event: PointerEvent): void {
    const { x, y, inside } = this.screen.toPicture(event.clientX, event.clientY);
    const known = this.#touches.get(event.pointerId);
    if (event.type === 'pointerdown') {
      const used = new Set(this.#touches.values());
      const slot = Array.from({ length: SLOTS }, (_, i) => i).find((i) => !used.has(i));
      if (slot === undefined || !inside) return;
      this.#touches.set(event.pointerId, slot);
      this.screen.element.setPointerCapture(event.pointerId);
      this.queue.push({ kind: 'touch', slot, phase: 'down', x, y });
    } else if (known !== undefined) {
      const phase = event.type === 'pointermove' ? 'motion' : 'up';
      if (phase === 'up') this.#touches.delete(event.pointerId);
      this.queue.push({ kind: 'touch', slot: known, phase, x, y });
    }
  }

  #wheel(event: WheelEvent): void {
    if (!this.#enabled) return;
    event.preventDefault();
    const { x, y, inside } = this.screen.toPicture(event.clientX, event.clientY);
    if (!inside) return;
    this.queue.push({ kind: 'motion', x, y });
    this.queue.push({ kind: 'axis', ...wheelMovement(event) });
  }
}

/** Chromium and WebKit keep the old wheelDelta beside the standard's delta. */
interface OldWheelEvent {
  readonly wheelDeltaX?: number;
  readonly wheelDeltaY?: number;
}

/** The movement of a wheel event: steps of 120 where it is a wheel, pixels where it is a touch pad. */
function wheelMovement(event: WheelEvent): { dx: number; dy: number; discrete: boolean } {
  if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) {
    const perLine = WHEEL_STEP / LINES_OF_A_STEP;
    return { dx: event.deltaX * perLine, dy: event.deltaY * perLine, discrete: true };
  }
  const { wheelDeltaX = 0, wheelDeltaY = 0 } = event as OldWheelEvent;
  // A wheel has whole steps; a touch pad's wheelDelta is three times its delta.
  const steps = (old: number, delta: number) => old % WHEEL_STEP === 0 && old !== -3 * delta;
  const vertical = wheelDeltaY !== 0 && steps(wheelDeltaY, event.deltaY);
  const horizontal = wheelDeltaX !== 0 && steps(wheelDeltaX, event.deltaX);
  if (vertical || horizontal) {
    return { dx: 0 - wheelDeltaX, dy: 0 - wheelDeltaY, discrete: true };
  }
  const unit = event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? PAGE : 1;
  return { dx: event.deltaX * unit, dy: event.deltaY * unit, discrete: false };
}
