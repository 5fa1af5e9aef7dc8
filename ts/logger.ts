/**
 * Logging: one line an event, on standard error always, so that it never mixes with a program's output.
 */

import { inspect } from "node:util";

import { native } from "./native";

/** What is worth a line; each level includes those after it. */
export enum LogLevel {
  DEBUG = 0,
  INFO = 1,
  WARN = 2,
  ERROR = 3,
  SILENT = 4,
}

const NAMES: Record<string, LogLevel> = {
  DEBUG: LogLevel.DEBUG,
  INFO: LogLevel.INFO,
  WARN: LogLevel.WARN,
  WARNING: LogLevel.WARN,
  ERROR: LogLevel.ERROR,
  SILENT: LogLevel.SILENT,
};

/** The default: problems only. */
const DEFAULT_LEVEL = LogLevel.WARN;

let current = DEFAULT_LEVEL;

/** Sets what is logged, here and in the native library, from now on. */
export function setLogLevel(level: LogLevel): void {
  if (!Number.isInteger(level) || level < LogLevel.DEBUG || level > LogLevel.SILENT) {
    throw new RangeError(`Unknown log level: ${String(level)}. Use a member of LogLevel, for example LogLevel.INFO.`);
  }
  current = level;
  native.setLogLevel(level);
}

/** What is logged at the moment; `LogLevel.WARN` by default, or what `AGB_LOG_LEVEL` says. */
export function getLogLevel(): LogLevel {
  return current;
}

/** Logs what helps to find a fault. */
export function logDebug(message: string, ...args: unknown[]): void {
  write(LogLevel.DEBUG, message, args);
}

/** Logs what happened. */
export function logInfo(message: string, ...args: unknown[]): void {
  write(LogLevel.INFO, message, args);
}

/** Logs what may become a problem. */
export function logWarn(message: string, ...args: unknown[]): void {
  write(LogLevel.WARN, message, args);
}

/** Logs what went wrong. */
export function logError(message: string, ...args: unknown[]): void {
  write(LogLevel.ERROR, message, args);
}

function write(level: LogLevel, message: string, args: unknown[]): void {
  if (level < current) return;
  const rest = args.map((value) => ` ${typeof value === "string" ? value : inspect(value)}`).join("");
  process.stderr.write(`${new Date().toISOString()} | AGB | ${LogLevel[level].padEnd(5)} | ${message}${rest}\n`);
}

setLogLevel(NAMES[process.env.AGB_LOG_LEVEL?.trim().toUpperCase() ?? ""] ?? DEFAULT_LEVEL);
