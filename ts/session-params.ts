import type { ContextSync } from "./context-sync";

/** A browser whose data live in a context. Sessions with one are not in this version yet; creating one says so. */
export class BrowserContext {
  contextId: string;
  autoUpload: boolean;

  constructor(contextId: string, autoUpload = true) {
    this.contextId = contextId;
    this.autoUpload = autoUpload;
  }
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
}

/** Parameters of `agb.create`. */
export class CreateSessionParams {
  imageId?: string;
  labels?: Record<string, string>;
  policyId?: string;
  mcpPolicyId?: string;
  contextSync: ContextSync[];
  browserContext?: BrowserContext;
  idleReleaseTimeout?: number;

  constructor(options: CreateSessionParamsOptions = {}) {
    this.imageId = options.imageId;
    this.labels = options.labels;
    this.policyId = options.policyId;
    this.mcpPolicyId = options.mcpPolicyId;
    this.contextSync = options.contextSync ?? [];
    this.browserContext = options.browserContext;
    this.idleReleaseTimeout = options.idleReleaseTimeout;
  }
}
