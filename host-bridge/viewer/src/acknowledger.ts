// Flow control, the viewer's half: tells the bridge which units have left the decoder, and how fast.

/** The protocol wants an acknowledgement at least every fourth unit, and within 100 ms of one. */
const EVERY_UNITS = 4;
const WITHIN = 80;

/** What an `ack` says. */
export interface Ack {
  readonly sequence: number;
  readonly decode: number;
  readonly render: number;
}

export class Acknowledger {
  #newest: number | undefined;
  #decode = 0;
  #render = 0;
  #units = 0;
  #first = true;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly send: (ack: Ack) => void) {}

  /** A unit came: within 100 ms the bridge hears of it, even if the decoder does not answer. */
  received(): void {
    this.#timer ??= setTimeout(() => this.#flush(), WITHIN);
  }

  /** A unit left the decoder, or was thrown away. @param decode how long it took [ms] */
  out(sequence: number, decode?: number): void {
    this.#newest = sequence;
    if (decode !== undefined) this.#decode = decode;
    // The first one goes out at once: the bridge then knows that this viewer has a picture.
    if (++this.#units >= EVERY_UNITS || this.#first) this.#flush();
  }

  drawn(render: number): void {
    this.#render = render;
  }

  /** Begins anew on a new connection, or ends. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#newest = undefined;
    this.#units = 0;
    this.#first = true;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#units = 0;
    if (this.#newest === undefined) return;
    this.#first = false;
    this.send({ sequence: this.#newest, decode: this.#decode, render: this.#render });
  }
}
