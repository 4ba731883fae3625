// All desktops of the bridge, live; they come and go by themselves.
import { keepToken } from './credentials.js';
import { element, icon, setText } from './element.js';
import { Notice } from './notice.js';
import { endingOf, type Reason } from './reasons.js';
import type { View } from './session-view.js';
import type { SessionList, SessionSummary, Sessions } from './sessions.js';
import { Tile } from './tile.js';

/** A tile starts this far before it scrolls into sight. */
const MARGIN = '120px';

export class GridView implements View {
  readonly element: HTMLElement;
  readonly #tiles = new Map<string, Tile>();
  readonly #grid = element('nav', { class: 'grid', 'aria-label': 'Desktops' });
  readonly #count = element('span', { class: 'count' });
  readonly #empty: HTMLElement;
  readonly #notice: Notice;
  readonly #observer: IntersectionObserver;
  readonly #unsubscribe: () => void;

  /** @param environment what this browser lacks, if anything */
  constructor(
    readonly codecs: readonly string[],
    sessions: Sessions,
    readonly environment: Reason | undefined,
  ) {
    document.title = 'Scanbridge';
    this.#notice = new Notice({
      retry: () => sessions.refresh(),
      token: (token) => {
        keepToken(token);
        sessions.refresh();
      },
      grid: () => {},
    });
    this.#empty = emptyState();
    this.element = element(
      'main',
      { class: 'overview' },
      element(
        'header',
        { class: 'head' },
        element('h1', { class: 'brand' }, element('span', { class: 'logo' }), 'Scanbridge'),
        this.#count,
      ),
      this.#notice.element,
      this.#empty,
      this.#grid,
    );
    this.#observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const tile = this.#tiles.get((target as HTMLElement).dataset.session ?? '');
          if (tile) tile.visible = isIntersecting;
        }
      },
      { rootMargin: MARGIN },
    );
    this.#unsubscribe = sessions.subscribe((list) => this.#show(list));
    this.#show(sessions.list);
  }

  close(): void {
    this.#unsubscribe();
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    this.#tiles.clear();
    this.element.remove();
  }

  #show(list: SessionList): void {
    const sessions = 'sessions' in list ? list.sessions : [];
    this.#setTiles(sessions);
    const known = list.status === 'known';
    this.#empty.hidden = !known || sessions.length > 0;
    setText(
      this.#count,
      known && sessions.length > 0
        ? `${sessions.length} ${sessions.length === 1 ? 'desktop' : 'desktops'}`
        : '',
    );
    this.#notice.show(this.#reason(list), sessions.length > 0);
    this.element.dataset.status = list.status;
  }

  #reason(list: SessionList): Reason | undefined {
    if (list.status === 'unreachable') {
      return {
        id: 'unreachable',
        title: 'No connection to the bridge',
        text: `It may be restarting, or the network is down${list.detail ? ` (${list.detail})` : ''}. This page tries again by itself.`,
        busy: true,
      };
    }
    if (list.status === 'unauthorized') {
      return {
        ...endingOf(4401),
        title: 'This bridge needs a token',
        text: 'The list of desktops is not open to everybody. Enter a token, or open the complete link that you were given for one desktop.',
      };
    }
    return this.environment;
  }

  #setTiles(sessions: readonly SessionSummary[]): void {
    const ids = new Set(sessions.map((session) => session.id));
    for (const [id, tile] of this.#tiles) {
      if (ids.has(id)) continue;
      this.#observer.unobserve(tile.element);
      tile.close();
      this.#tiles.delete(id);
    }
    sessions.forEach((session, i) => {
      let tile = this.#tiles.get(session.id);
      if (tile) {
        tile.update(session);
      } else {
        tile = new Tile(session, this.codecs, this.environment);
        this.#tiles.set(session.id, tile);
        this.#observer.observe(tile.element);
      }
      const there = this.#grid.children[i];
      if (there !== tile.element) this.#grid.insertBefore(tile.element, there ?? null);
    });
  }
}

function emptyState(): HTMLElement {
  return element(
    'section',
    { class: 'empty', hidden: true },
    icon('monitor'),
    element('h2', {}, 'No desktops yet'),
    element(
      'p',
      {},
      'The bridge is running and has nothing to show. A desktop appears here by itself as soon as a session starts.',
    ),
    element(
      'ul',
      {},
      element('li', {}, 'A desktop of its own: ', element('code', {}, 'npm start')),
      element(
        'li',
        {},
        'A test picture: ',
        element('code', {}, 'scanbridge serve --test-pattern 1280x720@60'),
      ),
      element(
        'li',
        {},
        'Virtual machines and more: ',
        element('code', {}, 'scanbridge serve --help'),
      ),
    ),
  );
}
