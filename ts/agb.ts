import { Client } from "./client";
import type { Config, ConfigOptions } from "./config";
import { ContextService } from "./context";
import { type ContextSync, newSyncPolicy, syncPolicyToDict } from "./context-sync";
import { errorOf, invalidArgument } from "./errors";
import { nativeKeepAlive, watchEventLoopFor } from "./lifecycle";
import { logWarn } from "./logger";
import type { NativeCreateParams, NativeDeletion, NativeFoundSession, NativeMount } from "./native";
import type { RecreateOptions } from "./recovery";
import { Session } from "./session";
import { type CreateSessionParams, type CreateSessionParamsOptions, mountsOf } from "./session-params";
import { cancellable, notSignal } from "./support/abort";
import { detailed, failed, isFailure, refused } from "./support/call";
import { notCallback } from "./support/callback";
import {
  jsonOf,
  kindOf,
  notBoolean,
  notFunction,
  notNumber,
  notObject,
  notText,
  optional,
  optionalNumber,
} from "./support/check";
import { exitOptions } from "./support/exit";
import { inspectAs } from "./support/inspect";
import { agbTargetOf, bindClient, nativeAgbOf, openAgb } from "./support/target";
import type {
  DeleteResult,
  GetSessionResult,
  LiveSession,
  ReleaseOnExitOptions,
  SessionListResult,
  SessionResult,
} from "./types";

/** What an `AGB` may be made with. */
export interface AGBOptions {
  /** The API key. Default: `AGB_API_KEY` of the environment, else of `.env`. */
  apiKey?: string;
  /** Where the service is and how long a request may take. */
  config?: ConfigOptions;
  /** A file to read instead of `.env` in the current directory. */
  envFile?: string;
  /**
   * Releases the sessions that this `AGB` created, and has neither deleted nor detached, when the program ends: at its
   * own end, by `process.exit`, an error, a signal, or an abort. Default: they stay until their idle timeout.
   * `docs/lifecycle.md` tells what is covered.
   */
  releaseOnExit?: boolean | ReleaseOnExitOptions;
}

/** How a session is opened. */
export interface OpenOptions extends RecreateOptions<Session> {
  /** Gives up the creation. */
  signal?: AbortSignal;
}

/** What became of one session of `agb.deleteAll`. */
export interface DeletedSession extends DeleteResult {
  sessionId: string;
}

/** How many sessions `agb.deleteAll` deletes at a time, unless it is told. */
const DELETED_AT_ONCE = 8;
/** How many sessions `agb.reapOrphans` deletes at a time. */
const REAPED_AT_ONCE = 8;

/** The way into the service: creates, finds, lists and deletes sessions. */
export class AGB {
  apiKey: string;
  client: Client;
  config: Config;
  context: ContextService;

  /**
   * @param options the API key, or the options; both may be left out when the environment or `.env` has the key
   * @throws {AuthenticationError} when there is no API key anywhere
   * @throws {AGBError} when the configuration can't be used
   */
  constructor(options?: AGBOptions | string) {
    const sources: AGBOptions = typeof options === "string" ? { apiKey: options } : (options ?? {});
    if (typeof sources !== "object") {
      const text = `expected the API key or the options, got ${kindOf(sources)}`;
      throw invalidArgument(text);
    }
    const exit = exitOptions(sources.releaseOnExit);
    const opened = openAgb({ ...sources, exit });
    this.apiKey = opened.apiKey;
    this.config = { endpoint: opened.endpoint, timeoutMs: opened.timeoutMs };
    this.client = new Client(this.config);
    this.context = new ContextService(this);
    bindClient(this.client, opened, exit);
  }

  /**
   * Creates a session. It is usable at once; delete it when done. With mounts it resolves when what they hold is there;
   * `mounts` of the result tells how each came out.
   *
   * @param params at least an `imageId`
   */
  async create(params?: CreateSessionParams | CreateSessionParamsOptions | null): Promise<SessionResult> {
    const read = nativeParams(params);
    if ("fault" in read) return refused(read.fault, {});
    const outcome = await agbTargetOf(this.client, this.apiKey).create(read.native);
    if (isFailure(outcome)) return failed(outcome, {});
    return this.#sessionResult(outcome);
  }

  /**
   * Creates a session as {@link create} does, and throws when that fails. `await using session = await agb.open(…)`
   * deletes it at the end of the block. Should the service's answer get lost, the session that it made is found again, or
   * released as soon as it turns up.
   *
   * With `recreate` the session is replaced when a call finds that it is gone for good, be it idle for too long or at the
   * end of its maximum lifetime: another one is made with the same parameters, `restore` runs, and a call that can't have
   * run in the lost session is made again, once. One that may have run fails with the code `SessionRecreated`. The object
   * stays, its id changes (event `recreated`). At most three times within ten minutes: then calls fail with the
   * code `RecreationLimit`. After `delete` it is never replaced.
   *
   * @param params at least an `imageId`
   * @param options `signal` gives up the creation; what the service makes all the same is released
   * @throws {AGBError} for parameters that can't be used
   * @throws {APIError | AuthenticationError | SessionError} when the service can't be reached or refuses
   */
  async open(params: CreateSessionParams | CreateSessionParamsOptions, options?: OpenOptions): Promise<Session> {
    const { signal, recreate, restore } = options ?? {};
    const read = nativeParams(params);
    const fault =
      "fault" in read ? read.fault : (notSignal(signal) ?? notBoolean({ recreate }) ?? notCallback({ restore }));
    if ("fault" in read || fault) throw invalidArgument(fault);
    if (signal?.aborted) throw signal.reason;

    const agb = nativeAgbOf(this.client, this.apiKey);
    const native = { ...read.native, recover: true };
    const outcome = await cancellable(signal, (cancel) => agb.open(native, cancel));
    if (!outcome) throw signal?.reason;
    if (isFailure(outcome)) throw errorOf(outcome);
    const session = Session.found(this, outcome);
    const create = () => {
      watchEventLoopFor(native.keepAlive);
      return agb.create(native);
    };
    if (recreate) Session.recover(session, { create, restore });
    return session;
  }

  /**
   * Opens a session, does something with it, and deletes it on every way out. What `body` throws is what rejects; should
   * the deletion fail, too, its error is in the property `suppressed` of that error, unless that has one already or takes
   * none, and the session's event `releaseFailed` tells it.
   *
   * @param params as for {@link open}
   * @param body gets the session; its value is the value of the call
   * @throws as {@link open}, and whatever `body` throws
   */
  async withSession<T>(
    params: CreateSessionParams | CreateSessionParamsOptions,
    body: (session: Session) => Promise<T> | T,
    options?: OpenOptions,
  ): Promise<T> {
    const fault = notFunction({ body });
    if (fault) throw invalidArgument(fault);
    const session = await this.open(params, options);
    let value: T;
    try {
      value = await body(session);
    } catch (error) {
      suppress(error, await releaseOf(session));
      throw error;
    }
    // The work is done: its value counts more than what is left behind, which the event and the log tell.
    await releaseOf(session);
    return value;
  }

  /** Finds a session that is still alive by its id. */
  async get(sessionId: string): Promise<SessionResult> {
    if (typeof sessionId !== "string" || sessionId.trim() === "") {
      return refused("sessionId is required", { session: null });
    }
    const outcome = await agbTargetOf(this.client, this.apiKey).get(sessionId);
    if (isFailure(outcome)) return failed(outcome, { session: null });
    return this.#sessionResult(outcome);
  }

  /** What the service says of a session, without making a `Session` of it. */
  async getSession(sessionId: string): Promise<GetSessionResult> {
    if (typeof sessionId !== "string" || sessionId.trim() === "") {
      return refused("sessionId is required", { httpStatusCode: 0, code: "" });
    }
    const outcome = await agbTargetOf(this.client, this.apiKey).getSession(sessionId);
    if (isFailure(outcome)) {
      return failed(outcome, { httpStatusCode: outcome.httpStatusCode ?? 0, code: outcome.code });
    }
    const { requestId, httpStatusCode, code, data } = outcome;
    return { requestId, httpStatusCode, code, success: true, data: data && { ...data, success: true } };
  }

  /**
   * Lists the active sessions, newest first, a page at a time.
   *
   * @param labels only sessions that carry all of these
   * @param page which page, from 1
   * @param limit sessions a page; default 10
   */
  async list(labels?: Record<string, string>, page?: number, limit?: number): Promise<SessionListResult> {
    const fault = notObject({ labels }) ?? notNumber({ page, limit });
    if (fault) return refused(fault, { sessionIds: [], nextToken: "", maxResults: 0, totalCount: 0 });
    const json = jsonOf(labels ?? {});
    if ("fault" in json) {
      const errorMessage = `Failed to list sessions: ${json.fault}`;
      return refused(errorMessage, { sessionIds: [], nextToken: "", maxResults: 0, totalCount: 0 });
    }
    const outcome = await agbTargetOf(this.client, this.apiKey).list(
      json.text,
      optionalNumber(page),
      optionalNumber(limit),
    );
    if (isFailure(outcome)) {
      return failed(outcome, { sessionIds: [] as string[], nextToken: "", maxResults: 0, totalCount: 0 });
    }
    if ("failure" in outcome) {
      const { failure, maxResults, totalCount } = outcome;
      return failed(failure, { sessionIds: [] as string[], nextToken: "", maxResults, totalCount });
    }
    const { requestId, sessionIds, nextToken, maxResults, totalCount } = outcome;
    return { requestId, success: true, sessionIds: [...sessionIds], nextToken, maxResults, totalCount };
  }

  /**
   * Deletes a session and waits until it is gone.
   *
   * @param syncContext store what its mounts hold first. If that fails the session is deleted all the same, and the
   *   result says so with `success: false`
   */
  async delete(session: Session, syncContext = false): Promise<DeleteResult> {
    if (typeof session?.delete !== "function") {
      return refused(`Failed to delete session: expected a Session, got ${kindOf(optional(session))}`, {});
    }
    return session.delete(syncContext);
  }

  /**
   * The sessions that are released when the program ends, oldest first: those that this `AGB` created or adopted, and
   * has neither deleted nor detached, as far as the service has not said that they are gone. Nothing is sent. Empty
   * without `releaseOnExit`.
   *
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  liveSessions(): LiveSession[] {
    const live = nativeAgbOf(this.client, this.apiKey).liveSessions();
    return Array.from(live, ({ sessionId, imageId, createdAt, adopted }) => ({
      sessionId,
      imageId,
      createdAt: createdAt === undefined ? null : new Date(createdAt),
      adopted,
    }));
  }

  /**
   * All active sessions that carry the labels, newest first. Nothing is asked of the sessions themselves, so that looking
   * keeps none alive: they have neither link nor WebSocket; `agb.get` gives one that has.
   *
   * @param labels only sessions that carry all of these; default: all
   * @throws {AGBError} for labels that can't be used, or what the service said
   */
  async *listAll(labels?: Record<string, string>): AsyncGenerator<Session, void, void> {
    const text = labelsText(labels ?? {});
    const seen = new Set<string>();
    let token = "";
    do {
      const page = await nativeAgbOf(this.client, this.apiKey).page(text, token);
      if (isFailure(page)) throw errorOf(page);
      const fresh = page.sessionIds.filter((id) => !seen.has(id));
      // Pages move when sessions come and go meanwhile; one without news is the end.
      if (fresh.length === 0) return;
      for (const id of fresh) {
        seen.add(id);
        yield new Session(this, id);
      }
      token = page.nextToken;
    } while (token !== "");
  }

  /**
   * Deletes all active sessions that carry the labels, several at a time, and waits until they are gone. The result has
   * one entry for each.
   *
   * @param labels only sessions that carry all of these; `{}` means every session of this API key
   * @param options `concurrency`: how many at a time; default 8
   * @throws {AGBError} without labels, or when the sessions can't be listed; then nothing was deleted
   */
  async deleteAll(labels: Record<string, string>, options?: { concurrency?: number }): Promise<DeletedSession[]> {
    const concurrency = options?.concurrency ?? DELETED_AT_ONCE;
    const isObject = typeof labels === "object" && labels !== null && !Array.isArray(labels);
    const hint = "give the labels of the sessions to delete; {} means every session of this API key";
    if (!isObject) throw invalidArgument(`labels must be an object: ${hint}`);
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      const got = String(concurrency);
      throw invalidArgument(`concurrency must be a whole number from 1, got ${got}`);
    }
    const outcome = await nativeAgbOf(this.client, this.apiKey).deleteAll(labelsText(labels), concurrency);
    if (isFailure(outcome)) throw errorOf(outcome);
    return outcome.deletions.map(deletedSession);
  }

  /**
   * Deletes the sessions with a {@link LeaseOptions lease} whose process has ended without releasing them. Only those that
   * were created on this machine, since it was started last, in the PID namespace (the container) of this process; others
   * are left to their idle timeout. On systems other than Linux nothing is deleted. The result has one entry for each.
   *
   * @throws {AGBError} when the sessions can't be listed; then nothing was deleted
   */
  async reapOrphans(): Promise<DeletedSession[]> {
    const outcome = await nativeAgbOf(this.client, this.apiKey).reapOrphans(REAPED_AT_ONCE);
    if (isFailure(outcome)) throw errorOf(outcome);
    return outcome.deletions.map(deletedSession);
  }

  toJSON(): Record<string, unknown> {
    return { endpoint: this.config.endpoint, timeoutMs: this.config.timeoutMs };
  }

  #sessionResult(found: NativeFoundSession): SessionResult {
    const result = { requestId: found.requestId, success: true, session: Session.found(this, found) };
    if (!found.mounts) return result;
    const { finished, items, error } = found.mounts;
    return detailed(result, { mounts: { finished, items: items.map((item) => ({ ...item })), errorMessage: error } });
  }
}

function deletedSession({ sessionId, requestId, failure }: NativeDeletion): DeletedSession {
  return failure ? { sessionId, ...failed(failure, {}) } : { sessionId, requestId, success: true };
}

function labelsText(labels: Record<string, string>): string {
  const fault = notObject({ labels });
  if (fault) throw invalidArgument(fault);
  const json = jsonOf(labels);
  if ("fault" in json) throw invalidArgument(`labels can't be sent: ${json.fault}`);
  return json.text;
}

/** Parameters as the native client takes them, or why it can't. @internal */
export function nativeParams(
  params: CreateSessionParams | CreateSessionParamsOptions | null | undefined,
): { native: NativeCreateParams } | { fault: string } {
  if (params === undefined || params === null) return { fault: "params is required and cannot be null" };
  const { imageId, labels, policyId, mcpPolicyId, idleReleaseTimeout, recoverCreate } = params;
  if (typeof imageId !== "string" || imageId.trim() === "") {
    return { fault: "imageId is required and cannot be empty or null" };
  }
  if (labels !== undefined && labels !== null && (typeof labels !== "object" || Array.isArray(labels))) {
    return { fault: `labels must be an object of strings, got ${kindOf(labels)}` };
  }
  const fault = notNumber({ idleReleaseTimeout }) ?? notBoolean({ recoverCreate });
  if (fault) return { fault };
  const json = labels ? jsonOf(labels) : undefined;
  if (json && "fault" in json) return { fault: `Failed to create session: ${json.fault}` };
  const mounts = nativeMounts(params);
  if ("fault" in mounts) return mounts;
  const keepAlive = nativeKeepAlive(params.autoKeepAlive);
  if ("fault" in keepAlive) return keepAlive;
  const lease = nativeLease(params);
  if ("fault" in lease) return lease;
  return {
    native: {
      imageId,
      labels: json?.text,
      policyId: policyId || mcpPolicyId || undefined,
      idleReleaseTimeout: optionalNumber(idleReleaseTimeout),
      mounts: mounts.native,
      keepAlive: keepAlive.native,
      recover: recoverCreate ?? false,
      lease: lease.native,
    },
  };
}

/** The lease of a new session, or why it can't have it. */
function nativeLease({
  lease,
  autoKeepAlive,
}: CreateSessionParamsOptions): { native: NativeCreateParams["lease"] } | { fault: string } {
  if (lease === undefined || lease === null) return { native: undefined };
  const fault = notObject({ lease }) ?? notNumber({ "lease.ttlS": lease.ttlS });
  if (fault) return { fault };
  if (autoKeepAlive === false) return { fault: "a lease keeps the session alive: autoKeepAlive must not be false" };
  return { native: { ttlS: optional(lease.ttlS) } };
}

/** Deletes a session at the end of its use; gives why that failed. */
async function releaseOf(session: Session): Promise<unknown> {
  try {
    await session[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    logWarn(`The session ${session.getSessionId()} was not deleted:`, error);
    return error;
  }
}

/** Puts an error that came while another one was on its way beside it, if that has none yet. */
function suppress(error: unknown, other: unknown): void {
  if (other === undefined || typeof error !== "object" || error === null) return;
  try {
    if (Object.hasOwn(error, "suppressed")) return;
    Object.defineProperty(error, "suppressed", { value: other, configurable: true, enumerable: false, writable: true });
  } catch {
    // It is frozen, or a proxy that refuses; the first error counts.
  }
}

/** What to mount, or why it can't be. */
function nativeMounts(params: CreateSessionParamsOptions): { native: NativeMount[] } | { fault: string } {
  const given: unknown = params.contextSync ?? [];
  if (!Array.isArray(given)) return { fault: `contextSync must be an array, got ${kindOf(given)}` };
  const native: NativeMount[] = [];
  for (const mount of mountsOf(params)) {
    if (typeof mount !== "object" || mount === null)
      return { fault: `contextSync must hold objects, got ${kindOf(mount)}` };
    const texts = { contextId: mount.contextId ?? "", path: mount.path };
    const fault = notText(texts);
    if (fault) return { fault: `contextSync: ${fault}` };
    const json = policyJson(mount);
    if ("fault" in json) return { fault: `Failed to create session: ${json.fault}` };
    native.push({ ...texts, policy: json.text });
  }
  return { native };
}

function policyJson({ policy }: ContextSync): { text: string } | { fault: string } {
  if (policy !== undefined && policy !== null && typeof policy !== "object") {
    return { fault: `policy must be an object, got ${kindOf(policy)}` };
  }
  try {
    return jsonOf(syncPolicyToDict(policy ?? newSyncPolicy()));
  } catch (error) {
    return { fault: `the policy can't be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

inspectAs(AGB, (agb) => agb.toJSON());
