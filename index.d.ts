// The public types of agbcloud-native. Generated from ts/ by `npm run build:types`; do not edit.

import { Readable, Writable } from 'node:stream';

/**
 * Configuration: what the program, the environment and `.env` say. Precedence and defaults are the native client's.
 */
/** Where the service is and how long a request may take. */
interface Config {
    /** Host or URL of the service; a bare host is reached by https. */
    endpoint: string;
    /** How long a request may take, in milliseconds. */
    timeoutMs: number;
}
/** What a program may set; the rest comes from the environment, `.env` and the defaults. */
interface ConfigOptions {
    /** Host or URL of the service. Default: `AGB_ENDPOINT`, else `sdk-api.agb.cloud`. */
    endpoint?: string;
    /** How long a request may take, in milliseconds. Default: `AGB_TIMEOUT_MS`, else 60,000. */
    timeoutMs?: number;
}
/** The configuration when nothing is set anywhere: the public service, 60 seconds. */
declare function defaultConfig(): Config;
/**
 * Resolves a configuration: `customConfig` before the environment before `.env` before the defaults.
 *
 * @param customEnvPath a file to read instead of `.env` in the current directory
 * @throws {AGBError} when a value can't be used
 */
declare function loadConfig(customConfig?: ConfigOptions, customEnvPath?: string): Config;

/**
 * The low-level client of an `AGB`. In this version it only tells its configuration; the methods that send one request
 * each are not there yet and say so.
 */
declare class Client {
    constructor(config?: Config);
    /** Nothing to close: connections are kept by the native client and end with the process. */
    close(): void;
}

/** Persistent storage that sessions mount. Not in this version yet: every use says so. */
declare class ContextService {
    constructor();
    toJSON(): Record<string, unknown>;
}

/** The mounts of one session. Not in this version yet: every use says so. */
declare class ContextManager {
    #private;
    constructor(session: {
        getSessionId(): string;
    });
    toJSON(): Record<string, unknown>;
}

/**
 * Failures cross the boundary as data; here they become what a method resolves to.
 */

/** What a failed result carries beside the surface's fields. */
interface FailureDetails {
    /** The service's error code, for example `InvalidMcpSession.NotFound`; empty where it sent none. */
    readonly code?: string;
    /** The status of the HTTP answer; absent where there was none. */
    readonly httpStatusCode?: number;
    /** May the same call succeed when it is made again? */
    readonly retryable?: boolean;
    /** How often the request was sent; 0 when it was refused before. */
    readonly attempts?: number;
}

/**
 * What the methods of this package resolve to. None of them rejects for a failure of the service: they resolve with
 * `success: false`, an `errorMessage` that says what went wrong, and the request id where the service sent one.
 */

/** Base of every result. */
interface ApiResponse extends FailureDetails {
    /** The service's id of the request; empty where it sent none. */
    requestId?: string;
}
/** Result of an operation with or without data. */
interface OperationResult extends ApiResponse {
    success: boolean;
    data?: unknown;
    errorMessage?: string;
}
/** Result of an operation that succeeds or fails. */
interface BoolResult extends ApiResponse {
    success: boolean;
    /** `true` on success. */
    data?: boolean;
    errorMessage?: string;
}
/** Result of `agb.create` and `agb.get`. */
interface SessionResult extends ApiResponse {
    success: boolean;
    errorMessage?: string;
    session?: Session | null;
}
/** Result of `agb.getSession`. */
interface GetSessionResult extends ApiResponse {
    /** Status of the HTTP answer; 0 where there was none. */
    httpStatusCode: number;
    code: string;
    success: boolean;
    data?: GetSessionData;
    errorMessage?: string;
}
/** What the service says of a session; a member that it does not send is an empty text. */
interface GetSessionData {
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
interface SessionListResult extends ApiResponse {
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
interface DeleteResult extends ApiResponse {
    success: boolean;
    errorMessage?: string;
}
/** Result of `session.getStatus`. */
interface SessionStatusResult extends ApiResponse {
    httpStatusCode: number;
    code: string;
    success: boolean;
    /** `RUNNING`, `DELETING` or `FINISH`; empty on failure. */
    status: string;
    errorMessage?: string;
}
/** A tool of a session. */
interface McpTool {
    name: string;
    description: string;
    /** JSON schema of the arguments. */
    inputSchema: Record<string, unknown>;
    server: string;
    tool: string;
}
/** Result of `session.listMcpTools`. */
interface McpToolsResult extends ApiResponse {
    success: boolean;
    tools: McpTool[];
    errorMessage?: string;
}
/** Result of `session.callMcpTool`. */
interface McpToolResult extends ApiResponse {
    success: boolean;
    /** The tool's text. */
    data?: string;
    errorMessage?: string;
}
/** Load and traffic of a session's machine. */
interface SessionMetrics {
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
interface SessionMetricsResult extends ApiResponse {
    success: boolean;
    metrics?: SessionMetrics;
    errorMessage?: string;
    /** What the service sent, with all its members. */
    raw?: Record<string, unknown>;
}
/** Result of `session.command.execute`. */
interface CommandResult extends ApiResponse {
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
interface ExecutionLogs {
    stdout: string[];
    stderr: string[];
}
/** One value that a program displayed, in every form it has. */
interface ExecutionResult {
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
interface ExecutionError {
    name: string;
    value: string;
    traceback: string;
}
/** Result of `session.code.run`. */
interface EnhancedCodeExecutionResult extends ApiResponse {
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
/** Result of `session.file.readFile` as text. */
interface FileContentResult extends ApiResponse {
    success: boolean;
    content: string;
    errorMessage?: string;
}
/** Result of `session.file.readFile` as bytes. */
interface BinaryFileContentResult extends ApiResponse {
    success: boolean;
    content: Buffer;
    /** Bytes. */
    size?: number;
    errorMessage?: string;
}
/** Result of `session.file.readMultipleFiles`. */
interface MultipleFileContentResult extends ApiResponse {
    success: boolean;
    /** The texts, by path. */
    files: Record<string, string>;
    errorMessage?: string;
}
/** What is known of a file or directory. */
interface FileInfo {
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
interface FileInfoResult extends ApiResponse {
    success: boolean;
    fileInfo?: FileInfo;
    errorMessage?: string;
}
/** An entry of a directory. */
interface DirectoryEntry {
    type: "file" | "directory";
    name: string;
}
/** Result of `session.file.listDirectory`. */
interface DirectoryListResult extends ApiResponse {
    success: boolean;
    entries: DirectoryEntry[];
    errorMessage?: string;
}
/** Result of `session.file.searchFiles`. */
interface FileSearchResult extends ApiResponse {
    success: boolean;
    /** Paths. */
    matches?: string[];
    errorMessage?: string;
}
/** A change below a watched directory. */
interface FileChangeEvent {
    /** `create`, `modify` or `delete`. */
    eventType: string;
    path: string;
    /** `file` or `directory`. */
    pathType: string;
}
/** Result of `session.file.getFileChange`. */
interface FileChangeResult extends ApiResponse {
    success: boolean;
    /** What changed since the previous call for the same path; the first call finds nothing. */
    events: FileChangeEvent[];
    /** The answer as it came. */
    rawData?: string;
    errorMessage?: string;
}
/** Result of `file.upload`. */
interface UploadResult {
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
interface DownloadResult {
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

/** What a service needs of a session; a `Session` is one, and so is any object with these members. */
interface SessionLike {
    getApiKey(): string;
    getSessionId(): string;
    getClient(): unknown;
    linkUrl?: string;
    token?: string;
    mcpTools?: McpTool[];
    /** The tools as the service sent them: JSON text. */
    toolList?: string;
}

/** Base of the modules of a session: anything that calls tools. */
declare class BaseService {
    constructor(session: SessionLike);
    /**
     * Calls a tool of the session by name.
     *
     * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
     * @param connectTimeout how long connecting may take, in milliseconds
     */
    callMcpTool(name: string, args: Record<string, unknown>, readTimeout?: number, connectTimeout?: number): Promise<OperationResult>;
    toJSON(): Record<string, unknown>;
}

/** A session's browser. Not in this version yet: every use says so. */
declare class Browser extends BaseService {
    constructor(session: SessionLike);
}

/** How a streamed run tells what happens. */
interface RunOptions {
    streamBeta?: boolean;
    onStdout?: (chunk: string) => void;
    onStderr?: (chunk: string) => void;
    onError?: (err: unknown) => void;
}
/** Runs programs in a session. Each language keeps its state from one run to the next. */
declare class Code extends BaseService {
    /**
     * Runs a program and waits for its end.
     *
     * @param language `python`, `javascript`, `java` or `r`; `py`, `python3`, `js`, `node` and `nodejs` work too
     * @param timeoutS how long it may run, in seconds
     * @param options `streamBeta` is not in this version yet
     */
    run(code: string, language: string, timeoutS?: number, options?: RunOptions): Promise<EnhancedCodeExecutionResult>;
}

/** Runs shell commands in a session, each in a fresh shell. */
declare class Command extends BaseService {
    /** Another name of {@link execute}. */
    run: Command["execute"];
    /** Another name of {@link execute}. */
    exec: Command["execute"];
    constructor(session: SessionLike);
    /**
     * Runs a command and waits for its end.
     *
     * @param timeoutMs how long it may run, in milliseconds; one second unless you say more
     * @param cwd directory to run in; default: the session's home
     * @param envs variables for this command alone
     * @throws {Error} when a value of `envs` is not a string
     */
    execute(command: string, timeoutMs?: number, cwd?: string, envs?: Record<string, string>): Promise<CommandResult>;
}

/** A session's desktop. Not in this version yet: every use says so. */
declare class Computer {
    constructor();
    toJSON(): Record<string, unknown>;
}

/**
 * Files into a session and out of it. Local files are read and written by native code; what only JavaScript can reach, a
 * buffer or a stream, comes and goes by `support/stream.ts`.
 */

/** What both ways have in common. */
interface TransferOptions {
    /** Wait until the service has carried the file between its store and the session. Default: true. */
    wait?: boolean;
    /** The longest such wait, in milliseconds. Default: 30,000. */
    waitTimeout?: number;
    /** The longest pause between two looks, in milliseconds; the first are quicker. Default: 1,500. */
    pollInterval?: number;
    /** Ends the transfer; the promise rejects with the signal's reason. */
    signal?: AbortSignal;
    /** Leave the copy in the service's store, instead of removing it when it has served. Default: false. */
    keepObject?: boolean;
}
/** How a file is uploaded. */
interface UploadOptions extends TransferOptions {
    /** The content type to store. Default: none is sent. */
    contentType?: string;
    /** Told how many bytes were sent so far. What it throws is logged. */
    progressCallback?: (bytesSent: number) => void;
    /** Bytes of a stream, where they are known: some stores demand it. Default: it is sent in chunks. */
    size?: number;
}
/** How a file is downloaded. */
interface DownloadOptions extends TransferOptions {
    /** Replace a local file that is there. Default: true. */
    overwrite?: boolean;
    /** Told how many bytes were received so far. What it throws is logged. */
    progressCallback?: (bytesReceived: number) => void;
}
/** What can be uploaded: the path of a local file, bytes, or a stream of bytes. */
type UploadSource = string | Uint8Array | Readable;
/** Where a download can go: the path of a local file, or a stream. */
type DownloadTarget = string | Writable;

/** How `writeFile` treats a file that exists. */
type WriteMode = "overwrite" | "append" | "create_new";
/** Files and directories of a session. Paths are absolute, or relative to the session's home. */
declare class FileSystem extends BaseService {
    #private;
    /** Bytes of a file that one request reads, and UTF-16 units that one request writes. */
    static readonly DEFAULT_CHUNK_SIZE: number;
    /** Another name of {@link createDirectory}. */
    mkdir: FileSystem["createDirectory"];
    /** Another name of {@link deleteFile}. */
    delete: FileSystem["deleteFile"];
    /** Another name of {@link deleteFile}. */
    remove: FileSystem["deleteFile"];
    /** Another name of {@link deleteFile}. */
    rm: FileSystem["deleteFile"];
    /** Another name of {@link listDirectory}. */
    list: FileSystem["listDirectory"];
    /** Another name of {@link listDirectory}. */
    ls: FileSystem["listDirectory"];
    /** Another name of {@link writeFile}. */
    write: FileSystem["writeFile"];
    constructor(session: SessionLike);
    /** Creates a directory and its parents; one that exists is fine. */
    createDirectory(path: string): Promise<BoolResult>;
    /** Deletes a file; a directory is refused. */
    deleteFile(path: string): Promise<BoolResult>;
    /**
     * Replaces text in a file. The edits apply in order, each to the first place that has its `oldText`; when one is not
     * found, the file stays as it was.
     *
     * @param dryRun check, but change nothing
     */
    editFile(path: string, edits: {
        oldText: string;
        newText: string;
    }[], dryRun?: boolean): Promise<BoolResult>;
    /** What is known of a file or directory. */
    getFileInfo(path: string): Promise<FileInfoResult>;
    /** The entries of a directory. */
    listDirectory(path: string): Promise<DirectoryListResult>;
    /** Moves or renames a file or directory; a destination that exists is refused. */
    moveFile(source: string, destination: string): Promise<BoolResult>;
    /** Reads a whole file: as text, or as bytes with `{ format: "bytes" }`. */
    readFile(path: string): Promise<FileContentResult>;
    readFile(path: string, opts: {
        format: "text";
    }): Promise<FileContentResult>;
    readFile(path: string, opts: {
        format: "bytes";
    }): Promise<BinaryFileContentResult>;
    /** Another name of {@link readFile}. */
    read(path: string): Promise<FileContentResult>;
    read(path: string, opts: {
        format: "text";
    }): Promise<FileContentResult>;
    read(path: string, opts: {
        format: "bytes";
    }): Promise<BinaryFileContentResult>;
    /** Reads several text files. */
    readMultipleFiles(paths: string[]): Promise<MultipleFileContentResult>;
    /**
     * Finds files and directories below `path` by name.
     *
     * @param pattern a glob when it has wildcards, else part of the name
     * @param excludePatterns what to leave out
     */
    searchFiles(path: string, pattern: string, excludePatterns?: string[]): Promise<FileSearchResult>;
    /**
     * Writes a text file.
     *
     * @param mode `overwrite` (default), `append`, or `create_new`, which fails when the file exists
     */
    writeFile(path: string, content: string, mode?: WriteMode): Promise<BoolResult>;
    /** What changed below a directory since the last call for it; the first call finds nothing. */
    getFileChange(path: string): Promise<FileChangeResult>;
    /**
     * Watches a directory and all below it, until the signal is aborted or the session is gone. Every answer of the service
     * goes to `callback`, the first and empty ones included; the first finds nothing. While it is awaited, the process stays
     * alive.
     *
     * @param callback what it throws is logged, and the watch goes on
     * @param interval pause between two looks, in milliseconds; longer after looks that failed
     * @param signal ends the watch; then the callback is not called again, and the promise resolves
     * @throws {AGBError} for arguments of the wrong kind
     */
    watchDirectory(path: string, callback: (events: FileChangeEvent[]) => void, interval?: number, signal?: AbortSignal): Promise<void>;
    /**
     * As {@link watchDirectory}, in the background: it does not keep the process alive.
     *
     * @returns `stop()` ends the watch; the callback is not called again
     * @throws {AGBError} for arguments of the wrong kind
     */
    watchDir(path: string, callback: (events: FileChangeEvent[]) => void, interval?: number): {
        stop: () => void;
    };
    /** The directory of the session for transfers; undefined when the service does not tell. */
    transferPath(): Promise<string | undefined>;
    /**
     * Uploads a local file, bytes or a stream to `remotePath`, an absolute path in the session. A source that fails leaves
     * nothing behind.
     */
    upload(localPath: UploadSource, remotePath: string, options?: UploadOptions): Promise<UploadResult>;
    /**
     * Downloads `remotePath`, an absolute path in the session, to a local file or a stream. A local file is replaced when
     * the whole content is there, and not before; a stream is ended then, and destroyed when the download fails after its
     * first byte.
     */
    download(remotePath: string, localPath: DownloadTarget, options?: DownloadOptions): Promise<DownloadResult>;
}

/** What a session needs of the `AGB` that it belongs to. */
interface SessionAGB {
    apiKey: string;
    client: Client;
}
/**
 * An isolated machine in the cloud. It is released after `idleReleaseTimeout` seconds without a request, at the latest
 * 30 minutes after it was created; delete it when done.
 */
declare class Session {
    #private;
    resourceUrl: string;
    imageId: string;
    appInstanceId: string;
    resourceId: string;
    linkUrl: string;
    wsUrl: string;
    token: string;
    /** The tools as the service sent them: JSON text. */
    toolList: string;
    mcpTools: McpTool[];
    command: Command;
    file: FileSystem;
    code: Code;
    browser: Browser;
    computer: Computer;
    context: ContextManager;
    /** Sessions are made by `agb.create` and `agb.get`; one made here speaks to an existing session of that id. */
    constructor(agb: SessionAGB, sessionId: string);
    getSessionId(): string;
    /** The API key of the client; a `SessionLike` has it. */
    getApiKey(): string;
    /** The low-level client; a `SessionLike` has it. */
    getClient(): Client;
    /** The client that made this session. */
    getAgb(): SessionAGB;
    /**
     * Sets the idle timer back to its full time, and does nothing else. Fails when the session is gone; then create a new
     * one.
     */
    keepAlive(): Promise<OperationResult>;
    /** The session's status on the wire: `RUNNING` while it lives. Asking does not keep it alive. */
    getStatus(): Promise<SessionStatusResult>;
    /**
     * Deletes the session and waits until it is gone, at most 300 seconds.
     *
     * @param syncContext upload its mounts first; without mounts there is nothing to upload
     */
    delete(syncContext?: boolean): Promise<DeleteResult>;
    /** Where the session's screen can be seen, and what a viewer needs. The URL grants access; it is valid for 30 minutes. */
    info(): Promise<OperationResult>;
    /** Replaces the session's labels. */
    setLabels(labels: Record<string, string>): Promise<OperationResult>;
    /** The session's labels, in `data`. */
    getLabels(): Promise<OperationResult>;
    /**
     * A URL, in `data`, that reaches a port of the session from outside.
     *
     * @param protocolType `https` or `wss`
     * @param port 30100 to 30199
     */
    getLink(protocolType?: string, port?: number): Promise<OperationResult>;
    /**
     * Calls a tool of the session by name.
     *
     * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
     * @param connectTimeout how long connecting may take, in milliseconds
     */
    callMcpTool(toolName: string, args: Record<string, unknown>, readTimeout?: number, connectTimeout?: number): Promise<McpToolResult>;
    /**
     * Lists the tools of an image.
     *
     * @param imageId default: the image of this session
     */
    listMcpTools(imageId?: string): Promise<McpToolsResult>;
    /**
     * Load and traffic of the session's machine.
     *
     * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
     * @param connectTimeout how long connecting may take, in milliseconds
     */
    getMetrics(readTimeout?: number, connectTimeout?: number): Promise<SessionMetricsResult>;
    toJSON(): Record<string, unknown>;
}

/** A context to mount into a session. Sessions with mounts are not in this version yet; creating one says so. */
declare class ContextSync {
    contextId: string;
    path: string;
    constructor(contextId: string, path: string);
}

/** A browser whose data live in a context. Sessions with one are not in this version yet; creating one says so. */
declare class BrowserContext {
    contextId: string;
    autoUpload: boolean;
    constructor(contextId: string, autoUpload?: boolean);
}
/** What a new session shall be; a plain object of this shape works wherever `CreateSessionParams` does. */
interface CreateSessionParamsOptions {
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
declare class CreateSessionParams {
    imageId?: string;
    labels?: Record<string, string>;
    policyId?: string;
    mcpPolicyId?: string;
    contextSync: ContextSync[];
    browserContext?: BrowserContext;
    idleReleaseTimeout?: number;
    constructor(options?: CreateSessionParamsOptions);
}

/** What an `AGB` may be made with. */
interface AGBOptions {
    /** The API key. Default: `AGB_API_KEY` of the environment, else of `.env`. */
    apiKey?: string;
    /** Where the service is and how long a request may take. */
    config?: ConfigOptions;
    /** A file to read instead of `.env` in the current directory. */
    envFile?: string;
}
/** The way into the service: creates, finds, lists and deletes sessions. */
declare class AGB {
    #private;
    apiKey: string;
    client: Client;
    config: Config;
    context: ContextService;
    /**
     * @param options the API key, or the options; both may be left out when the environment or `.env` has the key
     * @throws {AuthenticationError} when there is no API key anywhere
     * @throws {AGBError} when the configuration can't be used
     */
    constructor(options?: AGBOptions | string);
    /**
     * Creates a session. It is usable at once; delete it when done.
     *
     * @param params at least an `imageId`
     */
    create(params?: CreateSessionParams | CreateSessionParamsOptions | null): Promise<SessionResult>;
    /** Finds a session that is still alive by its id. */
    get(sessionId: string): Promise<SessionResult>;
    /** What the service says of a session, without making a `Session` of it. */
    getSession(sessionId: string): Promise<GetSessionResult>;
    /**
     * Lists the active sessions, newest first, a page at a time.
     *
     * @param labels only sessions that carry all of these
     * @param page which page, from 1
     * @param limit sessions a page; default 10
     */
    list(labels?: Record<string, string>, page?: number, limit?: number): Promise<SessionListResult>;
    /**
     * Deletes a session and waits until it is gone.
     *
     * @param syncContext upload its mounts first; without mounts there is nothing to upload
     */
    delete(session: Session, syncContext?: boolean): Promise<DeleteResult>;
    toJSON(): Record<string, unknown>;
}

/** How sessions are kept apart: by Linux namespaces, or not beyond an ordinary user's rights. */
type EmulatorIsolation = "namespace" | "plain";
/** How an emulator is started; everything may be left out. */
interface EmulatorOptions {
    /** Port on 127.0.0.1. Default 0: any free one. */
    port?: number;
    /** The key that clients must send. Default: a random one. */
    apiKey?: string;
    /** Makes ids and tokens the same in every run. Default: random ones. */
    seed?: number;
    /** How many sessions may be alive at once. Default: no limit. */
    maxSessions?: number;
    /** The longest request body, in bytes. Default: 16 MiB. */
    maxBodyBytes?: number;
    /** The longest answer of a tool, in bytes. Default: 16 MiB. */
    maxOutputBytes?: number;
    /** How sessions are kept apart. Default: `namespace` where a trial shows that it works, else `plain`. */
    isolation?: EmulatorIsolation;
    /** The Python interpreter. Default: found on `PATH`. */
    python?: string;
    /** The Node.js interpreter. Default: the one that runs this program. */
    node?: string;
    /** Further image ids to accept, with the tools of `agb-code-space-1`. */
    images?: string[];
    /** Do sessions get a link URL, on which clients call tools directly? Default: as the image does. */
    linkUrl?: boolean;
}
/** A session as the emulator sees it. */
interface EmulatorSession {
    id: string;
    imageId: string;
    /** `created` until the first call, `active` during a call, `idle` between calls, `releasing`, then `released`. */
    state: "created" | "active" | "idle" | "releasing" | "released";
    /** What `getStatus` answers: `RUNNING`, `DELETING`, `FINISH`; `NOT_FOUND` once the session is forgotten. */
    wireStatus: string;
    /** ISO 8601, by the emulator's clock. */
    createdAt: string;
    /** Seconds. */
    idleReleaseTimeout: number;
    /** Seconds until the session is released if nothing happens; 0 once it is. */
    timeLeft: number;
    /** Seconds until the session ends whatever happens; 0 once it has. */
    lifetimeLeft: number;
    /** The last request that used the session. */
    lastCall?: {
        operation: string;
        at: string;
    };
    /** Why the session ended, once it has. */
    endReason?: string;
    labels: Record<string, string>;
}
/** A request that the emulator has answered. */
interface EmulatorRequest {
    /** Counts from 1. */
    seq: number;
    /** ISO 8601, by the emulator's clock. */
    at: string;
    method: string;
    path: string;
    /** The operation, for example `createSession`; `callTool` for a tool on either route. */
    operation: string;
    /** The tool, for a tool call. */
    tool?: string;
    sessionId?: string;
    requestId: string;
    /** Status of the HTTP answer. */
    status: number;
    /** `ok`, or the error code. */
    code: string;
    success: boolean;
    /** Milliseconds of real time. */
    durationMs: number;
    /** Did it set the session's idle timer back? */
    resetsIdleTimer: boolean;
    query: Record<string, unknown>;
    /** The JSON body, without secrets; absent when there was none or it was long. */
    body?: unknown;
}
/**
 * The service on this machine: real sessions with real interpreters, a real shell and real files, on 127.0.0.1, for
 * trying, testing and working offline.
 *
 * ```ts
 * const emulator = await Emulator.start();
 * const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
 * // …
 * await emulator.close();
 * ```
 */
declare class Emulator {
    #private;
    private constructor();
    /**
     * Starts an emulator.
     * @throws {AGBError} when it can't be started, for example because the port is taken
     */
    static start(options?: EmulatorOptions): Promise<Emulator>;
    /** The address, for `config.endpoint` or `AGB_ENDPOINT`. */
    get url(): string;
    /** The key that clients must send. */
    get apiKey(): string;
    /** The variables that make a client of this process or of another one use this emulator. */
    get env(): {
        AGB_ENDPOINT: string;
        AGB_API_KEY: string;
    };
    /** How sessions are kept apart and why, and the interpreters found: lines for a person. */
    get summary(): string;
    /** How sessions are kept apart. */
    get isolation(): EmulatorIsolation;
    /**
     * Moves the time of session timers forward, for this emulator and the clients of this process that use it, and waits
     * until everything that was due in between is done. Real work (commands, requests, their deadlines) stays in real
     * time.
     *
     * @param ms milliseconds
     */
    advance(ms: number): Promise<void>;
    /** The sessions, also those released a while ago, oldest first. */
    sessions(): EmulatorSession[];
    /** The requests answered so far, oldest first. */
    journal(): EmulatorRequest[];
    /** Forgets the requests answered so far. */
    clearJournal(): void;
    /**
     * Throws when a session is still alive, and names each with its creation time and last call: a test that forgot to
     * delete its sessions finds them by it.
     */
    expectNoLiveSessions(): void;
    /** Stops listening and ends all sessions with everything that runs in them. Closing twice is fine. */
    close(): Promise<void>;
    /** Closes, at the end of an `await using` block. */
    [Symbol.asyncDispose](): Promise<void>;
    toJSON(): Record<string, unknown>;
}

/**
 * The error classes, and the one table from the kinds of the native client to these classes.
 */
/** Base of every error of this package. `extra` carries whatever helps to understand it. */
declare class AGBError extends Error {
    extra: Record<string, unknown>;
    constructor(message?: string, extra?: Record<string, unknown>);
}
/** The service answered with a failure. */
declare class APIError extends AGBError {
    statusCode?: number;
    constructor(message?: string, statusCode?: number, extra?: Record<string, unknown>);
}
/** No API key was given, or the service refused it. */
declare const AuthenticationError: typeof AGBError;
/** A file operation failed. */
declare const FileError: typeof AGBError;
/** A command failed. */
declare const CommandError: typeof AGBError;
/** A session operation failed. */
declare const SessionError: typeof AGBError;
/** An application operation failed. */
declare const ApplicationError: typeof AGBError;
/** A browser operation failed. */
declare const BrowserError: typeof AGBError;
/** A screen operation failed. */
declare const ScreenError: typeof AGBError;
/** Clearing a context took longer than allowed. */
declare const ClearanceTimeoutError: typeof AGBError;

/**
 * Logging: one line an event, on standard error always, so that it never mixes with a program's output.
 */
/** What is worth a line; each level includes those after it. */
declare enum LogLevel {
    DEBUG = 0,
    INFO = 1,
    WARN = 2,
    ERROR = 3,
    SILENT = 4
}
/** Sets what is logged, here and in the native library, from now on. */
declare function setLogLevel(level: LogLevel): void;
/** What is logged at the moment; `LogLevel.WARN` by default, or what `AGB_LOG_LEVEL` says. */
declare function getLogLevel(): LogLevel;
/** Logs what helps to find a fault. */
declare function logDebug(message: string, ...args: unknown[]): void;
/** Logs what happened. */
declare function logInfo(message: string, ...args: unknown[]): void;
/** Logs what may become a problem. */
declare function logWarn(message: string, ...args: unknown[]): void;
/** Logs what went wrong. */
declare function logError(message: string, ...args: unknown[]): void;

/** The version of this package. */
declare const VERSION: string;
/** The version of this package. */
declare function getSdkVersion(): string;
/** Was this package built for release? */
declare function isReleaseVersion(): boolean;

export { AGB, AGBError, APIError, ApplicationError, AuthenticationError, BaseService, Browser, BrowserContext, BrowserError, ClearanceTimeoutError, Client, Code, Command, CommandError, Computer, ContextManager, ContextService, ContextSync, CreateSessionParams, Emulator, FileError, FileSystem, LogLevel, ScreenError, Session, SessionError, VERSION, defaultConfig, getLogLevel, getSdkVersion, isReleaseVersion, loadConfig, logDebug, logError, logInfo, logWarn, setLogLevel };
export type { AGBOptions, ApiResponse, BinaryFileContentResult, BoolResult, CommandResult, Config, ConfigOptions, CreateSessionParamsOptions, DeleteResult, DirectoryEntry, DirectoryListResult, DownloadResult, EmulatorIsolation, EmulatorOptions, EmulatorRequest, EmulatorSession, EnhancedCodeExecutionResult, ExecutionError, ExecutionLogs, ExecutionResult, FileChangeEvent, FileChangeResult, FileContentResult, FileInfo, FileInfoResult, FileSearchResult, GetSessionData, GetSessionResult, McpTool, McpToolResult, McpToolsResult, MultipleFileContentResult, OperationResult, SessionLike, SessionListResult, SessionMetrics, SessionMetricsResult, SessionResult, SessionStatusResult, UploadResult };
