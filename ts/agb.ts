import { Client } from "./client";
import type { Config, ConfigOptions } from "./config";
import { ContextService } from "./context";
import { type ContextSync, newSyncPolicy, syncPolicyToDict } from "./context-sync";
import type { NativeFoundSession, NativeMount } from "./native";
import { Session } from "./session";
import { type CreateSessionParams, type CreateSessionParamsOptions, mountsOf } from "./session-params";
import { detailed, failed, isFailure, refused } from "./support/call";
import { jsonOf, kindOf, notNumber, notText, optional, optionalNumber } from "./support/check";
import { exitOptions } from "./support/exit";
import { inspectAs } from "./support/inspect";
import { bindClient, bindSession, nativeAgbOf, openAgb } from "./support/target";
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
    if (params === undefined || params === null) return refused("params is required and cannot be null", {});
    const { imageId, labels, policyId, mcpPolicyId, idleReleaseTimeout } = params;
    if (typeof imageId !== "string" || imageId.trim() === "") {
      return refused("imageId is required and cannot be empty or null", {});
    }
    if (labels !== undefined && labels !== null && (typeof labels !== "object" || Array.isArray(labels))) {
      return refused(`labels must be an object of strings, got ${kindOf(labels)}`, {});
    }
    const fault = notNumber({ idleReleaseTimeout });
    if (fault) return refused(fault, {});
    const json = labels ? jsonOf(labels) : undefined;
    if (json && "fault" in json) return refused(`Failed to create session: ${json.fault}`, {});

    const mounts = nativeMounts(params);
    if ("fault" in mounts) return refused(mounts.fault, {});
    const outcome = await nativeAgbOf(this.client, this.apiKey).create({
      imageId,
      labels: json?.text,
      policyId: policyId || mcpPolicyId || undefined,
      idleReleaseTimeout: optionalNumber(idleReleaseTimeout),
      mounts: mounts.native,
    });
    if (isFailure(outcome)) return failed(outcome, {});
    return this.#sessionResult(outcome);
  }

  /** Finds a session that is still alive by its id. */
  async get(sessionId: string): Promise<SessionResult> {
    if (typeof sessionId !== "string" || sessionId.trim() === "") {
      return refused("sessionId is required", { session: null });
    }
    const outcome = await nativeAgbOf(this.client, this.apiKey).get(sessionId);
    if (isFailure(outcome)) return failed(outcome, { session: null });
    return this.#sessionResult(outcome);
  }

  /** What the service says of a session, without making a `Session` of it. */
  async getSession(sessionId: string): Promise<GetSessionResult> {
    if (typeof sessionId !== "string" || sessionId.trim() === "") {
      return refused("sessionId is required", { httpStatusCode: 0, code: "" });
    }
    const outcome = await nativeAgbOf(this.client, this.apiKey).getSession(sessionId);
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
    const fault = notNumber({ page, limit });
    if (fault) return refused(fault, { sessionIds: [], nextToken: "", maxResults: 0, totalCount: 0 });
    const json = jsonOf(labels ?? {});
    if ("fault" in json) {
      const errorMessage = `Failed to list sessions: ${json.fault}`;
      return refused(errorMessage, { sessionIds: [], nextToken: "", maxResults: 0, totalCount: 0 });
    }
    const outcome = await nativeAgbOf(this.client, this.apiKey).list(
      json.text,
      optionalNumber(page),
      optionalNumber(limit),
    );
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

  toJSON(): Record<string, unknown> {
    return { endpoint: this.config.endpoint, timeoutMs: this.config.timeoutMs };
  }

  #sessionResult(found: NativeFoundSession): SessionResult {
    const session = new Session(this, found.sessionId);
    session.resourceUrl = found.resourceUrl;
    session.imageId = found.imageId;
    session.appInstanceId = found.appInstanceId;
    session.resourceId = found.resourceId;
    session.linkUrl = found.linkUrl;
    session.wsUrl = found.wsUrl;
    session.token = found.token;
    session.toolList = found.toolList;
    session.mcpTools = JSON.parse(found.mcpTools);
    bindSession(session, found.session);
    const result = { requestId: found.requestId, success: true, session };
    if (!found.mounts) return result;
    const { finished, items, error } = found.mounts;
    return detailed(result, { mounts: { finished, items: items.map((item) => ({ ...item })), errorMessage: error } });
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
