// The address bar: '#/' is the grid, '#/s/ID' one session. The browser's own back and forward do the rest.
import { keepToken } from './credentials.js';

export type Route = { readonly view: 'grid' } | { readonly view: 'session'; readonly id: string };

/** The address of a session, to link to. */
export function sessionHref(id: string): string {
  return `#/s/${encodeURIComponent(id)}`;
}

/** Reads the address; a token in it goes to the tab's storage. */
export function currentRoute(): Route {
  const match = /^#\/s\/([^/?]+)(?:\?(.*))?$/.exec(location.hash);
  if (!match?.[1]) return { view: 'grid' };
  let id: string;
  try {
    id = decodeURIComponent(match[1]);
  } catch {
    return { view: 'grid' };
  }
  const token = new URLSearchParams(match[2] ?? '').get('token');
  if (token) {
    keepToken(token, id);
    history.replaceState(history.state, '', sessionHref(id));
  }
  return { view: 'session', id };
}
