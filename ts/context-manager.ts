import { logWarn } from "./logger";
import type { NativeSession, NativeStartedSync } from "./native";
import type { SessionLike } from "./session-like";
import { failed, isFailure, refused } from "./support/call";
import { notNumber, notText, optional } from "./support/check";
import { targetOf } from "./support/target";
import type { ContextInfoResult, ContextSyncResult } from "./types";

/** What the contexts of a session need of it. */
export interface ContextManagerSessionLike {
  getApiKey(): string;
  getSessionId(): string;
  getClient(): unknown;
}

/** The contexts that one session has mounted. */
export class ContextManager {
  readonly #session: ContextManagerSessionLike;

  constructor(session: ContextManagerSessionLike) {
    this.#session = session;
  }

  /**
   * What became of the synchronisations: the state of each, of all contexts or of those that fit.
   *
   * @param taskType `upload` or `download`
   */
  async info(contextId?: string, path?: string, taskType?: string): Promise<ContextInfoResult> {
    const fault = notText({ contextId: contextId ?? "", path: path ?? "", taskType: taskType ?? "" });
    if (fault) return refused(fault, { items: [] });
    const outcome = await this.#native().contextInfo(optional(contextId), optional(path), optional(taskType));
    if (isFailure(outcome)) return failed(outcome, { items: [] });
    return { requestId: outcome.requestId, success: true, items: outcome.items.map((item) => ({ ...item })) };
  }

  /**
   * Synchronises one context, or all of them when neither id nor path is given.
   *
   * Without a callback it resolves when everything is done; `success` is false when a context could not be synchronised,
   * and `errorMessage` says which and why. With one it resolves when the synchronisation has started, and calls back once
   * it is done.
   *
   * @param mode `upload` (the service's default): from the session to the context; `download`: the other way
   * @param maxRetries with `retryInterval`, in milliseconds: how long to wait at most. The first looks follow quickly
   * @param callback told whether everything was synchronised; what it throws is logged
   */
  async sync(
    contextId?: string,
    path?: string,
    mode?: string,
    maxRetries = 150,
    retryInterval = 1500,
    callback?: (success: boolean) => void,
  ): Promise<ContextSyncResult> {
    const target = { contextId: contextId ?? "", path: path ?? "", mode: mode ?? "" };
    const fault = notText(target) ?? notNumber({ maxRetries, retryInterval });
    if (fault) return refused(fault, {});
    const native = this.#native();
    const limits = [maxRetries ?? 150, retryInterval ?? 1500] as const;
    if (typeof callback !== "function") {
      const outcome = await native.syncContexts(target, ...limits);
      if (isFailure(outcome)) return failed(outcome, {});
      return { requestId: outcome.requestId, success: true };
    }
    const started = await native.startContextSync(target);
    if (isFailure(started)) return failed(started, {});
    void tellWhenSynced(started, limits, callback);
    return { requestId: started.requestId, success: true };
  }

  toJSON(): Record<string, unknown> {
    return { sessionId: this.#session.getSessionId() };
  }

  #native(): NativeSession {
    return targetOf(this.#session as SessionLike).native;
  }
}

/** Never rejects: nobody waits for it. */
async function tellWhenSynced(
  started: NativeStartedSync,
  [maxRetries, retryInterval]: readonly [number, number],
  callback: (success: boolean) => void,
): Promise<void> {
  let success = false;
  try {
    const outcome = await started.synced(maxRetries, retryInterval);
    success = !isFailure(outcome);
    if (isFailure(outcome)) logWarn(outcome.errorMessage);
  } catch (error) {
    logWarn(`A context synchronisation could not be awaited: ${error}`);
  }
  try {
    // A callback may be asynchronous, whatever its type says.
    await (callback(success) as unknown);
  } catch (error) {
    logWarn(`The callback of a context synchronisation threw: ${error}`);
  }
}
