// One desktop in the whole window: picture, keyboard, pointer, statistics.
import { keepToken } from './credentials.js';
import { element, icon, setText } from './element.js';
import { InputQueue } from './input-queue.js';
import { Keyboard } from './keyboard.js';
import { Notice } from './notice.js';
import { Pointer } from './pointer.js';
import type { Reason } from './reasons.js';
import type { SessionList, Sessions } from './sessions.js';
import { StatsPanel } from './stats-panel.js';
import { Stream } from './stream.js';

/** What is part of the page's views. */
export interface View {
  readonly element: HTMLElement;
  close(): void;
}

/** Quiet time after which a new window size is sent [ms], and how often the statistics are shown anew [ms]. */
const RESIZE_AFTER = 250;
const STATS_EVERY = 500;

/** Keyboard Lock (WICG) is not in TypeScript's DOM library. */
interface KeyboardLock {
  lock?(): Promise<void>;
  unlock?(): void;
}
const keyboardLock = (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard;

export class SessionView implements View {
  readonly element: HTMLElement;
  readonly #stream: Stream | undefined;
  readonly #notice: Notice;
  readonly #panel = new StatsPanel();
  readonly #queue: InputQueue;
  readonly #keyboard: Keyboard | undefined;
  readonly #pointer: Pointer | undefined;
  readonly #stage: HTMLElement;
  readonly #title = element('h1', { class: 'title' });
  readonly #badge = element('span', { class: 'badge', hidden: true }, icon('eye'), 'View only');
  readonly #keyboardButton: HTMLButtonElement;
  readonly #keyboardLabel = element('span', { class: 'label' }, 'Keyboard');
  readonly #statsButton: HTMLButtonElement;
  readonly #fullscreenButton: HTMLButtonElement;
  readonly #abort = new AbortController();
  readonly #observer: ResizeObserver;
  #statsTimer: ReturnType<typeof setInterval> | undefined;
  #resizeTimer: ReturnType<typeof setTimeout> | undefined;
  #asked = '';
  #listed: string | undefined;

  /** @param environment what this browser lacks, if anything */
  constructor(
    readonly id: string,
    codecs: readonly string[],
    sessions: Sessions,
    readonly environment: Reason | undefined,
  ) {
    this.#notice = new Notice({
      retry: () => this.#stream?.retryNow(),
      token: (token) => {
        keepToken(token, id);
        this.#stream?.retryNow();
        sessions.refresh();
      },
      grid: () => {
        location.hash = '#/';
      },
    });
    this.#keyboardButton = button('keyboard', 'Send the keyboard to the desktop (K)', () =>
      this.#keyboard?.taken ? this.#keyboard.letGo() : this.#keyboard?.take(),
    );
    this.#keyboardButton.classList.add('keyboard');
    this.#keyboardButton.append(this.#keyboardLabel);
    // The button must not take the focus away before it knows whether the keyboard was taken.
    this.#keyboardButton.onpointerdown = (event) => event.preventDefault();
    this.#keyboardButton.hidden = true;
    this.#statsButton = button('stats', 'Statistics (S)', () => this.#toggleStats());
    this.#statsButton.hidden = environment !== undefined;
    this.#fullscreenButton = button('fullscreen', 'Full screen (F)', () =>
      this.#toggleFullscreen(),
    );
    const back = element(
      'a',
      { class: 'button quiet', href: '#/', 'aria-label': 'All desktops (Escape)' },
      icon('back'),
    );
    back.title = 'All desktops (Escape)';
    this.#stage = element('div', { class: 'stage' });
    this.element = element(
      'main',
      { class: 'session' },
      element(
        'header',
        { class: 'bar' },
        back,
        this.#title,
        this.#badge,
        element('span', { class: 'space' }),
        this.#keyboardButton,
        this.#statsButton,
        this.#fullscreenButton,
        element('span', { class: 'handle', 'aria-hidden': 'true' }),
      ),
      this.#stage,
    );

    this.#queue = new InputQueue((events, sparable) => this.#stream?.input(events, sparable));
    if (!environment) {
      this.#stream = new Stream(id, codecs, () => this.#update());
      const { screen, cursor } = this.#stream;
      this.#stage.append(screen.element);
      this.#keyboard = new Keyboard(screen.element, this.#queue, () => this.#showKeyboard());
      this.#pointer = new Pointer(screen, cursor, this.#queue);
      screen.element.addEventListener('pointerdown', () => this.#keyboard?.take());
    }
    this.#stage.append(this.#notice.element, this.#panel.element);
    this.#observer = new ResizeObserver(() => this.#resizeSoon());
    this.#observer.observe(this.#stage);
    this.#listen();

    const unsubscribe = sessions.subscribe((list) => this.#sessions(list));
    this.#abort.signal.addEventListener('abort', unsubscribe);
    this.#sessions(sessions.list);
    this.#update();
  }

  close(): void {
    this.#keyboard?.releaseAll();
    this.#pointer?.releaseAll();
    this.#queue.close();
    this.#pointer?.close();
    this.#abort.abort();
    this.#observer.disconnect();
    clearInterval(this.#statsTimer);
    clearTimeout(this.#resizeTimer);
    this.#stream?.close();
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
    this.element.remove();
  }

  #listen(): void {
    const { signal } = this.#abort;
    addEventListener('keydown', (event) => this.#shortcut(event), { signal });
    document.addEventListener(
      'visibilitychange',
      () => {
        if (document.visibilityState === 'hidden') this.#releaseAll();
      },
      { signal },
    );
    addEventListener('blur', () => this.#releaseAll(), { signal });
    document.addEventListener('fullscreenchange', () => this.#fullscreenChanged(), { signal });
  }

  #releaseAll(): void {
    this.#keyboard?.releaseAll();
    this.#pointer?.releaseAll();
  }

  #sessions(list: SessionList): void {
    if (list.status !== 'known') return;
    const summary = list.sessions.find((session) => session.id === this.id);
    this.#listed = summary?.title;
    if (summary && summary.state !== 'ended') this.#stream?.listed();
    this.#updateTitle();
  }

  #updateTitle(): void {
    const title = this.#stream?.welcome?.session.title || this.#listed || this.id;
    setText(this.#title, title);
    document.title = `${title} – Scanbridge`;
  }

  #update(): void {
    this.#updateTitle();
    const stream = this.#stream;
    const reason = this.environment ?? stream?.reason;
    this.#notice.show(reason, stream?.hasPicture ?? false);
    this.element.dataset.state = reason ? reason.id : 'live';
    stream?.screen.element.classList.toggle('stale', reason !== undefined);
    const welcome = stream?.welcome;
    const control = welcome?.access === 'control';
    this.#badge.hidden = welcome?.access !== 'view';
    this.#keyboardButton.hidden = !control;
    if (this.#pointer) this.#pointer.enabled = control;
    if (this.#keyboard) this.#keyboard.enabled = control;
    if (welcome) this.#resizeSoon();
    else this.#asked = '';
  }

  #showKeyboard(): void {
    const taken = this.#keyboard?.taken ?? false;
    this.element.classList.toggle('keyboard-taken', taken);
    this.#keyboardButton.setAttribute('aria-pressed', String(taken));
    setText(this.#keyboardLabel, taken ? 'Ctrl+Alt+Shift lets go' : 'Keyboard');
    this.#keyboardButton.title = taken
      ? 'Keys go to the desktop. Press and release Ctrl+Alt+Shift to let go.'
      : 'Send the keyboard to the desktop (K, or click the picture)';
  }

  #toggleStats(): void {
    const shown = this.#panel.element.hidden;
    this.#panel.element.hidden = !shown;
    this.#statsButton.setAttribute('aria-pressed', String(shown));
    clearInterval(this.#statsTimer);
    if (!shown || !this.#stream) return;
    const { screen } = this.#stream;
    const update = () => {
      if (this.#stream) this.#panel.update(this.#stream.stats, screen.scale);
    };
    update();
    this.#statsTimer = setInterval(update, STATS_EVERY);
  }

  #toggleFullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
    else void this.element.requestFullscreen?.({ navigationUI: 'hide' }).catch(() => {});
  }

  #fullscreenChanged(): void {
    const full = document.fullscreenElement === this.element;
    this.#fullscreenButton.setAttribute('aria-pressed', String(full));
    if (!full) {
      keyboardLock?.unlock?.();
    } else if (this.#stream?.welcome?.access === 'control') {
      // Escape, Alt+Tab and the like then reach the desktop; holding Escape leaves full screen.
      void keyboardLock?.lock?.().catch(() => {});
      this.#keyboard?.take();
    }
  }

  #shortcut(event: KeyboardEvent): void {
    if (this.#keyboard?.taken || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target instanceof HTMLInputElement) return;
    switch (event.key.toLowerCase()) {
      case 'f':
        this.#toggleFullscreen();
        break;
      case 's':
        this.#toggleStats();
        break;
      case 'k':
        this.#keyboard?.take();
        break;
      case 'escape':
        if (document.fullscreenElement) return;
        location.hash = '#/';
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  /** Asks for a desktop of the window's size, once the window has come to rest. */
  #resizeSoon(): void {
    clearTimeout(this.#resizeTimer);
    this.#resizeTimer = setTimeout(() => {
      const welcome = this.#stream?.welcome;
      if (!welcome?.resizable) return;
      const ratio = devicePixelRatio || 1;
      const width = Math.round(this.#stage.clientWidth * ratio);
      const height = Math.round(this.#stage.clientHeight * ratio);
      const size = `${width}x${height}`;
      if (width < 1 || height < 1 || size === this.#asked) return;
      this.#asked = size;
      this.#stream?.resize(width, height);
    }, RESIZE_AFTER);
  }
}

function button(name: Parameters<typeof icon>[0], label: string, action: () => void) {
  const node = element('button', { class: 'button quiet', type: 'button' }, icon(name));
  node.title = label;
  node.setAttribute('aria-label', label);
  node.onclick = action;
  return node;
}
