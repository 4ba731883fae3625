// How the pictures of this machine's desktops reach the bridge.
import type { Capture, CaptureHost } from '@scanbridge/native-guest';
import type { AgentSource, FromAgent, ToAgent } from '@scanbridge/protocol/agent';
import type { Logger } from 'pino';

/** What ties one open session to the bridge. It begins with the session-open and ends with close(). */
export interface PictureLink {
  /** For session-open. */
  readonly source: AgentSource;
  /** The bridge has accepted the session, and knows nothing of its pictures. */
  accepted(): void;
  /** A message that names the session or the source's stream. */
  message(message: ToAgent): void;
  close(): void;
}

/** One of the two ways; an agent uses one for all of its sessions. */
export interface PictureWay<C extends Capture = Capture> {
  readonly host: CaptureHost<C>;
  /** @param send drops what is sent while the bridge is away */
  link(
    session: string,
    capture: Capture,
    send: (message: FromAgent) => void,
    log: Logger,
  ): PictureLink;
  /** Ends all captures. */
  close(): Promise<void>;
}
