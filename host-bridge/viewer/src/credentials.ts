// Tokens: where they come from, how long they are kept, how they are sent.
// A token arrives in a link (#/s/ID?token=T, or ?token=T for every session), moves into the tab's session storage and
// out of the address bar, so that it is not copied, bookmarked or photographed with the page.

const PREFIX = 'scanbridge.token.';
const EVERY = '*';
/** Session storage may be refused (private modes, policies): then tokens live as long as the page. */
const memory = new Map<string, string>();

function store(key: string, token: string): void {
  memory.set(key, token);
  try {
    sessionStorage.setItem(PREFIX + key, token);
  } catch {}
}

function load(key: string): string | undefined {
  try {
    return memory.get(key) ?? sessionStorage.getItem(PREFIX + key) ?? undefined;
  } catch {
    return memory.get(key);
  }
}

/** Keeps a token for one session, or for every session where `id` is undefined. */
export function keepToken(token: string, id?: string): void {
  store(id ?? EVERY, token);
  // The list of sessions is asked for with whatever there is: the bridge shows what the token opens.
  if (!load(EVERY)) store(EVERY, token);
}

/** The token for a session; the one for every session where it has none of its own. */
export function tokenFor(id?: string): string | undefined {
  return (id === undefined ? undefined : load(id)) ?? load(EVERY);
}

/** Moves a token of the page's query string into storage. Call once, before the router reads the address. */
export function takeTokenFromAddress(): void {
  const url = new URL(location.href);
  const token = url.searchParams.get('token');
  if (!token) return;
  keepToken(token);
  url.searchParams.delete('token');
  history.replaceState(history.state, '', url);
}
