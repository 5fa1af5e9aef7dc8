// The public types of agbcloud-native. Generated from ts/ by `npm run build:types`; do not edit.

import { Readable, Writable } from 'node:stream';

/** The fields of a request. */
type FieldsOf<Request> = Omit<Request, "getBody" | "getParams">;
/**
 * What one method of `Client` sends. A class for each endpoint says which fields there are, and where they go;
 * docs/protocol.md has the endpoints.
 */
declare abstract class EndpointRequest<Self> {
    /** `Bearer <API key>`, or the key alone. */
    authorization?: string;
    constructor(fields: FieldsOf<Self>);
    /** The JSON body, for the endpoints that take one. */
    getBody(): Record<string, unknown>;
    /** The query; what is absent or `null` is left out. */
    getParams(): Record<string, unknown>;
}

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
 * Requests that no other method knows: the caller says method, path, query, headers and body, and gets the answer as it
 * came.
 */

/** What came of a request. There is always one, whatever the status was. */
interface HttpResponse {
    /** Status of the answer; 0 where there was none: then `text` says why. */
    statusCode: number;
    /** Where the request went, with its query. */
    url: string;
    /** The headers of the answer, names in lower case. */
    headers: Record<string, string>;
    /** Is there an answer with a status below 400? A redirect, which is not followed, is none. */
    success: boolean;
    /** What the answer holds, where that is a JSON object or array. */
    json?: Record<string, unknown> | null;
    /** What the answer holds, where that is no JSON. */
    text?: string;
    /** The service's request id, or an empty text. */
    requestId: string;
    /** How often the request was sent. */
    readonly attempts?: number;
    /** May the same request succeed when it is sent again? */
    readonly retryable?: boolean;
}
/** One request of an `HTTPClient`. */
interface HttpRequestOptions {
    method: string;
    /** The path below the endpoint of the configuration. */
    endpoint: string;
    /** These replace the headers that are sent otherwise. */
    headers?: Record<string, string>;
    /** The query. What is absent or `null` is left out; objects and lists go as JSON. */
    params?: Record<string, unknown>;
    /** The body, as JSON. */
    jsonData?: Record<string, unknown>;
    /** The body, where there is no `jsonData`: text, bytes, `URLSearchParams`, or anything else as JSON. */
    data?: unknown;
    /** How long the call may take, in milliseconds. Default: the configured time-out. */
    readTimeout?: number;
    /** How long connecting may take, in milliseconds. Default: 10,000. */
    connectTimeout?: number;
}
/** Sends requests to the service, or to anything else that speaks HTTP. */
declare class HTTPClient {
    #private;
    /** The configuration of clients that are made without one. */
    static setDefaultConfig(config: Config): void;
    /** What {@link setDefaultConfig} was given; `null` before. */
    static getDefaultConfig(): Config | null;
    /**
     * @param apiKey the value of the header `authorization`; a key alone gets `Bearer` in front. Without it no such header
     *   is sent
     * @param cfg default: what {@link setDefaultConfig} was given
     * @throws {AGBError} when there is no configuration, or it can't be used
     */
    constructor(apiKey?: string, cfg?: Config);
    /**
     * Sends a request and takes the whole answer. A failure is an answer like any other: no status rejects, and where
     * nothing came back `statusCode` is 0.
     *
     * @throws {AGBError} when the request can't be sent as it is; nothing was sent then
     */
    makeRequest(options: HttpRequestOptions): Promise<HttpResponse>;
    /** Nothing to close: connections that nobody uses end by themselves, and none keeps the process alive. */
    close(): void;
}

/**
 * What all answers have. The rules of success and of the error's text differ between endpoints, as in the reference
 * (docs/protocol.md, section "Low-level requests").
 */
declare class EndpointResponse {
    #private;
    /** The service's request id, or an empty text. */
    readonly requestId: string;
    /** Status of the HTTP answer; 0 where there was none. */
    readonly statusCode: number;
    /** The service's code: `ok`, an error code, or absent. */
    readonly code?: string;
    /** The status as the envelope repeats it. */
    readonly httpStatusCode?: number;
    constructor(record: HttpResponse);
    isSuccessful(): boolean;
    getRequestId(): string;
}
/** The answer of an endpoint whose failures always have a text. */
declare class ExplainedResponse extends EndpointResponse {
    getErrorMessage(): string;
}
/** The answer of an endpoint of which status 200 alone is a success. */
declare class StrictResponse extends ExplainedResponse {
    isSuccessful(): boolean;
}
/** The answer of a list: where the service says nothing, the status does. */
declare class ListResponse extends StrictResponse {
    getErrorMessage(): string;
}

/** Requests and answers of the endpoints of the browser. */

/** Starts the browser of a session: `POST /browser/init`. */
declare class InitBrowserRequest extends EndpointRequest<InitBrowserRequest> {
    authorization: string;
    sessionId: string;
    /** Where the browser keeps its data, in the session: `/tmp/agb_browser_data`. */
    persistentPath: string;
    /** Goes as JSON text; an empty one doesn't. */
    browserOption?: Record<string, unknown>;
    getParams(): Record<string, unknown>;
}
/** The browser. */
declare class InitBrowserResponse extends StrictResponse {
    getPort(): number | undefined;
}
/** Asks where the browser is driven: `POST /internet/getCdpLink`. */
declare class GetCdpLinkRequest extends EndpointRequest<GetCdpLinkRequest> {
    sessionId?: string;
    getParams(): Record<string, unknown>;
}
/** Where it is driven. */
declare class GetCdpLinkResponse extends StrictResponse {
    getErrorMessage(): string;
    /** A WebSocket URL for the Chrome DevTools Protocol. */
    getUrl(): string | undefined;
}

/** Requests and answers of the endpoints of contexts. */

/** Lists contexts, a page at a time: `GET /sdk/ListContexts`. */
declare class ListContextsRequest extends EndpointRequest<ListContextsRequest> {
    authorization: string;
    maxResults?: number;
    nextToken?: string;
    getParams(): Record<string, unknown>;
}
/** A context of a list. */
interface ListContextsItem {
    createTime?: string;
    id?: string;
    lastUsedTime?: string;
    name?: string;
}
/** A page of contexts. What tells of other pages stands in the data or beside it. */
declare class ListContextsResponse extends ListResponse {
    getContextsData(): ListContextsItem[];
    getNextToken(): string | undefined;
    getMaxResults(): number | undefined;
    getTotalCount(): number | undefined;
}
/** Finds a context by id or name: `GET /sdk/GetContext`. */
declare class GetContextRequest extends EndpointRequest<GetContextRequest> {
    authorization: string;
    id?: string;
    name?: string;
    /** Where the service looks; its default is `cn-hangzhou`. */
    loginRegionId?: string;
    /** Make it when there is none of that name. */
    allowCreate: boolean;
    getParams(): Record<string, unknown>;
}
/** A context. */
interface GetContextData {
    createTime?: string;
    id?: string;
    lastUsedTime?: string;
    name?: string;
    /** `available`, `clearing` or `pre-available`. */
    state?: string;
}
/** The context. */
declare class GetContextResponse extends ExplainedResponse {
    getContextData(): GetContextData | undefined;
}
/** Gives a context another name: `POST /sdk/ModifyContext`. */
declare class ModifyContextRequest extends EndpointRequest<ModifyContextRequest> {
    authorization: string;
    id: string;
    name: string;
    getParams(): Record<string, unknown>;
}
/** Was it renamed? */
declare class ModifyContextResponse extends ExplainedResponse {
}
/** A request of which the context is all there is to say. */
declare abstract class ContextIdRequest<Self> extends EndpointRequest<Self> {
    authorization: string;
    id: string;
    getParams(): Record<string, unknown>;
}
/** Deletes a context: `POST /sdk/DeleteContext`. */
declare class DeleteContextRequest extends ContextIdRequest<DeleteContextRequest> {
}
/** Was it deleted? */
declare class DeleteContextResponse extends ExplainedResponse {
}
/** Starts to delete everything in a context: `POST /sdk/ClearContext`. */
declare class ClearContextRequest extends ContextIdRequest<ClearContextRequest> {
}
/** Was that begun? */
declare class ClearContextResponse extends ExplainedResponse {
}
/** Synchronises the mounts of a session: `POST /sdk/SyncContext`. */
declare class SyncContextRequest extends EndpointRequest<SyncContextRequest> {
    authorization: string;
    sessionId: string;
    contextId?: string;
    path?: string;
    /** `upload` or `download`. */
    mode?: string;
    getParams(): Record<string, unknown>;
}
/** Was that begun? */
declare class SyncContextResponse extends ExplainedResponse {
}
/** Asks how far the mounts of a session are: `GET /sdk/GetContextInfo`. */
declare class GetContextInfoRequest extends EndpointRequest<GetContextInfoRequest> {
    authorization: string;
    sessionId: string;
    contextId?: string;
    path?: string;
    /** `upload` or `download`. */
    taskType?: string;
    getParams(): Record<string, unknown>;
}
/** How far the mounts are. */
declare class GetContextInfoResponse extends ExplainedResponse {
    /** As the service has it: JSON text of a list. */
    getContextStatus(): unknown;
}
/** Asks for the context that files are transferred through: `POST /sdk/GetAndLoadInternalContext`. */
declare class GetAndLoadInternalContextRequest extends EndpointRequest<GetAndLoadInternalContextRequest> {
    authorization: string;
    sessionId: string;
    /** `file_transfer` is the one that is known. */
    contextTypes?: string[];
    getParams(): Record<string, unknown>;
}
/** A context that the service keeps for itself. */
interface GetAndLoadInternalContextItem {
    contextId?: string;
    contextPath?: string;
    contextType?: string;
}
/** These contexts. */
declare class GetAndLoadInternalContextResponse extends ExplainedResponse {
    getContextList(): GetAndLoadInternalContextItem[];
}

/** Requests and answers of the endpoints of files in contexts. */

/** A request of which the file is all there is to say. */
declare abstract class ContextFileRequest<Self> extends EndpointRequest<Self> {
    authorization: string;
    contextId: string;
    filePath: string;
    getParams(): Record<string, unknown>;
}
/** An answer with a URL that grants access for a while. */
declare class FileUrlResponse extends ExplainedResponse {
    /** Until when. */
    getExpireTime(): string | undefined;
}
/** Asks for a URL to read a file: `POST /sdk/GetContextFileDownloadUrl`. */
declare class GetContextFileDownloadUrlRequest extends ContextFileRequest<GetContextFileDownloadUrlRequest> {
}
/** The URL. */
declare class GetContextFileDownloadUrlResponse extends FileUrlResponse {
    getDownloadUrl(): string | undefined;
}
/** Asks for a URL to write a file: `POST /sdk/GetContextFileUploadUrl`. */
declare class GetContextFileUploadUrlRequest extends ContextFileRequest<GetContextFileUploadUrlRequest> {
}
/** The URL. */
declare class GetContextFileUploadUrlResponse extends FileUrlResponse {
    getUploadUrl(): string | undefined;
    getUploadUrlData(): {
        url?: string;
        expireTime?: string;
    } | undefined;
}
/** Deletes a file: `POST /sdk/DeleteContextFile`. */
declare class DeleteContextFileRequest extends ContextFileRequest<DeleteContextFileRequest> {
}
/** Was it deleted? */
declare class DeleteContextFileResponse extends ExplainedResponse {
}
/** Lists what lies directly in a folder: `POST /sdk/DescribeContextFiles`. */
declare class DescribeContextFilesRequest extends EndpointRequest<DescribeContextFilesRequest> {
    authorization: string;
    contextId: string;
    /** By its full path; empty: the top. */
    parentFolderPath: string;
    /** From 1. */
    pageNumber: number;
    pageSize: number;
    getParams(): Record<string, unknown>;
}
/** A file of a list. */
interface DescribeContextFilesItem {
    fileId?: string;
    fileName?: string;
    filePath?: string;
    fileType?: string;
    gmtCreate?: string;
    gmtModified?: string;
    /** Bytes. */
    size?: number;
    status?: string;
}
/** A page of files. */
declare class DescribeContextFilesResponse extends ListResponse {
    getFilesData(): DescribeContextFilesItem[];
    getNextToken(): string | undefined;
    getMaxResults(): number | undefined;
    getCount(): number | undefined;
}

/** Requests and answers of the endpoints of sessions, with labels, resources and links. */

/** A mount as it is sent. */
interface CreateMcpSessionRequestPersistenceDataListMap {
    contextId: string;
    path: string;
    policy: string;
}
/** A context that a new session mounts. */
declare class CreateMcpSessionRequestPersistenceDataList {
    contextId?: string;
    /** Where, in the session. */
    path?: string;
    /** JSON text. */
    policy?: string;
    constructor(fields?: {
        contextId?: string;
        path?: string;
        policy?: string;
    });
    toMap(): CreateMcpSessionRequestPersistenceDataListMap;
}
/** Creates a session: `POST /mcp/createSession`. */
declare class CreateSessionRequest extends EndpointRequest<CreateSessionRequest> {
    authorization: string;
    imageId: string;
    sessionId?: string;
    contextId?: string;
    /** JSON text of an object of texts. */
    labels?: string;
    mcpPolicyId?: string;
    persistenceDataList?: CreateMcpSessionRequestPersistenceDataList[];
    /** Who is asking: goes as JSON text. */
    sdkStats?: Record<string, unknown>;
    /** Seconds without activity after which the session is released. */
    timeout?: number;
    getBody(): Record<string, unknown>;
    getParams(): Record<string, unknown>;
}
/** What the service says of a new session. */
interface SessionData {
    appInstanceId?: string;
    errMsg?: string;
    linkUrl?: string;
    networkInterfaceIp?: string;
    resourceId?: string;
    resourceUrl?: string;
    sessionId?: string;
    success?: boolean;
    taskId?: string;
    token?: string;
    /** JSON text. */
    toolList?: string;
    wsUrl?: string;
}
/** The new session. */
declare class CreateSessionResponse extends ExplainedResponse {
    getErrorMessage(): string;
    getData(): SessionData | undefined;
    getSessionId(): string | undefined;
    getResourceUrl(): string | undefined;
}
/** A request of which the session is all there is to say. */
declare abstract class SessionBodyRequest<Self> extends EndpointRequest<Self> {
    sessionId?: string;
    getBody(): Record<string, unknown>;
}
/** Finds a session: `POST /mcp/getSession`. */
declare class GetSessionRequest extends SessionBodyRequest<GetSessionRequest> {
    authorization: string;
}
/** What the service says of a session. */
interface GetSessionSessionData {
    appInstanceId?: string;
    linkUrl?: string;
    resourceId?: string;
    resourceUrl?: string;
    sessionId?: string;
    status?: string;
    token?: string;
    /** JSON text. */
    toolList?: string;
    wsUrl?: string;
}
/** The session. */
declare class GetSessionResponse extends ExplainedResponse {
    getData(): GetSessionSessionData | undefined;
    getSessionId(): string | undefined;
    getResourceUrl(): string | undefined;
}
/** Asks for a session's status, which does not keep it alive: `POST /mcp/getSessionInfo`. */
declare class GetSessionDetailRequest extends SessionBodyRequest<GetSessionDetailRequest> {
    authorization: string;
}
/** The status. */
declare class GetSessionDetailResponse extends ExplainedResponse {
    /** The status on the wire, `RUNNING` while the session lives; empty where there is none. */
    getStatus(): string;
}
/** Releases a session: `POST /mcp/releaseSession`. */
declare class ReleaseSessionRequest extends SessionBodyRequest<ReleaseSessionRequest> {
    authorization: string;
    sessionId: string;
}
/** Was it released? */
declare class ReleaseSessionResponse extends StrictResponse {
}
/** Starts the release of a session: `POST /mcp/releaseSessionAsync`. */
declare class DeleteSessionAsyncRequest extends SessionBodyRequest<DeleteSessionAsyncRequest> {
    authorization: string;
    sessionId: string;
}
/** Was the release begun? */
declare class DeleteSessionAsyncResponse extends StrictResponse {
}
/** Sets a session's idle timer back: `POST /mcp/refreshSessionIdleTime`. */
declare class RefreshSessionIdleTimeRequest extends EndpointRequest<RefreshSessionIdleTimeRequest> {
    authorization: string;
    sessionId: string;
    getParams(): Record<string, unknown>;
}
/** Was it set back? */
declare class RefreshSessionIdleTimeResponse extends StrictResponse {
    getData(): unknown;
}
/** Lists sessions, a page at a time: `GET /sdk/ListSession`. */
declare class ListSessionRequest extends EndpointRequest<ListSessionRequest> {
    authorization: string;
    maxResults?: number;
    nextToken?: string;
    /** JSON text of an object: only sessions that carry all of these. */
    labels?: string;
    isAll?: boolean;
    getParams(): Record<string, unknown>;
}
/** A session of a list. */
interface ListSessionItem {
    sessionId?: string;
    sessionStatus?: string;
}
/** A page of sessions. */
declare class ListSessionResponse extends ListResponse {
    getSessionData(): ListSessionItem[];
    getNextToken(): string | undefined;
    getMaxResults(): number | undefined;
    getCount(): number | undefined;
}
/** Replaces the labels of a session: `POST /sdk/SetLabel`. */
declare class SetLabelRequest extends EndpointRequest<SetLabelRequest> {
    authorization: string;
    sessionId?: string;
    /** JSON text of an object of texts. */
    labels?: string;
    getParams(): Record<string, unknown>;
}
/** Were they replaced? */
declare class SetLabelResponse extends ExplainedResponse {
}
/** Asks for the labels of a session: `GET /sdk/GetLabel`. */
declare class GetLabelRequest extends EndpointRequest<GetLabelRequest> {
    authorization: string;
    sessionId?: string;
    maxResults?: number;
    nextToken?: string;
    getParams(): Record<string, unknown>;
}
/** The labels. */
declare class GetLabelResponse extends ExplainedResponse {
    /** As the service has them: JSON text of an object. */
    getLabelsData(): unknown;
    getNextToken(): string | undefined;
    getMaxResults(): number | undefined;
    getCount(): number | undefined;
}
/** Asks where a session can be seen: `POST /mcp/getMcpResource`. */
declare class GetMcpResourceRequest extends SessionBodyRequest<GetMcpResourceRequest> {
    sessionId: string;
}
/** Where a session can be seen. */
interface McpResourceData {
    desktopInfo?: unknown;
    /** With an access code; lives 30 minutes. */
    resourceUrl?: string;
    sessionId?: string;
}
/** The resource. */
declare class GetMcpResourceResponse extends ExplainedResponse {
    getResourceData(): McpResourceData | undefined;
    getResourceUrl(): string | undefined;
}
/** Asks for a link to a port of a session: `GET /internet/getLink`. */
declare class GetLinkRequest extends EndpointRequest<GetLinkRequest> {
    sessionId?: string;
    /** `https` or `wss`. */
    protocolType?: string;
    port?: number;
    getParams(): Record<string, unknown>;
}
/** The link. */
declare class GetLinkResponse extends StrictResponse {
    getUrl(): string | undefined;
}

/** Requests and answers of the endpoints of tools. */

/** Calls a tool of a session: `POST /mcp`. */
declare class CallMcpToolRequest extends EndpointRequest<CallMcpToolRequest> {
    sessionId?: string;
    /** The tool. */
    name?: string;
    /** Its arguments, or their JSON text. */
    args?: string | Record<string, unknown>;
    imageId?: string;
    server?: string;
    getBody(): Record<string, unknown>;
    getParams(): Record<string, unknown>;
}
/** What the tool gave. */
declare class CallMcpToolResponse extends EndpointResponse {
    #private;
    isSuccessful(): boolean;
    /** What the tool itself says of its failure comes before what the service says. */
    getErrorMessage(): string | undefined;
    /** All texts of the result; where there is none, the first other content. */
    getToolResult(): string | undefined;
}
/** Lists the tools of an image: `POST /mcp/listTools`. */
declare class ListMcpToolsRequest extends EndpointRequest<ListMcpToolsRequest> {
    imageId: string;
    getParams(): Record<string, unknown>;
}
/** The tools. */
declare class ListMcpToolsResponse extends EndpointResponse {
    isSuccessful(): boolean;
    getErrorMessage(): string | undefined;
    /** JSON text of a list; absent where there is none. */
    getToolsList(): string | undefined;
}

/**
 * The low-level client: one method for each endpoint of the service, which sends what its request says and gives the
 * answer as it came. A failure of the service, and one on the way to it, is an answer; what lacks its authorization or
 * its session id rejects, and nothing is sent.
 */
declare class Client {
    /** @param config default: what the environment and `.env` say */
    constructor(config?: Config);
    /** Creates a session, and doesn't wait for its mounts. */
    createMcpSession(request: CreateSessionRequest): Promise<CreateSessionResponse>;
    /** Finds a session. */
    getMcpSession(request: GetSessionRequest): Promise<GetSessionResponse>;
    /** The status of a session; asking doesn't keep it alive. */
    getSessionDetail(request: GetSessionDetailRequest): Promise<GetSessionDetailResponse>;
    /** Releases a session. */
    releaseMcpSession(request: ReleaseSessionRequest): Promise<ReleaseSessionResponse>;
    /** Starts the release of a session, and doesn't wait for its end. */
    deleteSessionAsync(request: DeleteSessionAsyncRequest): Promise<DeleteSessionAsyncResponse>;
    /** Sets the idle timer of a session back. */
    refreshSessionIdleTime(request: RefreshSessionIdleTimeRequest): Promise<RefreshSessionIdleTimeResponse>;
    /** A page of the sessions. */
    listSessions(request: ListSessionRequest): Promise<ListSessionResponse>;
    /** Replaces the labels of a session. */
    setLabel(request: SetLabelRequest): Promise<SetLabelResponse>;
    /** The labels of a session. */
    getLabel(request: GetLabelRequest): Promise<GetLabelResponse>;
    /** Where a session can be seen. */
    getMcpResource(request: GetMcpResourceRequest): Promise<GetMcpResourceResponse>;
    /** A link to a port of a session. */
    getLink(request: GetLinkRequest): Promise<GetLinkResponse>;
    /** Where the browser of a session is driven. */
    getCdpLink(request: GetCdpLinkRequest): Promise<GetCdpLinkResponse>;
    /** Starts the browser of a session. */
    initBrowser(request: InitBrowserRequest): Promise<InitBrowserResponse>;
    /**
     * Calls a tool of a session on the API route.
     *
     * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
     * @param connectTimeout how long connecting may take, in milliseconds
     */
    callMcpTool(request: CallMcpToolRequest, readTimeout?: number, connectTimeout?: number): Promise<CallMcpToolResponse>;
    /** The tools of an image. */
    listMcpTools(request: ListMcpToolsRequest): Promise<ListMcpToolsResponse>;
    /** A page of the contexts. */
    listContexts(request: ListContextsRequest): Promise<ListContextsResponse>;
    /** Finds a context, or makes it. */
    getContext(request: GetContextRequest): Promise<GetContextResponse>;
    /** Gives a context another name. */
    modifyContext(request: ModifyContextRequest): Promise<ModifyContextResponse>;
    /** Deletes a context. */
    deleteContext(request: DeleteContextRequest): Promise<DeleteContextResponse>;
    /** Starts to delete everything in a context. */
    clearContext(request: ClearContextRequest): Promise<ClearContextResponse>;
    /** Starts to synchronise the mounts of a session. */
    syncContext(request: SyncContextRequest): Promise<SyncContextResponse>;
    /** How far the mounts of a session are. */
    getContextInfo(request: GetContextInfoRequest): Promise<GetContextInfoResponse>;
    /** A URL to read a file of a context. */
    getContextFileDownloadUrl(request: GetContextFileDownloadUrlRequest): Promise<GetContextFileDownloadUrlResponse>;
    /** A URL to write a file of a context. */
    getContextFileUploadUrl(request: GetContextFileUploadUrlRequest): Promise<GetContextFileUploadUrlResponse>;
    /** Deletes a file of a context. */
    deleteContextFile(request: DeleteContextFileRequest): Promise<DeleteContextFileResponse>;
    /** A page of the files in a folder of a context. */
    describeContextFiles(request: DescribeContextFilesRequest): Promise<DescribeContextFilesResponse>;
    /** The contexts that the service keeps for itself. */
    getAndLoadInternalContext(request: GetAndLoadInternalContextRequest): Promise<GetAndLoadInternalContextResponse>;
    /** Nothing to close: connections that nobody uses end by themselves, and none keeps the process alive. */
    close(): void;
}

/** What the contexts of a session need of it. */
interface ContextManagerSessionLike {
    getApiKey(): string;
    getSessionId(): string;
    getClient(): unknown;
}
/** The contexts that one session has mounted. */
declare class ContextManager {
    #private;
    constructor(session: ContextManagerSessionLike);
    /**
     * What became of the synchronisations: the state of each, of all contexts or of those that fit.
     *
     * @param taskType `upload` or `download`
     */
    info(contextId?: string, path?: string, taskType?: string): Promise<ContextInfoResult>;
    /**
     * Synchronises one context, or all of them when neither id nor path is given.
     *
     * Without a callback it resolves when everything is done; `success` is false when a context could not be synchronised,
     * and `errorMessage` says which and why. With one it resolves when the synchronisation has started, and calls back once
     * it is done.
     *
     * @param mode `upload` (the service's default): from the session to the context; `download`: the other way
     * @param maxRetries with `retryInterval`, in milliseconds: how long to wait at most. The first looks follow quickly
     * @param callback told whether everything was synchronised; what it throws is logged
     */
    sync(contextId?: string, path?: string, mode?: string, maxRetries?: number, retryInterval?: number, callback?: (success: boolean) => void): Promise<ContextSyncResult>;
    toJSON(): Record<string, unknown>;
}

/** Why a session was released. `unknown`: the service no longer knows it, and its times don't tell why. */
type ReleaseReason = "idleTimeout" | "lifetimeCap" | "deleted" | "unknown";
/** What is known of a session's life without a request; what isn't known is `null`. */
interface SessionLifecycle {
    /** `created`: not used yet; `active`: a call is under way; `idle`: none is; `released`: gone for good. */
    state: "created" | "active" | "idle" | "released";
    /** Seconds without activity after which it is released; `null` for a session from `agb.get`. */
    idleReleaseTimeout: number | null;
    /** What is left of that, in milliseconds; all of it while a call is under way. */
    idleRemainingMs: number | null;
    /** What is left of the 30 minutes that a session may live, in milliseconds. */
    lifetimeRemainingMs: number | null;
    createdAt: Date | null;
    /** When the last call that set the idle timer back has ended; `null` while there was none. */
    lastActivityAt: Date | null;
    /** Why it was released; absent while it lives. */
    releaseReason?: ReleaseReason;
    /** Did the service say that it is released? `false`: its time is over, and nothing was heard of it. */
    confirmed?: boolean;
}
/** How a session is kept alive. */
interface KeepAliveOptions {
    /**
     * `always` (the default), or `whileHeld`: only while something holds it ({@link Session.hold}) or a call is in flight.
     */
    mode?: "always" | "whileHeld";
    /** After which share of the idle timeout without activity a beat comes, give or take 0.1. Default 0.6. */
    at?: number;
    /** For how many seconds from now. Default: as long as the session may live. */
    maxDurationS?: number;
    /** Ends when the event loop has not run for so many seconds. Default: whatever the event loop does. */
    stopIfLoopStalledS?: number;
    /**
     * The session's idle timeout in seconds; needed for a session from `agb.get` alone, of which it is not known. Where it is
     * known, this changes nothing.
     */
    idleReleaseTimeout?: number;
}
/** How a keep-alive is doing. */
interface KeepAliveStatus {
    running: boolean;
    /** Why it no longer runs; absent while it does. */
    stopReason?: "stopped" | "released" | "lifetimeCap" | "maxDuration" | "loopStalled";
    mode: "always" | "whileHeld";
    at: number;
    /** The idle timeout that it reckons with, in seconds. */
    idleReleaseTimeout: number;
    /** Beats that the service answered. */
    beats: number;
    /** Beats that failed. */
    failures: number;
    lastBeatAt: Date | null;
    /** Milliseconds until the next beat; `null` while none is wanted. */
    nextBeatInMs: number | null;
    /** What went wrong at the last beat; absent if it was answered. */
    lastError?: string;
}
/** A time of the session that is running out. */
interface ExpiringEvent {
    /** `idle`: a fifth of the idle timeout is left; `lifetime`: two minutes of the maximum lifetime are left. */
    what: "idle" | "lifetime";
    /** What is left of it, in milliseconds. */
    remainingMs: number;
}
/** A keep-alive that failed. */
interface KeepAliveFailedEvent {
    message: string;
    /** How often it was tried since the last success. */
    attempt: number;
    /** What is left of the idle timeout, in milliseconds. */
    idleRemainingMs: number;
    willRetry: boolean;
}
/** The end of a session. */
interface ReleasedEvent {
    reason: ReleaseReason;
    /** Did the service say so? `false`: its time is over, and nothing was heard of it. */
    confirmed: boolean;
}
/** Another session has taken the place of one that was lost. */
interface RecreatedEvent {
    oldId: string;
    newId: string;
}
/** What listeners of {@link Session.on} are given. */
interface SessionEvents {
    active: [];
    idle: [];
    expiring: [event: ExpiringEvent];
    keepAliveFailed: [event: KeepAliveFailedEvent];
    released: [event: ReleasedEvent];
    releaseFailed: [error: Error];
    recreated: [event: RecreatedEvent];
}
/** Something that needs a session; `using hold = session.hold()` lets go at the end of the block. */
declare class SessionHold {
    #private;
    /** What the session is held for, as the caller said. */
    readonly reason: string;
    /** Lets go; calling twice is fine. */
    release(): void;
    [Symbol.dispose](): void;
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
    /** Where the WebSocket is that streams use. */
    wsUrl?: string;
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

/** What the agent shall do. */
interface ActOptions {
    /** In words. */
    action: string;
    /**
     * For `actAsync`: how long to wait, in seconds (default 300). The service's tool gets it, too, in a unit that is not
     * known; `waitTimeoutS` is for the wait alone.
     */
    timeout?: number;
    /** For `actAsync`: how long to wait, in seconds. Default: `timeout`. The service's tool does not get it. */
    waitTimeoutS?: number;
    /** Values for the placeholders in `action`. */
    variables?: Record<string, string>;
    useVision?: boolean;
    iframes?: boolean;
    /** Milliseconds. */
    domSettleTimeoutMs?: number;
}
/** How an action went. */
interface ActResult {
    success: boolean;
    /** What was done, or why it failed. */
    message: string;
}
/** What the agent shall look for. */
interface ObserveOptions {
    /** In words. */
    instruction: string;
    useVision?: boolean;
    /** Look only inside this element. */
    selector?: string;
    /** For `observeAsync`: how long to wait, in seconds (default 300). */
    timeout?: number;
    /** For `observeAsync`: the same as `timeout`, and before it. */
    waitTimeoutS?: number;
    iframes?: boolean;
    /** Milliseconds. */
    domSettleTimeoutMs?: number;
}
/** An element that the agent found, and what can be done with it; `act` takes it as it is. */
interface ObserveResult {
    selector: string;
    description: string;
    method: string;
    arguments: Record<string, unknown>;
}
/** What the agent shall read. */
interface ExtractOptions {
    /** In words. */
    instruction: string;
    /** The JSON schema of the data. */
    schema: Record<string, unknown>;
    useTextExtract?: boolean;
    /** Read only inside this element. */
    selector?: string;
    useVision?: boolean;
    /** For `extractAsync`: how long to wait, in seconds (default 300). */
    timeout?: number;
    /** For `extractAsync`: the same as `timeout`, and before it. */
    waitTimeoutS?: number;
    maxPage?: number;
    iframe?: boolean;
    /** Milliseconds. */
    domSettleTimeoutMs?: number;
}
/** What the agent read. */
interface ExtractResult<T = unknown> {
    success: boolean;
    data: T | null;
}
/** What the agent needs of a browser. */
interface BrowserLike {
    isInitialized(): boolean;
}
/** Elements that were found, or none because the tool failed. */
type Observation = {
    success: boolean;
    results: ObserveResult[];
};
/**
 * What a language model of the service does in a session's browser. The browser has to be initialized first; every
 * method but `close` throws a `BrowserError` else.
 */
declare class BrowserAgent extends BaseService {
    #private;
    constructor(session: SessionLike, browser: BrowserLike);
    /**
     * Opens an address and gives the service's words on it.
     * @throws {BrowserError} `Navigation failed: …`
     */
    navigate(url: string): Promise<string>;
    /**
     * Takes a picture of a page: base64, or a data URL.
     *
     * @param options `quality` from 0 to 100 (default 80); `clip` in pixels; `timeout` in milliseconds
     * @throws {BrowserError} `Screenshot failed: …`
     */
    screenshot(options?: {
        fullPage?: boolean;
        quality?: number;
        clip?: {
            x: number;
            y: number;
            width: number;
            height: number;
        };
        timeout?: number;
        contextId?: number;
        pageId?: string;
    }): Promise<string>;
    /** Ends the agent's work in the browser; false where the service does not confirm it. */
    close(): Promise<boolean>;
    /** Does something on a page, and waits for its end in one call of at most 60 seconds. */
    act(actionInput: ActOptions | ObserveResult, contextId?: number, pageId?: string): Promise<ActResult>;
    /**
     * Does something on a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
     * @throws {BrowserError} when the task did not start, or was not done in time
     */
    actAsync(actionInput: ActOptions | ObserveResult, contextId?: number, pageId?: string): Promise<ActResult>;
    /**
     * Looks for elements of a page, in one call of at most 60 seconds.
     * @throws {BrowserError} when the answer can't be read
     */
    observe(options: ObserveOptions, contextId?: number, pageId?: string): Promise<Observation>;
    /**
     * Looks for elements of a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
     * @throws {BrowserError} when the task did not start, was not done in time, or its answer can't be read
     */
    observeAsync(options: ObserveOptions, contextId?: number, pageId?: string): Promise<Observation>;
    /**
     * Reads data from a page, in one call of at most 60 seconds.
     * @throws {BrowserError} when the answer can't be read
     */
    extract<T = unknown>(options: ExtractOptions, contextId?: number, pageId?: string): Promise<ExtractResult<T>>;
    /**
     * Reads data from a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
     * @throws {BrowserError} when the task did not start, was not done in time, or its answer can't be read
     */
    extractAsync<T = unknown>(options: ExtractOptions, contextId?: number, pageId?: string): Promise<ExtractResult<T>>;
    toJSON(): Record<string, unknown>;
}

/** A browser's name and version, as it tells them to servers. */
interface Brand {
    brand: string;
    version: string;
}
/** What a page can learn of the screen and the window. */
interface ScreenFingerprint {
    availHeight: number;
    availWidth: number;
    availTop: number;
    availLeft: number;
    colorDepth: number;
    height: number;
    pixelDepth: number;
    width: number;
    devicePixelRatio: number;
    pageXOffset: number;
    pageYOffset: number;
    innerHeight: number;
    outerHeight: number;
    outerWidth: number;
    innerWidth: number;
    screenX: number;
    clientWidth: number;
    clientHeight: number;
    hasHDR: boolean;
}
/** What `navigator.userAgentData` tells. */
interface UserAgentData {
    brands: Brand[];
    mobile: boolean;
    platform: string;
    architecture: string;
    bitness: string;
    fullVersionList: Brand[];
    model: string;
    platformVersion: string;
    uaFullVersion: string;
}
/** Further facts of a browser. */
interface ExtraProperties {
    vendorFlavors: string[];
    isBluetoothSupported: boolean;
    globalPrivacyControl?: any;
    pdfViewerEnabled: boolean;
    installedApps: any[];
}
/** What `navigator` tells. */
interface NavigatorFingerprint {
    userAgent: string;
    userAgentData: UserAgentData;
    doNotTrack: string;
    appCodeName: string;
    appName: string;
    appVersion: string;
    oscpu: string;
    webdriver: string;
    language: string;
    languages: string[];
    platform: string;
    deviceMemory?: number;
    hardwareConcurrency: number;
    product: string;
    productSub: string;
    vendor: string;
    vendorSub: string;
    maxTouchPoints?: number;
    extraProperties: ExtraProperties;
}
/** What WebGL tells of the graphics card. */
interface VideoCard {
    renderer: string;
    vendor: string;
}
/** Everything by which a page may recognise a browser. */
interface Fingerprint {
    screen: ScreenFingerprint;
    navigator: NavigatorFingerprint;
    videoCodecs: Record<string, string>;
    audioCodecs: Record<string, string>;
    pluginsData: Record<string, string>;
    battery?: Record<string, string>;
    videoCard: VideoCard;
    multimediaDevices: string[];
    fonts: string[];
    mockWebRTC: boolean;
    slim?: boolean;
}
type Data = Record<string, any>;
/** A browser's fingerprint and the headers it sends, for `BrowserOption.fingerprintFormat`. */
declare class FingerprintFormat {
    fingerprint: Fingerprint;
    headers: Record<string, string>;
    constructor(fingerprint: Fingerprint, headers: Record<string, string>);
    /**
     * Reads a fingerprint from JSON text or from an object of the same shape.
     * @throws {Error} when it is neither
     */
    static load(data: string | Data): FingerprintFormat;
    /**
     * Reads a fingerprint from JSON text.
     * @throws {SyntaxError} when it is no JSON
     * @throws {Error} when it is no object
     */
    static fromJson(jsonStr: string): FingerprintFormat;
    /**
     * Reads a fingerprint from an object. What is absent or empty gets its default.
     * @throws {Error} when it is no object
     */
    static fromDict(data: Data): FingerprintFormat;
    /** A fingerprint of its parts. */
    static create(screen: ScreenFingerprint, navigator: NavigatorFingerprint, videoCard: VideoCard, headers: Record<string, string>, videoCodecs?: Record<string, string>, audioCodecs?: Record<string, string>, pluginsData?: Record<string, string>, battery?: Record<string, string>, multimediaDevices?: string[], fonts?: string[], mockWebRTC?: boolean, slim?: boolean): FingerprintFormat;
    /** The same as a plain object, without what is not known. */
    toDict(): Data;
    /** The same as JSON text, indented by `indent` spaces. */
    toJson(indent?: number): string;
}

/** Where a proxy comes from: your own server, or one of the service's pools. */
type BrowserProxyType = "custom" | "built-in" | "managed";
/** How the service chooses among its proxies. */
type BrowserProxyStrategy = "restricted" | "polling" | "sticky" | "rotating" | "matched";
/** A proxy that the browser goes through. */
interface BrowserProxy {
    type: BrowserProxyType;
    server?: string;
    username?: string;
    password?: string;
    strategy?: BrowserProxyStrategy;
    pollsize?: number;
    userId?: string;
    isp?: string;
    country?: string;
    province?: string;
    city?: string;
    toMap(): Record<string, unknown>;
}
/**
 * A proxy whose settings fit its type:
 * - `custom`: `server`, with `username` and `password` where it asks for them
 * - `built-in`: `strategy` `restricted` or `polling`, the latter with `pollsize`
 * - `managed`: `strategy` `polling`, `sticky`, `rotating` or `matched`, and `userId`; `matched` needs at least one of
 *   `isp`, `country`, `province`, `city`
 */
declare class BrowserProxyClass implements BrowserProxy {
    type: BrowserProxyType;
    server?: string;
    username?: string;
    password?: string;
    strategy?: BrowserProxyStrategy;
    pollsize?: number;
    userId?: string;
    isp?: string;
    country?: string;
    province?: string;
    city?: string;
    /** @throws {Error} when something is missing or does not fit the type */
    constructor(proxyType: BrowserProxyType, server?: string, username?: string, password?: string, strategy?: BrowserProxyStrategy, pollsize?: number, userId?: string, isp?: string, country?: string, province?: string, city?: string);
    /** The settings as they are sent: those of the proxy's type. */
    toMap(): Record<string, unknown>;
    /**
     * The proxy of a plain object; null for what is none, or names no type.
     * @throws {Error} for an unknown type, and what the constructor refuses
     */
    static fromMap(m: Record<string, unknown> | null | undefined): BrowserProxyClass | null;
}

/** The size of the page, in pixels. */
interface BrowserViewport {
    width: number;
    height: number;
}
/** The size of the screen, in pixels. */
interface BrowserScreen {
    width: number;
    height: number;
}
/** What the service shall make a fingerprint of. */
interface BrowserFingerprint {
    devices?: ("desktop" | "mobile")[];
    operatingSystems?: ("windows" | "macos" | "linux" | "android" | "ios")[];
    locales?: string[];
}
/** How a session's browser is started; everything may be left out. */
interface BrowserOption {
    /** Not sent: the service keeps the browser's data where it always does. */
    persistentPath?: string;
    /** Hide that the browser is driven by a program. Default false. */
    useStealth?: boolean;
    userAgent?: string;
    viewport?: BrowserViewport;
    screen?: BrowserScreen;
    fingerprint?: BrowserFingerprint;
    /** A whole fingerprint to use. */
    fingerprintFormat?: FingerprintFormat;
    /**
     * Keep the fingerprint for the next session with the same `BrowserFingerprintContext`. It is stored by
     * `session.delete(true)`: a plain `delete()` does not keep it.
     */
    fingerprintPersistent?: boolean;
    /** Solve slider captchas. Default false. */
    solveCaptchas?: boolean;
    /** At most one. */
    proxies?: BrowserProxy[];
    /** Where the extensions are inside the session. Default `/tmp/extensions/`. */
    extensionPath?: string;
    /** Further arguments of the browser's command line. */
    cmdArgs?: string[];
    /** The page to open first. */
    defaultNavigateUrl?: string;
    browserType?: "chrome" | "chromium";
}
/** Browser options, checked. */
declare class BrowserOptionClass implements BrowserOption {
    persistentPath?: string;
    useStealth?: boolean;
    userAgent?: string;
    viewport?: BrowserViewport;
    screen?: BrowserScreen;
    fingerprint?: BrowserFingerprint;
    fingerprintFormat?: FingerprintFormat;
    fingerprintPersistent?: boolean;
    fingerprintPersistPath?: string;
    solveCaptchas?: boolean;
    proxies?: BrowserProxy[];
    extensionPath?: string;
    cmdArgs?: string[];
    defaultNavigateUrl?: string;
    browserType?: "chrome" | "chromium";
    /** @throws {Error} for options that can't be used */
    constructor(options?: Partial<BrowserOption>);
    /**
     * The option map as it is sent.
     * @throws {Error} for options that were changed to something that can't be used
     */
    toMap(): Record<string, unknown>;
    /**
     * Takes over the options of a plain object, among them `fingerprintRawData` (base64) as another way to give a
     * `fingerprintFormat`, and `fingerprintPersistPath` as another way to say `fingerprintPersistent`. What it does not
     * name gets its default. Nothing is changed by null.
     *
     * @throws {Error} for options that can't be used
     */
    fromMap(m: Record<string, unknown> | null | undefined): BrowserOptionClass;
}

/** A session's browser, for Playwright and for the service's own agent. */
declare class Browser extends BaseService {
    #private;
    /** What a language model does in the browser. */
    agent: BrowserAgent;
    constructor(session: SessionLike);
    /**
     * Starts the browser. One that is started already stays as it is; calls at the same time share one start.
     *
     * @returns false when the options can't be used or the browser did not start; why is logged as a warning
     */
    initialize(option: BrowserOptionClass | BrowserOption): Promise<boolean>;
    /** Another name of {@link initialize}. */
    initializeAsync(option: BrowserOptionClass | BrowserOption): Promise<boolean>;
    /**
     * Stops the browser; `initialize` starts a new one. When stopping fails, the browser counts as running still, so that
     * it can be tried again.
     *
     * @throws {BrowserError} when the browser is not initialized
     */
    destroy(): Promise<BoolResult>;
    /**
     * The address for Playwright's `connectOverCDP`. It grants access and expires: ask for it each time.
     *
     * @throws {BrowserError} when the browser is not initialized, or the service gives no address
     */
    getEndpointUrl(): Promise<string>;
    /**
     * Takes a picture of a Playwright page after scrolling through it, so that what loads late is there.
     *
     * @param page a page that Playwright gave
     * @param fullPage the whole page, not only what is in view
     * @param options options of Playwright's `page.screenshot`; they win
     * @throws {BrowserError} when the browser is not initialized
     * @throws {Error} without a page, and when the picture can't be taken
     */
    screenshot(page: unknown, fullPage?: boolean, options?: Record<string, unknown>): Promise<Uint8Array>;
    /** The options that the browser was initialized with; null while it is not. */
    getOption(): BrowserOptionClass | null;
    isInitialized(): boolean;
}

/** How a program is run, and how a streamed run tells what happens. */
interface RunOptions {
    /** Run it over the session's WebSocket, and call the functions meanwhile? Default: false. */
    streamBeta?: boolean;
    /** Called with what the program prints, as it prints it. */
    onStdout?: (chunk: string) => void;
    /** The same for standard error. */
    onStderr?: (chunk: string) => void;
    /** Called with what the service says of the program's failure, or with the error of a stream that broke. */
    onError?: (err: unknown) => void;
    /** Ends the wait: the promise rejects with its reason, and the program may run on. */
    signal?: AbortSignal;
}
/** Runs programs in a session. Each language keeps its state from one run to the next. */
declare class Code extends BaseService {
    #private;
    /**
     * Runs a program and waits for its end.
     *
     * @param language `python`, `javascript`, `java` or `r`; `py`, `python3`, `js`, `node` and `nodejs` work too
     * @param timeoutS how long it may run, in seconds
     * @param options with `streamBeta`, the three functions are called while the program runs, the last time before the
     * promise resolves: `onStdout` and `onStderr` with what it prints, `onError` with how it or its stream failed. An aborted
     * `signal` ends the wait: the promise rejects with its reason, and the program may run on
     */
    run(code: string, language: string, timeoutS?: number, options?: RunOptions): Promise<EnhancedCodeExecutionResult>;
    /**
     * Runs a program and gives what happens as it happens: output as it is printed, displayed values, errors, and at last
     * the event `end` with the same result as {@link run}.
     *
     * The program starts with the first look at the stream. Leaving the loop early gives it up: it is interrupted, unless
     * another stream of the session runs at the same time, or somebody listens to pushes. The protocol has no word for it but
     * the end of the connection.
     *
     * @param language as for {@link run}
     * @throws {WsError} while it is read, when the connection can't be made, breaks or is incomplete; a program that
     *   fails does not throw
     * @throws {SessionError} when the session is gone
     * @throws {AGBError} for arguments, for a session without WebSocket, and when the API key or the configuration can't
     *   be used; an aborted `signal` throws its reason
     */
    stream(code: string, language: string, options?: CodeStreamOptions): AsyncGenerator<CodeEvent, void, void>;
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

/** The applications of a session's desktop. */
declare class ApplicationManager extends BaseService {
    /**
     * Starts an application.
     *
     * @param command as in `start_cmd` of {@link listInstalled}
     * @param workDirectory where it starts; default: where the service starts it
     * @param activity part of the application to begin with, where it has such parts
     * @returns its processes
     */
    start(command: string, workDirectory?: string, activity?: string): Promise<ProcessListResult>;
    /**
     * The applications that can be started.
     *
     * @param startMenu those of the start menu
     * @param desktop those on the desktop
     * @param ignoreSystemApps leave out those of the system itself
     */
    listInstalled(startMenu?: boolean, desktop?: boolean, ignoreSystemApps?: boolean): Promise<InstalledAppListResult>;
    /** The processes that show a window. */
    getVisible(): Promise<ProcessListResult>;
    /** Ends an application by the name of its process. */
    stopByPname(processName: string): Promise<AppOperationResult>;
    /** Ends an application by the number of its process. */
    stopByPid(pid: number): Promise<AppOperationResult>;
    /** Ends an application by a command that does it, such as `kill -9 <pid>`. */
    stopByCmd(stopCmd: string): Promise<AppOperationResult>;
}

/** The keyboard of a session's desktop: what it types goes to the active window. */
declare class KeyboardController extends BaseService {
    /** Types a text. */
    type(text: string): Promise<BoolResult>;
    /**
     * Presses keys together, for example `["Ctrl", "a"]`.
     *
     * @param hold keep them down until {@link release}
     */
    press(keys: string | string[], hold?: boolean): Promise<BoolResult>;
    /** Lets go of keys. */
    release(keys: string | string[]): Promise<BoolResult>;
}

/** A button of the mouse; the last is a double click. */
declare enum MouseButton {
    LEFT = "left",
    RIGHT = "right",
    MIDDLE = "middle",
    DOUBLE_LEFT = "double_left"
}
/** Where to scroll to. */
declare enum ScrollDirection {
    UP = "up",
    DOWN = "down",
    LEFT = "left",
    RIGHT = "right"
}
/** The mouse of a session's desktop. Places are in pixels from the upper left corner. */
declare class MouseController extends BaseService {
    /** Clicks at a place. */
    click(x: number, y: number, button?: MouseButton): Promise<BoolResult>;
    /** Moves the mouse. */
    move(x: number, y: number): Promise<BoolResult>;
    /**
     * Moves the mouse from one place to another while a button is down.
     *
     * @param button any but `DOUBLE_LEFT`
     */
    drag(startX: number, startY: number, endX: number, endY: number, button?: MouseButton): Promise<BoolResult>;
    /**
     * Turns the wheel at a place.
     *
     * @param amount steps of the wheel, at least 1
     */
    scroll(x: number, y: number, direction?: ScrollDirection, amount?: number): Promise<BoolResult>;
    /** Where the mouse is. */
    getPosition(): Promise<CursorPosition>;
}

/**
 * The screen of a session's desktop. A session either has a link, and then pictures come as bytes
 * ({@link betaTakeScreenshot}), or it has none, and then they come as URLs ({@link capture}).
 */
declare class ScreenController extends BaseService {
    /** Takes a picture; its URL is in `data`. For sessions without `linkUrl`. */
    capture(): Promise<OperationResult>;
    /** How large the screen is, in pixels. */
    getSize(): Promise<ScreenSize>;
    /**
     * Takes a picture; its bytes are in `data`. For sessions with `linkUrl`.
     *
     * @param format `png` or `jpeg` (`jpg` is another name)
     * @throws {ScreenError} for a session without `linkUrl`, when no picture could be taken, or the answer holds none
     * @throws {Error} for another format
     */
    betaTakeScreenshot(format?: string): Promise<ScreenshotResult>;
}

/** The windows of a session's desktop, each known by its `window_id`. */
declare class WindowManager extends BaseService {
    /**
     * The windows that are open.
     *
     * @param timeoutMs how long the service may look for them, in milliseconds
     */
    listRootWindows(timeoutMs?: number): Promise<WindowListResult>;
    /** The window that has the keyboard. */
    getActiveWindow(): Promise<WindowInfoResult>;
    /** Brings a window to the front and gives it the keyboard. */
    activate(windowId: number): Promise<BoolResult>;
    /** Closes a window. */
    close(windowId: number): Promise<BoolResult>;
    /** Makes a window as large as the screen allows. */
    maximize(windowId: number): Promise<BoolResult>;
    /** Puts a window away; {@link restore} or {@link activate} brings it back. */
    minimize(windowId: number): Promise<BoolResult>;
    /** Gives a window its own size and place back. */
    restore(windowId: number): Promise<BoolResult>;
    /** Gives a window another size, in pixels. */
    resize(windowId: number, width: number, height: number): Promise<BoolResult>;
    /** Lets a window fill the whole screen, without its frame. */
    fullscreen(windowId: number): Promise<BoolResult>;
    /** Keeps the active window in front, or lets the others come forward again. */
    focusMode(on: boolean): Promise<BoolResult>;
}

/** A session's desktop. */
declare class Computer {
    mouse: MouseController;
    keyboard: KeyboardController;
    window: WindowManager;
    app: ApplicationManager;
    screen: ScreenController;
    constructor(session: SessionLike);
    /** @deprecated Use `screen.capture()`, or `screen.betaTakeScreenshot()` for a session with `linkUrl`. */
    screenshot(): Promise<OperationResult>;
    /** @deprecated Use `mouse.click()`. */
    mouseClick(x: number, y: number, button?: MouseButton): Promise<BoolResult>;
    /** @deprecated Use `keyboard.press()`. */
    keyPress(key: string): Promise<BoolResult>;
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

/** A message that belongs to no call. */
interface PushMessage {
    /** The message's own id. */
    requestId: string;
    /** Who it is for; for messages to all clients, who sent it. */
    target: string;
    /** What it says. */
    data: Record<string, unknown>;
}
/** Listens to what is pushed to one target, until `close()` or the end of the `using` block. */
declare class PushListener {
    #private;
    /** Whose messages it hears. */
    readonly target: string;
    private constructor();
    /** Ends it: the callback is not called any more. Calling twice is fine. */
    close(): void;
    [Symbol.dispose](): void;
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
     * @param syncContext store what its mounts hold first. If that fails the session is deleted all the same, and the
     *   result says so with `success: false`
     */
    delete(syncContext?: boolean): Promise<DeleteResult>;
    /**
     * Lets the session live on when the program ends, though its `AGB` has `releaseOnExit`.
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    detach(): void;
    /**
     * Has the session released when the program ends, though it was not created by it, or was detached.
     * @throws {AGBError} when its `AGB` has no `releaseOnExit`
     */
    adopt(): void;
    /**
     * Where the session is in its life and what is left of it, without a request. It goes by the calls of this process;
     * what others do with the session it does not see.
     *
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    get lifecycle(): SessionLifecycle;
    /**
     * Keeps the session alive from now on, whatever the program does: beats come from a thread of their own after some of
     * the idle timeout has passed without activity, and are repeated quickly when they fail. It ends with the session, at
     * the latest 30 minutes after its creation, and with the process, which it does not keep running. Called again, it goes
     * on with the new options.
     *
     * @throws {AGBError} for an option out of range, and for a session from `agb.get` without `idleReleaseTimeout`
     * @throws {SessionError} when the session is known to be gone
     */
    startKeepAlive(options?: KeepAliveOptions): void;
    /**
     * Ends the keep-alive; nothing happens where there is none.
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    stopKeepAlive(): void;
    /**
     * How the keep-alive is doing; `null` when none was started.
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    keepAliveStatus(): KeepAliveStatus | null;
    /**
     * Holds the session until `release()` or the end of the `using` block: in the mode `whileHeld` it is kept alive
     * meanwhile.
     *
     * @param reason what for, for those who debug it
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    hold(reason?: string): SessionHold;
    /**
     * Hears of the session's life. Listeners don't keep the process running; what one throws is logged, and the others are
     * called all the same.
     *
     * @param event `active` and `idle`: a call began, the last one ended; `expiring`: a time is running out;
     *   `keepAliveFailed`; `released`; `releaseFailed`: it could not be deleted at the end of its block;
     *   `recreated`: it was lost, and another one has taken its place (with `recreate` of `agb.open`)
     * @throws {TypeError} for another event, or a listener that is no function
     */
    on<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this;
    /** As {@link on}, for the next time alone. */
    once<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this;
    /** Takes a listener of {@link on} or {@link once} away. */
    off<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this;
    /**
     * Hears the messages that the service pushes over the session's WebSocket, which is opened for it, kept while somebody
     * listens, and opened again when it breaks, at most ten times in a row; a line in the log says when it is given up.
     * Listeners don't keep the process running; what the callback throws is logged. They end with the session; with
     * `recreate` of `agb.open` they go over to the new one: `restore` need not listen again.
     *
     * @param target who the messages are for; for messages to all clients, who sends them
     * @throws {WsError} when the connection can't be made
     * @throws {SessionError} when the session is gone, or was given back to its pool meanwhile
     * @throws {AGBError} without target or callback, for a session without WebSocket, and when the API key or the
     *   configuration can't be used
     */
    onPush(target: string, callback: (message: PushMessage) => unknown): Promise<PushListener>;
    /**
     * Deletes the session at the end of an `await using` block; one that is gone already is no failure. One that could not
     * be deleted is not kept alive any longer. A session of a pool is given back instead.
     *
     * @throws {SessionError} when it could not be deleted; the event `releaseFailed` tells it, too
     */
    [Symbol.asyncDispose](): Promise<void>;
    /** Where the session's screen can be seen, and what a viewer needs. The URL grants access; it is valid for 30 minutes. */
    info(): Promise<OperationResult>;
    /**
     * Replaces the session's labels but those of this package. Of a session that was not created here these are asked for
     * first, once; where they can't be read nothing is set.
     */
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
    /** How the mounts came out, for a session that was created with some. */
    readonly mounts?: MountReport;
}
/** How the mounts of a new session came out. */
interface MountReport {
    /** Did every mount come to its end, good or bad? False when the wait for them ended before. */
    finished: boolean;
    /** The last state seen of each; `Failed` ones say why. */
    items: ContextStatusData[];
    /** What the last look at them failed with, if it failed. */
    errorMessage?: string;
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
/** What happens while a program runs: an event of `session.code.stream`. */
type CodeEvent = 
/** A piece of its output, as it was printed. */
{
    type: "stdout" | "stderr";
    chunk: string;
}
/** A value that it displayed. */
 | {
    type: "result";
    result: ExecutionResult;
}
/** It failed; `end` still follows. */
 | {
    type: "error";
    error: ExecutionError;
}
/** It has ended, with or without an error. Always the last event. */
 | {
    type: "end";
    result: EnhancedCodeExecutionResult;
};
/** Options of `session.code.stream`. */
interface CodeStreamOptions {
    /** How long the program may run, in seconds; default 60. */
    timeoutS?: number;
    /** Gives the program up: the loop throws the signal's reason. */
    signal?: AbortSignal;
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
/** Result of `session.computer.mouse.getPosition`. */
interface CursorPosition extends ApiResponse {
    success: boolean;
    /** Pixels from the left; 0 on failure. */
    x: number;
    /** Pixels from the top; 0 on failure. */
    y: number;
    errorMessage?: string;
}
/** A window, as the service sent it. */
interface WindowInfo {
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
interface WindowListResult extends ApiResponse {
    success: boolean;
    windows: WindowInfo[];
    errorMessage?: string;
}
/** Result of `session.computer.window.getActiveWindow`. */
interface WindowInfoResult extends ApiResponse {
    success: boolean;
    window?: WindowInfo;
    errorMessage?: string;
}
/** A process, as the service sent it. */
interface ProcessInfo {
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
interface ProcessListResult extends ApiResponse {
    success: boolean;
    data: ProcessInfo[];
    errorMessage?: string;
}
/** An application, as the service sent it. */
interface InstalledAppInfo {
    name?: string;
    /** For `session.computer.app.start`. */
    start_cmd?: string;
    /** For `session.computer.app.stopByCmd`. */
    stop_cmd?: string;
    work_directory?: string;
    [member: string]: unknown;
}
/** Result of `session.computer.app.listInstalled`. */
interface InstalledAppListResult extends ApiResponse {
    success: boolean;
    data: InstalledAppInfo[];
    errorMessage?: string;
}
/** Result of `session.computer.app.stopByPname`, `stopByPid` and `stopByCmd`. */
interface AppOperationResult extends ApiResponse {
    success: boolean;
    /** Empty on success. */
    errorMessage?: string;
}
/** Result of `session.computer.screen.getSize`. */
interface ScreenSize extends ApiResponse {
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
interface ScreenshotResult extends ApiResponse {
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
interface ContextData {
    id: string;
    name: string;
    createdAt?: string;
    lastUsedAt?: string;
}
/** Result of `agb.context.get` and `agb.context.create`. */
interface ContextResult extends ApiResponse {
    success: boolean;
    context?: ContextData;
    errorMessage?: string;
}
/** Which page of contexts to list. */
interface ContextListParams {
    /** Contexts a page; default 10. */
    maxResults?: number;
    /** `nextToken` of the page before. */
    nextToken?: string;
}
/** Result of `agb.context.list`. */
interface ContextListResult extends ApiResponse {
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
interface ContextFileEntry {
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
interface ContextFileListResult extends ApiResponse {
    success: boolean;
    files: ContextFileEntry[];
    /** Entries over all pages. */
    count?: number;
    errorMessage?: string;
}
/** Result of `agb.context.getFileUploadUrl` and `getFileDownloadUrl`. */
interface FileUrlResult extends ApiResponse {
    success: boolean;
    /** Whoever has it has access. */
    url?: string;
    errorMessage?: string;
    /** When the URL expires, in seconds since 1970, where the service tells it. */
    readonly expireTime?: number;
}
/** Result of `agb.context.clear`, `clearAsync` and `getClearStatus`. */
interface ClearContextResult extends ApiResponse {
    success: boolean;
    /** `clearing`, or `available` when it is done. */
    state?: string;
    errorMessage?: string;
}
/** One synchronisation of a mounted context. */
interface ContextStatusData {
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
interface ContextInfoResult extends FailureDetails {
    requestId: string;
    success: boolean;
    items: ContextStatusData[];
    errorMessage?: string;
}
/** Result of `session.context.sync`. */
interface ContextSyncResult extends FailureDetails {
    requestId: string;
    success: boolean;
    errorMessage?: string;
}
/** One synchronisation, as older declarations have it. */
interface ContextStatusDataType {
    contextId: string;
    path: string;
    status: string;
    errorMessage?: string;
    startTime?: string;
    finishTime?: string;
    taskType?: string;
}
/** A result of `session.context.info`, as older declarations have it. */
interface ContextInfoResultType extends ApiResponse {
    success: boolean;
    items: ContextStatusDataType[];
    errorMessage?: string;
}
/** A result of `session.context.sync`, as older declarations have it. */
interface ContextSyncResultType extends ApiResponse {
    success: boolean;
    errorMessage?: string;
}
/** How sessions are released when the program ends. */
interface ReleaseOnExitOptions {
    /** How long releasing them may take, in milliseconds: above 0, up to 60,000. Default 2,000. */
    timeoutMs?: number;
    /**
     * The signals that it is done for, where the program does not listen to them itself; `SIGQUIT` and `SIGUSR2` are
     * possible too. Default: `SIGTERM`, `SIGINT` and `SIGHUP`.
     */
    signals?: ("SIGTERM" | "SIGINT" | "SIGHUP" | "SIGQUIT" | "SIGUSR2")[];
}
/** A session that is released when the program ends. */
interface LiveSession {
    sessionId: string;
    /** Empty for a session that was found. */
    imageId: string;
    /** When this program created it; null for a session that was found. */
    createdAt: Date | null;
    /** Was it found, and taken over by `adopt()`? */
    adopted: boolean;
}

/** Persistent storage that sessions can mount. */
declare class Context {
    id: string;
    name: string;
    createdAt?: string;
    lastUsedAt?: string;
    constructor(id: string, name: string, createdAt?: string, lastUsedAt?: string);
}
/** What the service of contexts needs of the `AGB` that it belongs to. */
interface AGBLike {
    apiKey: string;
    client: unknown;
}
/** Makes, finds, changes and deletes contexts and the files in them. */
declare class ContextService {
    #private;
    constructor(agb: AGBLike);
    /** Lists contexts, newest first, a page at a time; the result also has `nextToken`, `maxResults` and `totalCount`. */
    list(params?: ContextListParams): Promise<ContextListResult>;
    /**
     * Finds a context by name or id.
     *
     * @param create make it when there is none of that name
     * @param loginRegionId the region; the service's default is `cn-hangzhou`
     */
    get(name?: string, create?: boolean, loginRegionId?: string, contextId?: string): Promise<ContextResult>;
    /** Makes a context, or finds the one of that name. */
    create(name: string): Promise<ContextResult>;
    /** Gives the context `context.id` the name `context.name`. */
    update(context: Context): Promise<OperationResult>;
    /** Deletes a context with everything in it. */
    delete(context: Context): Promise<OperationResult>;
    /** A URL under which a file of a context can be read with `GET`; `expireTime` tells when it ends. */
    getFileDownloadUrl(contextId: string, filePath: string): Promise<FileUrlResult>;
    /** A URL under which a file of a context can be written with `PUT`; `expireTime` tells when it ends. */
    getFileUploadUrl(contextId: string, filePath: string): Promise<FileUrlResult>;
    /** Deletes a file of a context. */
    deleteFile(contextId: string, filePath: string): Promise<OperationResult>;
    /**
     * Lists what lies directly in a folder of a context.
     *
     * @param parentFolderPath by its full path; default: the top
     * @param pageNumber from 1
     * @param pageSize default 50
     */
    listFiles(contextId: string, parentFolderPath?: string, pageNumber?: number, pageSize?: number): Promise<ContextFileListResult>;
    /** Starts to delete everything in a context; {@link getClearStatus} tells when it is done. */
    clearAsync(contextId: string): Promise<ClearContextResult>;
    /** The state of a context: `clearing`, or `available` when clearing is done. */
    getClearStatus(contextId: string): Promise<ClearContextResult>;
    /**
     * Deletes everything in a context and waits until that is done.
     *
     * @param timeout the longest wait, in seconds
     * @param pollInterval how often to look once the quick first looks are over, in seconds
     * @throws {ClearanceTimeoutError} when it takes longer, and at once when `timeout` is shorter than `pollInterval`
     */
    clear(contextId: string, timeout?: number, pollInterval?: number): Promise<ClearContextResult>;
    toJSON(): Record<string, unknown>;
}

/**
 * Sessions that are replaced when they are lost: the handle that the program holds stays, the session behind it changes.
 *
 * This is the facade's, and not the native client's, as it runs the program's own code (`restore`) and moves what a
 * handle holds in JavaScript: its fields, listeners and holds.
 */

/** How a lost session is replaced. */
interface RecreateOptions<Handle> {
    /** Replace the session when a call finds that it is gone for good? Default: false. */
    recreate?: boolean;
    /**
     * Brings a new session into the state that the program needs, before the call that found the loss goes on. While it
     * runs nothing is replaced. What it throws ends that call, and the new session is deleted.
     *
     * Its calls have to be made by itself, or by what it starts. Other calls wait until it has ended: should it wait for
     * one of them, for example for work that it hands to a queue which was started elsewhere, both would wait for each
     * other; that call fails after two minutes, with the code `RestoreUnderWay`.
     */
    restore?: (session: Handle) => Promise<unknown> | unknown;
}

/** When changes are stored. */
declare enum UploadStrategy {
    /** Before the session is released. */
    UPLOAD_BEFORE_RESOURCE_RELEASE = "UploadBeforeResourceRelease"
}
/** How stored data come into a session. */
declare enum DownloadStrategy {
    /** In the background, from the session's beginning. */
    DOWNLOAD_ASYNC = "DownloadAsync"
}
/** In which form data are stored. Don't mix both in one context. */
declare enum UploadMode {
    /** Each file by itself. */
    FILE = "File",
    /** Everything in one archive. */
    ARCHIVE = "Archive"
}
/** How long stored data are kept. */
declare enum Lifecycle {
    LIFECYCLE_1DAY = "Lifecycle_1Day",
    LIFECYCLE_3DAYS = "Lifecycle_3Days",
    LIFECYCLE_5DAYS = "Lifecycle_5Days",
    LIFECYCLE_10DAYS = "Lifecycle_10Days",
    LIFECYCLE_15DAYS = "Lifecycle_15Days",
    LIFECYCLE_30DAYS = "Lifecycle_30Days",
    LIFECYCLE_90DAYS = "Lifecycle_90Days",
    LIFECYCLE_180DAYS = "Lifecycle_180Days",
    LIFECYCLE_360DAYS = "Lifecycle_360Days",
    LIFECYCLE_FOREVER = "Lifecycle_Forever"
}
/** Whether, when and how changes are stored. */
interface UploadPolicy {
    autoUpload: boolean;
    uploadStrategy: UploadStrategy;
    uploadMode: UploadMode;
}
/** Whether and how stored data come into the session. */
interface DownloadPolicy {
    autoDownload: boolean;
    downloadStrategy: DownloadStrategy;
}
/** Whether what is deleted in the session is deleted in the context. */
interface DeletePolicy {
    syncLocalFile: boolean;
}
/** What becomes of archives on their way into the session. */
interface ExtractPolicy {
    extract: boolean;
    /** Leave the archive itself out. */
    deleteSrcFile: boolean;
    /** On the wire `extractToCurrentFolder`. */
    extractCurrentFolder: boolean;
}
/** How long what lies at some paths is kept. */
interface RecyclePolicy {
    lifecycle: Lifecycle;
    /** Relative to the mount, without wildcards; an empty one stands for everything. */
    paths: string[];
}
/** A path that is synchronised, and what is left out of it. */
interface WhiteList {
    /** Relative to the mount, without wildcards. */
    path: string;
    excludePaths: string[];
}
/** What alone is synchronised; an empty list stands for everything. */
interface BWList {
    whiteLists: WhiteList[];
}
/** Where the data lived when they were stored, if that is not where they are mounted now. */
interface MappingPolicy {
    path: string;
}
/** All policies of one mount. */
interface SyncPolicy {
    uploadPolicy?: UploadPolicy;
    downloadPolicy?: DownloadPolicy;
    deletePolicy?: DeletePolicy;
    extractPolicy?: ExtractPolicy;
    recyclePolicy?: RecyclePolicy;
    bwList?: BWList;
    mappingPolicy?: MappingPolicy;
}
/** An upload policy; what is left out gets its default. */
declare function newUploadPolicy(options?: Partial<UploadPolicy>): UploadPolicy;
/** A download policy; what is left out gets its default. */
declare function newDownloadPolicy(options?: Partial<DownloadPolicy>): DownloadPolicy;
/** A delete policy; what is left out gets its default. */
declare function newDeletePolicy(options?: Partial<DeletePolicy>): DeletePolicy;
/** An extract policy; what is left out gets its default. */
declare function newExtractPolicy(options?: Partial<ExtractPolicy>): ExtractPolicy;
/**
 * A recycle policy; what is left out gets its default.
 *
 * @throws {Error} for a path with a wildcard
 */
declare function newRecyclePolicy(options?: Partial<RecyclePolicy>): RecyclePolicy;
/** All policies; one that is left out gets its default, one that is given stays as it is. */
declare function newSyncPolicy(options?: Partial<SyncPolicy>): SyncPolicy;
/** A policy under the wire's names and in the wire's order; what the policy leaves out is left out. */
declare function syncPolicyToDict(policy: SyncPolicy): Record<string, unknown>;
/** A context to mount into a session. Without a policy it gets the default one. */
declare class ContextSync {
    contextId: string;
    path: string;
    policy?: SyncPolicy;
    constructor(contextId: string, path: string, policy?: SyncPolicy);
    /** The same as the constructor. */
    static new(contextId: string, path: string, policy?: SyncPolicy): ContextSync;
    /** Sets the policy; calls can be chained. */
    withPolicy(policy: SyncPolicy): ContextSync;
}

/** Extensions of a context that a browser shall have; `ExtensionOption` is one. */
interface SessionParamsExtensionOption {
    contextId: string;
    extensionIds: string[];
}
/** A context that keeps a browser's fingerprint. */
declare class BrowserFingerprintContext {
    fingerprintContextId: string;
    /** @throws {Error} for a blank id */
    constructor(fingerprintContextId: string);
}
/** A browser whose data live in a context, with extensions and a fingerprint from other contexts. */
declare class BrowserContext {
    contextId: string;
    /** Whether the browser's data are stored when the session is released. */
    autoUpload: boolean;
    extensionOption?: SessionParamsExtensionOption;
    fingerprintContext?: BrowserFingerprintContext;
    fingerprintContextId?: string;
    fingerprintContextSync?: ContextSync;
    constructor(contextId: string, autoUpload?: boolean, extensionOption?: SessionParamsExtensionOption, fingerprintContext?: BrowserFingerprintContext);
    /** The mount of the extensions; none without a context and at least one extension. */
    getExtensionContextSyncs(): ContextSync[];
    /** The mount of the fingerprint, if there is one. */
    getFingerprintContextSync(): ContextSync | undefined;
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
interface LeaseOptions {
    /** The idle timeout in seconds, 1 to 1,800; it takes the place of `idleReleaseTimeout`. Default 60. */
    ttlS?: number;
}
/** Parameters of `agb.create`. The mounts of a browser's extensions and fingerprint are added to `contextSync`. */
declare class CreateSessionParams {
    imageId?: string;
    labels?: Record<string, string>;
    policyId?: string;
    mcpPolicyId?: string;
    contextSync: ContextSync[];
    browserContext?: BrowserContext;
    idleReleaseTimeout?: number;
    /** Not there unless it was given. */
    autoKeepAlive?: boolean | KeepAliveOptions;
    /** Not there unless it was given. */
    recoverCreate?: boolean;
    /** Not there unless it was given. */
    lease?: LeaseOptions;
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
    /**
     * Releases the sessions that this `AGB` created, and has neither deleted nor detached, when the program ends: at its
     * own end, by `process.exit`, an error, a signal, or an abort. Default: they stay until their idle timeout.
     * `docs/lifecycle.md` tells what is covered.
     */
    releaseOnExit?: boolean | ReleaseOnExitOptions;
}
/** How a session is opened. */
interface OpenOptions extends RecreateOptions<Session> {
    /** Gives up the creation. */
    signal?: AbortSignal;
}
/** What became of one session of `agb.deleteAll`. */
interface DeletedSession extends DeleteResult {
    sessionId: string;
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
     * Creates a session. It is usable at once; delete it when done. With mounts it resolves when what they hold is there;
     * `mounts` of the result tells how each came out.
     *
     * @param params at least an `imageId`
     */
    create(params?: CreateSessionParams | CreateSessionParamsOptions | null): Promise<SessionResult>;
    /**
     * Creates a session as {@link create} does, and throws when that fails. `await using session = await agb.open(…)`
     * deletes it at the end of the block. Should the service's answer get lost, the session that it made is found again, or
     * released as soon as it turns up.
     *
     * With `recreate` the session is replaced when a call finds that it is gone for good, be it idle for too long or at the
     * end of its maximum lifetime: another one is made with the same parameters, `restore` runs, and a call that can't have
     * run in the lost session is made again, once. One that may have run fails with the code `SessionRecreated`. The object
     * stays, its id changes (event `recreated`). At most three times within ten minutes: then calls fail with the
     * code `RecreationLimit`. After `delete` it is never replaced.
     *
     * @param params at least an `imageId`
     * @param options `signal` gives up the creation; what the service makes all the same is released
     * @throws {AGBError} for parameters that can't be used
     * @throws {APIError | AuthenticationError | SessionError} when the service can't be reached or refuses
     */
    open(params: CreateSessionParams | CreateSessionParamsOptions, options?: OpenOptions): Promise<Session>;
    /**
     * Opens a session, does something with it, and deletes it on every way out. What `body` throws is what rejects; should
     * the deletion fail, too, its error is in the property `suppressed` of that error, unless that has one already or takes
     * none, and the session's event `releaseFailed` tells it.
     *
     * @param params as for {@link open}
     * @param body gets the session; its value is the value of the call
     * @throws as {@link open}, and whatever `body` throws
     */
    withSession<T>(params: CreateSessionParams | CreateSessionParamsOptions, body: (session: Session) => Promise<T> | T, options?: OpenOptions): Promise<T>;
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
     * @param syncContext store what its mounts hold first. If that fails the session is deleted all the same, and the
     *   result says so with `success: false`
     */
    delete(session: Session, syncContext?: boolean): Promise<DeleteResult>;
    /**
     * The sessions that are released when the program ends, oldest first: those that this `AGB` created or adopted, and
     * has neither deleted nor detached, as far as the service has not said that they are gone. Nothing is sent. Empty
     * without `releaseOnExit`.
     *
     * @throws {AGBError} when the API key or the configuration can't be used
     */
    liveSessions(): LiveSession[];
    /**
     * All active sessions that carry the labels, newest first. Nothing is asked of the sessions themselves, so that looking
     * keeps none alive: they have neither link nor WebSocket; `agb.get` gives one that has.
     *
     * @param labels only sessions that carry all of these; default: all
     * @throws {AGBError} for labels that can't be used, or what the service said
     */
    listAll(labels?: Record<string, string>): AsyncGenerator<Session, void, void>;
    /**
     * Deletes all active sessions that carry the labels, several at a time, and waits until they are gone. The result has
     * one entry for each.
     *
     * @param labels only sessions that carry all of these; `{}` means every session of this API key
     * @param options `concurrency`: how many at a time; default 8
     * @throws {AGBError} without labels, or when the sessions can't be listed; then nothing was deleted
     */
    deleteAll(labels: Record<string, string>, options?: {
        concurrency?: number;
    }): Promise<DeletedSession[]>;
    /**
     * Deletes the sessions with a {@link LeaseOptions lease} whose process has ended without releasing them. Only those that
     * were created on this machine, since it was started last, in the PID namespace (the container) of this process; others
     * are left to their idle timeout. On systems other than Linux nothing is deleted. The result has one entry for each.
     *
     * @throws {AGBError} when the sessions can't be listed; then nothing was deleted
     */
    reapOrphans(): Promise<DeletedSession[]>;
    toJSON(): Record<string, unknown>;
}

/**
 * Faults of the emulator: what a test asks for, described; what they are, docs/emulator.md tells in the section Faults.
 */

/** What a request asks for, by its name in {@link EmulatorRequest.operation}; `*` is all of them. */
type EmulatorOperation = "createSession" | "getSession" | "getSessionInfo" | "releaseSession" | "releaseSessionAsync" | "refreshSessionIdleTime" | "getMcpResource" | "ListSession" | "SetLabel" | "GetLabel" | "getLink" | "init" | "getCdpLink" | "callTool" | "listTools" | "ListContexts" | "GetContext" | "ModifyContext" | "DeleteContext" | "ClearContext" | "SyncContext" | "GetContextInfo" | "GetContextFileDownloadUrl" | "GetContextFileUploadUrl" | "DeleteContextFile" | "DescribeContextFiles" | "GetAndLoadInternalContext" | "getObject" | "putObject" | "webSocket" | "cdp" | "*";
/** Which requests a fault strikes, and how often. A request is struck by one fault at most: the first that fits. */
interface EmulatorFaultScope {
    /**
     * Only requests for these operations. A tool on either route is `callTool`, and so is code that is streamed on a
     * WebSocket; `webSocket` is its handshake, `cdp` the one of the way to the browser; `putObject` and `getObject` are the
     * transfers of an upload and a download.
     */
    operation: EmulatorOperation | EmulatorOperation[];
    /** Only calls of these tools, for example `shell` or `run_code`. Default: whatever the tool. */
    tool?: string | string[];
    /** Only requests for this session. Default: any. */
    sessionId?: string;
    /** Only requests for sessions with all of these labels, and the creation of such sessions. Default: any. */
    labels?: Record<string, string>;
    /** From which of the requests that fit on, counted from 1. Default 1. */
    from?: number;
    /** How many requests are struck; `Infinity` or `"always"`: all. Default 1. */
    count?: number | "always";
    /** How likely a request that fits is struck, 0 to 1; the emulator's `seed` makes the draws the same in every run. */
    probability?: number;
}
/** Another answer: `503`, `429` with `Retry-After`, an error page. A stream ends in an error with `code` and `message`. */
interface EmulatorFaultStatus extends EmulatorFaultScope {
    kind: "status";
    /** The HTTP status, 200 to 599. */
    status: number;
    /** Headers, beside the usual ones or instead of them. */
    headers?: Record<string, string>;
    /** The header `Retry-After`, in seconds. */
    retryAfter?: number;
    /** The body: a text as it is, anything else as JSON. Default: an envelope with `code` and `message`. */
    body?: unknown;
    /** The error code in the envelope. Default: what goes with the status, for example `ServiceUnavailable`. */
    code?: string;
    /** The message in the envelope. Default: that the emulator was told to answer so. */
    message?: string;
    /** `after`: the work is done all the same. Default `before`: it is not. */
    when?: "before" | "after";
}
/** The request waits. */
interface EmulatorFaultDelay extends EmulatorFaultScope {
    kind: "delay";
    /** Milliseconds of real time. */
    ms: number;
    /** What waits: the work, or the answer to work that is done. Default `before`. */
    when?: "before" | "after";
}
/** The connection is reset, and no answer comes. */
interface EmulatorFaultReset extends EmulatorFaultScope {
    kind: "reset";
    /** `after`: the work is done, and only the answer lost. Default `before`: it is not done. */
    when?: "before" | "after";
}
/** The work is done, and its answer breaks off; on a stream the last frame does. */
interface EmulatorFaultTruncate extends EmulatorFaultScope {
    kind: "truncate";
    /** How many bytes of the body are sent, at most. Default: half of them. */
    bytes?: number;
    /** `true`: the length that is announced is that of what is sent. Default `false`: that of the whole. */
    framed?: boolean;
}
/** The work is done, and the answer's body is something else; on a stream the last frame is. */
interface EmulatorFaultGarbage extends EmulatorFaultScope {
    kind: "garbage";
    /** What is sent instead. Default: bytes that are no text. */
    body?: string;
}
/**
 * The request is read and never answered, and the connection stays open. On a WebSocket frames are read on, and nothing is
 * written any more, not even an answer to a ping.
 */
interface EmulatorFaultHalfOpen extends EmulatorFaultScope {
    kind: "halfOpen";
    /** `after`: the work is done, or the WebSocket opened and silent from there on. Default `before`: it is not. */
    when?: "before" | "after";
    /** On a stream with `when: "after"`: how many pieces of output come before the silence. Default 0. */
    afterChunks?: number;
}
/** A body at a limited speed. Not for streams. */
interface EmulatorFaultSlow extends EmulatorFaultScope {
    kind: "slow";
    /** A whole number, at least 1. */
    bytesPerSecond: number;
    /** Which body: the answer's, or the request's, which is read slowly. Default `answer`. */
    direction?: "answer" | "request";
}
/** The WebSocket of a stream is closed in mid-stream, or at the latest when the program has ended. */
interface EmulatorFaultClose extends EmulatorFaultScope {
    kind: "close";
    /** How many pieces of output come before. Default 1. */
    afterChunks?: number;
    /** The code of the close frame. Default 1011. */
    code?: number;
    /** The reason in the close frame. Default: none. */
    reason?: string;
}
/** A fault: which requests it strikes, and by its `kind` what happens to them. */
type EmulatorFault = EmulatorFaultStatus | EmulatorFaultDelay | EmulatorFaultReset | EmulatorFaultTruncate | EmulatorFaultGarbage | EmulatorFaultHalfOpen | EmulatorFaultSlow | EmulatorFaultClose;
/** What a fault did to a request. */
interface EmulatorFaultUse {
    /** {@link EmulatorFaultHandle.id}. */
    id: number;
    kind: EmulatorFault["kind"];
    /** Was the work of the request done? */
    worked: boolean;
    /** The status of the answer that the work gave, whatever was sent; absent when it was not done. */
    status?: number;
    /** The code of that answer. */
    code?: string;
}
/** A fault that was added. */
interface EmulatorFaultHandle {
    /** Counts the faults of an emulator from 1. */
    readonly id: number;
    /** How many requests it has struck. */
    readonly hits: number;
    /** It strikes no more. Removing twice is fine. */
    remove(): void;
    /** Removes it, at the end of a `using` block. */
    [Symbol.dispose](): void;
}
/** The faults of an emulator. */
interface EmulatorFaults {
    /**
     * Lets a fault strike from now on.
     *
     * ```ts
     * const lost = emulator.faults.add({ operation: "createSession", kind: "reset", when: "after" });
     * // …
     * expect(lost.hits).toBe(1);
     * ```
     * @throws {AGBError} for a description that can't be used; the message says what is allowed
     */
    add(fault: EmulatorFault): EmulatorFaultHandle;
    /** Removes all faults. */
    clear(): void;
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
    /** The Chromium that browser images start. Default: the one that `CHROMIUM_PATH` names, else found on `PATH`. */
    chromium?: string;
    /** Further image ids to accept, with the tools of `agb-code-space-1`. */
    images?: string[];
    /** Do sessions get a link URL, on which clients call tools directly? Default: as the image does. */
    linkUrl?: boolean;
    /** Faults that strike from the start. Default: none. */
    faults?: EmulatorFault[];
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
/** What the browser agent answers to some of its calls, as there is no model here. */
interface EmulatorAgentAnswer {
    /** To which calls, in both of their forms. */
    tool: "act" | "observe" | "extract";
    /** Only to those whose action or instruction contains this text. */
    containing?: string;
    /**
     * The answer: for `act` a text, or an object with `steps` and `success`; for `observe` a list of elements; for
     * `extract` the data.
     */
    answer?: unknown;
    /** The call fails with this text instead. */
    error?: string;
    /** How often a task is looked at before it is done. Default 0. */
    pendingLooks?: number;
    /** How often this answer is given. Default: always. */
    times?: number;
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
    /** Status of the HTTP answer; 0 when a fault let none out. */
    status: number;
    /** `ok`, or the error code; `unanswered` or `unreadable` when a fault made it so. */
    code: string;
    success: boolean;
    /** Milliseconds of real time. */
    durationMs: number;
    /** Did it set the session's idle timer back? */
    resetsIdleTimer: boolean;
    query: Record<string, unknown>;
    /** The JSON body, without secrets; absent when there was none or it was long. */
    body?: unknown;
    /** The fault that struck it, and what was done all the same. */
    fault?: EmulatorFaultUse;
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
    /** Lets requests fail, to see what a program makes of it. */
    readonly faults: EmulatorFaults;
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
     * @param ms milliseconds, a hundred years at most
     * @throws {AGBError} for any other number
     */
    advance(ms: number): Promise<void>;
    /** The sessions, also those released a while ago, oldest first. */
    sessions(): EmulatorSession[];
    /** The requests answered so far, oldest first. */
    journal(): EmulatorRequest[];
    /**
     * Says what the browser agent answers from now on, in the order in which the answers are tried; none makes it need a
     * model again.
     * @throws {AGBError} for answers that can't be used
     */
    scriptBrowserAgent(answers: EmulatorAgentAnswer[]): void;
    /**
     * Pushes a message to every client that has a WebSocket to the session open: they hear it under the name of `source`.
     *
     * @param source not empty: nobody can listen to that
     * @returns how many these are; none for a session that is unknown or released
     * @throws {AGBError} for what is no message
     */
    push(sessionId: string, source: string, data: Record<string, unknown>): number;
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
type AuthenticationError = AGBError;
/** A file operation failed. */
declare const FileError: typeof AGBError;
type FileError = AGBError;
/** A command failed. */
declare const CommandError: typeof AGBError;
type CommandError = AGBError;
/** A session operation failed. */
declare const SessionError: typeof AGBError;
type SessionError = AGBError;
/** An application operation failed. */
declare const ApplicationError: typeof AGBError;
type ApplicationError = AGBError;
/** A browser operation failed. */
declare const BrowserError: typeof AGBError;
type BrowserError = AGBError;
/** A screen operation failed. */
declare const ScreenError: typeof AGBError;
type ScreenError = AGBError;
/** Clearing a context took longer than allowed. */
declare const ClearanceTimeoutError: typeof AGBError;
type ClearanceTimeoutError = AGBError;
/** A failure of the session's WebSocket. */
declare const WsError: typeof AGBError;
type WsError = AGBError;
/** What came breaks the protocol, or something is missing. */
declare const WsProtocolError: typeof AGBError;
type WsProtocolError = AGBError;
/** The WebSocket could not be opened. */
declare const WsHandshakeRejectedError: typeof AGBError;
type WsHandshakeRejectedError = AGBError;
/** The WebSocket was lost. */
declare const WsConnectionClosedError: typeof AGBError;
type WsConnectionClosedError = AGBError;
/** The service ended a stream with an error. */
declare const WsRemoteError: typeof AGBError;
type WsRemoteError = AGBError;

/** A browser extension that is stored in a context. */
declare class Extension {
    /** The name of its file in the context. */
    id: string;
    /** The name of the local file where it was just stored, else its id. */
    name: string;
    createdAt?: string;
    constructor(id: string, name: string, createdAt?: string);
}
/** Extensions that the browser of a new session shall have: the `extensionOption` of a `BrowserContext`. */
declare class ExtensionOption {
    contextId: string;
    extensionIds: string[];
    /** @throws {Error} for a blank context or no extensions */
    constructor(contextId: string, extensionIds: string[]);
    /** Does it still name a context, and extensions by texts that are not blank? */
    validate(): boolean;
    toString(): string;
    /** One line for people. */
    toDisplayString(): string;
}
/** What the service of extensions needs of an `AGB`. */
interface AGBLikeForExtensions {
    apiKey: string;
    context: ContextService;
}
/**
 * Stores browser extensions in a context, lists, replaces and deletes them.
 *
 * Making one starts to look for the context; the methods wait for it, and try again what has failed.
 */
declare class ExtensionsService {
    #private;
    /**
     * @param contextId the **name** of the context, which is made when there is none; default: `extensions-` and the time
     *   in seconds
     * @throws {AGBError} without an `AGB` that has a context service
     */
    constructor(agb: AGBLikeForExtensions, contextId?: string);
    /** The id of the context; empty until it was found. */
    get contextId(): string;
    /**
     * Lists all extensions in the context.
     *
     * @throws {AGBError} when the context can't be had or listed
     */
    list(): Promise<Extension[]>;
    /**
     * Stores a local ZIP file as a new extension; the file is streamed.
     *
     * @throws {AGBError} for a file that can't be read or is not named `.zip`, and when it can't be stored
     */
    create(localPath: string): Promise<Extension>;
    /**
     * Stores another local ZIP file in the place of an extension, which keeps its id.
     *
     * @throws {AGBError} as {@link create}, and for an id that is not in the context
     */
    update(extensionId: string, newLocalPath: string): Promise<Extension>;
    /**
     * Deletes an extension; false, with a line in the log, when the service does not.
     *
     * @throws {AGBError} when the context can't be had
     */
    delete(extensionId: string): Promise<boolean>;
    /**
     * Deletes the context with all extensions, if this service has made it; one that was there before stays. False, with a
     * line in the log, when the service does not delete it.
     *
     * @throws {AGBError} when the context can't be had
     */
    cleanup(): Promise<boolean>;
    /**
     * The option that gives extensions of the context to the browser of a new session.
     *
     * @throws {Error} before the context was found, and for no extensions
     */
    createExtensionOption(extensionIds: string[]): ExtensionOption;
}

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

/**
 * Takes the fingerprint of a browser on this machine: drives Playwright, which only JavaScript can do. Playwright is
 * the caller's: `playwright` or `playwright-core`, whichever is installed.
 */

/** Makes fingerprints of a browser on this machine, for `BrowserOption.fingerprintFormat`. Nobody else is asked. */
declare class BrowserFingerprintGenerator {
    #private;
    /**
     * `headless` (default false); `useChromeChannel` (default true) takes Google Chrome, else Playwright's Chromium. The
     * browser that `CHROMIUM_PATH` names comes before both.
     */
    constructor(options?: {
        headless?: boolean;
        useChromeChannel?: boolean;
    });
    /** The fingerprint; null when it can't be taken, which is logged as a warning with what to do. */
    generateFingerprint(): Promise<FingerprintFormat | null>;
    /** The same, written to a file as JSON; false when that can't be done. */
    generateFingerprintToFile(outputFilename?: string): Promise<boolean>;
    /** What a page can learn of its browser, for `FingerprintFormat.fromDict`. */
    extractFingerprintData(page: any): Promise<Record<string, unknown>>;
    /** The headers that the page's browser sends when it opens an address; none after any error. */
    extractHeadersData(page: any): Promise<Record<string, string>>;
}

/** What a pool shall be. */
interface SessionPoolOptions {
    /**
     * What its sessions are created with. They are always kept alive, and found again when the answer of their creation gets
     * lost; of `autoKeepAlive` only `at` and `stopIfLoopStalledS` count.
     */
    params: CreateSessionParams | CreateSessionParamsOptions;
    /** How many sessions there are at least, lent ones included. They are created at once. Default 0. */
    min?: number;
    /** How many sessions there are at most. Default 8, or `min` if that is more. */
    max?: number;
    /** How often a session is handed out before it is replaced. Default: as long as it lives. */
    maxUses?: number;
    /** How long `acquire` waits for a session, in milliseconds. Default 30,000. */
    acquireTimeoutMs?: number;
}
/** What is in a pool. */
interface SessionPoolStats {
    /** Sessions that are ready. */
    idle: number;
    /** Sessions that are handed out, or being checked for it. */
    lent: number;
    /** Sessions that are being created, or may still turn up as the answer of their creation got lost. */
    creating: number;
    /** Calls of `acquire` that wait until another session is given back. */
    waiting: number;
}
/**
 * Sessions that are ready when they are needed: kept alive, checked before they are handed out, replaced in time before
 * the end of their maximum lifetime, never more than `max`. The pool does not keep the process running; drain it at the
 * end.
 *
 * ```ts
 * const pool = new SessionPool(agb, { params: { imageId: "agb-code-space-1" }, min: 2, max: 10 });
 * await pool.use((session) => session.code.run("print(6 * 7)", "python"));
 * await pool.drain();
 * ```
 */
declare class SessionPool {
    #private;
    /** @throws {AGBError} for options that can't be used */
    constructor(agb: AGB, options: SessionPoolOptions);
    /**
     * Hands out a session that has just answered: an idle one, else a new one, else the next that is given back, in the
     * order of the calls. `await using session = await pool.acquire()` gives it back at the end of the block. Then it must
     * not be used any more: its methods throw.
     *
     * @param options `signal` stops waiting; no session is lost by it
     * @throws {APIError} when there was none within `acquireTimeoutMs`, or what the service said when none could be made
     * @throws {SessionError} when the pool is drained
     */
    acquire(options?: {
        signal?: AbortSignal;
    }): Promise<Session>;
    /**
     * Does something with a session of the pool, and gives it back on every way out.
     *
     * @param body gets the session; its value is the value of the call
     * @throws as {@link acquire}, and whatever `body` throws
     */
    use<T>(body: (session: Session) => Promise<T> | T, options?: {
        signal?: AbortSignal;
    }): Promise<T>;
    /**
     * Gives a session back that nobody else shall have: it is deleted, and makes room when it is gone. Nothing happens when
     * it was given back already.
     *
     * @throws {AGBError} for a session that is not of this pool
     */
    discard(session: Session): Promise<void>;
    /**
     * Ends the pool: calls of `acquire` reject, those that wait, too; idle sessions are deleted at once, the others when
     * they are given back. Resolves when all are gone: after a minute or more where the answer of a creation got lost, whose
     * session is looked for meanwhile, and deleted when it turns up. May be called again.
     *
     * @throws {APIError} when some could not be deleted; it names them
     */
    drain(): Promise<void>;
    /** What is in the pool now. */
    get stats(): SessionPoolStats;
    /** Drains the pool at the end of an `await using` block. */
    [Symbol.asyncDispose](): Promise<void>;
    toJSON(): Record<string, unknown>;
}

/** The version of this package. */
declare const VERSION: string;
/** The version of this package. */
declare function getSdkVersion(): string;
/** Was this package built for release? */
declare function isReleaseVersion(): boolean;

export { AGB, AGBError, APIError, ApplicationError, ApplicationManager, AuthenticationError, BaseService, Browser, BrowserAgent, BrowserContext, BrowserError, BrowserFingerprintContext, BrowserFingerprintGenerator, BrowserOptionClass, BrowserProxyClass, CallMcpToolRequest, CallMcpToolResponse, ClearContextRequest, ClearContextResponse, ClearanceTimeoutError, Client, Code, Command, CommandError, Computer, Context, ContextManager, ContextService, ContextSync, CreateMcpSessionRequestPersistenceDataList, CreateSessionParams, CreateSessionRequest, CreateSessionResponse, DeleteContextFileRequest, DeleteContextFileResponse, DeleteContextRequest, DeleteContextResponse, DeleteSessionAsyncRequest, DeleteSessionAsyncResponse, DescribeContextFilesRequest, DescribeContextFilesResponse, DownloadStrategy, Emulator, Extension, ExtensionOption, ExtensionsService, FileError, FileSystem, FingerprintFormat, GetAndLoadInternalContextRequest, GetAndLoadInternalContextResponse, GetCdpLinkRequest, GetCdpLinkResponse, GetContextFileDownloadUrlRequest, GetContextFileDownloadUrlResponse, GetContextFileUploadUrlRequest, GetContextFileUploadUrlResponse, GetContextInfoRequest, GetContextInfoResponse, GetContextRequest, GetContextResponse, GetLabelRequest, GetLabelResponse, GetLinkRequest, GetLinkResponse, GetMcpResourceRequest, GetMcpResourceResponse, GetSessionDetailRequest, GetSessionDetailResponse, GetSessionRequest, GetSessionResponse, HTTPClient, InitBrowserRequest, InitBrowserResponse, KeyboardController, Lifecycle, ListContextsRequest, ListContextsResponse, ListMcpToolsRequest, ListMcpToolsResponse, ListSessionRequest, ListSessionResponse, LogLevel, ModifyContextRequest, ModifyContextResponse, MouseButton, MouseController, PushListener, RefreshSessionIdleTimeRequest, RefreshSessionIdleTimeResponse, ReleaseSessionRequest, ReleaseSessionResponse, ScreenController, ScreenError, ScrollDirection, Session, SessionError, SessionHold, SessionPool, SetLabelRequest, SetLabelResponse, SyncContextRequest, SyncContextResponse, UploadMode, UploadStrategy, VERSION, WindowManager, WsConnectionClosedError, WsError, WsHandshakeRejectedError, WsProtocolError, WsRemoteError, defaultConfig, getLogLevel, getSdkVersion, isReleaseVersion, loadConfig, logDebug, logError, logInfo, logWarn, newDeletePolicy, newDownloadPolicy, newExtractPolicy, newRecyclePolicy, newSyncPolicy, newUploadPolicy, setLogLevel, syncPolicyToDict };
export type { AGBOptions, ActOptions, ActResult, ApiResponse, AppOperationResult, BWList, BinaryFileContentResult, BoolResult, Brand, BrowserFingerprint, BrowserOption, BrowserProxy, BrowserProxyStrategy, BrowserProxyType, BrowserScreen, BrowserViewport, ClearContextResult, CodeEvent, CodeStreamOptions, CommandResult, Config, ConfigOptions, ContextData, ContextFileEntry, ContextFileListResult, ContextInfoResult, ContextInfoResultType, ContextListParams, ContextListResult, ContextResult, ContextStatusData, ContextStatusDataType, ContextSyncResult, ContextSyncResultType, CreateMcpSessionRequestPersistenceDataListMap, CreateSessionParamsOptions, CursorPosition, DeletePolicy, DeleteResult, DeletedSession, DescribeContextFilesItem, DirectoryEntry, DirectoryListResult, DownloadPolicy, DownloadResult, EmulatorAgentAnswer, EmulatorFault, EmulatorFaultClose, EmulatorFaultDelay, EmulatorFaultGarbage, EmulatorFaultHalfOpen, EmulatorFaultHandle, EmulatorFaultReset, EmulatorFaultScope, EmulatorFaultSlow, EmulatorFaultStatus, EmulatorFaultTruncate, EmulatorFaultUse, EmulatorFaults, EmulatorIsolation, EmulatorOperation, EmulatorOptions, EmulatorRequest, EmulatorSession, EnhancedCodeExecutionResult, ExecutionError, ExecutionLogs, ExecutionResult, ExpiringEvent, ExtraProperties, ExtractOptions, ExtractPolicy, ExtractResult, FileChangeEvent, FileChangeResult, FileContentResult, FileInfo, FileInfoResult, FileSearchResult, FileUrlResult, Fingerprint, GetAndLoadInternalContextItem, GetContextData, GetSessionData, GetSessionResult, GetSessionSessionData, HttpRequestOptions, HttpResponse, InstalledAppInfo, InstalledAppListResult, KeepAliveFailedEvent, KeepAliveOptions, KeepAliveStatus, LeaseOptions, ListContextsItem, ListSessionItem, LiveSession, MappingPolicy, McpResourceData, McpTool, McpToolResult, McpToolsResult, MountReport, MultipleFileContentResult, NavigatorFingerprint, ObserveOptions, ObserveResult, OpenOptions, OperationResult, ProcessInfo, ProcessListResult, PushMessage, RecreatedEvent, RecyclePolicy, ReleaseOnExitOptions, ReleaseReason, ReleasedEvent, ScreenFingerprint, ScreenSize, ScreenshotResult, SessionData, SessionEvents, SessionLifecycle, SessionLike, SessionListResult, SessionMetrics, SessionMetricsResult, SessionPoolOptions, SessionPoolStats, SessionResult, SessionStatusResult, SyncPolicy, UploadPolicy, UploadResult, UserAgentData, VideoCard, WhiteList, WindowInfo, WindowInfoResult, WindowListResult };
