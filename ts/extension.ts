import { ContextService, nativeAgbOfContexts } from "./context";
import { AGBError, errorOf } from "./errors";
import type { NativeExtension, NativeExtensions, NativeFailure } from "./native";
import { isFailure, refusal } from "./support/call";
import { notText, notTexts } from "./support/check";
import { reporting } from "./support/stand-in";

/** A browser extension that is stored in a context. */
export class Extension {
  /** The name of its file in the context. */
  id: string;
  /** The name of the local file where it was just stored, else its id. */
  name: string;
  createdAt?: string;

  constructor(id: string, name: string, createdAt?: string) {
    this.id = id;
    this.name = name;
    this.createdAt = createdAt;
  }
}

/** Extensions that the browser of a new session shall have: the `extensionOption` of a `BrowserContext`. */
export class ExtensionOption {
  contextId: string;
  extensionIds: string[];

  /** @throws {Error} for a blank context or no extensions */
  constructor(contextId: string, extensionIds: string[]) {
    if (!isText(contextId)) throw new Error("contextId cannot be empty");
    if (!Array.isArray(extensionIds) || extensionIds.length === 0) throw new Error("extensionIds cannot be empty");
    this.contextId = contextId;
    this.extensionIds = extensionIds;
  }

  /** Does it still name a context, and extensions by texts that are not blank? */
  validate(): boolean {
    const { contextId, extensionIds } = this;
    return isText(contextId) && Array.isArray(extensionIds) && extensionIds.length > 0 && extensionIds.every(isText);
  }

  toString(): string {
    return `ExtensionOption(contextId='${this.contextId}', extensionIds=${JSON.stringify(this.extensionIds)})`;
  }

  /** One line for people. */
  toDisplayString(): string {
    return `Extension Config: ${this.extensionIds.length} extension(s) in context '${this.contextId}'`;
  }
}

/** What the service of extensions needs of an `AGB`. */
export interface AGBLikeForExtensions {
  apiKey: string;
  context: ContextService;
}

/**
 * Stores browser extensions in a context, lists, replaces and deletes them.
 *
 * Making one starts to look for the context; the methods wait for it, and try again what has failed.
 */
export class ExtensionsService {
  readonly #native: NativeExtensions;

  /**
   * @param contextId the **name** of the context, which is made when there is none; default: `extensions-` and the time
   *   in seconds
   * @throws {AGBError} without an `AGB` that has a context service
   */
  constructor(agb: AGBLikeForExtensions, contextId = "") {
    if (!agb) throw new AGBError("AGB instance is required");
    if (!(agb.context instanceof ContextService)) throw new AGBError("AGB instance must have a context service");
    const fault = notText({ contextId: contextId ?? "" });
    if (fault) throw errorOf(refusal(fault));
    this.#native = reporting(nativeAgbOfContexts(agb.context).extensions(contextId ?? ""));
    // A failure is told by the method that needs the context, and fails once more.
    this.#native.open().catch(() => undefined);
  }

  /** The id of the context; empty until it was found. */
  get contextId(): string {
    return this.#native.contextId ?? "";
  }

  /**
   * Lists all extensions in the context.
   *
   * @throws {AGBError} when the context can't be had or listed
   */
  async list(): Promise<Extension[]> {
    const { extensions } = accepted(await this.#native.list());
    return extensions.map(extensionOf);
  }

  /**
   * Stores a local ZIP file as a new extension; the file is streamed.
   *
   * @throws {AGBError} for a file that can't be read or is not named `.zip`, and when it can't be stored
   */
  async create(localPath: string): Promise<Extension> {
    requireText({ localPath });
    return extensionOf(accepted(await this.#native.create(localPath)));
  }

  /**
   * Stores another local ZIP file in the place of an extension, which keeps its id.
   *
   * @throws {AGBError} as {@link create}, and for an id that is not in the context
   */
  async update(extensionId: string, newLocalPath: string): Promise<Extension> {
    requireText({ extensionId, newLocalPath });
    return extensionOf(accepted(await this.#native.update(extensionId, newLocalPath)));
  }

  /**
   * Deletes an extension; false, with a line in the log, when the service does not.
   *
   * @throws {AGBError} when the context can't be had
   */
  async delete(extensionId: string): Promise<boolean> {
    requireText({ extensionId });
    return accepted(await this.#native.delete(extensionId)).done;
  }

  /**
   * Deletes the context with all extensions, if this service has made it; one that was there before stays. False, with a
   * line in the log, when the service does not delete it.
   *
   * @throws {AGBError} when the context can't be had
   */
  async cleanup(): Promise<boolean> {
    return accepted(await this.#native.cleanUp()).done;
  }

  /**
   * The option that gives extensions of the context to the browser of a new session.
   *
   * @throws {Error} before the context was found, and for no extensions
   */
  createExtensionOption(extensionIds: string[]): ExtensionOption {
    if (!this.contextId) {
      throw new Error("Service not initialized. Please call an async method first or ensure context is created.");
    }
    const fault = notTexts({ extensionIds });
    if (fault) throw errorOf(refusal(fault));
    return new ExtensionOption(this.contextId, extensionIds);
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

function requireText(values: Record<string, unknown>): void {
  const fault = notText(values);
  if (fault) throw errorOf(refusal(fault));
}

function accepted<T extends object>(outcome: T | NativeFailure): T {
  if (isFailure(outcome)) throw errorOf(outcome);
  return outcome;
}

function extensionOf({ id, name, createdAt }: NativeExtension): Extension {
  return new Extension(id, name, createdAt);
}
