import { type AGB, nativeParams } from "./agb";
import { errorOf, invalidArgument } from "./errors";
import type { NativeSessionPool } from "./native";
import { Session } from "./session";
import type { CreateSessionParams, CreateSessionParamsOptions } from "./session-params";
import { cancellable, notSignal } from "./support/abort";
import { isFailure } from "./support/call";
import { kindOf, notFunction, notNumber, optional } from "./support/check";
import { inspectAs } from "./support/inspect";
import { discard, lend } from "./support/loan";
import { nativeAgbOf } from "./support/target";

/** What a pool shall be. */
export interface SessionPoolOptions {
  /**
   * What its sessions are created with. They are always kept alive, and found again when the answer of their creation gets
   * lost; of `autoKeepAlive` only `at` and `stopIfLoopStalledS` count.
   */
  params: CreateSessionParams | CreateSessionParamsOptions;
  /** How many sessions there are at least, lent ones included. They are created at once. Default 0. */
  min?: number;
  /** How many sessions there are at most. Default 8, or `min` if that is more. */
  max?: number;
  /** How often a session is handed out before it is replaced. Default: as long as it lives. */
  maxUses?: number;
  /** How long `acquire` waits for a session, in milliseconds. Default 30,000. */
  acquireTimeoutMs?: number;
}

/** What is in a pool. */
export interface SessionPoolStats {
  /** Sessions that are ready. */
  idle: number;
  /** Sessions that are handed out, or being checked for it. */
  lent: number;
  /** Sessions that are being created, or may still turn up as the answer of their creation got lost. */
  creating: number;
  /** Calls of `acquire` that wait until another session is given back. */
  waiting: number;
}

/**
 * Sessions that are ready when they are needed: kept alive, checked before they are handed out, replaced in time before
 * the end of their maximum lifetime, never more than `max`. The pool does not keep the process running; drain it at the
 * end.
 *
 * ```ts
 * const pool = new SessionPool(agb, { params: { imageId: "agb-code-space-1" }, min: 2, max: 10 });
 * await pool.use((session) => session.code.run("print(6 * 7)", "python"));
 * await pool.drain();
 * ```
 */
export class SessionPool {
  readonly #agb: AGB;
  readonly #native: NativeSessionPool;
  readonly #loans = new WeakSet<Session>();

  /** @throws {AGBError} for options that can't be used */
  constructor(agb: AGB, options: SessionPoolOptions) {
    if (typeof agb?.getSession !== "function")
      throw invalidArgument(`agb must be an AGB, got ${kindOf(optional(agb))}`);
    if (typeof options !== "object" || options === null)
      throw invalidArgument(`options are required, got ${kindOf(options)}`);
    const { params, min, max, maxUses, acquireTimeoutMs } = options;
    const numbers = { min, max, maxUses, acquireTimeoutMs };
    const fault = notNumber(numbers);
    if (fault) throw invalidArgument(fault);
    const read = nativeParams(params);
    if ("fault" in read) throw invalidArgument(read.fault);
    const pool = nativeAgbOf(agb.client, agb.apiKey).sessionPool({
      params: read.native,
      min: optional(min),
      max: optional(max),
      maxUses: optional(maxUses),
      acquireTimeoutMs: optional(acquireTimeoutMs),
    });
    if (isFailure(pool)) throw errorOf(pool);
    this.#agb = agb;
    this.#native = pool;
  }

  /**
   * Hands out a session that has just answered: an idle one, else a new one, else the next that is given back, in the
   * order of the calls. `await using session = await pool.acquire()` gives it back at the end of the block. Then it must
   * not be used any more: its methods throw.
   *
   * @param options `signal` stops waiting; no session is lost by it
   * @throws {APIError} when there was none within `acquireTimeoutMs`, or what the service said when none could be made
   * @throws {SessionError} when the pool is drained
   */
  async acquire(options?: { signal?: AbortSignal }): Promise<Session> {
    const { signal } = options ?? {};
    const fault = notSignal(signal);
    if (fault) throw invalidArgument(fault);
    if (signal?.aborted) throw signal.reason;
    const outcome = await cancellable(signal, (cancel) => this.#native.acquire(cancel));
    if (!outcome) throw signal?.reason;
    if (isFailure(outcome)) throw errorOf(outcome);
    const session = Session.found(this.#agb, outcome.found);
    lend(session, outcome.lent);
    this.#loans.add(session);
    return session;
  }

  /**
   * Does something with a session of the pool, and gives it back on every way out.
   *
   * @param body gets the session; its value is the value of the call
   * @throws as {@link acquire}, and whatever `body` throws
   */
  async use<T>(body: (session: Session) => Promise<T> | T, options?: { signal?: AbortSignal }): Promise<T> {
    const fault = notFunction({ body });
    if (fault) throw invalidArgument(fault);
    const session = await this.acquire(options);
    try {
      return await body(session);
    } finally {
      // Never throws: what can't be used any more is deleted behind the scenes.
      await session[Symbol.asyncDispose]();
    }
  }

  /**
   * Gives a session back that nobody else shall have: it is deleted, and makes room when it is gone. Nothing happens when
   * it was given back already.
   *
   * @throws {AGBError} for a session that is not of this pool
   */
  async discard(session: Session): Promise<void> {
    if (!this.#loans.has(session)) throw invalidArgument("the session is not of this pool");
    discard(session);
    await session[Symbol.asyncDispose]();
  }

  /**
   * Ends the pool: calls of `acquire` reject, those that wait, too; idle sessions are deleted at once, the others when
   * they are given back. Resolves when all are gone: after a minute or more where the answer of a creation got lost, whose
   * session is looked for meanwhile, and deleted when it turns up. May be called again.
   *
   * @throws {APIError} when some could not be deleted; it names them
   */
  async drain(): Promise<void> {
    const failure = await this.#native.drain();
    if (failure) throw errorOf(failure);
  }

  /** What is in the pool now. */
  get stats(): SessionPoolStats {
    return { ...this.#native.stats() };
  }

  /** Drains the pool at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  toJSON(): Record<string, unknown> {
    return { ...this.stats };
  }
}

inspectAs(SessionPool, (pool) => pool.toJSON());
