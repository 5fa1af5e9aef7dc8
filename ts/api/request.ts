import { inspectAs } from "../support/inspect";

/** The fields of a request. */
type FieldsOf<Request> = Omit<Request, "getBody" | "getParams">;

/**
 * What one method of `Client` sends. A class for each endpoint says which fields there are, and where they go;
 * docs/protocol.md has the endpoints.
 */
export abstract class EndpointRequest<Self> {
  /** `Bearer <API key>`, or the key alone. */
  declare authorization?: string;

  constructor(fields: FieldsOf<Self>) {
    Object.assign(this, fields);
  }

  /** The JSON body, for the endpoints that take one. */
  getBody(): Record<string, unknown> {
    return {};
  }

  /** The query; what is absent or `null` is left out. */
  getParams(): Record<string, unknown> {
    return {};
  }
}

/** Leaves out the members that are absent or empty. */
export function given<Value>(members: Record<string, Value | null | undefined>): Record<string, Value> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value)) as Record<string, Value>;
}

/** Leaves out the members that are absent; the others as text. */
export function texts(members: Record<string, unknown>): Record<string, string> {
  const present = Object.entries(members).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(present.map(([name, value]) => [name, String(value)]));
}

inspectAs(EndpointRequest, (request) => ({ ...request, authorization: request.authorization && "****" }));
