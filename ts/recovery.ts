/**
 * Sessions that are replaced when they are lost: the handle that the program holds stays, the session behind it changes.
 *
 * This is the facade's, and not the native client's, as it runs the program's own code (`restore`) and moves what a
 * handle holds in JavaScript: its fields, listeners and holds.
 */

import { AsyncLocalStorage } from "node:async_hooks";

import { failureToldBy, SessionError } from "./errors";
import type { NativeFailure, NativeFoundSession, NativeRoute, NativeSession } from "./native";
import { signalOf, unlessAborted } from "./support/abort";
import { failureOf, isFailure } from "./support/call";
import { atMost } from "./support/patience";

/** How a lost session is replaced. */
export interface RecreateOptions<Handle> {
  /** Replace the session when a call finds that it is gone for good? Default: false. */
  recreate?: boolean;
  /**
   * Brings a new session into the state that the program needs, before the call that found the loss goes on. While it
   * runs nothing is replaced. What it throws ends that call, and the new session is deleted.
   *
   * Its calls have to be made by itself, or by what it starts. Other calls wait until it has ended: should it wait for
   * one of them, for example for work that it hands to a queue which was started elsewhere, both would wait for each
   * other; that call fails after two minutes, with the code `RestoreUnderWay`.
   */
  restore?: (session: Handle) => Promise<unknown> | unknown;
}

/** What a recovery needs of the handle that it is for. */
export interface Recoverable {
  /** The native session behind the handle now. */
  current(): NativeSession;
  /** Makes another session. */
  create(): Promise<NativeFoundSession | NativeFailure>;
  /** Puts another session behind the handle; one that throws has left the handle as it was. */
  adopt(found: NativeFoundSession): void;
  /** Has the new session heard again, and runs the program's own code. */
  restore(): Promise<unknown>;
  /** Tells that it is done. */
  recreated(event: { oldId: string; newId: string }): void;
}

const LIMIT = 3;
const LIMIT_WINDOW_MS = 10 * 60_000;
/** So near to the end of a time the service is asked before a call: it may be over there. */
const DOUBT_MS = 1_000;
/** How long a call waits for the `restore` of a replacement that another one has begun. */
const PATIENCE_MS = 120_000;

/** Methods that answer at once. */
type Immediate = {
  [Name in keyof NativeSession]: NativeSession[Name] extends (...args: never[]) => Promise<unknown> ? never : Name;
}[keyof NativeSession];

/**
 * Methods of a native session that neither need a living session nor tell that it is gone by failing. The compiler
 * misses one that answers at once, and could not wait for a replacement.
 */
const UNTOUCHED: ReadonlySet<string> = new Set(
  Object.keys({
    adopt: true,
    clockMs: true,
    detach: true,
    endKeepAliveWith: true,
    fileWatch: true,
    hold: true,
    keepAliveStatus: true,
    lifecycle: true,
    listen: true,
    mark: true,
    onLifecycle: true,
    startKeepAlive: true,
    status: true,
    stopKeepAlive: true,
  } satisfies Record<Immediate | "status", true>),
);

/** A run of `restore`. What it starts belongs to it while it lasts. */
interface Restoring {
  recovery: Recovery;
  isRunning: boolean;
}

/** The runs that the running code belongs to: one handle may be restored by the use of another. */
const restoring = new AsyncLocalStorage<Restoring[]>();

function runningRestores(): Restoring[] {
  return restoring.getStore()?.filter(({ isRunning }) => isRunning) ?? [];
}

/** Looks after one handle. */
export class Recovery {
  readonly #handle: Recoverable;
  readonly #idOf: () => string;
  #pending: Promise<NativeFailure | undefined> | undefined;
  /** The creation that is part of it, until its session is behind the handle. */
  #creation: Promise<unknown> | undefined;
  /** On the clock of the service. */
  #recreatedAt: number[] = [];
  /** A new session was made and given up again, as it could not be restored. */
  #isUnrestored = false;
  #isOver = false;

  constructor(handle: Recoverable, idOf: () => string) {
    this.#handle = handle;
    this.#idOf = idOf;
  }

  /** The native session as a call sees it: when it turns out to be lost it is replaced, and the call made again. */
  facing(route: NativeRoute | undefined): NativeSession {
    return new Proxy(this.#handle.current(), {
      get: (_target, name: string) => {
        if (name === "delete") return (...args: unknown[]) => this.#delete(args);
        if (UNTOUCHED.has(name) || this.#isAskedByRestore()) return this.#method(name);
        return (...args: unknown[]) => this.#call(name, args, route);
      },
    });
  }

  /**
   * The program needs no session any more: nothing is replaced from now on. When this resolves the session of a creation
   * that was under way is behind the handle, to be deleted.
   */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#creation?.catch(() => undefined);
  }

  #isAskedByRestore(): boolean {
    return runningRestores().some(({ recovery }) => recovery === this);
  }

  #method(name: string): (...args: unknown[]) => Promise<object | null | undefined> {
    const native = this.#handle.current();
    const method = native[name as keyof NativeSession] as (...args: unknown[]) => Promise<object>;
    return (...args) => method.apply(native, args);
  }

  async #delete(args: unknown[]): Promise<object | null | undefined> {
    await this.end();
    return this.#method("delete")(...args);
  }

  async #call(name: string, args: unknown[], route: NativeRoute | undefined): Promise<object | null | undefined> {
    const before = this.#handle.current();
    const signal = signalOf(args);
    const fault = await unlessAborted(signal, this.#ready());
    if (fault) return fault;
    // Another call may put another session behind the handle meanwhile.
    const [native, id] = [this.#handle.current(), this.#idOf()];
    // A route that was assigned to the fields of the lost session says nothing of the new one.
    const argsNow = native === before ? args : withoutRoute(args, route);
    const mark = native.mark();
    const outcome = await this.#method(name)(...argsNow);
    const failure = outcome && failureOf(outcome);
    if (!failure || this.#isOver || !(await unlessAborted(signal, this.#isLost(native, id, failure)))) return outcome;

    const hasNotRun = failure.kind === "SessionNotFound" && mark.isUntouched();
    const unreplaced = await unlessAborted(signal, this.#replace(native));
    if (unreplaced) return inPlaceOf(outcome, unreplaced);
    // What is streamed, and tells of its failure beside, may be used up.
    if (!hasNotRun || !isFailure(outcome)) return inPlaceOf(outcome, lost(failure, id, this.#idOf()));
    return this.#method(name)(...withoutRoute(args, route));
  }

  /** Is there a living session to call, as far as can be told before? Else one is made, or the failure says why not. */
  async #ready(): Promise<NativeFailure | undefined> {
    if (this.#isOver) return undefined;
    if (this.#pending) return this.#whatBecomesOf(this.#pending);
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

  async #isLost(native: NativeSession, id: string, failure: NativeFailure): Promise<boolean> {
    if (failure.kind === "SessionNotFound") return this.#isGone(native);
    // On the link route a tool fails, in words of its own.
    if (failure.kind !== "Tool" || !failure.errorMessage.includes(id)) return false;
    await native.status();
    return this.#isGone(native);
  }

  /** Replaces the session behind the handle, unless that has been done already: calls that meet the loss share it. */
  #replace(native: NativeSession): Promise<NativeFailure | undefined> {
    if (this.#pending) return this.#whatBecomesOf(this.#pending);
    if (this.#handle.current() !== native && !this.#isUnrestored) return Promise.resolve(undefined);
    this.#pending = this.#recreate().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** A creation comes to its end by itself; `restore` may itself wait for the call that waits here. */
  async #whatBecomesOf(pending: Promise<NativeFailure | undefined>): Promise<NativeFailure | undefined> {
    await this.#creation?.catch(() => undefined);
    return atMost(PATIENCE_MS, pending, () => underWay(this.#idOf()));
  }

  async #recreate(): Promise<NativeFailure | undefined> {
    const oldId = this.#idOf();
    if (this.#isOver) return notReplaced(oldId);
    const now = this.#handle.current().clockMs();
    this.#recreatedAt = this.#recreatedAt.filter((at) => now - at < LIMIT_WINDOW_MS);
    if (this.#recreatedAt.length >= LIMIT) return tooOften(oldId);
    const creation = this.#create(now);
    this.#creation = creation;
    const found = await creation;
    if (isFailure(found)) return notCreated(oldId, found);
    if (this.#isOver) return notReplaced(oldId);
    await this.#restore(oldId, found);
    if (this.#isOver) return notReplaced(oldId);
    this.#handle.recreated({ oldId, newId: found.sessionId });
    return undefined;
  }

  async #create(now: number): Promise<NativeFoundSession | NativeFailure> {
    const found = await this.#handle.create();
    if (isFailure(found)) return found;
    this.#recreatedAt.push(now);
    try {
      this.#handle.adopt(found);
    } catch (error) {
      await found.session.abandon();
      return failureToldBy(error);
    }
    return found;
  }

  async #restore(oldId: string, found: NativeFoundSession): Promise<void> {
    const run: Restoring = { recovery: this, isRunning: true };
    try {
      await restoring.run([...runningRestores(), run], () => this.#handle.restore());
      this.#isUnrestored = false;
    } catch (cause) {
      this.#isUnrestored = true;
      // Whoever has ended the recovery deletes it.
      const undeleted = this.#isOver ? undefined : await found.session.abandon();
      throw unrestored(oldId, found.sessionId, cause, undeleted);
    } finally {
      run.isRunning = false;
    }
  }
}

/** One failure in the place of another: where that stands beside what was done until then, this does, too. */
function inPlaceOf(outcome: object, failure: NativeFailure): object {
  return isFailure(outcome) ? failure : { ...outcome, failure };
}

function failureWith(errorMessage: string, code: string): NativeFailure {
  const none = { operation: "", requestId: "", attempts: 0 };
  return { kind: "SessionNotFound", errorMessage, code, retryable: false, ...none };
}

function tooOften(id: string): NativeFailure {
  const text = `The session ${id} is gone, and was recreated ${LIMIT} times within 10 minutes already`;
  return failureWith(text, "RecreationLimit");
}

function notReplaced(id: string): NativeFailure {
  return failureWith(`The session ${id} is gone, and was not replaced, as the program has deleted it meanwhile`, "");
}

function notCreated(id: string, failure: NativeFailure): NativeFailure {
  const text = `The session ${id} is gone, and creating another failed: ${failure.errorMessage}`;
  return { ...failure, errorMessage: text };
}

function underWay(id: string): NativeFailure {
  const text = `Waited ${PATIENCE_MS / 1_000} s in vain until restore had brought the session ${id} into its state: it still runs, or waits for this call`;
  return { ...failureWith(text, "RestoreUnderWay"), kind: "Timeout", retryable: true };
}

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

function unrestored(oldId: string, newId: string, cause: unknown, undeleted: NativeFailure | null | undefined): Error {
  const fate = undeleted
    ? `could not be restored, nor deleted (${undeleted.errorMessage}): it ends with its idle timeout`
    : "deleted as it could not be restored";
  const reason = cause instanceof Error ? cause.message : String(cause);
  const text = `The session ${oldId} is gone; ${newId} was made in its place, and ${fate}: ${reason}`;
  return Object.assign(new SessionError(text), { cause });
}

function withoutRoute(args: unknown[], route: NativeRoute | undefined): unknown[] {
  return route !== undefined && args[0] === route ? [undefined, ...args.slice(1)] : args;
}
