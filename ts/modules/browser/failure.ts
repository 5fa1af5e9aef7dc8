import { type AGBError, BrowserError, errorOf } from "../../errors";
import type { NativeFailure } from "../../native";

/** The error of a browser call that failed: what the surface throws there, with all that is known of the failure. */
export function browserErrorOf(failure: NativeFailure, prefix = ""): AGBError {
  const { message, extra, cause } = errorOf(failure);
  const error = new BrowserError(prefix ? `${prefix}: ${message}` : message, extra);
  if (cause !== undefined) error.cause = cause;
  return error;
}
