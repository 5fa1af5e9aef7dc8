import { defineUnavailable } from "./support/unavailable";

/** Persistent storage that sessions mount. Not in this version yet: every use says so. */
export class ContextService {
  constructor() {
    defineUnavailable(this, "agb.context", [
      "clear",
      "clearAsync",
      "create",
      "delete",
      "deleteFile",
      "get",
      "getClearStatus",
      "getFileDownloadUrl",
      "getFileUploadUrl",
      "list",
      "listFiles",
      "update",
    ]);
  }

  toJSON(): Record<string, unknown> {
    return { type: "ContextService" };
  }
}
