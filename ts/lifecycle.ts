/**
 * The life of a session without asking the service: where it is, what is left of it, what keeps it alive, what happens.
 */

import { errorOf } from "./errors";
import type {
  NativeHold,
  NativeKeepAliveOptions,
  NativeKeepAliveStatus,
  NativeLifecycle,
  NativeLifecycleEvent,
  NativeLifecycleListener,
  NativeSession,
} from "./native";
import { isFailure } from "./support/call";
import { guarded } from "./support/callback";
import { kindOf, notNumber, optional } from "./support/check";
import { watchEventLoop } from "./support/event-loop";

/** Why a session was released. `unknown`: the service no longer knows it, and its times don't tell why. */
export type ReleaseReason = "idleTimeout" | "lifetimeCap" | "deleted" | "unknown";

/** What is known of a session's life without a request; what isn't known is `null`. */
export interface SessionLifecycle {
  /** `created`: not used yet; `active`: a call is under way; `idle`: none is; `released`: gone for good. */
  state: "created" | "active" | "idle" | "released";
  /** Seconds without activity after which it is released; `null` for a session from `agb.get`. */
  idleReleaseTimeout: number | null;
  /** What is left of that, in milliseconds; all of it while a call is under way. */
  idleRemainingMs: number | null;
  /** What is left of the 30 minutes that a session may live, in milliseconds. */
  lifetimeRemainingMs: number | null;
  createdAt: Date | null;
  /** When the last call that set the idle timer back has ended; `null` while there was none. */
  lastActivityAt: Date | null;
  /** Why it was released; absent while it lives. */
  releaseReason?: ReleaseReason;
  /** Did the service say that it is released? `false`: its time is over, and nothing was heard of it. */
  confirmed?: boolean;
}

/** How a session is kept alive. */
export interface KeepAliveOptions {
  /**
   * `always` (the default), or `whileHeld`: only while something holds it ({@link Session.hold}) or a call is in flight.
   */
  mode?: "always" | "whileHeld";
  /** After which share of the idle timeout without activity a beat comes, give or take 0.1. Default 0.6. */
  at?: number;
  /** For how many seconds from now. Default: as long as the session may live. */
  maxDurationS?: number;
  /** Ends when the event loop has not run for so many seconds. Default: whatever the event loop does. */
  stopIfLoopStalledS?: number;
  /**
   * The session's idle timeout in seconds; needed for a session from `agb.get` alone, of which it is not known. Where it is
   * known, this changes nothing.
   */
  idleReleaseTimeout?: number;
}

/** How a keep-alive is doing. */
export interface KeepAliveStatus {
  running: boolean;
  /** Why it no longer runs; absent while it does. */
  stopReason?: "stopped" | "released" | "lifetimeCap" | "maxDuration" | "loopStalled";
  mode: "always" | "whileHeld";
  at: number;
  /** The idle timeout that it reckons with, in seconds. */
  idleReleaseTimeout: number;
  /** Beats that the service answered. */
  beats: number;
  /** Beats that failed. */
  failures: number;
  lastBeatAt: Date | null;
  /** Milliseconds until the next beat; `null` while none is wanted. */
  nextBeatInMs: number | null;
  /** What went wrong at the last beat; absent if it was answered. */
  lastError?: string;
}

/** A time of the session that is running out. */
export interface ExpiringEvent {
  /** `idle`: a fifth of the idle timeout is left; `lifetime`: two minutes of the maximum lifetime are left. */
  what: "idle" | "lifetime";
  /** What is left of it, in milliseconds. */
  remainingMs: number;
}

/** A keep-alive that failed. */
export interface KeepAliveFailedEvent {
  message: string;
  /** How often it was tried since the last success. */
  attempt: number;
  /** What is left of the idle timeout, in milliseconds. */
  idleRemainingMs: number;
  willRetry: boolean;
}

/** The end of a session. */
export interface ReleasedEvent {
  reason: ReleaseReason;
  /** Did the service say so? `false`: its time is over, and nothing was heard of it. */
  confirmed: boolean;
}

/** Another session has taken the place of one that was lost. */
export interface RecreatedEvent {
  oldId: string;
  newId: string;
}

/** What listeners of {@link Session.on} are given. */
export interface SessionEvents {
  active: [];
  idle: [];
  expiring: [event: ExpiringEvent];
  keepAliveFailed: [event: KeepAliveFailedEvent];
  released: [event: ReleasedEvent];
  releaseFailed: [error: Error];
  recreated: [event: RecreatedEvent];
}

const EVENTS: readonly (keyof SessionEvents)[] = [
  "active",
  "idle",
  "expiring",
  "keepAliveFailed",
  "released",
  "releaseFailed",
  "recreated",
];

/** How a hold goes over to another session. @internal */
export const HOLD_AGAIN = Symbol("hold again");

/** Something that needs a session; `using hold = session.hold()` lets go at the end of the block. */
export class SessionHold {
  /** What the session is held for, as the caller said. */
  readonly reason: string;
  #hold: NativeHold;
  readonly #onRelease: () => void;

  /** @internal */
  constructor(reason: string, hold: NativeHold, onRelease: () => void) {
    this.reason = reason;
    this.#hold = hold;
    this.#onRelease = onRelease;
  }

  /** Lets go; calling twice is fine. */
  release(): void {
    this.#hold.release();
    this.#onRelease();
  }

  /** @internal */
  [HOLD_AGAIN](hold: NativeHold): void {
    this.#hold.release();
    this.#hold = hold;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** @internal */
export function lifecycleOf({ createdAt, lastActivityAt, releaseReason, confirmed, ...life }: NativeLifecycle) {
  const view = {
    state: life.state,
    idleReleaseTimeout: life.idleReleaseTimeout ?? null,
    idleRemainingMs: life.idleRemainingMs ?? null,
    lifetimeRemainingMs: life.lifetimeRemainingMs ?? null,
    createdAt: dateOf(createdAt),
    lastActivityAt: dateOf(lastActivityAt),
  } as SessionLifecycle;
  return releaseReason ? ({ ...view, releaseReason, confirmed } as SessionLifecycle) : view;
}

/** @internal */
export function keepAliveStatusOf(status: NativeKeepAliveStatus): KeepAliveStatus {
  const { stopped, mode, at, idleReleaseTimeout, beats, failures, lastBeatAt, nextBeatInMs, lastError } = status;
  return {
    running: !stopped,
    ...(stopped && { stopReason: stopped as KeepAliveStatus["stopReason"] }),
    mode: mode as KeepAliveStatus["mode"],
    at,
    idleReleaseTimeout,
    beats,
    failures,
    lastBeatAt: dateOf(lastBeatAt),
    nextBeatInMs: nextBeatInMs ?? null,
    ...(lastError && { lastError }),
  };
}

/**
 * Has the event loop watched from now on where a keep-alive wants that: the watch may have ended with the one before.
 * @internal
 */
export function watchEventLoopFor(keepAlive: NativeKeepAliveOptions | null | undefined): void {
  if (keepAlive?.stopIfLoopStalled) watchEventLoop();
}

/**
 * Options as the native client takes them, or why it can't; its own checks are of their values. With
 * `stopIfLoopStalledS` the event loop is watched from now on. @internal
 */
export function nativeKeepAlive(
  options: boolean | KeepAliveOptions | null | undefined,
): { native: NativeKeepAliveOptions | undefined } | { fault: string } {
  if (options === undefined || options === null || options === false) return { native: undefined };
  if (options === true) return { native: {} };
  if (typeof options !== "object" || Array.isArray(options)) {
    return { fault: `autoKeepAlive must be true or an object, got ${kindOf(options)}` };
  }
  const { mode, at, maxDurationS, stopIfLoopStalledS, idleReleaseTimeout } = options;
  const fault = notNumber({ at, maxDurationS, stopIfLoopStalledS, idleReleaseTimeout });
  if (fault) return { fault };
  if (typeof (mode ?? "") !== "string") return { fault: `mode must be a string, got ${kindOf(mode)}` };
  const native = {
    mode: optional(mode),
    at: optional(at),
    maxDuration: optional(maxDurationS),
    stopIfLoopStalled: optional(stopIfLoopStalledS),
    idleReleaseTimeout: optional(idleReleaseTimeout),
  };
  watchEventLoopFor(native);
  return { native };
}

interface Registered {
  listener: (...args: unknown[]) => unknown;
  call: (...args: unknown[]) => void;
  once: boolean;
}

/** The listeners of one session. While there are any, the native side tells what happens. @internal */
export class SessionListeners {
  readonly #native: () => NativeSession;
  readonly #registered = new Map<keyof SessionEvents, Registered[]>();
  #source: NativeLifecycleListener | undefined;

  constructor(native: () => NativeSession) {
    this.#native = native;
  }

  add(event: keyof SessionEvents, listener: (...args: never[]) => unknown, once: boolean): void {
    if (!EVENTS.includes(event)) {
      throw new TypeError(`a session has no event '${String(event)}', only ${EVENTS.join(", ")}`);
    }
    if (typeof listener !== "function") throw new TypeError(`listener must be a function, got ${kindOf(listener)}`);
    this.#listen();
    const call = guarded(`A listener of '${event}'`, listener as Registered["listener"]);
    this.#registered.set(event, [...(this.#registered.get(event) ?? []), { listener, call, once } as Registered]);
  }

  remove(event: keyof SessionEvents, listener: (...args: never[]) => unknown): void {
    const known = this.#registered.get(event) ?? [];
    const index = known.map((entry) => entry.listener).lastIndexOf(listener as Registered["listener"]);
    if (index >= 0)
      this.#keep(
        event,
        known.filter((_, other) => other !== index),
      );
  }

  /** Another native session tells from now on. */
  moved(): void {
    if (!this.#source) return;
    this.#source.close();
    this.#source = undefined;
    this.#listen();
  }

  #listen(): void {
    if (this.#source) return;
    const native = this.#native();
    const source = native.onLifecycle(toldTo(this, native.lifecycle().state === "released"));
    if (isFailure(source)) throw errorOf(source);
    this.#source = source;
  }

  emit(event: keyof SessionEvents, ...payload: unknown[]): void {
    const entries = this.#registered.get(event) ?? [];
    for (const { listener, once } of entries) if (once) this.remove(event, listener as never);
    for (const { call } of entries) call(...payload);
  }

  /** Forgets all of them. */
  close(): void {
    this.#registered.clear();
    this.#source?.close();
    this.#source = undefined;
  }

  #keep(event: keyof SessionEvents, entries: Registered[]): void {
    if (entries.length > 0) this.#registered.set(event, entries);
    else this.#registered.delete(event);
    if (this.#registered.size === 0) this.close();
  }
}

/**
 * What a native session calls. It keeps the listeners, and with them the session, while there is something to hear, also
 * when the program has let go of both; after the end it would keep what it belongs to for ever.
 */
function toldTo(listeners: SessionListeners, isReleased: boolean): (event: NativeLifecycleEvent) => void {
  const known = new WeakRef(listeners);
  let kept = isReleased ? undefined : listeners;
  return (event) => {
    const current = kept ?? known.deref();
    if (!current) return;
    if (event.kind === "released") kept = undefined;
    // An end that was only reckoned has not come.
    else if (event.kind === "active" || event.kind === "idle") kept = current;
    current.emit(event.kind as keyof SessionEvents, ...payloadOf(event));
  };
}

function payloadOf({ kind, what, remainingMs, message, attempt, willRetry, reason, confirmed }: NativeLifecycleEvent) {
  switch (kind) {
    case "expiring":
      return [{ what, remainingMs }];
    case "keepAliveFailed":
      return [{ message, attempt, idleRemainingMs: remainingMs, willRetry }];
    case "released":
      return [{ reason, confirmed }];
    default:
      return [];
  }
}

function dateOf(epochMs: number | null | undefined): Date | null {
  return epochMs === undefined || epochMs === null ? null : new Date(epochMs);
}
