/**
 * Abort signals: listened to while work is under way, and not longer.
 */

import { native } from "../native";
import { kindOf } from "./check";

type NativeCancel = InstanceType<typeof native.NativeCancel>;

/** The signals by which native calls are given up. */
const signals = new WeakMap<object, AbortSignal>();

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

/** Does `work`, whose native call is given up when the signal is aborted before. Does not look at its past. */
export async function cancellable<T>(
  signal: AbortSignal | null | undefined,
  work: (cancel: NativeCancel) => Promise<T>,
): Promise<T> {
  const cancel = cancelBy(signal);
  return whileListening(
    signal,
    () => cancel.cancel(),
    () => work(cancel),
  );
}

/** What gives up a native call that belongs to a signal. It does not listen to the signal: the caller does. */
export function cancelBy(signal: AbortSignal | null | undefined): NativeCancel {
  const cancel = new native.NativeCancel();
  if (signal) signals.set(cancel, signal);
  return cancel;
}

/** The signal by which a native call with these arguments is given up. */
export function signalOf(args: unknown[]): AbortSignal | undefined {
  return args.map((arg) => signals.get(arg as object)).find((signal) => signal !== undefined);
}

/** What `promise` gives; when the signal is aborted before, rejects with its reason, and nobody waits any more. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  let removeListener = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    removeListener = onAbort(signal, giveUp);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    removeListener();
  }
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
