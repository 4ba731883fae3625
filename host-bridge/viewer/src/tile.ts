// One desktop in the grid: its live picture, and why there is none.
import { element, setText } from './element.js';
import type { Reason } from './reasons.js';
import { sessionHref } from './router.js';
import type { SessionSummary } from './sessions.js';
import { Stream } from './stream.js';

/** Shapes of a tile, width by height: a picture outside of them gets bars. */
const NARROWEST = 1.25;
const WIDEST = 1.9;
/** How often a tile says anew what its stream is like [ms]. */
const FACTS_EVERY = 1_000;

export class Tile {
  readonly element: HTMLAnchorElement;
  readonly #picture = element('div', { class: 'tile-picture' });
  readonly #reason = element('div', { class: 'tile-reason' });
  readonly #dot = element('span', { class: 'dot', 'aria-hidden': 'true' });
  readonly #title = element('span', { class: 'tile-title' });
  readonly #facts = element('span', { class: 'tile-facts' });
  #stream: Stream | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #summary: SessionSummary;

  constructor(
    summary: SessionSummary,
    readonly codecs: readonly string[],
    readonly environment: Reason | undefined,
  ) {
    this.#summary = summary;
    this.#picture.append(this.#reason);
    this.element = element(
      'a',
      { class: 'tile', href: sessionHref(summary.id), 'data-session': summary.id },
      this.#picture,
      element('span', { class: 'tile-caption' }, this.#dot, this.#title, this.#facts),
    );
    this.update(summary);
  }

  /** What the bridge's list says of the session. */
  update(summary: SessionSummary): void {
    this.#summary = summary;
    if (summary.state !== 'ended') this.#stream?.listed();
    this.#show();
  }

  /** Only tiles in sight are streamed; a tile connects when it is first seen. */
  set visible(visible: boolean) {
    if (this.#stream) {
      this.#stream.onScreen = visible;
    } else if (visible && !this.environment) {
      this.#stream = new Stream(this.#summary.id, this.codecs, () => this.#show(), true);
      this.#picture.prepend(this.#stream.screen.element);
      this.#timer = setInterval(() => this.#showFacts(), FACTS_EVERY);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stream?.close();
    this.element.remove();
  }

  #show(): void {
    const stream = this.#stream;
    const reason = this.environment ?? stream?.reason;
    setText(this.#title, this.#summary.title);
    this.element.dataset.state = reason ? reason.id : 'live';
    this.#dot.className = `dot ${reason ? (reason.busy ? 'busy' : 'off') : 'live'}`;
    this.#reason.hidden = !reason;
    if (stream?.hasPicture) {
      const { width, height } = stream.screen;
      const ratio = Math.min(WIDEST, Math.max(NARROWEST, width / height));
      this.#picture.style.aspectRatio = ratio.toFixed(4);
    }
    this.#picture.classList.toggle('stale', reason !== undefined && (stream?.hasPicture ?? false));
    setText(this.#reason, reason?.title ?? '');
    this.element.title = reason ? `${reason.title}. ${reason.text}` : this.#summary.title;
    this.#showFacts();
  }

  #showFacts(): void {
    const stats = this.#stream?.stats;
    const facts = [
      stats && stats.width > 0 ? `${stats.width}×${stats.height}` : undefined,
      this.#stream?.reason === undefined && stats?.bridge ? stats.bridge.engine : undefined,
    ];
    setText(this.#facts, facts.filter((fact) => fact !== undefined).join(' · '));
  }
}
