/**
 * Failures cross the boundary as data; here they become what a method resolves to.
 */

import type { NativeFailure } from "../native";

/** Did a native call fail? */
export function isFailure(outcome: object | null | undefined): outcome is NativeFailure {
  return outcome !== null && outcome !== undefined && "kind" in outcome && "errorMessage" in outcome;
}

/** The failure of a native call: what it gave, or what stands beside what it has done until then. */
export function failureOf(outcome: object): NativeFailure | undefined {
  return isFailure(outcome) ? outcome : (outcome as { failure?: NativeFailure }).failure;
}

/** What a failed result carries beside the surface's fields. */
export interface FailureDetails {
  /** The service's error code, for example `InvalidMcpSession.NotFound`; empty where it sent none. */
  readonly code?: string;
  /** The status of the HTTP answer; absent where there was none. */
  readonly httpStatusCode?: number;
  /** May the same call succeed when it is made again? */
  readonly retryable?: boolean;
  /** How often the request was sent; 0 when it was refused before. */
  readonly attempts?: number;
}

const DETAILS = ["code", "httpStatusCode", "retryable", "attempts"] as const;

/**
 * The failed result of a method: the fields that the surface defines, and the details of the failure as properties that
 * can be read but are not enumerable, so that JSON, `Object.keys` and `toEqual` see the surface's fields alone.
 */
export function failed<Fields extends object>(
  failure: NativeFailure,
  fields: Fields,
): { requestId: string; success: false; errorMessage: string } & Fields {
  const result = {
    requestId: failure.requestId,
    success: false as const,
    ...fields,
    errorMessage: failure.errorMessage,
  };
  for (const name of DETAILS) {
    if (!(name in result)) Object.defineProperty(result, name, { value: failure[name], enumerable: false });
  }
  return result;
}

/** A result that carries more than the surface defines: what can be read but is not enumerable. */
export function detailed<Fields extends object, Details extends object>(
  fields: Fields,
  details: Details,
): Fields & Readonly<Details> {
  for (const [name, value] of Object.entries(details)) {
    Object.defineProperty(fields, name, { value, enumerable: false });
  }
  return fields as Fields & Readonly<Details>;
}

/** The failed result of a method that refuses before anything is sent. */
export function refused<Fields extends object>(
  errorMessage: string,
  fields: Fields,
): { requestId: string; success: false; errorMessage: string } & Fields {
  return failed(refusal(errorMessage), fields);
}

/** The failure of a call that is refused before anything is sent. */
export function refusal(errorMessage: string): NativeFailure {
  return {
    kind: "InvalidArgument",
    errorMessage,
    operation: "",
    requestId: "",
    code: "",
    retryable: false,
    attempts: 0,
  };
}

/** Leaves out the members that are undefined, as the surface's optional fields are absent, not undefined. */
export function present<Fields extends object>(fields: Fields): Fields {
  for (const name of Object.keys(fields) as (keyof Fields)[]) {
    if (fields[name] === undefined || fields[name] === null) delete fields[name];
  }
  return fields;
}
