import {
  type GetCdpLinkRequest,
  GetCdpLinkResponse,
  type InitBrowserRequest,
  InitBrowserResponse,
} from "./api/browser";
import {
  type ClearContextRequest,
  ClearContextResponse,
  type DeleteContextRequest,
  DeleteContextResponse,
  type GetAndLoadInternalContextRequest,
  GetAndLoadInternalContextResponse,
  type GetContextInfoRequest,
  GetContextInfoResponse,
  type GetContextRequest,
  GetContextResponse,
  type ListContextsRequest,
  ListContextsResponse,
  type ModifyContextRequest,
  ModifyContextResponse,
  type SyncContextRequest,
  SyncContextResponse,
} from "./api/context";
import {
  type DeleteContextFileRequest,
  DeleteContextFileResponse,
  type DescribeContextFilesRequest,
  DescribeContextFilesResponse,
  type GetContextFileDownloadUrlRequest,
  GetContextFileDownloadUrlResponse,
  type GetContextFileUploadUrlRequest,
  GetContextFileUploadUrlResponse,
} from "./api/context-file";
import {
  type CreateSessionRequest,
  CreateSessionResponse,
  type DeleteSessionAsyncRequest,
  DeleteSessionAsyncResponse,
  type GetLabelRequest,
  GetLabelResponse,
  type GetLinkRequest,
  GetLinkResponse,
  type GetMcpResourceRequest,
  GetMcpResourceResponse,
  type GetSessionDetailRequest,
  GetSessionDetailResponse,
  type GetSessionRequest,
  GetSessionResponse,
  type ListSessionRequest,
  ListSessionResponse,
  type RefreshSessionIdleTimeRequest,
  RefreshSessionIdleTimeResponse,
  type ReleaseSessionRequest,
  ReleaseSessionResponse,
  type SetLabelRequest,
  SetLabelResponse,
} from "./api/session";
import {
  type CallMcpToolRequest,
  CallMcpToolResponse,
  type ListMcpToolsRequest,
  ListMcpToolsResponse,
} from "./api/tool";
import { type Config, loadConfig } from "./config";
import { errorOf } from "./errors";
import type { HttpResponse } from "./http-client";
import { refusal } from "./support/call";
import { jsonOf } from "./support/check";
import { sendHttp } from "./support/http";
import { nativeHttpOf } from "./support/target";

/**
 * The low-level client: one method for each endpoint of the service, which sends what its request says and gives the
 * answer as it came. A failure of the service, and one on the way to it, is an answer; what lacks its authorization or
 * its session id rejects, and nothing is sent.
 */
export class Client {
  /** @internal */
  readonly config: Config;

  /** @param config default: what the environment and `.env` say */
  constructor(config?: Config) {
    this.config = config ?? loadConfig();
  }

  /** Creates a session, and doesn't wait for its mounts. */
  async createMcpSession(request: CreateSessionRequest): Promise<CreateSessionResponse> {
    return new CreateSessionResponse(await call(this, "mcp/createSession", request));
  }

  /** Finds a session. */
  async getMcpSession(request: GetSessionRequest): Promise<GetSessionResponse> {
    return new GetSessionResponse(await call(this, "mcp/getSession", request));
  }

  /** The status of a session; asking doesn't keep it alive. */
  async getSessionDetail(request: GetSessionDetailRequest): Promise<GetSessionDetailResponse> {
    return new GetSessionDetailResponse(await call(this, "mcp/getSessionInfo", request));
  }

  /** Releases a session. */
  async releaseMcpSession(request: ReleaseSessionRequest): Promise<ReleaseSessionResponse> {
    return new ReleaseSessionResponse(await callForSession(this, "mcp/releaseSession", request));
  }

  /** Starts the release of a session, and doesn't wait for its end. */
  async deleteSessionAsync(request: DeleteSessionAsyncRequest): Promise<DeleteSessionAsyncResponse> {
    return new DeleteSessionAsyncResponse(await callForSession(this, "mcp/releaseSessionAsync", request));
  }

  /** Sets the idle timer of a session back. */
  async refreshSessionIdleTime(request: RefreshSessionIdleTimeRequest): Promise<RefreshSessionIdleTimeResponse> {
    return new RefreshSessionIdleTimeResponse(await callForSession(this, "mcp/refreshSessionIdleTime", request));
  }

  /** A page of the sessions. */
  async listSessions(request: ListSessionRequest): Promise<ListSessionResponse> {
    return new ListSessionResponse(await call(this, "sdk/ListSession", request));
  }

  /** Replaces the labels of a session. */
  async setLabel(request: SetLabelRequest): Promise<SetLabelResponse> {
    return new SetLabelResponse(await call(this, "sdk/SetLabel", request));
  }

  /** The labels of a session. */
  async getLabel(request: GetLabelRequest): Promise<GetLabelResponse> {
    return new GetLabelResponse(await call(this, "sdk/GetLabel", request));
  }

  /** Where a session can be seen. */
  async getMcpResource(request: GetMcpResourceRequest): Promise<GetMcpResourceResponse> {
    return new GetMcpResourceResponse(await callForSession(this, "mcp/getMcpResource", request));
  }

  /** A link to a port of a session. */
  async getLink(request: GetLinkRequest): Promise<GetLinkResponse> {
    return new GetLinkResponse(await callForSession(this, "internet/getLink", request));
  }

  /** Where the browser of a session is driven. */
  async getCdpLink(request: GetCdpLinkRequest): Promise<GetCdpLinkResponse> {
    return new GetCdpLinkResponse(await callForSession(this, "internet/getCdpLink", request));
  }

  /** Starts the browser of a session. */
  async initBrowser(request: InitBrowserRequest): Promise<InitBrowserResponse> {
    return new InitBrowserResponse(await call(this, "browser/init", request));
  }

  /**
   * Calls a tool of a session on the API route.
   *
   * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
   * @param connectTimeout how long connecting may take, in milliseconds
   */
  async callMcpTool(
    request: CallMcpToolRequest,
    readTimeout?: number,
    connectTimeout?: number,
  ): Promise<CallMcpToolResponse> {
    return new CallMcpToolResponse(await call(this, "mcp", request, readTimeout, connectTimeout));
  }

  /** The tools of an image. */
  async listMcpTools(request: ListMcpToolsRequest): Promise<ListMcpToolsResponse> {
    return new ListMcpToolsResponse(await call(this, "mcp/listTools", request));
  }

  /** A page of the contexts. */
  async listContexts(request: ListContextsRequest): Promise<ListContextsResponse> {
    return new ListContextsResponse(await call(this, "sdk/ListContexts", request));
  }

  /** Finds a context, or makes it. */
  async getContext(request: GetContextRequest): Promise<GetContextResponse> {
    return new GetContextResponse(await call(this, "sdk/GetContext", request));
  }

  /** Gives a context another name. */
  async modifyContext(request: ModifyContextRequest): Promise<ModifyContextResponse> {
    return new ModifyContextResponse(await call(this, "sdk/ModifyContext", request));
  }

  /** Deletes a context. */
  async deleteContext(request: DeleteContextRequest): Promise<DeleteContextResponse> {
    return new DeleteContextResponse(await call(this, "sdk/DeleteContext", request));
  }

  /** Starts to delete everything in a context. */
  async clearContext(request: ClearContextRequest): Promise<ClearContextResponse> {
    return new ClearContextResponse(await call(this, "sdk/ClearContext", request));
  }

  /** Starts to synchronise the mounts of a session. */
  async syncContext(request: SyncContextRequest): Promise<SyncContextResponse> {
    return new SyncContextResponse(await call(this, "sdk/SyncContext", request));
  }

  /** How far the mounts of a session are. */
  async getContextInfo(request: GetContextInfoRequest): Promise<GetContextInfoResponse> {
    return new GetContextInfoResponse(await call(this, "sdk/GetContextInfo", request));
  }

  /** A URL to read a file of a context. */
  async getContextFileDownloadUrl(
    request: GetContextFileDownloadUrlRequest,
  ): Promise<GetContextFileDownloadUrlResponse> {
    return new GetContextFileDownloadUrlResponse(await call(this, "sdk/GetContextFileDownloadUrl", request));
  }

  /** A URL to write a file of a context. */
  async getContextFileUploadUrl(request: GetContextFileUploadUrlRequest): Promise<GetContextFileUploadUrlResponse> {
    return new GetContextFileUploadUrlResponse(await call(this, "sdk/GetContextFileUploadUrl", request));
  }

  /** Deletes a file of a context. */
  async deleteContextFile(request: DeleteContextFileRequest): Promise<DeleteContextFileResponse> {
    return new DeleteContextFileResponse(await call(this, "sdk/DeleteContextFile", request));
  }

  /** A page of the files in a folder of a context. */
  async describeContextFiles(request: DescribeContextFilesRequest): Promise<DescribeContextFilesResponse> {
    return new DescribeContextFilesResponse(await call(this, "sdk/DescribeContextFiles", request));
  }

  /** The contexts that the service keeps for itself. */
  async getAndLoadInternalContext(
    request: GetAndLoadInternalContextRequest,
  ): Promise<GetAndLoadInternalContextResponse> {
    return new GetAndLoadInternalContextResponse(await call(this, "sdk/GetAndLoadInternalContext", request));
  }

  /** Nothing to close: connections that nobody uses end by themselves, and none keeps the process alive. */
  close(): void {}
}

/** What the request of any method has. */
interface AnyRequest {
  authorization?: string;
  sessionId?: string;
  getBody(): Record<string, unknown>;
  getParams(): Record<string, unknown>;
}

/** Sends a request to one of the service's endpoints, whose method the native client knows. */
async function call(
  client: Client,
  endpoint: string,
  request: AnyRequest,
  readTimeout?: number,
  connectTimeout?: number,
): Promise<HttpResponse> {
  if (!request?.authorization) throw errorOf(refusal("authorization is required"));
  const json = jsonOf(request.getBody());
  if ("fault" in json) throw errorOf(refusal(`the body can't be written as JSON: ${json.fault}`));
  return sendHttp(nativeHttpOf(client), {
    endpoint,
    authorization: request.authorization,
    headers: {},
    params: request.getParams(),
    body: json.text,
    readTimeout,
    connectTimeout,
  });
}

/** The same, for an endpoint that makes no sense without a session. */
async function callForSession(client: Client, endpoint: string, request: AnyRequest): Promise<HttpResponse> {
  if (request?.authorization && !request.sessionId) throw errorOf(refusal("session_id is required"));
  return call(client, endpoint, request);
}
