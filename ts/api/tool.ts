/** Requests and answers of the endpoints of tools. */

import { EndpointRequest, given, texts } from "./request";
import { EndpointResponse, type Members, textOf } from "./response";

/** Calls a tool of a session: `POST /mcp`. */
export class CallMcpToolRequest extends EndpointRequest<CallMcpToolRequest> {
  declare sessionId?: string;
  /** The tool. */
  declare name?: string;
  /** Its arguments, or their JSON text. */
  declare args?: string | Record<string, unknown>;
  declare imageId?: string;
  declare server?: string;

  override getBody(): Record<string, unknown> {
    const { args, sessionId, name, server } = this;
    const text = typeof args === "string" ? args : JSON.stringify(args ?? undefined);
    return { ...texts({ args: text }), ...given({ sessionId, name, server }) };
  }

  override getParams(): Record<string, unknown> {
    return { autoGenSession: "false", ...given({ imageId: this.imageId }) };
  }
}

/** What the tool gave. */
export class CallMcpToolResponse extends EndpointResponse {
  override isSuccessful(): boolean {
    return this.statusCode === 200 && super.isSuccessful() && this.#hasWorked;
  }

  /** What the tool itself says of its failure comes before what the service says. */
  getErrorMessage(): string | undefined {
    const toolText = this.#hasWorked ? undefined : this.getToolResult();
    return this.text || toolText || this.message || undefined;
  }

  /** All texts of the result; where there is none, the first other content. */
  getToolResult(): string | undefined {
    const content = this.dataObject?.content;
    if (!Array.isArray(content)) return undefined;
    const texts = content.filter((item) => item?.type === "text").map((item) => textOf(item.text) ?? "");
    return texts.length > 0 ? texts.join("\n") : firstText(content[0] ?? {});
  }

  get #hasWorked(): boolean {
    return this.hasEnvelope && !this.dataObject?.isError;
  }
}

function firstText({ text, blob, data }: Members): string | undefined {
  return [text, blob, data].find((value): value is string => typeof value === "string" && value !== "");
}

/** Lists the tools of an image: `POST /mcp/listTools`. */
export class ListMcpToolsRequest extends EndpointRequest<ListMcpToolsRequest> {
  declare imageId: string;

  override getParams(): Record<string, unknown> {
    return texts({ imageId: this.imageId });
  }
}

/** The tools. */
export class ListMcpToolsResponse extends EndpointResponse {
  override isSuccessful(): boolean {
    return this.statusCode === 200 && super.isSuccessful();
  }

  getErrorMessage(): string | undefined {
    if (this.text) return this.text;
    if (!this.member("success")) return this.message || "API request failed";
    if (!this.dataObject?.isError) return undefined;
    return textOf(this.dataObject.errMsg) ?? "Tool execution failed";
  }

  /** JSON text of a list; absent where there is none. */
  getToolsList(): string | undefined {
    return typeof this.data === "string" && this.data !== "" ? this.data : undefined;
  }
}
