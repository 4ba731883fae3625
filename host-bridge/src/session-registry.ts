// All sessions of a bridge, by id.
import { EventEmitter } from 'node:events';
import type { CloseCode } from '@scanbridge/protocol/viewer';
import { NoSuchSessionError, SessionExistsError } from './errors.js';
import type { Session } from './session.js';

/** Owns the sessions: whoever adds one may remove it, and `close` ends all. Emits 'added' and 'removed'. */
export class SessionRegistry extends EventEmitter<{ added: [Session]; removed: [Session] }> {
  readonly #sessions = new Map<string, Session>();

  /** @throws {SessionExistsError} */
  add(session: Session): void {
    if (this.#sessions.has(session.id)) throw new SessionExistsError(session.id);
    this.#sessions.set(session.id, session);
    this.emit('added', session);
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** @throws {NoSuchSessionError} */
  get(id: string): Session {
    const session = this.#sessions.get(id);
    if (!session) throw new NoSuchSessionError(id);
    return session;
  }

  /** In the order in which they were added. */
  list(): Session[] {
    return [...this.#sessions.values()];
  }

  /** Ends a session and forgets it; its worker is gone when this resolves. No effect if it is not there. */
  async remove(session: Session, message?: string): Promise<void> {
    if (this.#sessions.get(session.id) === session) {
      this.#sessions.delete(session.id);
      this.emit('removed', session);
    }
    await session.close(undefined, undefined, message);
  }

  /** Ends all sessions. */
  async close(closeCode: CloseCode, code: string, message: string): Promise<void> {
    const sessions = this.list();
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.close(closeCode, code, message)));
  }
}
