/** What a native method gives: its value, or the failure as data. */
export type Outcome<T> = T | NativeFailure;

/** A client of the service. */
export declare class NativeAgb {
  /** The API key in use. */
  get apiKey(): string
  /** Host or URL of the service, as configured. */
  get endpoint(): string
  /** How long a request may take, in milliseconds. */
  get timeoutMs(): number
  /** Creates a session. */
  create(params: NativeCreateParams): Promise<Outcome<NativeSession>>
  /** Finds a session that is alive. */
  get(sessionId: string): Promise<Outcome<NativeSession>>
  /** What the service says of a session. */
  getSession(sessionId: string): Promise<Outcome<NativeSessionRecord>>
  /** Lists the active sessions; `labels` is a JSON object. */
  list(labels: string, page?: number | undefined | null, limit?: number | undefined | null): Promise<NativeSessionPage | NativeListFailure>
  /** Speaks to a session whose id the caller knows. Nothing is sent. */
  attach(sessionId: string): NativeSession
}

/** A running emulator. */
export declare class NativeEmulator {
  /** The address. */
  get url(): string
  /** The key that clients must send. */
  get apiKey(): string
  /** `namespace` or `plain`. */
  get isolation(): string
  /** How sessions are kept apart and why, and the interpreters: lines for a person. */
  get summary(): string
  /** Moves the time of session timers forward, here and in the clients of this process. */
  advance(milliseconds: number): Promise<undefined>
  /** The sessions, also the released ones. */
  sessions(): Array<NativeEmulatorSession>
  /** The requests answered so far. */
  journal(): Array<NativeEmulatorRequest>
  /** Forgets the requests answered so far. */
  clearJournal(): void
  /** Stops listening and ends all sessions. */
  close(): Promise<undefined>
}

/** The command line `agb-emulator`. */
export declare class NativeEmulatorCli {
  /** Nothing runs yet. */
  constructor()
  /** Runs the command line until `stop` is called; gives the exit code. */
  run(arguments: Array<string>): Promise<number>
  /** Ends it; calling twice is fine. */
  stop(): void
}

/** A session of the service. */
export declare class NativeSession {
  /** Runs a program; the time limit is in seconds. */
  codeRun(route: NativeRoute | undefined | null, code: string, language: string, timeoutS: number): Promise<Outcome<NativeExecution>>
  /** Runs a command; the time limit is in milliseconds. */
  commandExecute(route: NativeRoute | undefined | null, command: string, timeoutMs: number, cwd?: string | undefined | null, envs?: Array<NativeVariable> | undefined | null): Promise<Outcome<NativeCommandOutput>>
  /** Creates a directory and its parents. */
  fileCreateDirectory(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeDone>>
  /** Deletes a file. */
  fileDelete(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeDone>>
  /** Replaces text in a file. */
  fileEdit(route: NativeRoute | undefined | null, path: string, edits: Array<NativeEdit>, dryRun: boolean): Promise<Outcome<NativeDone>>
  /** What is known of a file or directory. */
  fileInfo(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeFileInfoReply>>
  /** The entries of a directory. */
  fileList(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeDirectoryList>>
  /** Moves or renames a file or directory. */
  fileMove(route: NativeRoute | undefined | null, source: string, destination: string): Promise<Outcome<NativeDone>>
  /** Reads a whole file as text. */
  fileReadText(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeFileText>>
  /** Reads a whole file as bytes. */
  fileReadBytes(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeFileBytes>>
  /** Reads several text files. */
  fileReadMultiple(route: NativeRoute | undefined | null, paths: Array<string>): Promise<Outcome<NativeFiles>>
  /** Finds files and directories by name. */
  fileSearch(route: NativeRoute | undefined | null, path: string, pattern: string, excludePatterns: Array<string>): Promise<Outcome<NativeMatches>>
  /** Writes a text file. */
  fileWrite(route: NativeRoute | undefined | null, path: string, content: string, mode: string): Promise<Outcome<NativeDone>>
  /** What changed below a directory since the last call for it. */
  fileChange(route: NativeRoute | undefined | null, path: string): Promise<Outcome<NativeFileChange>>
  /** What the service said when the session was created or found. */
  details(): NativeSessionDetails
  /** Sets the idle timer back. */
  keepAlive(): Promise<Outcome<NativeDone>>
  /** Asks for the status. */
  status(): Promise<Outcome<NativeStatus>>
  /** Deletes the session and waits until it is gone. */
  delete(): Promise<Outcome<NativeDone>>
  /** Where the screen can be seen. */
  info(): Promise<Outcome<NativeInfoReply>>
  /** Replaces the labels by those of a JSON object. */
  setLabels(labels: string): Promise<Outcome<NativeDone>>
  /** Asks for the labels: a JSON object. */
  labels(): Promise<Outcome<NativeText>>
  /** Asks for a URL that reaches a port of the session. */
  link(protocolType?: string | undefined | null, port?: number | undefined | null): Promise<Outcome<NativeText>>
  /** Lists the tools of an image: a JSON array of `McpTool`. */
  listTools(imageId: string): Promise<Outcome<NativeText>>
  /** Load and traffic of the session's machine; time-outs in milliseconds. */
  metrics(route?: NativeRoute | undefined | null, readTimeout?: number | undefined | null, connectTimeout?: number | undefined | null): Promise<Outcome<NativeMetricsReply>>
  /** Calls a tool by name; `args` is a JSON object, time-outs in milliseconds. */
  callTool(route: NativeRoute | undefined | null, name: string, args: string, readTimeout?: number | undefined | null, connectTimeout?: number | undefined | null): Promise<Outcome<NativeToolReply>>
}

/** The configuration when nothing is set anywhere. */
export declare function defaultConfig(): NativeConfig

/** Was the addon built for release? */
export declare function isRelease(): boolean

/** Resolves a configuration. */
export declare function loadConfig(sources: NativeSources): Outcome<NativeConfig>

/** What a client is opened with. */
export interface NativeAgbOptions {
  /** The API key, where the program gives one. */
  apiKey?: string
  /** Host or URL of the service. */
  endpoint?: string
  /** How long a request may take, in milliseconds. */
  timeoutMs?: number
  /** A file to read instead of `.env`. */
  envFile?: string
  /** Where `.env` is looked for. */
  directory: string
  /** The variables that concern the client. */
  environment: Record<string, string>
  /** The language of the facade, for the service's statistics. */
  language: string
  /** The version of the package, for the service's statistics. */
  version: string
}

/** What a command gave. */
export interface NativeCommandOutput {
  /** The service's request id. */
  requestId: string
  /** Did it end with exit code 0? */
  success: boolean
  /** Standard output, then standard error. */
  output: string
  /** Its exit code. */
  exitCode: number
  /** Standard output. */
  stdout: string
  /** Standard error. */
  stderr: string
  /** The service's id for finding the call in its logs. */
  traceId: string
  /** Why it failed, where the service says more than the exit code. */
  errorMessage?: string
}

/** A resolved configuration. */
export interface NativeConfig {
  /** Host or URL of the service. */
  endpoint: string
  /** How long a request may take, in milliseconds. */
  timeoutMs: number
}

/** What a new session shall be. */
export interface NativeCreateParams {
  /** The image to start. */
  imageId: string
  /** The labels: a JSON object. */
  labels?: string
  /** The policy to apply. */
  policyId?: string
  /** Seconds. */
  idleReleaseTimeout?: number
}

/** What a viewer of a desktop needs. */
export interface NativeDesktopInfo {
  /** Id of the application. */
  appId?: string
  /** A secret. */
  authCode?: string
  /** JSON text. */
  connectionProperties?: string
  /** Id of the resource. */
  resourceId?: string
  /** Type of the resource. */
  resourceType?: string
  /** A secret. */
  ticket?: string
}

/** An entry of a directory. */
export interface NativeDirectoryEntry {
  /** Its name. */
  name: string
  /** Is it a directory? */
  isDirectory: boolean
}

/** Answer of `listDirectory`. */
export interface NativeDirectoryList {
  /** The service's request id. */
  requestId: string
  /** The entries. */
  entries: Array<NativeDirectoryEntry>
}

/** A success that gives nothing but its request id. */
export interface NativeDone {
  /** The service's request id. */
  requestId: string
}

/** One replacement in a file. */
export interface NativeEdit {
  /** What to find. */
  oldText: string
  /** What to put there. */
  newText: string
}

/** How an emulator is started. */
export interface NativeEmulatorOptions {
  /** Port on 127.0.0.1. */
  port?: number
  /** The key that clients must send. */
  apiKey?: string
  /** Makes ids and tokens the same in every run. */
  seed?: number
  /** How many sessions may be alive at once. */
  maxSessions?: number
  /** The longest request body, in bytes. */
  maxBodyBytes?: number
  /** The longest answer of a tool, in bytes. */
  maxOutputBytes?: number
  /** `namespace` or `plain`. */
  isolation?: string
  /** The Python interpreter. */
  python?: string
  /** The Node.js interpreter. */
  node?: string
  /** Further images to accept. */
  images?: Array<string>
  /** Do sessions get a link URL? */
  linkUrl?: boolean
}

/** A request that the emulator has answered. */
export interface NativeEmulatorRequest {
  /** Counts from 1. */
  seq: number
  /** ISO 8601. */
  at: string
  /** The HTTP method. */
  method: string
  /** The path, without the query. */
  path: string
  /** The operation. */
  operation: string
  /** The tool, for a tool call. */
  tool?: string
  /** The session it was for. */
  sessionId?: string
  /** The id in the answer. */
  requestId: string
  /** Status of the HTTP answer. */
  status: number
  /** The code of the answer. */
  code: string
  /** Did it do what it should? */
  success: boolean
  /** Milliseconds of real time. */
  durationMs: number
  /** Did it set the session's idle timer back? */
  resetsIdleTimer: boolean
  /** A JSON object. */
  query: string
  /** JSON. */
  body?: string
}

/** A session as the emulator sees it. */
export interface NativeEmulatorSession {
  /** Its id. */
  id: string
  /** Its image. */
  imageId: string
  /** Where it is in its life. */
  state: string
  /** What `getStatus` answers. */
  wireStatus: string
  /** ISO 8601. */
  createdAt: string
  /** Seconds. */
  idleReleaseTimeout: number
  /** Seconds. */
  timeLeft: number
  /** Seconds. */
  lifetimeLeft: number
  /** The last request that used it. */
  lastCall?: NativeLastCall
  /** Why it ended. */
  endReason?: string
  /** Its labels: a JSON object. */
  labels: string
}

/** What a program gave. */
export interface NativeExecution {
  /** The service's request id. */
  requestId: string
  /** Did it end without an error? */
  success: boolean
  /** How many programs the interpreter has run. */
  executionCount?: number
  /** Seconds. */
  executionTime: number
  /** What it wrote to standard output. */
  stdout: Array<string>
  /** What it wrote to standard error. */
  stderr: Array<string>
  /** What it displayed. */
  results: Array<NativeExecutionResult>
  /** How it failed. */
  error?: NativeExecutionError
  /** Why it failed; empty on success. */
  errorMessage: string
}

/** How a program failed. */
export interface NativeExecutionError {
  /** Name of the error. */
  name: string
  /** Its message. */
  value: string
  /** Where it happened. */
  traceback: string
}

/** One displayed value. */
export interface NativeExecutionResult {
  /** Plain text. */
  text?: string
  /** HTML. */
  html?: string
  /** Markdown. */
  markdown?: string
  /** Base64. */
  png?: string
  /** Base64. */
  jpeg?: string
  /** SVG. */
  svg?: string
  /** JSON text. */
  json?: string
  /** LaTeX. */
  latex?: string
  /** JSON text. */
  chart?: string
  /** Is it the value of the last expression? */
  isMainResult: boolean
}

/** A failed operation on its way to the facade, which puts it into a result or throws it. */
export interface NativeFailure {
  /** One of the names of the client's `ErrorKind`; `ts/errors.ts` has the table from these to classes. */
  kind: string
  /** The text of `errorMessage`. */
  errorMessage: string
  /** The operation that failed, or an empty text. */
  operation: string
  /** The service's request id, or an empty text. */
  requestId: string
  /** The service's error code, or an empty text. */
  code: string
  /** The status of the HTTP answer, if there was one. */
  httpStatusCode?: number
  /** May the same request succeed when it is sent again? */
  retryable: boolean
  /** How often the request was sent. */
  attempts: number
  /** The text of the underlying error, if there was one. */
  cause?: string
}

/** A file as bytes. */
export interface NativeFileBytes {
  /** The service's request id. */
  requestId: string
  /** The bytes. */
  content: Buffer
}

/** Answer of `getFileChange`. */
export interface NativeFileChange {
  /** The service's request id. */
  requestId: string
  /** What changed. */
  events: Array<NativeFileEvent>
  /** The answer as it came. */
  rawData: string
}

/** A change below a directory. */
export interface NativeFileEvent {
  /** What happened. */
  eventType: string
  /** To which path. */
  path: string
  /** Whether that is a file or a directory. */
  pathType: string
}

/** What is known of a file or directory. */
export interface NativeFileInfo {
  /** Its name. */
  name: string
  /** Its path. */
  path: string
  /** Bytes. */
  size: number
  /** Is it a directory? */
  isDirectory: boolean
  /** When it was changed. */
  modTime: string
  /** Its permissions. */
  mode: string
  /** Its owner. */
  owner?: string
  /** Its group. */
  group?: string
}

/** Answer of `getFileInfo`. */
export interface NativeFileInfoReply {
  /** The service's request id. */
  requestId: string
  /** What is known. */
  info: NativeFileInfo
}

/** One of several text files. */
export interface NativeFileOfSeveral {
  /** Its path. */
  path: string
  /** The text. */
  content: string
}

/** Several text files. */
export interface NativeFiles {
  /** The service's request id. */
  requestId: string
  /** The files. */
  files: Array<NativeFileOfSeveral>
}

/** A file as text. */
export interface NativeFileText {
  /** The service's request id. */
  requestId: string
  /** The text. */
  content: string
}

/** Where a session's screen can be seen. */
export interface NativeInfoReply {
  /** The service's request id. */
  requestId: string
  /** Id of the session. */
  sessionId: string
  /** A page that shows the screen. */
  resourceUrl: string
  /** What a viewer needs, for sessions with a desktop. */
  desktop?: NativeDesktopInfo
}

/** The last request that used a session. */
export interface NativeLastCall {
  /** What was asked. */
  operation: string
  /** ISO 8601. */
  at: string
}

/** A list that failed. */
export interface NativeListFailure {
  /** Why. */
  failure: NativeFailure
  /** Size of a page. */
  maxResults: number
  /** Sessions over all pages, as far as known. */
  totalCount: number
}

/** Answer of `searchFiles`. */
export interface NativeMatches {
  /** The service's request id. */
  requestId: string
  /** The paths. */
  matches: Array<string>
}

/** The known members of the metrics. */
export interface NativeMetrics {
  /** Processors. */
  cpuCount: number
  /** Percent. */
  cpuUsedPct: number
  /** Bytes. */
  diskTotal: number
  /** Bytes. */
  diskUsed: number
  /** Bytes. */
  memTotal: number
  /** Bytes. */
  memUsed: number
  /** Kilobytes a second. */
  rxRateKbytePerS: number
  /** Kilobytes a second. */
  txRateKbytePerS: number
  /** Kilobytes. */
  rxUsedKbyte: number
  /** Kilobytes. */
  txUsedKbyte: number
  /** ISO 8601. */
  timestamp: string
}

/** Load and traffic of a session's machine. */
export interface NativeMetricsReply {
  /** The service's request id. */
  requestId: string
  /** The members that are known. */
  metrics: NativeMetrics
  /** All members: a JSON object. */
  raw: string
}

/** Where a session's tool calls go, when its public fields say something else than the service did. */
export interface NativeRoute {
  /** Where tools are called directly. */
  linkUrl: string
  /** The token for it. */
  token: string
  /** The tools and their servers. */
  tools: Array<NativeToolServer>
  /** The tools as the service sent them: JSON text. */
  toolList: string
}

/** What the service says of a session. */
export interface NativeSessionData {
  /** Id of the instance. */
  appInstanceId: string
  /** Id of the resource. */
  resourceId: string
  /** Id of the session. */
  sessionId: string
  /** Where its screen can be seen. */
  resourceUrl: string
  /** Status on the wire. */
  status: string
  /** Where tools are called directly. */
  linkUrl: string
  /** Where the WebSocket is. */
  wsUrl: string
  /** The token of both. */
  token: string
  /** The tools: JSON text. */
  toolList: string
}

/** What the service said of a session when it was created or found. */
export interface NativeSessionDetails {
  /** The service's request id. */
  requestId: string
  /** Id of the session. */
  sessionId: string
  /** Where its screen can be seen. */
  resourceUrl: string
  /** Its image, where it was created here. */
  imageId: string
  /** Id of the instance. */
  appInstanceId: string
  /** Id of the resource. */
  resourceId: string
  /** Where tools are called directly. */
  linkUrl: string
  /** Where the WebSocket is. */
  wsUrl: string
  /** The token of both. */
  token: string
  /** The tools as the service sent them: JSON text. */
  toolList: string
  /** The tools: a JSON array of `McpTool`. */
  mcpTools: string
}

/** One page of sessions. */
export interface NativeSessionPage {
  /** The service's request id. */
  requestId: string
  /** Ids of the sessions on the page. */
  sessionIds: Array<string>
  /** Where the next page begins. */
  nextToken: string
  /** Size of a page. */
  maxResults: number
  /** Sessions over all pages. */
  totalCount: number
}

/** Answer of `getSession`. */
export interface NativeSessionRecord {
  /** The service's request id. */
  requestId: string
  /** Status of the HTTP answer. */
  httpStatusCode: number
  /** The envelope's code. */
  code: string
  /** What the service says of the session, where it says anything. */
  data?: NativeSessionData
}

/** Where configuration comes from, as the facade sees it. */
export interface NativeSources {
  /** Host or URL of the service. */
  endpoint?: string
  /** How long a request may take, in milliseconds. */
  timeoutMs?: number
  /** A file to read instead of `.env`. */
  envFile?: string
  /** Where `.env` is looked for. */
  directory: string
  /** The variables that concern the client. */
  environment: Record<string, string>
}

/** A session's status on the wire. */
export interface NativeStatus {
  /** The service's request id. */
  requestId: string
  /** Status of the HTTP answer. */
  httpStatusCode: number
  /** The envelope's code. */
  code: string
  /** The status. */
  status: string
}

/** A success that gives a text: a URL, or JSON. */
export interface NativeText {
  /** The service's request id. */
  requestId: string
  /** The text. */
  data: string
}

/** A success that may give a text. */
export interface NativeToolReply {
  /** The service's request id. */
  requestId: string
  /** The tool's text. */
  data?: string
}

/** The server of a tool. */
export interface NativeToolServer {
  /** Name of the tool. */
  name: string
  /** Name of the server. */
  server: string
}

/** A variable of a command's environment. */
export interface NativeVariable {
  /** Its name. */
  name: string
  /** Its value. */
  value: string
}

/** Opens a client. Nothing is sent. */
export declare function openAgb(options: NativeAgbOptions): Outcome<NativeAgb>

/** Sets what is logged: 0 debug, 1 info, 2 warnings, 3 errors, 4 nothing. */
export declare function setLogLevel(level: number): void

/** Starts an emulator. */
export declare function startEmulator(options: NativeEmulatorOptions): Promise<Outcome<NativeEmulator>>

/** The version of the package. */
export declare function version(): string
