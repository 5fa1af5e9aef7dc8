/**
 * Abort signals: listened to while work is under way, and not longer.
 */

import { kindOf } from "./check";

/** What is wrong with a signal that was given, as a message; undefined when it can be listened to. */
export function notSignal(signal: unknown): string | undefined {
  if (signal === undefined || signal === null) return undefined;
  const { addEventListener, removeEventListener } = signal as Partial<AbortSignal>;
  const can = typeof addEventListener === "function" && typeof removeEventListener === "function";
  return can ? undefined : `signal must be an AbortSignal, got ${kindOf(signal)}`;
}

/** Does `work`, and calls `onAbort` once if the signal is aborted before the end of it. Does not look at its past. */
export async function whileListening<T>(
  signal: AbortSignal | null | undefined,
  onAbort: () => void,
  work: () => Promise<T>,
): Promise<T> {
  if (!signal) return work();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
