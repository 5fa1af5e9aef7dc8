import { BaseService } from "../../base-service";
import type { SessionLike } from "../../session-like";
import { defineUnavailable } from "../../support/unavailable";

/** A session's browser. Not in this version yet: every use says so. */
export class Browser extends BaseService {
  constructor(session: SessionLike) {
    super(session);
    defineUnavailable(this, "session.browser", [
      "agent",
      "destroy",
      "getEndpointUrl",
      "getOption",
      "initialize",
      "initializeAsync",
      "isInitialized",
      "screenshot",
    ]);
  }
}
