/**
 * What stands before native objects: one that says what went wrong inside as the package's own error, and one for an
 * object that could not be opened.
 */

import { types } from "node:util";

import { AGBError } from "../errors";
import type { NativeFailure } from "../native";

/**
 * A native object whose methods throw, and reject with, {@link AGBError} alone. Failures cross as data, so that what it
 * throws by itself, a panic or a value that it can't convert, is a defect of this package.
 */
export function reporting<Native extends object>(native: Native): Native {
  return new Proxy(native, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        try {
          const outcome: unknown = member.apply(target, args);
          return types.isPromise(outcome) ? outcome.catch(report) : outcome;
        } catch (error) {
          return report(error);
        }
      };
    },
  });
}

function report(cause: unknown): never {
  const text = cause instanceof Error ? cause.message : String((cause as Error | undefined)?.message ?? cause);
  const error = new AGBError(`Internal error of agbcloud-native, please report it: ${text}`, { kind: "Internal" });
  error.cause = cause;
  throw error;
}

/**
 * Stands for a native object that could not be opened: each of its asynchronous methods gives the failure of the opening,
 * in the words that the method has for what fails before a request is sent.
 */
export function failing<Native extends object>(failure: NativeFailure): Native {
  const get = (_: object, name: string) => {
    return async (...args: unknown[]) => {
      const prefix = PREFIXES[name]?.(...args);
      return prefix === undefined ? failure : { ...failure, errorMessage: `${prefix}: ${failure.errorMessage}` };
    };
  };
  return new Proxy({} as Native, { get: get as ProxyHandler<Native>["get"] });
}

/** How the surface introduces such a failure, by the native method; the others give it bare. */
const PREFIXES: Record<string, (...args: unknown[]) => string> = {
  create: () => "Failed to create session",
  get: (id) => `Failed to get session ${id}`,
  getSession: (id) => `Failed to get session ${id}`,
  list: () => "Failed to list sessions",
  delete: () => "Failed to delete session",
  callTool: (_route, name) => `Failed to call MCP tool ${name}`,
  codeRun: () => "Failed to run code",
  codeStream: () => "Failed to run code",
  commandExecute: () => "Failed to execute command",
  fileCreateDirectory: () => "Failed to create directory",
  fileDelete: () => "Failed to delete file",
  fileEdit: () => "Failed to edit file",
  fileInfo: () => "Failed to get file info",
  fileList: () => "Failed to list directory",
  fileMove: () => "Failed to move file",
  fileReadMultiple: () => "Failed to read multiple files",
  fileSearch: () => "Failed to search files",
  fileWrite: () => "Failed to write file",
  fileChange: () => "Failed to get file change",
  getContext: (name, _create, _region, id) => `Failed to get context ${id || name || "unknown"}`,
  createContext: (name) => `Failed to get context ${name || "unknown"}`,
  updateContext: (id) => `Failed to update context ${id}`,
  deleteContext: (id) => `Failed to delete context ${id}`,
  startClearing: (id) => `Failed to start context clearing for ${id}`,
  clearContext: (id) => `Failed to start context clearing for ${id}`,
  clearState: () => "Failed to get clear status",
};
