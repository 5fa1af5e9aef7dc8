import { type BWList, ContextSync, newDeletePolicy, newSyncPolicy, newUploadPolicy } from "./context-sync";
import type { KeepAliveOptions } from "./lifecycle";

/** Where a browser keeps its data, extensions and fingerprint in a session (docs/protocol.md, section "Mounts"). */
const BROWSER_DATA_PATH = "/tmp/agb_browser_data";
const EXTENSIONS_PATH = "/tmp/extensions/";
/** @internal */
export const FINGERPRINT_DIRECTORY = "/tmp/agb_browser_fingerprint";
/** What of a browser's data is kept. */
const BROWSER_DATA_KEPT = ["/Local State", "/Default/Cookies", "/Default/Cookies-journal"];

/** Extensions of a context that a browser shall have; `ExtensionOption` is one. */
export interface SessionParamsExtensionOption {
  contextId: string;
  extensionIds: string[];
}

/** A context that keeps a browser's fingerprint. */
export class BrowserFingerprintContext {
  fingerprintContextId: string;

  /** @throws {Error} for a blank id */
  constructor(fingerprintContextId: string) {
    if (typeof fingerprintContextId !== "string" || fingerprintContextId.trim() === "") {
      throw new Error("fingerprintContextId cannot be empty");
    }
    this.fingerprintContextId = fingerprintContextId;
  }
}

/** A browser whose data live in a context, with extensions and a fingerprint from other contexts. */
export class BrowserContext {
  contextId: string;
  /** Whether the browser's data are stored when the session is released. */
  autoUpload: boolean;
  extensionOption?: SessionParamsExtensionOption;
  fingerprintContext?: BrowserFingerprintContext;
  fingerprintContextId?: string;
  fingerprintContextSync?: ContextSync;

  constructor(
    contextId: string,
    autoUpload = true,
    extensionOption?: SessionParamsExtensionOption,
    fingerprintContext?: BrowserFingerprintContext,
  ) {
    this.contextId = contextId;
    this.autoUpload = autoUpload;
    this.extensionOption = extensionOption;
    this.fingerprintContext = fingerprintContext;
    if (fingerprintContext?.fingerprintContextId) {
      this.fingerprintContextId = fingerprintContext.fingerprintContextId;
      this.fingerprintContextSync = fingerprintSync(fingerprintContext.fingerprintContextId);
    }
  }

  /** The mount of the extensions; none without a context and at least one extension. */
  getExtensionContextSyncs(): ContextSync[] {
    const { contextId, extensionIds } = this.extensionOption ?? {};
    if (!contextId || !extensionIds || extensionIds.length === 0) return [];
    const policy = newSyncPolicy({
      uploadPolicy: newUploadPolicy({ autoUpload: false }),
      deletePolicy: newDeletePolicy({ syncLocalFile: false }),
      bwList: whiteList(extensionIds),
    });
    return [new ContextSync(contextId, EXTENSIONS_PATH, policy)];
  }

  /** The mount of the fingerprint, if there is one. */
  getFingerprintContextSync(): ContextSync | undefined {
    return this.fingerprintContextSync;
  }
}

function fingerprintSync(contextId: string): ContextSync {
  return new ContextSync(
    contextId,
    FINGERPRINT_DIRECTORY,
    newSyncPolicy({ uploadPolicy: newUploadPolicy({ autoUpload: false }) }),
  );
}

function whiteList(paths: string[]): BWList {
  return { whiteLists: paths.map((path) => ({ path, excludePaths: [] })) };
}

/** What a new session shall be; a plain object of this shape works wherever `CreateSessionParams` does. */
export interface CreateSessionParamsOptions {
  /** The image to start, for example `agb-code-space-1`. Required by `agb.create`. */
  imageId?: string;
  /** Labels to find the session by. */
  labels?: Record<string, string>;
  /** The policy to apply. */
  policyId?: string;
  /** Another name of `policyId`, which wins when both are given. */
  mcpPolicyId?: string;
  /** Contexts to mount. */
  contextSync?: ContextSync[];
  /** A browser whose data live in a context. */
  browserContext?: BrowserContext;
  /** Seconds without a request after which the service releases the session. Default of the service: 300. */
  idleReleaseTimeout?: number;
  /** Keeps the session alive from its creation on; see {@link Session.startKeepAlive}. Default: nothing does. */
  autoKeepAlive?: boolean | KeepAliveOptions;
  /**
   * Finds the session again when the answer of its creation gets lost; one that turns up too late is released. Sends a
   * label for it. Default: false, but true with `agb.open` and `agb.withSession`.
   */
  recoverCreate?: boolean;
  /** Ends the session soon after this process, however that ends. Default: it ends with its idle timeout. */
  lease?: LeaseOptions;
}

/**
 * A session that ends soon after its process, also after SIGKILL or the loss of power: its idle timeout is short, it is
 * kept alive, and labels name the process, so that `agb.reapOrphans` can find it. `recoverCreate` is on.
 */
export interface LeaseOptions {
  /** The idle timeout in seconds, 1 to 1,800; it takes the place of `idleReleaseTimeout`. Default 60. */
  ttlS?: number;
}

/** Parameters of `agb.create`. The mounts of a browser's extensions and fingerprint are added to `contextSync`. */
export class CreateSessionParams {
  imageId?: string;
  labels?: Record<string, string>;
  policyId?: string;
  mcpPolicyId?: string;
  contextSync: ContextSync[];
  browserContext?: BrowserContext;
  idleReleaseTimeout?: number;
  /** Not there unless it was given. */
  declare autoKeepAlive?: boolean | KeepAliveOptions;
  /** Not there unless it was given. */
  declare recoverCreate?: boolean;
  /** Not there unless it was given. */
  declare lease?: LeaseOptions;

  constructor(options: CreateSessionParamsOptions = {}) {
    this.imageId = options.imageId;
    this.labels = options.labels;
    this.policyId = options.policyId;
    this.mcpPolicyId = options.mcpPolicyId;
    this.contextSync = withBrowserParts(options.contextSync ?? [], options.browserContext);
    this.browserContext = options.browserContext;
    this.idleReleaseTimeout = options.idleReleaseTimeout;
    if (options.autoKeepAlive !== undefined) this.autoKeepAlive = options.autoKeepAlive;
    if (options.recoverCreate !== undefined) this.recoverCreate = options.recoverCreate;
    if (options.lease !== undefined) this.lease = options.lease;
  }
}

/**
 * Every mount of a new session in the order in which they go out: the caller's, extensions, fingerprint, browser data.
 * Takes a plain object as well as a `CreateSessionParams`, whose constructor has added some of them already. @internal
 */
export function mountsOf(params: CreateSessionParamsOptions): ContextSync[] {
  const given = params.browserContext;
  const mounts = withBrowserParts(params.contextSync ?? [], given);
  if (!given) return mounts;
  const policy = newSyncPolicy({
    uploadPolicy: newUploadPolicy({ autoUpload: given.autoUpload ?? true }),
    bwList: whiteList(BROWSER_DATA_KEPT),
  });
  return [...mounts, new ContextSync(given.contextId, BROWSER_DATA_PATH, policy)];
}

function withBrowserParts(mounts: ContextSync[], given: BrowserContext | undefined): ContextSync[] {
  if (!given || !Array.isArray(mounts)) return mounts;
  const { contextId, autoUpload, extensionOption, fingerprintContext } = given;
  const browser =
    given instanceof BrowserContext
      ? given
      : new BrowserContext(contextId, autoUpload, extensionOption, fingerprintContext);
  const parts = [...browser.getExtensionContextSyncs(), browser.getFingerprintContextSync()];
  const isThere = (part: ContextSync) =>
    mounts.some((mount) => mount?.contextId === part.contextId && mount?.path === part.path);
  return [...mounts, ...parts.filter((part) => part !== undefined).filter((part) => !isThere(part))];
}
