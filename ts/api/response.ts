import type { HttpResponse } from "../http-client";

/** How much of an answer that is no JSON an error message shows. */
const EXCERPT_CHARS = 200;
/** What a failure is called that nobody explains. */
export const UNKNOWN = "Unknown error";

/** An object of any members. */
export type Members = Record<string, unknown>;

/**
 * What all answers have. The rules of success and of the error's text differ between endpoints, as in the reference
 * (docs/protocol.md, section "Low-level requests").
 */
export class EndpointResponse {
  /** The service's request id, or an empty text. */
  readonly requestId: string;
  /** Status of the HTTP answer; 0 where there was none. */
  readonly statusCode: number;
  /** The service's code: `ok`, an error code, or absent. */
  readonly code?: string;
  /** The status as the envelope repeats it. */
  readonly httpStatusCode?: number;

  readonly #envelope: Members | undefined;
  readonly #text: string;

  constructor(record: HttpResponse) {
    this.#envelope = record.json === null || record.json === undefined ? undefined : envelopeOf(record.json);
    this.#text = excerpt(record.text ?? "");
    this.statusCode = record.statusCode;
    this.requestId = record.requestId || (textOf(this.member("requestId")) ?? "");
    this.code = textOf(this.member("code"));
    this.httpStatusCode = numberOf(this.member("httpStatusCode"));
  }

  isSuccessful(): boolean {
    return this.statusCode < 400 && this.member("success") === true;
  }

  getRequestId(): string {
    return this.requestId;
  }

  /** A member of the envelope; some endpoints spell it with a capital. @internal */
  protected member(name: string): unknown {
    return eitherCase(this.#envelope ?? {}, name);
  }

  /** The beginning of what came instead of JSON, or why nothing came. @internal */
  protected get text(): string {
    return this.#text;
  }

  /** What the envelope says. @internal */
  protected get message(): string {
    return textOf(this.member("message")) ?? "";
  }

  /** Did an envelope come at all? @internal */
  protected get hasEnvelope(): boolean {
    return this.#envelope !== undefined;
  }

  /** The data of the envelope. @internal */
  protected get data(): unknown {
    return this.member("data");
  }

  /** The data, where it is an object. @internal */
  protected get dataObject(): Members | undefined {
    return isObject(this.data) ? this.data : undefined;
  }

  /** The objects of the data, where it is a list. @internal */
  protected get dataItems(): Members[] {
    return Array.isArray(this.data) ? this.data.filter(isObject) : [];
  }
}

/** The answer of an endpoint whose failures always have a text. */
export class ExplainedResponse extends EndpointResponse {
  getErrorMessage(): string {
    return this.text || this.message || UNKNOWN;
  }
}

/** The answer of an endpoint of which status 200 alone is a success. */
export class StrictResponse extends ExplainedResponse {
  override isSuccessful(): boolean {
    return this.statusCode === 200 && super.isSuccessful();
  }
}

/** The answer of a list: where the service says nothing, the status does. */
export class ListResponse extends StrictResponse {
  override getErrorMessage(): string {
    const unanswered = this.statusCode === 0 ? this.text : "";
    return this.message || unanswered || `HTTP ${this.statusCode} error`;
  }
}

/** The members of those names, where they are texts. */
export function textsOf<Name extends string>(members: Members, names: readonly Name[]): { [Key in Name]?: string } {
  const found = names.map((name) => [name, textOf(eitherCase(members, name))] as const);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined)) as { [Key in Name]?: string };
}

/** A text; a number counts as one. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value : undefined;
}

/** A number; the text of one counts. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Some answers wrap the envelope in `body`. */
function envelopeOf(json: Members): Members {
  return isObject(json.body) ? json.body : json;
}

/** The member of that name with a capital, else as it is. */
function eitherCase(members: Members, name: string): unknown {
  return members[name.charAt(0).toUpperCase() + name.slice(1)] ?? members[name];
}

/** The beginning of a text. */
function excerpt(text: string): string {
  return text.length > EXCERPT_CHARS ? `${text.slice(0, EXCERPT_CHARS)}…` : text;
}
