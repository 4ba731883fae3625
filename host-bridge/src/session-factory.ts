// How sources make sessions: with the bridge's settings, and registered.
import type { Logger } from 'pino';
import type { BitrateBounds } from './bitrate.js';
import { Session, type SourceControl } from './session.js';
import type { SessionRegistry } from './session-registry.js';
import type { EngineSpec, SourceSpec } from './worker/messages.js';

/** What all sessions of a bridge have in common. */
export interface SessionSettings {
  readonly engine: EngineSpec;
  readonly bitrate: BitrateBounds;
  readonly log: Logger;
  readonly idleAfterMs?: number;
}

/** Makes sessions for the sources and puts them into the registry. */
export class SessionFactory {
  constructor(
    readonly registry: SessionRegistry,
    readonly settings: SessionSettings,
  ) {}

  /** @throws {SessionExistsError} */
  create(id: string, title: string, source: SourceSpec, control: SourceControl = {}): Session {
    const session = new Session({ id, title, source, control, ...this.settings });
    try {
      this.registry.add(session);
    } catch (error) {
      void session.close();
      throw error;
    }
    return session;
  }

  /** `wanted`, or with a number behind it where that id is taken. */
  freeId(wanted: string): string {
    if (!this.registry.has(wanted)) return wanted;
    for (let n = 2; ; n++) {
      if (!this.registry.has(`${wanted}-${n}`)) return `${wanted}-${n}`;
    }
  }
}

/** Text of somewhere else as part of an id: lower-case letters, digits, `.`, `_`, `-`; at most 63. */
export function idPart(text: string): string {
  const part = text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return part === '' ? 'unnamed' : part;
}
