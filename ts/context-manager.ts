import { defineUnavailable } from "./support/unavailable";

/** The mounts of one session. Not in this version yet: every use says so. */
export class ContextManager {
  readonly #session: { getSessionId(): string };

  constructor(session: { getSessionId(): string }) {
    this.#session = session;
    defineUnavailable(this, "session.context", ["info", "sync"]);
  }

  toJSON(): Record<string, unknown> {
    return { sessionId: this.#session.getSessionId() };
  }
}
