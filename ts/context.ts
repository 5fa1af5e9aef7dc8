import { ClearanceTimeoutError } from "./errors";
import type { NativeAgb, NativeClearState, NativeContextRecord, NativeFailure, NativeFileUrl } from "./native";
import { detailed, failed, isFailure, present, refused } from "./support/call";
import { notNumber, notText, optionalNumber } from "./support/check";
import { agbTargetOf, nativeAgbOf } from "./support/target";
import type {
  ClearContextResult,
  ContextFileListResult,
  ContextListParams,
  ContextListResult,
  ContextResult,
  FileUrlResult,
  OperationResult,
} from "./types";

/** Persistent storage that sessions can mount. */
export class Context {
  id: string;
  name: string;
  createdAt?: string;
  lastUsedAt?: string;

  constructor(id: string, name: string, createdAt?: string, lastUsedAt?: string) {
    this.id = id;
    this.name = name;
    this.createdAt = createdAt;
    this.lastUsedAt = lastUsedAt;
  }
}

/** What the service of contexts needs of the `AGB` that it belongs to. */
export interface AGBLike {
  apiKey: string;
  client: unknown;
}

/** The native client that a service of contexts speaks through now. @internal */
export let nativeAgbOfContexts: (contexts: ContextService) => NativeAgb;

/** Makes, finds, changes and deletes contexts and the files in them. */
export class ContextService {
  readonly #agb: AGBLike;

  static {
    nativeAgbOfContexts = (contexts) => nativeAgbOf(contexts.#agb.client, contexts.#agb.apiKey);
  }

  constructor(agb: AGBLike) {
    this.#agb = agb;
  }

  /** Lists contexts, newest first, a page at a time; the result also has `nextToken`, `maxResults` and `totalCount`. */
  async list(params?: ContextListParams): Promise<ContextListResult> {
    const { maxResults, nextToken } = params ?? {};
    const fault = notNumber({ maxResults }) ?? notText({ nextToken: nextToken ?? "" });
    if (fault) return refused(fault, { contexts: [] });
    const outcome = await this.#native().listContexts(optionalNumber(maxResults), nextToken ?? undefined);
    if (isFailure(outcome)) return failed(outcome, { contexts: [] });
    const contexts = outcome.contexts.map((context) => ({ ...context }));
    const paging = { nextToken: outcome.nextToken, maxResults: outcome.maxResults, totalCount: outcome.totalCount };
    return detailed({ requestId: outcome.requestId, success: true, contexts }, paging);
  }

  /**
   * Finds a context by name or id.
   *
   * @param create make it when there is none of that name
   * @param loginRegionId the region; the service's default is `cn-hangzhou`
   */
  async get(name?: string, create = false, loginRegionId?: string, contextId?: string): Promise<ContextResult> {
    const texts = { name: name ?? "", loginRegionId: loginRegionId ?? "", contextId: contextId ?? "" };
    const fault = notText(texts);
    if (fault) return refused(fault, {});
    const native = this.#native();
    return contextResult(await native.getContext(texts.name, Boolean(create), texts.loginRegionId, texts.contextId));
  }

  /** Makes a context, or finds the one of that name. */
  async create(name: string): Promise<ContextResult> {
    const fault = notText({ name: name ?? "" });
    if (fault) return refused(fault, {});
    return contextResult(await this.#native().createContext(name ?? ""));
  }

  /** Gives the context `context.id` the name `context.name`. */
  async update(context: Context): Promise<OperationResult> {
    if (!context) return refused("context cannot be None", {});
    const texts = { "context.id": context.id ?? "", "context.name": context.name ?? "" };
    const fault = notText(texts);
    if (fault) return refused(fault, {});
    const outcome = await this.#native().updateContext(texts["context.id"], texts["context.name"]);
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, data: { context_id: context.id.trim() } };
  }

  /** Deletes a context with everything in it. */
  async delete(context: Context): Promise<OperationResult> {
    if (!context) return refused("context cannot be None", {});
    const fault = notText({ "context.id": context.id ?? "" });
    if (fault) return refused(fault, {});
    const outcome = await this.#native().deleteContext(context.id ?? "");
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, data: { context_id: context.id.trim() } };
  }

  /** A URL under which a file of a context can be read with `GET`; `expireTime` tells when it ends. */
  async getFileDownloadUrl(contextId: string, filePath: string): Promise<FileUrlResult> {
    const fault = notText({ contextId: contextId ?? "", filePath: filePath ?? "" });
    if (fault) return refused(fault, { url: "" });
    return urlResult(await this.#native().contextDownloadUrl(contextId ?? "", filePath ?? ""));
  }

  /** A URL under which a file of a context can be written with `PUT`; `expireTime` tells when it ends. */
  async getFileUploadUrl(contextId: string, filePath: string): Promise<FileUrlResult> {
    const fault = notText({ contextId: contextId ?? "", filePath: filePath ?? "" });
    if (fault) return refused(fault, { url: "" });
    return urlResult(await this.#native().contextUploadUrl(contextId ?? "", filePath ?? ""));
  }

  /** Deletes a file of a context. */
  async deleteFile(contextId: string, filePath: string): Promise<OperationResult> {
    const fault = notText({ contextId: contextId ?? "", filePath: filePath ?? "" });
    if (fault) return refused(fault, { data: false });
    const outcome = await this.#native().deleteContextFile(contextId ?? "", filePath ?? "");
    if (isFailure(outcome)) return failed(outcome, { data: false });
    return { requestId: outcome.requestId, success: true, data: true };
  }

  /**
   * Lists what lies directly in a folder of a context.
   *
   * @param parentFolderPath by its full path; default: the top
   * @param pageNumber from 1
   * @param pageSize default 50
   */
  async listFiles(
    contextId: string,
    parentFolderPath = "",
    pageNumber = 1,
    pageSize = 50,
  ): Promise<ContextFileListResult> {
    const fault =
      notText({ contextId: contextId ?? "", parentFolderPath: parentFolderPath ?? "" }) ??
      notNumber({ pageNumber, pageSize });
    if (fault) return refused(fault, { files: [] });
    const outcome = await this.#native().listContextFiles(
      contextId ?? "",
      parentFolderPath ?? "",
      optionalNumber(pageNumber),
      optionalNumber(pageSize),
    );
    if (isFailure(outcome)) return failed(outcome, { files: [] });
    const files = outcome.files.map((file) => ({ ...file }));
    return present({ requestId: outcome.requestId, success: true, files, count: outcome.count });
  }

  /** Starts to delete everything in a context; {@link getClearStatus} tells when it is done. */
  async clearAsync(contextId: string): Promise<ClearContextResult> {
    const fault = notText({ contextId: contextId ?? "" });
    if (fault) return refused(fault, {});
    return clearResult(await this.#native().startClearing(contextId ?? ""));
  }

  /** The state of a context: `clearing`, or `available` when clearing is done. */
  async getClearStatus(contextId: string): Promise<ClearContextResult> {
    const fault = notText({ contextId: contextId ?? "" });
    if (fault) return refused(fault, {});
    return clearResult(await this.#native().clearState(contextId ?? ""));
  }

  /**
   * Deletes everything in a context and waits until that is done.
   *
   * @param timeout the longest wait, in seconds
   * @param pollInterval how often to look once the quick first looks are over, in seconds
   * @throws {ClearanceTimeoutError} when it takes longer, and at once when `timeout` is shorter than `pollInterval`
   */
  async clear(contextId: string, timeout = 60, pollInterval = 2): Promise<ClearContextResult> {
    const fault = notText({ contextId: contextId ?? "" }) ?? notNumber({ timeout, pollInterval });
    if (fault) return refused(fault, {});
    const outcome = await this.#native().clearContext(contextId ?? "", timeout ?? 60, pollInterval ?? 2);
    if (isFailure(outcome) && isClearanceTimeout(outcome)) {
      throw new ClearanceTimeoutError(outcome.errorMessage, { requestId: outcome.requestId, contextId });
    }
    return clearResult(outcome);
  }

  toJSON(): Record<string, unknown> {
    return { type: "ContextService" };
  }

  #native(): NativeAgb {
    return agbTargetOf(this.#agb.client, this.#agb.apiKey);
  }
}

function contextResult(outcome: NativeContextRecord | NativeFailure): ContextResult {
  if (isFailure(outcome)) return failed(outcome, {});
  return { requestId: outcome.requestId, success: true, context: { ...outcome.context } };
}

function urlResult(outcome: NativeFileUrl | NativeFailure): FileUrlResult {
  if (isFailure(outcome)) return failed(outcome, { url: "" });
  const { requestId, url, expireTime } = outcome;
  return detailed({ requestId, success: true, url }, { expireTime });
}

function clearResult(outcome: NativeClearState | NativeFailure): ClearContextResult {
  if (isFailure(outcome)) return failed(outcome, {});
  return { requestId: outcome.requestId, success: true, state: outcome.state };
}

/** Is it the wait that took too long, and not one of its requests? */
function isClearanceTimeout(failure: NativeFailure): boolean {
  return failure.kind === "Timeout" && failure.operation === "clearContext" && failure.attempts === 0;
}
