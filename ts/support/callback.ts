/**
 * The caller's functions, called from native code: nothing that they do ends the call that calls them.
 */

import { logError } from "../logger";
import { kindOf } from "./check";

/** The first of the named values that was given and is no function, as a message; undefined when there is none. */
export function notCallback(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || typeof value === "function") continue;
    return `${name} must be a function, got ${kindOf(value)}`;
  }
  return undefined;
}

/** A function that never throws: what the caller's throws, or its promise rejects with, is logged under its name. */
export function guarded<Args extends unknown[]>(
  name: string,
  callback: ((...args: Args) => unknown) | null | undefined,
): (...args: Args) => void {
  if (!callback) return () => {};
  const report = (error: unknown) => logError(`${name} failed:`, error);
  return (...args) => {
    try {
      const returned = callback(...args);
      if (isThenable(returned)) returned.then(undefined, report);
    } catch (error) {
      report(error);
    }
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}
