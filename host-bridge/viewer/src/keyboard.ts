// The keyboard: while its element has the focus, every key goes to the desktop and none to the page.
// The element is focused by a click or a button, never by Tab (that would be a trap for who works without a mouse), and
// let go by Ctrl+Alt+Shift, pressed and released with nothing else, or by clicking elsewhere.
import type { InputQueue } from './input-queue.js';
import { EVDEV_KEYS } from './keycodes.js';

/** Windows reports AltGr as Control and Alt in the same instant [ms]. */
const ALTGR_WITHIN = 10;

const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const IS_WINDOWS = /Win/.test(navigator.platform);

export class Keyboard {
  #pressed = new Set<number>();
  #enabled = false;
  #releasing = false;
  #controlAt = Number.NEGATIVE_INFINITY;

  /**
   * @param target what has to be focused
   * @param changed called when the keyboard was taken or let go
   */
  constructor(
    readonly target: HTMLElement,
    readonly queue: InputQueue,
    readonly changed: () => void,
  ) {
    target.tabIndex = -1;
    target.addEventListener('keydown', (event) => this.#down(event));
    target.addEventListener('keyup', (event) => this.#up(event));
    target.addEventListener('focus', () => this.changed());
    target.addEventListener('blur', () => {
      this.releaseAll();
      this.changed();
    });
  }

  /** Whether keys go to the desktop. */
  get taken(): boolean {
    return this.#enabled && document.activeElement === this.target;
  }

  /** View-only viewers and broken connections take no keys. */
  set enabled(enabled: boolean) {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    if (!enabled) {
      // The bridge has let the keys go together with the connection.
      this.#pressed.clear();
    }
    this.changed();
  }

  take(): void {
    if (this.#enabled) this.target.focus({ preventScroll: true });
  }

  letGo(): void {
    this.target.blur();
  }

  /** Releases what is pressed on the desktop. */
  releaseAll(): void {
    for (const code of this.#pressed) this.queue.push({ kind: 'key', code, pressed: false });
    this.#pressed.clear();
    this.#releasing = false;
  }

  #down(event: KeyboardEvent): void {
    if (!this.#enabled || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    this.#releasing = event.ctrlKey && event.altKey && event.shiftKey && isModifier(event);
    const code = EVDEV_KEYS.get(event.code);
    // The desktop repeats keys by itself.
    if (code === undefined || event.repeat) return;
    if (event.code === 'ControlLeft') this.#controlAt = event.timeStamp;
    if (
      IS_WINDOWS &&
      event.code === 'AltRight' &&
      event.timeStamp - this.#controlAt < ALTGR_WITHIN
    ) {
      this.#set(29, false);
    }
    this.#set(code, true);
    // macOS reports no release of a key while Command is held.
    if (IS_MAC && event.metaKey && !isModifier(event)) this.#set(code, false);
  }

  #up(event: KeyboardEvent): void {
    if (!this.#enabled) return;
    event.preventDefault();
    event.stopPropagation();
    const code = EVDEV_KEYS.get(event.code);
    if (code !== undefined) this.#set(code, false);
    if (this.#releasing && isModifier(event)) {
      this.#releasing = false;
      this.letGo();
    }
  }

  #set(code: number, pressed: boolean): void {
    if (pressed === this.#pressed.has(code)) return;
    if (pressed) this.#pressed.add(code);
    else this.#pressed.delete(code);
    this.queue.push({ kind: 'key', code, pressed });
  }
}

function isModifier(event: KeyboardEvent): boolean {
  return /^(Alt|Control|Meta|Shift|OS)(Left|Right)$/.test(event.code);
}
