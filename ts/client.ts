import { type Config, loadConfig } from "./config";
import { defineUnavailable } from "./support/unavailable";

/**
 * The low-level client of an `AGB`. In this version it only tells its configuration; the methods that send one request
 * each are not there yet and say so.
 */
export class Client {
  /** @internal */
  readonly config: Config;

  constructor(config?: Config) {
    this.config = config ?? loadConfig();
    defineUnavailable(this, "client", [
      "callMcpTool",
      "clearContext",
      "createMcpSession",
      "deleteContext",
      "deleteContextFile",
      "deleteSessionAsync",
      "describeContextFiles",
      "getAndLoadInternalContext",
      "getCdpLink",
      "getContext",
      "getContextFileDownloadUrl",
      "getContextFileUploadUrl",
      "getContextInfo",
      "getLabel",
      "getLink",
      "getMcpResource",
      "getMcpSession",
      "getSessionDetail",
      "initBrowser",
      "listContexts",
      "listMcpTools",
      "listSessions",
      "modifyContext",
      "refreshSessionIdleTime",
      "releaseMcpSession",
      "setLabel",
      "syncContext",
    ]);
  }

  /** Nothing to close: connections are kept by the native client and end with the process. */
  close(): void {}
}
