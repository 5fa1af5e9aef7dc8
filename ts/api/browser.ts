/** Requests and answers of the endpoints of the browser. */

import { EndpointRequest, texts } from "./request";
import { numberOf, StrictResponse, textOf } from "./response";

/** Starts the browser of a session: `POST /browser/init`. */
export class InitBrowserRequest extends EndpointRequest<InitBrowserRequest> {
  declare authorization: string;
  declare sessionId: string;
  /** Where the browser keeps its data, in the session: `/tmp/agb_browser_data`. */
  declare persistentPath: string;
  /** Goes as JSON text; an empty one doesn't. */
  declare browserOption?: Record<string, unknown>;

  override getParams(): Record<string, unknown> {
    const { sessionId, persistentPath } = this;
    const options = this.browserOption ?? {};
    const browserOption = Object.keys(options).length > 0 ? JSON.stringify(options) : undefined;
    return texts({ sessionId, persistentPath, browserOption });
  }
}

/** The browser. */
export class InitBrowserResponse extends StrictResponse {
  getPort(): number | undefined {
    return numberOf(this.dataObject?.port);
  }
}

/** Asks where the browser is driven: `POST /internet/getCdpLink`. */
export class GetCdpLinkRequest extends EndpointRequest<GetCdpLinkRequest> {
  declare sessionId?: string;

  override getParams(): Record<string, unknown> {
    return texts({ sessionId: this.sessionId });
  }
}

/** Where it is driven. */
export class GetCdpLinkResponse extends StrictResponse {
  override getErrorMessage(): string {
    return this.message || super.getErrorMessage();
  }

  /** A WebSocket URL for the Chrome DevTools Protocol. */
  getUrl(): string | undefined {
    return textOf(this.dataObject?.url);
  }
}
