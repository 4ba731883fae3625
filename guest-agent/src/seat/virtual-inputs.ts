// Keyboard, pointer and touch screen of one desktop: what viewers do arrives there as from any device.
import {
  createVirtualInput,
  type Descriptor,
  type VirtualInputKind,
  writeInput,
} from '@scanbridge/native-guest/lease';
import type { InputEvent } from '@scanbridge/protocol/viewer';
import type { Shelf } from '../leases/shelf.js';

// linux/input-event-codes.h
const EV_KEY = 1;
const EV_REL = 2;
const EV_ABS = 3;
const ABS_X = 0;
const ABS_Y = 1;
const REL_HWHEEL = 6;
const REL_WHEEL = 8;
const REL_WHEEL_HI_RES = 11;
const REL_HWHEEL_HI_RES = 12;
const BTN_TOUCH = 0x14a;
const ABS_MT_SLOT = 0x2f;
const ABS_MT_POSITION_X = 0x35;
const ABS_MT_POSITION_Y = 0x36;
const ABS_MT_TRACKING_ID = 0x39;
/** What the addon's absolute axes reach. */
const AXIS_MAX = 65_535;
/** Units of a high resolution wheel for one notch. */
const NOTCH = 120;
/** Pixels of a touch pad's scrolling that are one notch of a wheel, as compositors have it. */
const PIXELS_PER_NOTCH = 15;

const KINDS: readonly VirtualInputKind[] = ['keyboard', 'pointer', 'touch'];

/** Three devices in the kernel from construction to close(). */
export class VirtualInputs {
  readonly nodes: readonly string[];
  readonly #devices: Record<VirtualInputKind, Descriptor>;
  readonly #pressed = new Map<number, 'keyboard' | 'pointer'>();
  readonly #touches = new Set<number>();
  #nextTouch = 0;
  /** Rests of the wheels, which count whole notches [1/120 notch]. */
  #wheel = { x: 0, y: 0 };

  /**
   * @param name whose they are, for people
   * @param phys tells them apart from other desktops'
   * @param shelf for an agent after this one
   * @throws {SystemError}
   */
  constructor(
    name: string,
    phys: string,
    private readonly shelf: Shelf,
  ) {
    const made: { kind: VirtualInputKind; descriptor: Descriptor; node: string }[] = [];
    try {
      for (const kind of KINDS) {
        const kept = shelf.take(kind);
        const device =
          kept?.descriptor === undefined
            ? createVirtualInput(kind, `Scanbridge ${kind} of ${name}`, `${phys}/${kind}`)
            : { descriptor: kept.descriptor, node: kept.value as string };
        made.push({ kind, ...device });
        shelf.keep(kind, device.node, device.descriptor);
      }
    } catch (error) {
      for (const { kind, descriptor } of made) {
        shelf.forget(kind);
        descriptor.close();
      }
      throw error;
    }
    this.nodes = made.map(({ node }) => node);
    this.#devices = Object.fromEntries(made.map((m) => [m.kind, m.descriptor])) as Record<
      VirtualInputKind,
      Descriptor
    >;
  }

  /** @param size of the display, which coordinates are in [pixels] */
  apply(events: readonly InputEvent[], size: { width: number; height: number }): void {
    for (const event of events) this.#apply(event, size);
  }

  /** Releases what is held: its viewer is gone. */
  releaseAll(): void {
    for (const [code, kind] of this.#pressed) this.#write(kind, EV_KEY, code, 0);
    this.#pressed.clear();
    for (const slot of this.#touches) this.#touchUp(slot);
    this.#touches.clear();
  }

  close(): void {
    for (const kind of KINDS) {
      this.shelf.forget(kind);
      this.#devices[kind].close();
    }
  }

  #write(kind: VirtualInputKind, ...values: number[]): void {
    writeInput(this.#devices[kind], Int32Array.from(values));
  }

  #apply(event: InputEvent, size: { width: number; height: number }): void {
    switch (event.kind) {
      case 'motion': {
        const { x, y } = scaled(event, size);
        this.#write('pointer', EV_ABS, ABS_X, x, EV_ABS, ABS_Y, y);
        break;
      }
      case 'button':
        this.#press('pointer', event.code, event.pressed);
        break;
      case 'key':
        this.#press('keyboard', event.code, event.pressed);
        break;
      case 'axis':
        this.#scroll(event.dx, event.dy, event.discrete);
        break;
      case 'touch':
        this.#touch(event, scaled(event, size));
        break;
    }
  }

  #press(kind: 'keyboard' | 'pointer', code: number, pressed: boolean): void {
    if (pressed) this.#pressed.set(code, kind);
    else this.#pressed.delete(code);
    this.#write(kind, EV_KEY, code, pressed ? 1 : 0);
  }

  #scroll(dx: number, dy: number, discrete: boolean): void {
    const units = (delta: number) =>
      Math.round(discrete ? delta : (delta * NOTCH) / PIXELS_PER_NOTCH);
    const values: number[] = [];
    // A wheel turned away from its user scrolls up: positive there, negative in pixels.
    this.#turn(values, 'y', -units(dy), REL_WHEEL, REL_WHEEL_HI_RES);
    this.#turn(values, 'x', units(dx), REL_HWHEEL, REL_HWHEEL_HI_RES);
    if (values.length > 0) this.#write('pointer', ...values);
  }

  #turn(values: number[], axis: 'x' | 'y', units: number, wheel: number, fine: number): void {
    if (units === 0) return;
    values.push(EV_REL, fine, units);
    this.#wheel[axis] += units;
    const notches = Math.trunc(this.#wheel[axis] / NOTCH);
    if (notches === 0) return;
    this.#wheel[axis] -= notches * NOTCH;
    values.push(EV_REL, wheel, notches);
  }

  #touch(event: Extract<InputEvent, { kind: 'touch' }>, { x, y }: { x: number; y: number }): void {
    const { slot, phase } = event;
    if (phase === 'up') {
      if (this.#touches.delete(slot)) this.#touchUp(slot);
      return;
    }
    // A touch whose beginning was not seen begins here.
    const begins = !this.#touches.has(slot);
    const values = [EV_ABS, ABS_MT_SLOT, slot];
    if (begins) {
      this.#touches.add(slot);
      this.#nextTouch = (this.#nextTouch + 1) % AXIS_MAX;
      values.push(EV_ABS, ABS_MT_TRACKING_ID, this.#nextTouch);
      if (this.#touches.size === 1) values.push(EV_KEY, BTN_TOUCH, 1);
    }
    values.push(EV_ABS, ABS_MT_POSITION_X, x, EV_ABS, ABS_MT_POSITION_Y, y);
    values.push(EV_ABS, ABS_X, x, EV_ABS, ABS_Y, y);
    this.#write('touch', ...values);
  }

  #touchUp(slot: number): void {
    const values = [EV_ABS, ABS_MT_SLOT, slot, EV_ABS, ABS_MT_TRACKING_ID, -1];
    if (this.#touches.size === 0) values.push(EV_KEY, BTN_TOUCH, 0);
    this.#write('touch', ...values);
  }
}

function scaled(
  { x, y }: { x: number; y: number },
  { width, height }: { width: number; height: number },
): { x: number; y: number } {
  const onAxis = (value: number, length: number) =>
    Math.round((Math.min(Math.max(value, 0), length - 1) * AXIS_MAX) / Math.max(1, length - 1));
  return { x: onAxis(x, width), y: onAxis(y, height) };
}
