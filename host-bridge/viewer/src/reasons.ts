// Why there is no picture, in words for a person: what happened, and what to do.
import type { CloseCode, SessionState } from '@scanbridge/protocol/viewer';

export interface Reason {
  /** For tests and style sheets. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
  /** Something goes on by itself: a moving mark is shown. */
  readonly busy: boolean;
  /** What a button offers. */
  readonly action?: 'retry' | 'reload' | 'token' | 'grid';
}

interface Ending extends Reason {
  /** How the page goes on: at once with back-off, seldom, or not by itself. */
  readonly retry: 'soon' | 'late' | 'never';
}

const BROWSERS =
  'Chrome, Edge and Opera from version 94, Safari from 16.4 and Firefox from 130 on the desktop have it.';

/** What each close code means to a person. The type makes the list complete. */
const ENDINGS: Readonly<Record<CloseCode, Ending>> = {
  4400: {
    id: 'bad-message',
    title: 'The page and the bridge do not understand each other',
    text: 'They are probably of different versions. Reloading fetches the page that belongs to this bridge.',
    busy: false,
    action: 'reload',
    retry: 'late',
  },
  4401: {
    id: 'unauthorized',
    title: 'This desktop needs a token',
    text: 'The bridge did not accept this viewer. Enter the token you were given for this session, or open the complete link.',
    busy: false,
    action: 'token',
    retry: 'never',
  },
  4403: {
    id: 'forbidden',
    title: 'View only',
    text: 'The bridge closed the connection because this viewer may watch, but not control, the session.',
    busy: false,
    action: 'retry',
    retry: 'never',
  },
  4404: {
    id: 'no-such-session',
    title: 'This desktop is not here',
    text: 'The bridge has no session of this name. It appears by itself as soon as the session is started.',
    busy: false,
    action: 'grid',
    retry: 'never',
  },
  4408: {
    id: 'timeout',
    title: 'The connection was lost',
    text: 'The bridge had no answer from this page for a while. Connecting again.',
    busy: true,
    retry: 'soon',
  },
  4410: {
    id: 'session-ended',
    title: 'The session has ended',
    text: 'The desktop was closed. If it is started again under the same name, it comes back here.',
    busy: false,
    action: 'grid',
    retry: 'never',
  },
  4429: {
    id: 'rate-limit',
    title: 'Too much input at once',
    text: 'The bridge closed the connection because of a flood of messages. Connecting again in a moment.',
    busy: true,
    retry: 'late',
  },
  4430: {
    id: 'too-slow',
    title: 'This viewer could not keep up',
    text: 'The network or this computer was too slow for the stream for too long. Trying again in a moment.',
    busy: true,
    retry: 'late',
  },
  4431: {
    id: 'too-many-viewers',
    title: 'No place left',
    text: 'As many viewers as the bridge allows are watching already. This page tries again every few seconds.',
    busy: true,
    retry: 'late',
  },
  4503: {
    id: 'shutdown',
    title: 'The bridge is restarting',
    text: 'It said goodbye in good order. The picture comes back by itself.',
    busy: true,
    retry: 'soon',
  },
};

const LOST: Ending = {
  id: 'disconnected',
  title: 'No connection to the bridge',
  text: 'It may be restarting, or the network is down. The picture comes back by itself.',
  busy: true,
  retry: 'soon',
};

/** What the bridge said before it closed the connection. */
export interface Said {
  readonly code: string;
  readonly message: string;
}

/** What a closed WebSocket means. `said` is the bridge's own error message, which knows more. */
export function endingOf(code: number, said?: Said): Ending {
  if (said?.code === 'NO_COMMON_CODEC') return { ...undecodable('H.264'), retry: 'never' };
  const ending = ENDINGS[code as CloseCode] ?? LOST;
  if (!said) return ending;
  return { ...ending, text: `${sentences(said.message)} ${ending.text}` };
}

/** The bridge's words as sentences: it writes for logs, too, where they begin small. */
function sentences(text: string): string {
  const capitals = text.replace(/(^|[.!?] )(\p{Ll})/gu, (_, before, letter) => {
    return `${before}${letter.toUpperCase()}`;
  });
  return /[.!?]$/.test(capitals) ? capitals : `${capitals}.`;
}

/** Why a session has no picture; undefined when it is live. */
export function sessionReason(
  state: SessionState,
  message: string | undefined,
): Reason | undefined {
  const told = (text: string) => (message ? sentences(message) : text);
  switch (state) {
    case 'live':
      return undefined;
    case 'starting':
      return {
        id: 'starting',
        title: 'Starting',
        text: told('The desktop is being connected to its encoder.'),
        busy: true,
      };
    case 'blank':
      return {
        id: 'blank',
        title: 'The display is off',
        text: told('The desktop has switched its display off. A key or a movement wakes it up.'),
        busy: false,
      };
    case 'waiting':
      return {
        id: 'waiting',
        title: 'Waiting for the desktop',
        text: told('The source is there, but has not sent a picture yet.'),
        busy: true,
      };
    case 'restarting':
      return {
        id: 'restarting',
        title: 'Restarting the stream',
        text: told('The encoder or the source is being started again. The connection stays.'),
        busy: true,
      };
    case 'ended':
      return { ...ENDINGS[4410], text: told(ENDINGS[4410].text) };
  }
}

export const CONNECTING: Reason = {
  id: 'connecting',
  title: 'Connecting',
  text: 'Asking the bridge for this desktop.',
  busy: true,
};

export const FIRST_PICTURE: Reason = {
  id: 'first-picture',
  title: 'Waiting for the first picture',
  text: 'The connection stands; the encoder was asked for a key frame.',
  busy: true,
};

export const NO_KEY_FRAME: Reason = {
  id: 'no-key-frame',
  title: 'The picture stands still',
  text: 'The decoder has to start anew and waits for a key frame from the bridge, which was asked for it.',
  busy: true,
};

/** The decoder does not take this stream. */
export function undecodable(codec: string): Reason {
  return {
    id: 'codec-unsupported',
    title: 'This browser cannot decode the stream',
    text: `The session is encoded as ${codec}, for which this browser has no decoder. H.264 plays in Chrome, Edge, Safari and Firefox; Chromium builds without proprietary codecs lack it.`,
    busy: false,
    action: 'retry',
  };
}

/** The decoder gave up several times in a row. */
export function decoderFails(message: string): Reason {
  return {
    id: 'decoder-failing',
    title: 'The decoder keeps failing',
    text: `The browser's video decoder says: ${message}. Trying again with a new key frame.`,
    busy: true,
  };
}

/** What this browser lacks to show anything at all; undefined when it lacks nothing. */
export function environmentReason(): Reason | undefined {
  if (!globalThis.isSecureContext) {
    return {
      id: 'insecure-context',
      title: 'The browser wants a secure connection',
      text: `Browsers decode video for a page only over https or on localhost, and this page came over plain http from ${location.host}. Open it through https, or forward the port (ssh -L ${location.port || 80}:localhost:${location.port || 80}) and open http://localhost.`,
      busy: false,
    };
  }
  if (typeof globalThis.VideoDecoder !== 'function') {
    return {
      id: 'no-webcodecs',
      title: 'This browser cannot show the picture',
      text: `It has no WebCodecs video decoder. ${BROWSERS} Updating the browser or opening the page in another one helps.`,
      busy: false,
    };
  }
  return undefined;
}
