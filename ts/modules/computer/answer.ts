/**
 * What the parts of a desktop share: their arguments on the way in, and the usual results on the way out.
 */

import type { NativeFailure } from "../../native";
import { failed, isFailure } from "../../support/call";
import type { BoolResult } from "../../types";

/** A number that has to be given; anything else becomes NaN, which the native client refuses by name. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** The result of an operation that says whether it was done. */
export function flag(outcome: { requestId: string; data: boolean } | NativeFailure): BoolResult {
  if (isFailure(outcome)) return failed(outcome, { data: false });
  return { requestId: outcome.requestId, success: true, data: outcome.data };
}
