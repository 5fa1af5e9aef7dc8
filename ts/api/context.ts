/** Requests and answers of the endpoints of contexts. */

import { EndpointRequest, given, texts } from "./request";
import { ExplainedResponse, ListResponse, numberOf, textOf, textsOf } from "./response";

/** Lists contexts, a page at a time: `GET /sdk/ListContexts`. */
export class ListContextsRequest extends EndpointRequest<ListContextsRequest> {
  declare authorization: string;
  declare maxResults?: number;
  declare nextToken?: string;

  override getParams(): Record<string, unknown> {
    return { ...texts({ maxResults: this.maxResults }), ...given({ nextToken: this.nextToken }) };
  }
}

/** A context of a list. */
export interface ListContextsItem {
  createTime?: string;
  id?: string;
  lastUsedTime?: string;
  name?: string;
}

/** A page of contexts. What tells of other pages stands in the data or beside it. */
export class ListContextsResponse extends ListResponse {
  getContextsData(): ListContextsItem[] {
    return this.dataItems.map((item) => textsOf(item, ["id", "name", "createTime", "lastUsedTime"]));
  }

  getNextToken(): string | undefined {
    return textOf(this.dataObject?.nextToken ?? this.member("nextToken"));
  }

  getMaxResults(): number | undefined {
    return numberOf(this.dataObject?.maxResults ?? this.member("maxResults"));
  }

  getTotalCount(): number | undefined {
    return numberOf(this.dataObject?.totalCount ?? this.member("totalCount") ?? this.member("count"));
  }
}

/** Finds a context by id or name: `GET /sdk/GetContext`. */
export class GetContextRequest extends EndpointRequest<GetContextRequest> {
  declare authorization: string;
  declare id?: string;
  declare name?: string;
  /** Where the service looks; its default is `cn-hangzhou`. */
  declare loginRegionId?: string;
  /** Make it when there is none of that name. */
  declare allowCreate: boolean;

  override getParams(): Record<string, unknown> {
    const { id, name, loginRegionId, allowCreate } = this;
    return { ...given({ id, name, loginRegionId }), allowCreate: String(Boolean(allowCreate)) };
  }
}

/** A context. */
export interface GetContextData {
  createTime?: string;
  id?: string;
  lastUsedTime?: string;
  name?: string;
  /** `available`, `clearing` or `pre-available`. */
  state?: string;
}

/** The context. */
export class GetContextResponse extends ExplainedResponse {
  getContextData(): GetContextData | undefined {
    return this.dataObject && textsOf(this.dataObject, ["id", "name", "state", "createTime", "lastUsedTime"]);
  }
}

/** Gives a context another name: `POST /sdk/ModifyContext`. */
export class ModifyContextRequest extends EndpointRequest<ModifyContextRequest> {
  declare authorization: string;
  declare id: string;
  declare name: string;

  override getParams(): Record<string, unknown> {
    return texts({ id: this.id, name: this.name });
  }
}

/** Was it renamed? */
export class ModifyContextResponse extends ExplainedResponse {}

/** A request of which the context is all there is to say. */
abstract class ContextIdRequest<Self> extends EndpointRequest<Self> {
  declare authorization: string;
  declare id: string;

  override getParams(): Record<string, unknown> {
    return texts({ id: this.id });
  }
}

/** Deletes a context: `POST /sdk/DeleteContext`. */
export class DeleteContextRequest extends ContextIdRequest<DeleteContextRequest> {}

/** Was it deleted? */
export class DeleteContextResponse extends ExplainedResponse {}

/** Starts to delete everything in a context: `POST /sdk/ClearContext`. */
export class ClearContextRequest extends ContextIdRequest<ClearContextRequest> {}

/** Was that begun? */
export class ClearContextResponse extends ExplainedResponse {}

/** Synchronises the mounts of a session: `POST /sdk/SyncContext`. */
export class SyncContextRequest extends EndpointRequest<SyncContextRequest> {
  declare authorization: string;
  declare sessionId: string;
  declare contextId?: string;
  declare path?: string;
  /** `upload` or `download`. */
  declare mode?: string;

  override getParams(): Record<string, unknown> {
    const { sessionId, contextId, path, mode } = this;
    return given({ sessionId, contextId, path, mode });
  }
}

/** Was that begun? */
export class SyncContextResponse extends ExplainedResponse {}

/** Asks how far the mounts of a session are: `GET /sdk/GetContextInfo`. */
export class GetContextInfoRequest extends EndpointRequest<GetContextInfoRequest> {
  declare authorization: string;
  declare sessionId: string;
  declare contextId?: string;
  declare path?: string;
  /** `upload` or `download`. */
  declare taskType?: string;

  override getParams(): Record<string, unknown> {
    const { sessionId, contextId, path, taskType } = this;
    return given({ sessionId, contextId, path, taskType });
  }
}

/** How far the mounts are. */
export class GetContextInfoResponse extends ExplainedResponse {
  /** As the service has it: JSON text of a list. */
  getContextStatus(): unknown {
    return this.dataObject?.contextStatus;
  }
}

/** Asks for the context that files are transferred through: `POST /sdk/GetAndLoadInternalContext`. */
export class GetAndLoadInternalContextRequest extends EndpointRequest<GetAndLoadInternalContextRequest> {
  declare authorization: string;
  declare sessionId: string;
  /** `file_transfer` is the one that is known. */
  declare contextTypes?: string[];

  override getParams(): Record<string, unknown> {
    const types = this.contextTypes ?? [];
    return given({ sessionId: this.sessionId, contextTypes: types.length > 0 ? JSON.stringify(types) : undefined });
  }
}

/** A context that the service keeps for itself. */
export interface GetAndLoadInternalContextItem {
  contextId?: string;
  contextPath?: string;
  contextType?: string;
}

/** These contexts. */
export class GetAndLoadInternalContextResponse extends ExplainedResponse {
  getContextList(): GetAndLoadInternalContextItem[] {
    return this.dataItems.map((item) => textsOf(item, ["contextId", "contextType", "contextPath"]));
  }
}
