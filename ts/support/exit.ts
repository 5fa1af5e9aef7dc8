/**
 * Release at exit: the option, checked, and the one listener that only JavaScript can keep for it.
 */

import { constants } from "node:os";
import { isMainThread } from "node:worker_threads";

import { AGBError } from "../errors";
import { type NativeExitOptions, native } from "../native";
import type { ReleaseOnExitOptions } from "../types";
import { kindOf, notNumber } from "./check";

const DEFAULT_TIMEOUT_MS = 2_000;
/** Whoever ends a program does not wait longer. */
const MAX_TIMEOUT_MS = 60_000;
const DEFAULT_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
/** The signals that end a program which does not listen to them, and that are sent for that. */
const SIGNALS: readonly string[] = [...DEFAULT_SIGNALS, "SIGQUIT", "SIGUSR2"];

/**
 * What the option says, for the native side; undefined when nothing is to be released.
 * @throws {AGBError} when it can't be used
 */
export function exitOptions(option: boolean | ReleaseOnExitOptions | null | undefined): NativeExitOptions | undefined {
  if (option === undefined || option === null || option === false) return undefined;
  const fault = optionFault(option);
  if (fault) throw new AGBError(fault);
  const { timeoutMs, signals }: ReleaseOnExitOptions = option === true ? {} : option;
  const numbers = (signals ?? DEFAULT_SIGNALS).map((name) => constants.signals[name]);
  return { timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS, signals: numbers };
}

function optionFault(option: unknown): string | undefined {
  if (option === true) return undefined;
  if (typeof option !== "object" || option === null || Array.isArray(option)) {
    return `releaseOnExit must be true, false or an object, got ${kindOf(option)}`;
  }
  const { timeoutMs, signals } = option as { timeoutMs?: unknown; signals?: unknown };
  const fault = notNumber({ "releaseOnExit.timeoutMs": timeoutMs });
  if (fault) return fault;
  if (typeof timeoutMs === "number" && !(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    return `releaseOnExit.timeoutMs must be above 0 and up to ${MAX_TIMEOUT_MS}, got ${timeoutMs}`;
  }
  if (signals === undefined || signals === null) return undefined;
  if (!Array.isArray(signals)) return `releaseOnExit.signals must be an array, got ${kindOf(signals)}`;
  const unknown = signals.find((name) => !SIGNALS.includes(name));
  if (unknown === undefined) return undefined;
  return `releaseOnExit.signals may hold ${SIGNALS.join(", ")}, got ${String(unknown)}`;
}

/**
 * Has signals caught again when the last listener of the program goes: then libuv puts their default back. While there
 * is a listener, its handler is libuv's, and nothing happens at the signal.
 *
 * The process object is the real one: code under test in jest sees a copy whose listeners hear nothing. The listener is
 * a native function, one for all copies of this module, so that none of them is kept alive by it.
 */
export function watchSignalListeners(): void {
  // Signals reach the listeners of the main thread only.
  if (!isMainThread) return;
  const real: NodeJS.EventEmitter = native.realProcess();
  if (real.listeners("removeListener").includes(native.signalListenerRemoved)) return;
  real.on("removeListener", native.signalListenerRemoved);
}
