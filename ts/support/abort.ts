/**
 * Abort signals: listened to while work is under way, and not longer.
 */

import { kindOf } from "./check";

/** What is wrong with a signal that was given, as a message; undefined when it can be listened to. */
export function notSignal(signal: unknown): string | undefined {
  if (signal === undefined || signal === null) return undefined;
  // By its members, as a signal may come from another realm or from a library.
  const { addEventListener, removeEventListener } = signal as Partial<AbortSignal>;
  const can = typeof addEventListener === "function" && typeof removeEventListener === "function";
  return can ? undefined : `signal must be an AbortSignal, got ${kindOf(signal)}`;
}

/** Calls `listener` once when the signal is aborted; gives the function that takes it away again. */
export function onAbort(signal: AbortSignal | null | undefined, listener: () => void): () => void {
  if (!signal) return () => {};
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/** Does `work`, and calls `listener` once if the signal is aborted before the end of it. Does not look at its past. */
export async function whileListening<T>(
  signal: AbortSignal | null | undefined,
  listener: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const removeListener = onAbort(signal, listener);
  try {
    return await work();
  } finally {
    removeListener();
  }
}
