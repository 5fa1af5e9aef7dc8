/**
 * What the methods of this package resolve to. None of them rejects for a failure of the service: they resolve with
 * `success: false`, an `errorMessage` that says what went wrong, and the request id where the service sent one.
 */

import type { Session } from "./session";
import type { FailureDetails } from "./support/call";

/** Base of every result. */
export interface ApiResponse extends FailureDetails {
  /** The service's id of the request; empty where it sent none. */
  requestId?: string;
}

/** Result of an operation with or without data. */
export interface OperationResult extends ApiResponse {
  success: boolean;
  data?: unknown;
  errorMessage?: string;
}

/** Result of an operation that succeeds or fails. */
export interface BoolResult extends ApiResponse {
  success: boolean;
  /** `true` on success. */
  data?: boolean;
  errorMessage?: string;
}

/** Result of `agb.create` and `agb.get`. */
export interface SessionResult extends ApiResponse {
  success: boolean;
  errorMessage?: string;
  session?: Session | null;
  /** How the mounts came out, for a session that was created with some. */
  readonly mounts?: MountReport;
}

/** How the mounts of a new session came out. */
export interface MountReport {
  /** Did every mount come to its end, good or bad? False when the wait for them ended before. */
  finished: boolean;
  /** The last state seen of each; `Failed` ones say why. */
  items: ContextStatusData[];
  /** What the last look at them failed with, if it failed. */
  errorMessage?: string;
}

/** Result of `agb.getSession`. */
export interface GetSessionResult extends ApiResponse {
  /** Status of the HTTP answer; 0 where there was none. */
  httpStatusCode: number;
  code: string;
  success: boolean;
  data?: GetSessionData;
  errorMessage?: string;
}

/** What the service says of a session; a member that it does not send is an empty text. */
export interface GetSessionData {
  appInstanceId: string;
  resourceId: string;
  sessionId: string;
  success: boolean;
  resourceUrl: string;
  status: string;
  linkUrl?: string;
  wsUrl?: string;
  token?: string;
  toolList?: string;
}

/** Result of `agb.list`: one page of the active sessions. */
export interface SessionListResult extends ApiResponse {
  success: boolean;
  errorMessage?: string;
  sessionIds: string[];
  /** Where the next page begins; empty on the last one. */
  nextToken: string;
  /** Size of a page. */
  maxResults: number;
  /** Sessions over all pages. */
  totalCount: number;
}

/** Result of `session.delete` and `agb.delete`. */
export interface DeleteResult extends ApiResponse {
  success: boolean;
  errorMessage?: string;
}

/** Result of `session.getStatus`. */
export interface SessionStatusResult extends ApiResponse {
  httpStatusCode: number;
  code: string;
  success: boolean;
  /** `RUNNING`, `DELETING` or `FINISH`; empty on failure. */
  status: string;
  errorMessage?: string;
}

/** A tool of a session. */
export interface McpTool {
  name: string;
  description: string;
  /** JSON schema of the arguments. */
  inputSchema: Record<string, unknown>;
  server: string;
  tool: string;
}

/** Result of `session.listMcpTools`. */
export interface McpToolsResult extends ApiResponse {
  success: boolean;
  tools: McpTool[];
  errorMessage?: string;
}

/** Result of `session.callMcpTool`. */
export interface McpToolResult extends ApiResponse {
  success: boolean;
  /** The tool's text. */
  data?: string;
  errorMessage?: string;
}

/** Load and traffic of a session's machine. */
export interface SessionMetrics {
  cpuCount: number;
  /** Percent, 0 to 100. */
  cpuUsedPct: number;
  /** Bytes. */
  diskTotal: number;
  /** Bytes. */
  diskUsed: number;
  /** Bytes. */
  memTotal: number;
  /** Bytes. */
  memUsed: number;
  rxRateKbytePerS: number;
  txRateKbytePerS: number;
  rxUsedKbyte: number;
  txUsedKbyte: number;
  /** ISO 8601. */
  timestamp: string;
}

/** Result of `session.getMetrics`. */
export interface SessionMetricsResult extends ApiResponse {
  success: boolean;
  metrics?: SessionMetrics;
  errorMessage?: string;
  /** What the service sent, with all its members. */
  raw?: Record<string, unknown>;
}

/** Result of `session.command.execute`. */
export interface CommandResult extends ApiResponse {
  /** Did the command end with exit code 0? */
  success: boolean;
  /** Standard output, then standard error. */
  output: string;
  exitCode: number;
  stdout: string;
  stderr: string;
  traceId: string;
  errorMessage?: string;
}

/** What a program printed; each chunk keeps its line ends. */
export interface ExecutionLogs {
  stdout: string[];
  stderr: string[];
}

/** One value that a program displayed, in every form it has. */
export interface ExecutionResult {
  text?: string;
  html?: string;
  markdown?: string;
  /** Base64. */
  png?: string;
  /** Base64. */
  jpeg?: string;
  svg?: string;
  json?: unknown;
  latex?: string;
  chart?: unknown;
  /** Is it the value of the last expression (and not one that was displayed on the way)? */
  isMainResult: boolean;
}

/** How a program failed. */
export interface ExecutionError {
  name: string;
  value: string;
  traceback: string;
}

/** Result of `session.code.run`. */
export interface EnhancedCodeExecutionResult extends ApiResponse {
  success: boolean;
  executionCount?: number;
  /** Seconds. */
  executionTime: number;
  logs: ExecutionLogs;
  results: ExecutionResult[];
  error?: ExecutionError;
  /** Empty on success. */
  errorMessage: string;
}

/** What happens while a program runs: an event of `session.code.stream`. */
export type CodeEvent =
  /** A piece of its output, as it was printed. */
  | { type: "stdout" | "stderr"; chunk: string }
  /** A value that it displayed. */
  | { type: "result"; result: ExecutionResult }
  /** It failed; `end` still follows. */
  | { type: "error"; error: ExecutionError }
  /** It has ended, with or without an error. Always the last event. */
  | { type: "end"; result: EnhancedCodeExecutionResult };

/** Options of `session.code.stream`. */
export interface CodeStreamOptions {
  /** How long the program may run, in seconds; default 60. */
  timeoutS?: number;
  /** Gives the program up: the loop throws the signal's reason. */
  signal?: AbortSignal;
}

/** Result of `session.file.readFile` as text. */
export interface FileContentResult extends ApiResponse {
  success: boolean;
  content: string;
  errorMessage?: string;
}

/** Result of `session.file.readFile` as bytes. */
export interface BinaryFileContentResult extends ApiResponse {
  success: boolean;
  content: Buffer;
  /** Bytes. */
  size?: number;
  errorMessage?: string;
}

/** Result of `session.file.readMultipleFiles`. */
export interface MultipleFileContentResult extends ApiResponse {
  success: boolean;
  /** The texts, by path. */
  files: Record<string, string>;
  errorMessage?: string;
}

/** What is known of a file or directory. */
export interface FileInfo {
  name: string;
  path: string;
  /** Bytes. */
  size: number;
  isDirectory: boolean;
  modTime: string;
  mode: string;
  owner?: string;
  group?: string;
}

/** Result of `session.file.getFileInfo`. */
export interface FileInfoResult extends ApiResponse {
  success: boolean;
  fileInfo?: FileInfo;
  errorMessage?: string;
}

/** An entry of a directory. */
export interface DirectoryEntry {
  type: "file" | "directory";
  name: string;
}

/** Result of `session.file.listDirectory`. */
export interface DirectoryListResult extends ApiResponse {
  success: boolean;
  entries: DirectoryEntry[];
  errorMessage?: string;
}

/** Result of `session.file.searchFiles`. */
export interface FileSearchResult extends ApiResponse {
  success: boolean;
  /** Paths. */
  matches?: string[];
  errorMessage?: string;
}

/** A change below a watched directory. */
export interface FileChangeEvent {
  /** `create`, `modify` or `delete`. */
  eventType: string;
  path: string;
  /** `file` or `directory`. */
  pathType: string;
}

/** Result of `session.file.getFileChange`. */
export interface FileChangeResult extends ApiResponse {
  success: boolean;
  /** What changed since the previous call for the same path; the first call finds nothing. */
  events: FileChangeEvent[];
  /** The answer as it came. */
  rawData?: string;
  errorMessage?: string;
}

/** Result of `file.upload`. */
export interface UploadResult {
  success: boolean;
  /** The request id of asking for the address of the store. */
  requestIdUploadUrl?: string;
  /** The request id of asking the service to fetch the file. */
  requestIdSync?: string;
  /** The status of the store's answer. */
  httpStatus?: number;
  /** The store's tag of the content, with its quotes. */
  etag?: string;
  /** The bytes that the store got. */
  bytesSent: number;
  /** Where in the session the file is. */
  path: string;
  errorMessage?: string;
}

/** Result of `file.download`. */
export interface DownloadResult {
  success: boolean;
  /** The request id of asking for the address of the store. */
  requestIdDownloadUrl?: string;
  /** The request id of asking the service to store the file. */
  requestIdSync?: string;
  /** The status of the store's answer. */
  httpStatus?: number;
  /** The bytes that were written; 0 after a failure. */
  bytesReceived: number;
  /** Where in the session the file is. */
  path: string;
  /** Where on this machine the file is; empty for a stream. */
  localPath: string;
  errorMessage?: string;
}

/** Result of `session.computer.mouse.getPosition`. */
export interface CursorPosition extends ApiResponse {
  success: boolean;
  /** Pixels from the left; 0 on failure. */
  x: number;
  /** Pixels from the top; 0 on failure. */
  y: number;
  errorMessage?: string;
}

/** A window, as the service sent it. */
export interface WindowInfo {
  /** What the window is known by. */
  window_id?: number;
  title?: string;
  /** Pixels. */
  absolute_upper_left_x?: number;
  /** Pixels. */
  absolute_upper_left_y?: number;
  /** Pixels. */
  width?: number;
  /** Pixels. */
  height?: number;
  /** Number of the process that owns it. */
  pid?: number;
  /** Name of the process that owns it. */
  pname?: string;
  child_windows?: WindowInfo[];
  /** Never sent; use `window_id`. */
  id?: string;
  /** Never sent; use `absolute_upper_left_x`. */
  x?: number;
  /** Never sent; use `absolute_upper_left_y`. */
  y?: number;
  [member: string]: unknown;
}

/** Result of `session.computer.window.listRootWindows`. */
export interface WindowListResult extends ApiResponse {
  success: boolean;
  windows: WindowInfo[];
  errorMessage?: string;
}

/** Result of `session.computer.window.getActiveWindow`. */
export interface WindowInfoResult extends ApiResponse {
  success: boolean;
  window?: WindowInfo;
  errorMessage?: string;
}

/** A process, as the service sent it. */
export interface ProcessInfo {
  /** Its name. */
  pname?: string;
  pid?: number;
  /** Its command line. */
  cmdline?: string;
  /** Never sent; use `pname`. */
  name?: string;
  [member: string]: unknown;
}

/** Result of `session.computer.app.start` and `getVisible`. */
export interface ProcessListResult extends ApiResponse {
  success: boolean;
  data: ProcessInfo[];
  errorMessage?: string;
}

/** An application, as the service sent it. */
export interface InstalledAppInfo {
  name?: string;
  /** For `session.computer.app.start`. */
  start_cmd?: string;
  /** For `session.computer.app.stopByCmd`. */
  stop_cmd?: string;
  work_directory?: string;
  [member: string]: unknown;
}

/** Result of `session.computer.app.listInstalled`. */
export interface InstalledAppListResult extends ApiResponse {
  success: boolean;
  data: InstalledAppInfo[];
  errorMessage?: string;
}

/** Result of `session.computer.app.stopByPname`, `stopByPid` and `stopByCmd`. */
export interface AppOperationResult extends ApiResponse {
  success: boolean;
  /** Empty on success. */
  errorMessage?: string;
}

/** Result of `session.computer.screen.getSize`. */
export interface ScreenSize extends ApiResponse {
  success: boolean;
  /** Pixels; 0 on failure. */
  width: number;
  /** Pixels; 0 on failure. */
  height: number;
  /** Physical pixels per logical pixel. */
  dpiScalingFactor: number;
  errorMessage?: string;
}

/** Result of `session.computer.screen.betaTakeScreenshot`. */
export interface ScreenshotResult extends ApiResponse {
  success: boolean;
  /** What the service calls it. */
  type?: string;
  /** The file's bytes. */
  data?: Buffer;
  /** `image/png` or `image/jpeg`. */
  mimeType?: string;
  /** Pixels. */
  width?: number;
  /** Pixels. */
  height?: number;
  errorMessage?: string;
}

/** What the service says of a context. */
export interface ContextData {
  id: string;
  name: string;
  createdAt?: string;
  lastUsedAt?: string;
}

/** Result of `agb.context.get` and `agb.context.create`. */
export interface ContextResult extends ApiResponse {
  success: boolean;
  context?: ContextData;
  errorMessage?: string;
}

/** Which page of contexts to list. */
export interface ContextListParams {
  /** Contexts a page; default 10. */
  maxResults?: number;
  /** `nextToken` of the page before. */
  nextToken?: string;
}

/** Result of `agb.context.list`. */
export interface ContextListResult extends ApiResponse {
  success: boolean;
  contexts: ContextData[];
  errorMessage?: string;
  /** Where the next page begins; empty on the last. */
  readonly nextToken?: string;
  /** Size of a page, where the service tells it. */
  readonly maxResults?: number;
  /** Contexts over all pages, where the service tells it. */
  readonly totalCount?: number;
}

/** A file or folder of a context. */
export interface ContextFileEntry {
  fileId?: string;
  name: string;
  path: string;
  type: string;
  createdTime?: string;
  modifiedTime?: string;
  /** Bytes. */
  size?: number;
  status?: string;
}

/** Result of `agb.context.listFiles`. */
export interface ContextFileListResult extends ApiResponse {
  success: boolean;
  files: ContextFileEntry[];
  /** Entries over all pages. */
  count?: number;
  errorMessage?: string;
}

/** Result of `agb.context.getFileUploadUrl` and `getFileDownloadUrl`. */
export interface FileUrlResult extends ApiResponse {
  success: boolean;
  /** Whoever has it has access. */
  url?: string;
  errorMessage?: string;
  /** When the URL expires, in seconds since 1970, where the service tells it. */
  readonly expireTime?: number;
}

/** Result of `agb.context.clear`, `clearAsync` and `getClearStatus`. */
export interface ClearContextResult extends ApiResponse {
  success: boolean;
  /** `clearing`, or `available` when it is done. */
  state?: string;
  errorMessage?: string;
}

/** One synchronisation of a mounted context. */
export interface ContextStatusData {
  contextId: string;
  path: string;
  /** Why it failed; else empty. */
  errorMessage: string;
  /** `Success`, `Failed`, or a word for "under way". */
  status: string;
  startTime: number;
  finishTime: number;
  /** `upload` or `download`. */
  taskType: string;
}

/** Result of `session.context.info`. */
export interface ContextInfoResult extends FailureDetails {
  requestId: string;
  success: boolean;
  items: ContextStatusData[];
  errorMessage?: string;
}

/** Result of `session.context.sync`. */
export interface ContextSyncResult extends FailureDetails {
  requestId: string;
  success: boolean;
  errorMessage?: string;
}

/** One synchronisation, as older declarations have it. */
export interface ContextStatusDataType {
  contextId: string;
  path: string;
  status: string;
  errorMessage?: string;
  startTime?: string;
  finishTime?: string;
  taskType?: string;
}

/** A result of `session.context.info`, as older declarations have it. */
export interface ContextInfoResultType extends ApiResponse {
  success: boolean;
  items: ContextStatusDataType[];
  errorMessage?: string;
}

/** A result of `session.context.sync`, as older declarations have it. */
export interface ContextSyncResultType extends ApiResponse {
  success: boolean;
  errorMessage?: string;
}

/** How sessions are released when the program ends. */
export interface ReleaseOnExitOptions {
  /** How long releasing them may take, in milliseconds: above 0, up to 60,000. Default 2,000. */
  timeoutMs?: number;
  /**
   * The signals that it is done for, where the program does not listen to them itself; `SIGQUIT` and `SIGUSR2` are
   * possible too. Default: `SIGTERM`, `SIGINT` and `SIGHUP`.
   */
  signals?: ("SIGTERM" | "SIGINT" | "SIGHUP" | "SIGQUIT" | "SIGUSR2")[];
}

/** A session that is released when the program ends. */
export interface LiveSession {
  sessionId: string;
  /** Empty for a session that was found. */
  imageId: string;
  /** When this program created it; null for a session that was found. */
  createdAt: Date | null;
  /** Was it found, and taken over by `adopt()`? */
  adopted: boolean;
}
