/** Requests and answers of the endpoints of sessions, with labels, resources and links. */

import { EndpointRequest, given, texts } from "./request";
import { ExplainedResponse, ListResponse, type Members, numberOf, StrictResponse, textOf, textsOf } from "./response";

/** A mount as it is sent. */
export interface CreateMcpSessionRequestPersistenceDataListMap {
  contextId: string;
  path: string;
  policy: string;
}

/** A context that a new session mounts. */
export class CreateMcpSessionRequestPersistenceDataList {
  contextId?: string;
  /** Where, in the session. */
  path?: string;
  /** JSON text. */
  policy?: string;

  constructor(fields: { contextId?: string; path?: string; policy?: string } = {}) {
    this.contextId = fields.contextId;
    this.path = fields.path;
    this.policy = fields.policy;
  }

  toMap(): CreateMcpSessionRequestPersistenceDataListMap {
    return { contextId: this.contextId ?? "", path: this.path ?? "", policy: this.policy ?? "" };
  }
}

/** Creates a session: `POST /mcp/createSession`. */
export class CreateSessionRequest extends EndpointRequest<CreateSessionRequest> {
  declare authorization: string;
  declare imageId: string;
  declare sessionId?: string;
  declare contextId?: string;
  /** JSON text of an object of texts. */
  declare labels?: string;
  declare mcpPolicyId?: string;
  declare persistenceDataList?: CreateMcpSessionRequestPersistenceDataList[];
  /** Who is asking: goes as JSON text. */
  declare sdkStats?: Record<string, unknown>;
  /** Seconds without activity after which the session is released. */
  declare timeout?: number;

  override getBody(): Record<string, unknown> {
    const { sessionId, contextId, labels, mcpPolicyId, timeout } = this;
    const mounts = this.persistenceDataList ?? [];
    return {
      ...given({ sessionId }),
      ...(mounts.length > 0 && { persistenceDataList: mounts.map((mount) => mount.toMap()) }),
      ...given({ contextId }),
      ...texts({ labels }),
      ...given({ mcpPolicyId }),
      ...(timeout !== undefined && { timeout }),
    };
  }

  override getParams(): Record<string, unknown> {
    return { ...given({ imageId: this.imageId }), ...(this.sdkStats && { sdkStats: JSON.stringify(this.sdkStats) }) };
  }
}

/** What the service says of a new session. */
export interface SessionData {
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
export class CreateSessionResponse extends ExplainedResponse {
  override getErrorMessage(): string {
    return this.text || textOf(this.dataObject?.errMsg) || super.getErrorMessage();
  }

  getData(): SessionData | undefined {
    const data = this.dataObject;
    if (!data) return undefined;
    const success = typeof data.success === "boolean" ? { success: data.success } : {};
    return {
      ...textsOf(data, [...SESSION_TEXTS, "errMsg", "networkInterfaceIp", "taskId"]),
      ...toolList(data),
      ...success,
    };
  }

  getSessionId(): string | undefined {
    return this.getData()?.sessionId;
  }

  getResourceUrl(): string | undefined {
    return this.getData()?.resourceUrl;
  }
}

const SESSION_TEXTS = ["sessionId", "appInstanceId", "resourceId", "resourceUrl", "linkUrl", "wsUrl", "token"] as const;

/** The list of tools as JSON text, also where it came as a list. */
function toolList(data: Members): { toolList?: string } {
  const { toolList } = textsOf(data, ["toolList"]);
  if (toolList !== undefined) return { toolList };
  return Array.isArray(data.toolList) ? { toolList: JSON.stringify(data.toolList) } : {};
}

/** A request of which the session is all there is to say. */
abstract class SessionBodyRequest<Self> extends EndpointRequest<Self> {
  declare sessionId?: string;

  override getBody(): Record<string, unknown> {
    return given({ sessionId: this.sessionId });
  }
}

/** Finds a session: `POST /mcp/getSession`. */
export class GetSessionRequest extends SessionBodyRequest<GetSessionRequest> {
  declare authorization: string;
}

/** What the service says of a session. */
export interface GetSessionSessionData {
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
export class GetSessionResponse extends ExplainedResponse {
  getData(): GetSessionSessionData | undefined {
    const data = this.dataObject;
    return data && { ...textsOf(data, [...SESSION_TEXTS, "status"]), ...toolList(data) };
  }

  getSessionId(): string | undefined {
    return this.getData()?.sessionId;
  }

  getResourceUrl(): string | undefined {
    return this.getData()?.resourceUrl;
  }
}

/** Asks for a session's status, which does not keep it alive: `POST /mcp/getSessionInfo`. */
export class GetSessionDetailRequest extends SessionBodyRequest<GetSessionDetailRequest> {
  declare authorization: string;
}

/** The status. */
export class GetSessionDetailResponse extends ExplainedResponse {
  /** The status on the wire, `RUNNING` while the session lives; empty where there is none. */
  getStatus(): string {
    return textsOf(this.dataObject ?? {}, ["status"]).status ?? "";
  }
}

/** Releases a session: `POST /mcp/releaseSession`. */
export class ReleaseSessionRequest extends SessionBodyRequest<ReleaseSessionRequest> {
  declare authorization: string;
  declare sessionId: string;
}

/** Was it released? */
export class ReleaseSessionResponse extends StrictResponse {}

/** Starts the release of a session: `POST /mcp/releaseSessionAsync`. */
export class DeleteSessionAsyncRequest extends SessionBodyRequest<DeleteSessionAsyncRequest> {
  declare authorization: string;
  declare sessionId: string;
}

/** Was the release begun? */
export class DeleteSessionAsyncResponse extends StrictResponse {}

/** Sets a session's idle timer back: `POST /mcp/refreshSessionIdleTime`. */
export class RefreshSessionIdleTimeRequest extends EndpointRequest<RefreshSessionIdleTimeRequest> {
  declare authorization: string;
  declare sessionId: string;

  override getParams(): Record<string, unknown> {
    return texts({ sessionId: this.sessionId });
  }
}

/** Was it set back? */
export class RefreshSessionIdleTimeResponse extends StrictResponse {
  getData(): unknown {
    return this.data;
  }
}

/** Lists sessions, a page at a time: `GET /sdk/ListSession`. */
export class ListSessionRequest extends EndpointRequest<ListSessionRequest> {
  declare authorization: string;
  declare maxResults?: number;
  declare nextToken?: string;
  /** JSON text of an object: only sessions that carry all of these. */
  declare labels?: string;
  declare isAll?: boolean;

  override getParams(): Record<string, unknown> {
    const { maxResults, nextToken, labels, isAll } = this;
    return { ...texts({ maxResults }), ...given({ nextToken }), ...texts({ labels, isAll }) };
  }
}

/** A session of a list. */
export interface ListSessionItem {
  sessionId?: string;
  sessionStatus?: string;
}

/** A page of sessions. */
export class ListSessionResponse extends ListResponse {
  getSessionData(): ListSessionItem[] {
    return this.dataItems.map((item) => textsOf(item, ["sessionId", "sessionStatus"]));
  }

  getNextToken(): string | undefined {
    return textOf(this.member("nextToken"));
  }

  getMaxResults(): number | undefined {
    return numberOf(this.member("maxResults"));
  }

  getCount(): number | undefined {
    return numberOf(this.member("count"));
  }
}

/** Replaces the labels of a session: `POST /sdk/SetLabel`. */
export class SetLabelRequest extends EndpointRequest<SetLabelRequest> {
  declare authorization: string;
  declare sessionId?: string;
  /** JSON text of an object of texts. */
  declare labels?: string;

  override getParams(): Record<string, unknown> {
    return texts({ sessionId: this.sessionId, Labels: this.labels });
  }
}

/** Were they replaced? */
export class SetLabelResponse extends ExplainedResponse {}

/** Asks for the labels of a session: `GET /sdk/GetLabel`. */
export class GetLabelRequest extends EndpointRequest<GetLabelRequest> {
  declare authorization: string;
  declare sessionId?: string;
  declare maxResults?: number;
  declare nextToken?: string;

  override getParams(): Record<string, unknown> {
    const { sessionId, maxResults, nextToken } = this;
    return { ...texts({ sessionId, maxResults }), ...given({ nextToken }) };
  }
}

/** The labels. */
export class GetLabelResponse extends ExplainedResponse {
  /** As the service has them: JSON text of an object. */
  getLabelsData(): unknown {
    return this.dataObject?.labels;
  }

  getNextToken(): string | undefined {
    return textOf(this.dataObject?.nextToken);
  }

  getMaxResults(): number | undefined {
    return numberOf(this.dataObject?.maxResults);
  }

  getCount(): number | undefined {
    return numberOf(this.dataObject?.count);
  }
}

/** Asks where a session can be seen: `POST /mcp/getMcpResource`. */
export class GetMcpResourceRequest extends SessionBodyRequest<GetMcpResourceRequest> {
  declare sessionId: string;
}

/** Where a session can be seen. */
export interface McpResourceData {
  desktopInfo?: unknown;
  /** With an access code; lives 30 minutes. */
  resourceUrl?: string;
  sessionId?: string;
}

/** The resource. */
export class GetMcpResourceResponse extends ExplainedResponse {
  getResourceData(): McpResourceData | undefined {
    const data = this.dataObject;
    if (!data) return undefined;
    const desktop = data.desktopInfo === undefined ? {} : { desktopInfo: data.desktopInfo };
    return { ...textsOf(data, ["sessionId", "resourceUrl"]), ...desktop };
  }

  getResourceUrl(): string | undefined {
    return this.getResourceData()?.resourceUrl;
  }
}

/** Asks for a link to a port of a session: `GET /internet/getLink`. */
export class GetLinkRequest extends EndpointRequest<GetLinkRequest> {
  declare sessionId?: string;
  /** `https` or `wss`. */
  declare protocolType?: string;
  declare port?: number;

  override getParams(): Record<string, unknown> {
    const { sessionId, protocolType, port } = this;
    return { ...texts({ sessionId }), ...given({ protocolType }), ...texts({ port }) };
  }
}

/** The link. */
export class GetLinkResponse extends StrictResponse {
  getUrl(): string | undefined {
    return textOf(this.dataObject?.url);
  }
}
