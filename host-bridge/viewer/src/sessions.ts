// The bridge's list of sessions, kept fresh: asked for every few seconds while the page is seen.
import { tokenFor } from './credentials.js';

/** What a tile shows of a session before its own connection says more. */
export interface SessionSummary {
  readonly id: string;
  readonly title: string;
  readonly state: string;
  readonly message: string | undefined;
  readonly viewers: number | undefined;
}

/** How the list stands: known, or why not. */
export type SessionList =
  | { readonly status: 'loading' }
  | { readonly status: 'known'; readonly sessions: readonly SessionSummary[] }
  | { readonly status: 'unauthorized' }
  | {
      readonly status: 'unreachable';
      /** What it answered, if it did. */
      readonly detail: string | undefined;
      readonly sessions: readonly SessionSummary[];
    };

/** Time between two questions, and the longest while the bridge does not answer [ms]. */
const INTERVAL = 2_000;
const INTERVAL_LONGEST = 10_000;
const ANSWER_WITHIN = 5_000;

/** An answer that is none. */
class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

function readSessions(value: unknown): SessionSummary[] {
  const list = Array.isArray(value) ? value : (value as { sessions?: unknown } | null)?.sessions;
  if (!Array.isArray(list)) throw new AnswerError('its answer is not a list of sessions');
  return list.flatMap((item: Record<string, unknown> | null) => {
    if (typeof item?.id !== 'string') return [];
    const text = (field: string) =>
      typeof item[field] === 'string' ? (item[field] as string) : undefined;
    return [
      {
        id: item.id,
        title: text('title') || item.id,
        state: text('state') ?? 'starting',
        message: text('message'),
        viewers: typeof item.viewers === 'number' ? item.viewers : undefined,
      },
    ];
  });
}

export class Sessions {
  #list: SessionList = { status: 'loading' };
  #listeners = new Set<(list: SessionList) => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #asking = false;

  constructor() {
    document.addEventListener('visibilitychange', () => this.refresh());
    addEventListener('online', () => this.refresh());
    this.refresh();
  }

  get list(): SessionList {
    return this.#list;
  }

  /** Calls `listener` with each new list. @returns a function that ends it */
  subscribe(listener: (list: SessionList) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks now. */
  refresh(): void {
    clearTimeout(this.#timer);
    if (document.visibilityState === 'visible') void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      this.#set(await this.#fetch());
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      const sessions = 'sessions' in this.#list ? this.#list.sessions : [];
      // What fetch says of a lost connection differs from browser to browser and helps nobody.
      const detail = error instanceof AnswerError ? error.message : undefined;
      this.#set({ status: 'unreachable', detail, sessions });
    }
    this.#asking = false;
    clearTimeout(this.#timer);
    // A token does not grow: whoever enters one asks again.
    if (this.#list.status === 'unauthorized') return;
    const wait = Math.min(INTERVAL_LONGEST, INTERVAL * 1.5 ** this.#failures);
    this.#timer = setTimeout(() => this.refresh(), wait);
  }

  async #fetch(): Promise<SessionList> {
    const token = tokenFor();
    const abort = new AbortController();
    const limit = setTimeout(() => abort.abort(), ANSWER_WITHIN);
    const response = await fetch(new URL('v1/sessions', document.baseURI), {
      headers: token ? { accept: 'application/json', authorization: `Bearer ${token}` } : {},
      cache: 'no-store',
      signal: abort.signal,
    }).finally(() => clearTimeout(limit));
    if (response.status === 401 || response.status === 403) return { status: 'unauthorized' };
    if (!response.ok) throw new AnswerError(`it answers ${response.status}`);
    return { status: 'known', sessions: readSessions(await response.json()) };
  }

  #set(list: SessionList): void {
    this.#list = list;
    for (const listener of this.#listeners) listener(list);
  }
}
