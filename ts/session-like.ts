import type { McpTool } from "./types";

/** What a service needs of a session; a `Session` is one, and so is any object with these members. */
export interface SessionLike {
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
