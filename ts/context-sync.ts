/**
 * What is synchronised between a context and the path where a session mounts it, and how. The wire's names and defaults:
 * docs/protocol.md, section "Policies".
 */

/** When changes are stored. */
export enum UploadStrategy {
  /** Before the session is released. */
  UPLOAD_BEFORE_RESOURCE_RELEASE = "UploadBeforeResourceRelease",
}

/** How stored data come into a session. */
export enum DownloadStrategy {
  /** In the background, from the session's beginning. */
  DOWNLOAD_ASYNC = "DownloadAsync",
}

/** In which form data are stored. Don't mix both in one context. */
export enum UploadMode {
  /** Each file by itself. */
  FILE = "File",
  /** Everything in one archive. */
  ARCHIVE = "Archive",
}

/** How long stored data are kept. */
export enum Lifecycle {
  LIFECYCLE_1DAY = "Lifecycle_1Day",
  LIFECYCLE_3DAYS = "Lifecycle_3Days",
  LIFECYCLE_5DAYS = "Lifecycle_5Days",
  LIFECYCLE_10DAYS = "Lifecycle_10Days",
  LIFECYCLE_15DAYS = "Lifecycle_15Days",
  LIFECYCLE_30DAYS = "Lifecycle_30Days",
  LIFECYCLE_90DAYS = "Lifecycle_90Days",
  LIFECYCLE_180DAYS = "Lifecycle_180Days",
  LIFECYCLE_360DAYS = "Lifecycle_360Days",
  LIFECYCLE_FOREVER = "Lifecycle_Forever",
}

/** Whether, when and how changes are stored. */
export interface UploadPolicy {
  autoUpload: boolean;
  uploadStrategy: UploadStrategy;
  uploadMode: UploadMode;
}

/** Whether and how stored data come into the session. */
export interface DownloadPolicy {
  autoDownload: boolean;
  downloadStrategy: DownloadStrategy;
}

/** Whether what is deleted in the session is deleted in the context. */
export interface DeletePolicy {
  syncLocalFile: boolean;
}

/** What becomes of archives on their way into the session. */
export interface ExtractPolicy {
  extract: boolean;
  /** Leave the archive itself out. */
  deleteSrcFile: boolean;
  /** On the wire `extractToCurrentFolder`. */
  extractCurrentFolder: boolean;
}

/** How long what lies at some paths is kept. */
export interface RecyclePolicy {
  lifecycle: Lifecycle;
  /** Relative to the mount, without wildcards; an empty one stands for everything. */
  paths: string[];
}

/** A path that is synchronised, and what is left out of it. */
export interface WhiteList {
  /** Relative to the mount, without wildcards. */
  path: string;
  excludePaths: string[];
}

/** What alone is synchronised; an empty list stands for everything. */
export interface BWList {
  whiteLists: WhiteList[];
}

/** Where the data lived when they were stored, if that is not where they are mounted now. */
export interface MappingPolicy {
  path: string;
}

/** All policies of one mount. */
export interface SyncPolicy {
  uploadPolicy?: UploadPolicy;
  downloadPolicy?: DownloadPolicy;
  deletePolicy?: DeletePolicy;
  extractPolicy?: ExtractPolicy;
  recyclePolicy?: RecyclePolicy;
  bwList?: BWList;
  mappingPolicy?: MappingPolicy;
}

/** An upload policy; what is left out gets its default. */
export function newUploadPolicy(options: Partial<UploadPolicy> = {}): UploadPolicy {
  return {
    autoUpload: options.autoUpload ?? true,
    uploadStrategy: options.uploadStrategy ?? UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE,
    uploadMode: options.uploadMode ?? UploadMode.FILE,
  };
}

/** A download policy; what is left out gets its default. */
export function newDownloadPolicy(options: Partial<DownloadPolicy> = {}): DownloadPolicy {
  return {
    autoDownload: options.autoDownload ?? true,
    downloadStrategy: options.downloadStrategy ?? DownloadStrategy.DOWNLOAD_ASYNC,
  };
}

/** A delete policy; what is left out gets its default. */
export function newDeletePolicy(options: Partial<DeletePolicy> = {}): DeletePolicy {
  return { syncLocalFile: options.syncLocalFile ?? true };
}

/** An extract policy; what is left out gets its default. */
export function newExtractPolicy(options: Partial<ExtractPolicy> = {}): ExtractPolicy {
  return {
    extract: options.extract ?? true,
    deleteSrcFile: options.deleteSrcFile ?? true,
    extractCurrentFolder: options.extractCurrentFolder ?? false,
  };
}

/**
 * A recycle policy; what is left out gets its default.
 *
 * @throws {Error} for a path with a wildcard
 */
export function newRecyclePolicy(options: Partial<RecyclePolicy> = {}): RecyclePolicy {
  const paths = options.paths ?? [""];
  for (const path of paths) {
    if (path.trim() !== "" && /[*?[\]]/.test(path)) {
      throw new Error(`Wildcard patterns are not supported in recycle policy paths. Got: ${path}`);
    }
  }
  return { lifecycle: options.lifecycle ?? Lifecycle.LIFECYCLE_FOREVER, paths };
}

/** All policies; one that is left out gets its default, one that is given stays as it is. */
export function newSyncPolicy(options: Partial<SyncPolicy> = {}): SyncPolicy {
  const policy: SyncPolicy = {
    uploadPolicy: options.uploadPolicy ?? newUploadPolicy(),
    downloadPolicy: options.downloadPolicy ?? newDownloadPolicy(),
    deletePolicy: options.deletePolicy ?? newDeletePolicy(),
    extractPolicy: options.extractPolicy ?? newExtractPolicy(),
    recyclePolicy: options.recyclePolicy ?? newRecyclePolicy(),
    bwList: options.bwList ?? { whiteLists: [] },
  };
  if (options.mappingPolicy) policy.mappingPolicy = options.mappingPolicy;
  return policy;
}

/** A policy under the wire's names and in the wire's order; what the policy leaves out is left out. */
export function syncPolicyToDict(policy: SyncPolicy): Record<string, unknown> {
  const { uploadPolicy, downloadPolicy, deletePolicy, extractPolicy, recyclePolicy, bwList, mappingPolicy } = policy;
  const dict: Record<string, unknown> = {};
  if (uploadPolicy) {
    const { autoUpload, uploadStrategy, uploadMode } = uploadPolicy;
    dict.uploadPolicy = { autoUpload, uploadStrategy, uploadMode };
  }
  if (downloadPolicy) {
    const { autoDownload, downloadStrategy } = downloadPolicy;
    dict.downloadPolicy = { autoDownload, downloadStrategy };
  }
  if (deletePolicy) dict.deletePolicy = { syncLocalFile: deletePolicy.syncLocalFile };
  if (extractPolicy) {
    const { extract, deleteSrcFile, extractCurrentFolder } = extractPolicy;
    dict.extractPolicy = { extract, deleteSrcFile, extractToCurrentFolder: extractCurrentFolder };
  }
  if (recyclePolicy) {
    const { lifecycle, paths } = recyclePolicy;
    dict.recyclePolicy = { lifecycle, paths };
  }
  if (bwList) {
    dict.bwList = { whiteLists: (bwList.whiteLists ?? []).map(({ path, excludePaths }) => ({ path, excludePaths })) };
  }
  if (mappingPolicy) dict.mappingPolicy = { path: mappingPolicy.path };
  return dict;
}

/** A context to mount into a session. Without a policy it gets the default one. */
export class ContextSync {
  contextId: string;
  path: string;
  policy?: SyncPolicy;

  constructor(contextId: string, path: string, policy?: SyncPolicy) {
    this.contextId = contextId;
    this.path = path;
    this.policy = policy;
  }

  /** The same as the constructor. */
  static new(contextId: string, path: string, policy?: SyncPolicy): ContextSync {
    return new ContextSync(contextId, path, policy);
  }

  /** Sets the policy; calls can be chained. */
  withPolicy(policy: SyncPolicy): ContextSync {
    this.policy = policy;
    return this;
  }
}
