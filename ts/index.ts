import "./support/dispose";

export { AGB, type AGBOptions, type DeletedSession, type OpenOptions } from "./agb";
export {
  GetCdpLinkRequest,
  type GetCdpLinkResponse,
  InitBrowserRequest,
  type InitBrowserResponse,
} from "./api/browser";
export {
  ClearContextRequest,
  type ClearContextResponse,
  DeleteContextRequest,
  type DeleteContextResponse,
  type GetAndLoadInternalContextItem,
  GetAndLoadInternalContextRequest,
  type GetAndLoadInternalContextResponse,
  type GetContextData,
  GetContextInfoRequest,
  type GetContextInfoResponse,
  GetContextRequest,
  type GetContextResponse,
  type ListContextsItem,
  ListContextsRequest,
  type ListContextsResponse,
  ModifyContextRequest,
  type ModifyContextResponse,
  SyncContextRequest,
  type SyncContextResponse,
} from "./api/context";
export {
  DeleteContextFileRequest,
  type DeleteContextFileResponse,
  type DescribeContextFilesItem,
  DescribeContextFilesRequest,
  type DescribeContextFilesResponse,
  GetContextFileDownloadUrlRequest,
  type GetContextFileDownloadUrlResponse,
  GetContextFileUploadUrlRequest,
  type GetContextFileUploadUrlResponse,
} from "./api/context-file";
export {
  CreateMcpSessionRequestPersistenceDataList,
  type CreateMcpSessionRequestPersistenceDataListMap,
  CreateSessionRequest,
  type CreateSessionResponse,
  DeleteSessionAsyncRequest,
  type DeleteSessionAsyncResponse,
  GetLabelRequest,
  type GetLabelResponse,
  GetLinkRequest,
  type GetLinkResponse,
  GetMcpResourceRequest,
  type GetMcpResourceResponse,
  GetSessionDetailRequest,
  type GetSessionDetailResponse,
  GetSessionRequest,
  type GetSessionResponse,
  type GetSessionSessionData,
  type ListSessionItem,
  ListSessionRequest,
  type ListSessionResponse,
  type McpResourceData,
  RefreshSessionIdleTimeRequest,
  type RefreshSessionIdleTimeResponse,
  ReleaseSessionRequest,
  type ReleaseSessionResponse,
  type SessionData,
  SetLabelRequest,
  type SetLabelResponse,
} from "./api/session";
export {
  CallMcpToolRequest,
  type CallMcpToolResponse,
  ListMcpToolsRequest,
  type ListMcpToolsResponse,
} from "./api/tool";
export { BaseService } from "./base-service";
export { Client } from "./client";
export { type Config, type ConfigOptions, defaultConfig, loadConfig } from "./config";
export { Context, ContextService } from "./context";
export { ContextManager } from "./context-manager";
export {
  type BWList,
  ContextSync,
  type DeletePolicy,
  type DownloadPolicy,
  DownloadStrategy,
  type ExtractPolicy,
  Lifecycle,
  type MappingPolicy,
  newDeletePolicy,
  newDownloadPolicy,
  newExtractPolicy,
  newRecyclePolicy,
  newSyncPolicy,
  newUploadPolicy,
  type RecyclePolicy,
  type SyncPolicy,
  syncPolicyToDict,
  UploadMode,
  type UploadPolicy,
  UploadStrategy,
  type WhiteList,
} from "./context-sync";
export {
  Emulator,
  type EmulatorAgentAnswer,
  type EmulatorIsolation,
  type EmulatorOptions,
  type EmulatorRequest,
  type EmulatorSession,
} from "./emulator";
export type {
  EmulatorFault,
  EmulatorFaultClose,
  EmulatorFaultDelay,
  EmulatorFaultGarbage,
  EmulatorFaultHalfOpen,
  EmulatorFaultHandle,
  EmulatorFaultReset,
  EmulatorFaultScope,
  EmulatorFaultSlow,
  EmulatorFaultStatus,
  EmulatorFaults,
  EmulatorFaultTruncate,
  EmulatorFaultUse,
  EmulatorOperation,
} from "./emulator-faults";
export {
  AGBError,
  APIError,
  ApplicationError,
  AuthenticationError,
  BrowserError,
  ClearanceTimeoutError,
  CommandError,
  FileError,
  ScreenError,
  SessionError,
  WsConnectionClosedError,
  WsError,
  WsHandshakeRejectedError,
  WsProtocolError,
  WsRemoteError,
} from "./errors";
export { Extension, ExtensionOption, ExtensionsService } from "./extension";
export { HTTPClient, type HttpRequestOptions, type HttpResponse } from "./http-client";
export {
  type ExpiringEvent,
  type KeepAliveFailedEvent,
  type KeepAliveOptions,
  type KeepAliveStatus,
  type RecreatedEvent,
  type ReleasedEvent,
  type ReleaseReason,
  type SessionEvents,
  SessionHold,
  type SessionLifecycle,
} from "./lifecycle";
export { getLogLevel, LogLevel, logDebug, logError, logInfo, logWarn, setLogLevel } from "./logger";
export {
  type ActOptions,
  type ActResult,
  BrowserAgent,
  type ExtractOptions,
  type ExtractResult,
  type ObserveOptions,
  type ObserveResult,
} from "./modules/browser/agent";
export { Browser } from "./modules/browser/browser";
export {
  type Brand,
  type ExtraProperties,
  type Fingerprint,
  FingerprintFormat,
  type NavigatorFingerprint,
  type ScreenFingerprint,
  type UserAgentData,
  type VideoCard,
} from "./modules/browser/fingerprint";
export { BrowserFingerprintGenerator } from "./modules/browser/fingerprint-generator";
export {
  type BrowserFingerprint,
  type BrowserOption,
  BrowserOptionClass,
  type BrowserScreen,
  type BrowserViewport,
} from "./modules/browser/options";
export {
  type BrowserProxy,
  BrowserProxyClass,
  type BrowserProxyStrategy,
  type BrowserProxyType,
} from "./modules/browser/proxy";
export { Code } from "./modules/code";
export { Command } from "./modules/command";
export { ApplicationManager } from "./modules/computer/app";
export { Computer } from "./modules/computer/computer";
export { KeyboardController } from "./modules/computer/keyboard";
export { MouseButton, MouseController, ScrollDirection } from "./modules/computer/mouse";
export { ScreenController } from "./modules/computer/screen";
export { WindowManager } from "./modules/computer/window";
export { FileSystem } from "./modules/filesystem";
export { PushListener, type PushMessage } from "./push";
export { Session } from "./session";
export type { SessionLike } from "./session-like";
export {
  BrowserContext,
  BrowserFingerprintContext,
  CreateSessionParams,
  type CreateSessionParamsOptions,
  type LeaseOptions,
} from "./session-params";
export { SessionPool, type SessionPoolOptions, type SessionPoolStats } from "./session-pool";
export type * from "./types";
export { getSdkVersion, isReleaseVersion, VERSION } from "./version";
