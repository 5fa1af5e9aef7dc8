/**
 * Requests that no other method knows: the caller says method, path, query, headers and body, and gets the answer as it
 * came.
 */

import type { Config } from "./config";
import { AGBError, errorOf } from "./errors";
import type { NativeHttpClient } from "./native";
import { refusal } from "./support/call";
import { jsonOf, kindOf, notText } from "./support/check";
import { type HttpBody, openHttp, sendHttp } from "./support/http";

/** What came of a request. There is always one, whatever the status was. */
export interface HttpResponse {
  /** Status of the answer; 0 where there was none: then `text` says why. */
  statusCode: number;
  /** Where the request went, with its query. */
  url: string;
  /** The headers of the answer, names in lower case. */
  headers: Record<string, string>;
  /** Is there an answer with a status below 400? A redirect, which is not followed, is none. */
  success: boolean;
  /** What the answer holds, where that is a JSON object or array. */
  json?: Record<string, unknown> | null;
  /** What the answer holds, where that is no JSON. */
  text?: string;
  /** The service's request id, or an empty text. */
  requestId: string;
  /** How often the request was sent. */
  readonly attempts?: number;
  /** May the same request succeed when it is sent again? */
  readonly retryable?: boolean;
}

/** One request of an `HTTPClient`. */
export interface HttpRequestOptions {
  method: string;
  /** The path below the endpoint of the configuration. */
  endpoint: string;
  /** These replace the headers that are sent otherwise. */
  headers?: Record<string, string>;
  /** The query. What is absent or `null` is left out; objects and lists go as JSON. */
  params?: Record<string, unknown>;
  /** The body, as JSON. */
  jsonData?: Record<string, unknown>;
  /** The body, where there is no `jsonData`: text, bytes, `URLSearchParams`, or anything else as JSON. */
  data?: unknown;
  /** How long the call may take, in milliseconds. Default: the configured time-out. */
  readTimeout?: number;
  /** How long connecting may take, in milliseconds. Default: 10,000. */
  connectTimeout?: number;
}

/** Sends requests to the service, or to anything else that speaks HTTP. */
export class HTTPClient {
  static #defaultConfig: Config | null = null;

  readonly #authorization: string;
  readonly #native: NativeHttpClient;

  /** The configuration of clients that are made without one. */
  static setDefaultConfig(config: Config): void {
    HTTPClient.#defaultConfig = config;
  }

  /** What {@link setDefaultConfig} was given; `null` before. */
  static getDefaultConfig(): Config | null {
    return HTTPClient.#defaultConfig;
  }

  /**
   * @param apiKey the value of the header `authorization`; a key alone gets `Bearer` in front. Without it no such header
   *   is sent
   * @param cfg default: what {@link setDefaultConfig} was given
   * @throws {AGBError} when there is no configuration, or it can't be used
   */
  constructor(apiKey = "", cfg?: Config) {
    const config = cfg ?? HTTPClient.#defaultConfig;
    if (!config) throw new AGBError("No configuration provided and no default config set", { kind: "Config" });
    if (!config.endpoint) throw new AGBError("baseUrl cannot be empty", { kind: "Config" });
    refuse(notText({ apiKey: apiKey ?? "" }));
    this.#authorization = apiKey ?? "";
    this.#native = openHttp(config);
  }

  /**
   * Sends a request and takes the whole answer. A failure is an answer like any other: no status rejects, and where
   * nothing came back `statusCode` is 0.
   *
   * @throws {AGBError} when the request can't be sent as it is; nothing was sent then
   */
  async makeRequest(options: HttpRequestOptions): Promise<HttpResponse> {
    const { method, endpoint, headers, params, jsonData, data, readTimeout, connectTimeout } = options ?? {};
    refuse(notText({ method, endpoint }));
    return sendHttp(this.#native, {
      method,
      endpoint,
      authorization: this.#authorization,
      headers: membersOf("headers", headers),
      params: membersOf("params", params),
      body: bodyOf(jsonData, data),
      readTimeout,
      connectTimeout,
    });
  }

  /** Nothing to close: connections that nobody uses end by themselves, and none keeps the process alive. */
  close(): void {}
}

function refuse(fault: string | undefined): void {
  if (fault) throw errorOf(refusal(fault));
}

function membersOf(name: string, value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) refuse(`${name} must be an object, got ${kindOf(value)}`);
  return value as Record<string, unknown>;
}

/** The body of a request: JSON comes first. */
function bodyOf(jsonData: unknown, data: unknown): HttpBody | undefined {
  const value = jsonData ?? data;
  if (value === undefined || value === null) return undefined;
  if (value === data) {
    if (typeof value === "string") return value;
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (value instanceof URLSearchParams) return value.toString();
  }
  const json = jsonOf(value);
  if ("fault" in json) refuse(`the body can't be written as JSON: ${json.fault}`);
  return (json as { text: string }).text;
}
