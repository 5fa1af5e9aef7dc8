/**
 * Faults of the emulator: what a test asks for, described; what they are, docs/emulator.md tells in the section Faults.
 */

import { errorOf, invalidArgument } from "./errors";
import type { NativeEmulator, NativeEmulatorFault } from "./native";
import { isFailure } from "./support/call";
import { kindOf } from "./support/check";
import { inspectAs } from "./support/inspect";

/** What a request asks for, by its name in {@link EmulatorRequest.operation}; `*` is all of them. */
export type EmulatorOperation =
  | "createSession"
  | "getSession"
  | "getSessionInfo"
  | "releaseSession"
  | "releaseSessionAsync"
  | "refreshSessionIdleTime"
  | "getMcpResource"
  | "ListSession"
  | "SetLabel"
  | "GetLabel"
  | "getLink"
  | "init"
  | "getCdpLink"
  | "callTool"
  | "listTools"
  | "ListContexts"
  | "GetContext"
  | "ModifyContext"
  | "DeleteContext"
  | "ClearContext"
  | "SyncContext"
  | "GetContextInfo"
  | "GetContextFileDownloadUrl"
  | "GetContextFileUploadUrl"
  | "DeleteContextFile"
  | "DescribeContextFiles"
  | "GetAndLoadInternalContext"
  | "getObject"
  | "putObject"
  | "webSocket"
  | "cdp"
  | "*";

/** Which requests a fault strikes, and how often. A request is struck by one fault at most: the first that fits. */
export interface EmulatorFaultScope {
  /**
   * Only requests for these operations. A tool on either route is `callTool`, and so is code that is streamed on a
   * WebSocket; `webSocket` is its handshake, `cdp` the one of the way to the browser; `putObject` and `getObject` are the
   * transfers of an upload and a download.
   */
  operation: EmulatorOperation | EmulatorOperation[];
  /** Only calls of these tools, for example `shell` or `run_code`. Default: whatever the tool. */
  tool?: string | string[];
  /** Only requests for this session. Default: any. */
  sessionId?: string;
  /** Only requests for sessions with all of these labels, and the creation of such sessions. Default: any. */
  labels?: Record<string, string>;
  /** From which of the requests that fit on, counted from 1. Default 1. */
  from?: number;
  /** How many requests are struck; `Infinity` or `"always"`: all. Default 1. */
  count?: number | "always";
  /** How likely a request that fits is struck, 0 to 1; the emulator's `seed` makes the draws the same in every run. */
  probability?: number;
}

/** Another answer: `503`, `429` with `Retry-After`, an error page. A stream ends in an error with `code` and `message`. */
export interface EmulatorFaultStatus extends EmulatorFaultScope {
  kind: "status";
  /** The HTTP status, 200 to 599. */
  status: number;
  /** Headers, beside the usual ones or instead of them. */
  headers?: Record<string, string>;
  /** The header `Retry-After`, in seconds. */
  retryAfter?: number;
  /** The body: a text as it is, anything else as JSON. Default: an envelope with `code` and `message`. */
  body?: unknown;
  /** The error code in the envelope. Default: what goes with the status, for example `ServiceUnavailable`. */
  code?: string;
  /** The message in the envelope. Default: that the emulator was told to answer so. */
  message?: string;
  /** `after`: the work is done all the same. Default `before`: it is not. */
  when?: "before" | "after";
}

/** The request waits. */
export interface EmulatorFaultDelay extends EmulatorFaultScope {
  kind: "delay";
  /** Milliseconds of real time. */
  ms: number;
  /** What waits: the work, or the answer to work that is done. Default `before`. */
  when?: "before" | "after";
}

/** The connection is reset, and no answer comes. */
export interface EmulatorFaultReset extends EmulatorFaultScope {
  kind: "reset";
  /** `after`: the work is done, and only the answer lost. Default `before`: it is not done. */
  when?: "before" | "after";
}

/** The work is done, and its answer breaks off; on a stream the last frame does. */
export interface EmulatorFaultTruncate extends EmulatorFaultScope {
  kind: "truncate";
  /** How many bytes of the body are sent, at most. Default: half of them. */
  bytes?: number;
  /** `true`: the length that is announced is that of what is sent. Default `false`: that of the whole. */
  framed?: boolean;
}

/** The work is done, and the answer's body is something else; on a stream the last frame is. */
export interface EmulatorFaultGarbage extends EmulatorFaultScope {
  kind: "garbage";
  /** What is sent instead. Default: bytes that are no text. */
  body?: string;
}

/**
 * The request is read and never answered, and the connection stays open. On a WebSocket frames are read on, and nothing is
 * written any more, not even an answer to a ping.
 */
export interface EmulatorFaultHalfOpen extends EmulatorFaultScope {
  kind: "halfOpen";
  /** `after`: the work is done, or the WebSocket opened and silent from there on. Default `before`: it is not. */
  when?: "before" | "after";
  /** On a stream with `when: "after"`: how many pieces of output come before the silence. Default 0. */
  afterChunks?: number;
}

/** A body at a limited speed. Not for streams. */
export interface EmulatorFaultSlow extends EmulatorFaultScope {
  kind: "slow";
  /** A whole number, at least 1. */
  bytesPerSecond: number;
  /** Which body: the answer's, or the request's, which is read slowly. Default `answer`. */
  direction?: "answer" | "request";
}

/** The WebSocket of a stream is closed in mid-stream, or at the latest when the program has ended. */
export interface EmulatorFaultClose extends EmulatorFaultScope {
  kind: "close";
  /** How many pieces of output come before. Default 1. */
  afterChunks?: number;
  /** The code of the close frame. Default 1011. */
  code?: number;
  /** The reason in the close frame. Default: none. */
  reason?: string;
}

/** A fault: which requests it strikes, and by its `kind` what happens to them. */
export type EmulatorFault =
  | EmulatorFaultStatus
  | EmulatorFaultDelay
  | EmulatorFaultReset
  | EmulatorFaultTruncate
  | EmulatorFaultGarbage
  | EmulatorFaultHalfOpen
  | EmulatorFaultSlow
  | EmulatorFaultClose;

/** What a fault did to a request. */
export interface EmulatorFaultUse {
  /** {@link EmulatorFaultHandle.id}. */
  id: number;
  kind: EmulatorFault["kind"];
  /** Was the work of the request done? */
  worked: boolean;
  /** The status of the answer that the work gave, whatever was sent; absent when it was not done. */
  status?: number;
  /** The code of that answer. */
  code?: string;
}

/** A fault that was added. */
export interface EmulatorFaultHandle {
  /** Counts the faults of an emulator from 1. */
  readonly id: number;
  /** How many requests it has struck. */
  readonly hits: number;
  /** It strikes no more. Removing twice is fine. */
  remove(): void;
  /** Removes it, at the end of a `using` block. */
  [Symbol.dispose](): void;
}

/** The faults of an emulator. */
export interface EmulatorFaults {
  /**
   * Lets a fault strike from now on.
   *
   * ```ts
   * const lost = emulator.faults.add({ operation: "createSession", kind: "reset", when: "after" });
   * // …
   * expect(lost.hits).toBe(1);
   * ```
   * @throws {AGBError} for a description that can't be used; the message says what is allowed
   */
  add(fault: EmulatorFault): EmulatorFaultHandle;
  /** Removes all faults. */
  clear(): void;
}

class AddedFault implements EmulatorFaultHandle {
  readonly #native: NativeEmulatorFault;

  constructor(added: NativeEmulatorFault) {
    this.#native = added;
  }

  get id(): number {
    return this.#native.id;
  }

  get hits(): number {
    return this.#native.hits;
  }

  remove(): void {
    this.#native.remove();
  }

  [Symbol.dispose](): void {
    this.remove();
  }

  toJSON(): Record<string, unknown> {
    return { id: this.id, hits: this.hits };
  }
}

inspectAs(AddedFault, (fault) => fault.toJSON());

/** The faults of a started emulator. */
export function faultsOf(emulator: NativeEmulator): EmulatorFaults {
  return Object.freeze({
    add(fault: EmulatorFault): EmulatorFaultHandle {
      const added = emulator.addFault(faultJson(fault));
      if (isFailure(added)) throw errorOf(added);
      return new AddedFault(added as NativeEmulatorFault);
    },
    clear: () => emulator.clearFaults(),
  });
}

/**
 * A description as the native side reads it, which checks it.
 * @throws {AGBError} for what is no object, or can't be written as JSON
 */
export function faultJson(fault: EmulatorFault): string {
  if (typeof fault !== "object" || fault === null || Array.isArray(fault)) {
    throw invalidArgument(`a fault must be an object with operation and kind, got ${kindOf(fault)}`);
  }
  try {
    // JSON has no word for these, and would turn them into "not given".
    return JSON.stringify(fault, (name, value) => {
      if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`${name} is a ${typeof value}`);
      return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
    });
  } catch (cause) {
    throw invalidArgument(`a fault must be plain data: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
