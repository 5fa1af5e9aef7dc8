/**
 * Sessions that are replaced when they are lost: the handle that the program holds stays, the session behind it changes.
 *
 * This is the facade's, and not the native client's, as it runs the program's own code (`restore`) and moves what a
 * handle holds in JavaScript: its fields, listeners and holds.
 */

import { AsyncLocalStorage } from "node:async_hooks";

import { SessionError } from "./errors";
import type { NativeFailure, NativeFoundSession, NativeRoute, NativeSession } from "./native";
import { isFailure } from "./support/call";

/** How a lost session is replaced. */
export interface RecreateOptions<Handle> {
  /** Replace the session when a call finds that it is gone for good? Default: false. */
  recreate?: boolean;
  /**
   * Brings a new session into the state that the program needs, before the call that found the loss goes on. While it
   * runs nothing is replaced. What it throws ends that call, and the new session is deleted.
   */
  restore?: (session: Handle) => Promise<unknown> | unknown;
}

/** What a recovery needs of the handle that it is for. */
export interface Recoverable {
  /** The native session behind the handle now. */
  current(): NativeSession;
  /** Makes another session. */
  create(): Promise<NativeFoundSession | NativeFailure>;
  /** Puts another session behind the handle. */
  adopt(found: NativeFoundSession): void;
  /** Runs the program's own code. */
  restore(): Promise<unknown>;
  /** Tells that it is done. */
  recreated(event: { oldId: string; newId: string }): void;
}

const LIMIT = 3;
const LIMIT_WINDOW_MS = 10 * 60_000;
/** So near to the end of a time the service is asked before a call: it may be over there. */
const DOUBT_MS = 1_000;

/** Methods of a native session that neither need a living session nor tell that it is gone by failing. */
const UNTOUCHED: ReadonlySet<string> = new Set([
  "fileWatch",
  "hold",
  "keepAliveStatus",
  "lifecycle",
  "mark",
  "onLifecycle",
  "startKeepAlive",
  "status",
  "stopKeepAlive",
]);

/** What runs inside a `restore` belongs to its recovery. */
const restoring = new AsyncLocalStorage<Recovery>();

/** Looks after one handle. */
export class Recovery {
  readonly #handle: Recoverable;
  readonly #idOf: () => string;
  #pending: Promise<NativeFailure | undefined> | undefined;
  #recreatedAt: number[] = [];
  /** A new session was made and deleted again, as it could not be restored. */
  #isUnrestored = false;
  #isDeleted = false;

  constructor(handle: Recoverable, idOf: () => string) {
    this.#handle = handle;
    this.#idOf = idOf;
  }

  /** The native session as a call sees it: when it turns out to be lost it is replaced, and the call made again. */
  facing(route: NativeRoute | undefined): NativeSession {
    return new Proxy(this.#handle.current(), {
      get: (_target, name: string) => {
        if (name === "delete") return (...args: unknown[]) => this.#delete(args);
        if (UNTOUCHED.has(name) || restoring.getStore() === this) return this.#method(name);
        return (...args: unknown[]) => this.#call(name, args, route);
      },
    });
  }

  #method(name: string): (...args: unknown[]) => Promise<object> {
    const native = this.#handle.current();
    const method = native[name as keyof NativeSession] as (...args: unknown[]) => Promise<object>;
    return (...args) => method.apply(native, args);
  }

  #delete(args: unknown[]): Promise<object> {
    this.#isDeleted = true;
    return this.#method("delete")(...args);
  }

  async #call(name: string, args: unknown[], route: NativeRoute | undefined): Promise<object> {
    const before = this.#handle.current();
    const fault = await this.#ready();
    if (fault) return fault;
    const native = this.#handle.current();
    // A route that was assigned to the fields of the lost session says nothing of the new one.
    const argsNow = native === before ? args : withoutRoute(args, route);
    const mark = native.mark();
    const outcome = await this.#method(name)(...argsNow);
    if (!isFailure(outcome) || this.#isDeleted || !(await this.#isLost(native, outcome))) return outcome;

    const lostId = this.#idOf();
    const hasNotRun = outcome.kind === "SessionNotFound" && mark.isUntouched();
    const failure = await this.#replace(native);
    if (failure) return failure;
    if (!hasNotRun) return lost(outcome, lostId, this.#idOf());
    return this.#method(name)(...withoutRoute(args, route));
  }

  /** Is there a living session to call, as far as can be told before? Else one is made, or the failure says why not. */
  async #ready(): Promise<NativeFailure | undefined> {
    if (this.#pending) return this.#pending;
    if (this.#isDeleted) return undefined;
    const native = this.#handle.current();
    if (this.#isUnrestored) return this.#replace(native);
    const { state, confirmed, idleRemainingMs, lifetimeRemainingMs } = native.lifecycle();
    const isInDoubt = (remainingMs: number | null | undefined) => (remainingMs ?? Number.POSITIVE_INFINITY) < DOUBT_MS;
    if (state !== "released" && !isInDoubt(idleRemainingMs) && !isInDoubt(lifetimeRemainingMs)) return undefined;
    if (!confirmed) await native.status();
    return this.#isGone(native) ? this.#replace(native) : undefined;
  }

  /** Did the service say that the session is gone, other than by a deletion from here? */
  #isGone(native: NativeSession): boolean {
    const { state, confirmed, releaseReason } = native.lifecycle();
    return state === "released" && confirmed === true && releaseReason !== "deleted";
  }

  async #isLost(native: NativeSession, failure: NativeFailure): Promise<boolean> {
    if (failure.kind === "SessionNotFound") return this.#isGone(native);
    // On the link route a tool fails, in words of its own.
    if (failure.kind !== "Tool" || !failure.errorMessage.includes(this.#idOf())) return false;
    await native.status();
    return this.#isGone(native);
  }

  /** Replaces the session behind the handle, unless that has been done already: calls that meet the loss share it. */
  #replace(native: NativeSession): Promise<NativeFailure | undefined> {
    if (this.#pending) return this.#pending;
    if (this.#handle.current() !== native) return Promise.resolve(undefined);
    this.#pending = this.#recreate().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #recreate(): Promise<NativeFailure | undefined> {
    const now = Date.now();
    const oldId = this.#idOf();
    this.#recreatedAt = this.#recreatedAt.filter((at) => now - at < LIMIT_WINDOW_MS);
    if (this.#recreatedAt.length >= LIMIT) {
      const text = `The session ${oldId} is gone, and was recreated ${LIMIT} times within 10 minutes already`;
      return { ...NOT_FOUND, errorMessage: text, code: "RecreationLimit" };
    }
    const found = await this.#handle.create();
    if (isFailure(found)) {
      return {
        ...found,
        errorMessage: `The session ${oldId} is gone, and creating another failed: ${found.errorMessage}`,
      };
    }
    this.#recreatedAt.push(now);
    this.#handle.adopt(found);
    try {
      await restoring.run(this, () => this.#handle.restore());
    } catch (cause) {
      this.#isUnrestored = true;
      await found.session.delete(false);
      const text = `The session ${oldId} is gone; ${found.sessionId} was made in its place, and deleted as it could not be restored`;
      throw Object.assign(new SessionError(`${text}: ${cause instanceof Error ? cause.message : String(cause)}`), {
        cause,
      });
    }
    this.#isUnrestored = false;
    this.#handle.recreated({ oldId, newId: found.sessionId });
    return undefined;
  }
}

const NOT_FOUND: NativeFailure = {
  kind: "SessionNotFound",
  errorMessage: "",
  operation: "",
  requestId: "",
  code: "",
  retryable: false,
  attempts: 0,
};

/** The failure of a call that may have run in the session that is gone. */
function lost(failure: NativeFailure, oldId: string, newId: string): NativeFailure {
  const text = `The session ${oldId} was lost while the call was under way: it may have run, and was not repeated. ${newId} has taken its place`;
  return {
    ...failure,
    kind: "SessionNotFound",
    code: "SessionRecreated",
    errorMessage: `${text}: ${failure.errorMessage}`,
  };
}

function withoutRoute(args: unknown[], route: NativeRoute | undefined): unknown[] {
  return route !== undefined && args[0] === route ? [undefined, ...args.slice(1)] : args;
}
