import type { SessionLike } from "./session-like";
import { failed, isFailure, present, refused } from "./support/call";
import { jsonOf, notObject, notText, optionalNumber } from "./support/check";
import { targetOf } from "./support/target";
import type { McpToolResult, OperationResult } from "./types";

/** Calls a tool of a session by name; time-outs in milliseconds. */
export async function callTool(
  session: SessionLike,
  name: string,
  args: Record<string, unknown>,
  readTimeout?: number,
  connectTimeout?: number,
): Promise<McpToolResult> {
  const fault = notText({ name }) ?? notObject({ args });
  if (fault) return refused(fault, {});
  const json = jsonOf(args ?? {});
  if ("fault" in json) return refused(`Failed to call MCP tool ${name}: ${json.fault}`, { data: "" });
  const { native, route } = targetOf(session);
  const outcome = await native.callTool(
    route,
    name,
    json.text,
    optionalNumber(readTimeout),
    optionalNumber(connectTimeout),
  );
  if (isFailure(outcome)) return failed(outcome, {});
  return present({ requestId: outcome.requestId, success: true, data: outcome.data });
}

/** Base of the modules of a session: anything that calls tools. */
export class BaseService {
  /** @internal */
  protected readonly session: SessionLike;

  constructor(session: SessionLike) {
    this.session = session;
    // The surface shows only what a module does; the session behind it is not one of its own keys.
    Object.defineProperty(this, "session", { enumerable: false });
  }

  /**
   * Calls a tool of the session by name.
   *
   * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
   * @param connectTimeout how long connecting may take, in milliseconds
   */
  async callMcpTool(
    name: string,
    args: Record<string, unknown>,
    readTimeout?: number,
    connectTimeout?: number,
  ): Promise<OperationResult> {
    return callTool(this.session, name, args, readTimeout, connectTimeout);
  }

  toJSON(): Record<string, unknown> {
    return { sessionId: this.session.getSessionId() };
  }
}
