/**
 * Functions of users, as native code calls them: what they throw is logged and goes no further.
 */

import { logError } from "../logger";

/**
 * Makes a function that never throws: what `callback` throws, or rejects with, is logged.
 *
 * @param what how the log names it
 */
export function guarded<Args extends unknown[]>(
  callback: (...args: Args) => unknown,
  what: string,
): (...args: Args) => void {
  const report = (error: unknown) => logError(`${what} failed:`, error);
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
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
