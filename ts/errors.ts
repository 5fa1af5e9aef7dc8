/**
 * The error classes, and the one table from the kinds of the native client to these classes.
 */

import type { NativeFailure } from "./native";

/** Base of every error of this package. `extra` carries whatever helps to understand it. */
export class AGBError extends Error {
  extra: Record<string, unknown>;

  constructor(message = "AGBError", extra: Record<string, unknown> = {}) {
    super(message);
    this.name = "AGBError";
    this.extra = extra;
  }
}

/** What is refused before anything is sent or done. @internal */
export function invalidArgument(text: string | undefined): AGBError {
  return new AGBError(text, { kind: "InvalidArgument" });
}

/** The service answered with a failure. */
export class APIError extends AGBError {
  statusCode?: number;

  constructor(message = "API error", statusCode?: number, extra: Record<string, unknown> = {}) {
    super(message, extra);
    this.name = "APIError";
    this.statusCode = statusCode;
  }
}

/** A subclass that differs by name and default message; typed as the surface types it. */
function errorClass(name: string, defaultMessage: string, Base: typeof AGBError = AGBError): typeof AGBError {
  const named = {
    [name]: class extends Base {
      constructor(message = defaultMessage, extra: Record<string, unknown> = {}) {
        super(message, extra);
        this.name = name;
      }
    },
  };
  return named[name] as typeof AGBError;
}

// The types stand beside the classes, so that programs can name what they catch.

/** No API key was given, or the service refused it. */
export const AuthenticationError: typeof AGBError = errorClass("AuthenticationError", "Authentication failed");
export type AuthenticationError = AGBError;
/** A file operation failed. */
export const FileError: typeof AGBError = errorClass("FileError", "File operation error");
export type FileError = AGBError;
/** A command failed. */
export const CommandError: typeof AGBError = errorClass("CommandError", "Command execution error");
export type CommandError = AGBError;
/** A session operation failed. */
export const SessionError: typeof AGBError = errorClass("SessionError", "Session error");
export type SessionError = AGBError;
/** An application operation failed. */
export const ApplicationError: typeof AGBError = errorClass("ApplicationError", "Application operation error");
export type ApplicationError = AGBError;
/** A browser operation failed. */
export const BrowserError: typeof AGBError = errorClass("BrowserError", "Browser operation error");
export type BrowserError = AGBError;
/** A screen operation failed. */
export const ScreenError: typeof AGBError = errorClass("ScreenError", "Screen operation error");
export type ScreenError = AGBError;
/** Clearing a context took longer than allowed. */
export const ClearanceTimeoutError: typeof AGBError = errorClass("ClearanceTimeoutError", "Clearance task timed out");
export type ClearanceTimeoutError = AGBError;

/** A failure of the session's WebSocket. */
export const WsError: typeof AGBError = errorClass("WsError", "WebSocket error");
export type WsError = AGBError;
/** What came breaks the protocol, or something is missing. */
export const WsProtocolError: typeof AGBError = errorClass("WsProtocolError", "WebSocket protocol error", WsError);
export type WsProtocolError = AGBError;
/** The WebSocket could not be opened. */
export const WsHandshakeRejectedError: typeof AGBError = errorClass(
  "WsHandshakeRejectedError",
  "WebSocket handshake rejected",
  WsError,
);
export type WsHandshakeRejectedError = AGBError;
/** The WebSocket was lost. */
export const WsConnectionClosedError: typeof AGBError = errorClass(
  "WsConnectionClosedError",
  "WebSocket connection closed",
  WsError,
);
export type WsConnectionClosedError = AGBError;
/** The service ended a stream with an error. */
export const WsRemoteError: typeof AGBError = errorClass("WsRemoteError", "WebSocket remote error", WsError);
export type WsRemoteError = AGBError;

/** Which class a kind of native failure becomes where a method throws. */
const CLASS_OF_KIND = {
  Config: AGBError,
  Authentication: AuthenticationError,
  InvalidArgument: AGBError,
  Connect: APIError,
  Timeout: APIError,
  Network: APIError,
  Protocol: APIError,
  Http: APIError,
  Api: APIError,
  SessionNotFound: SessionError,
  Tool: AGBError,
  Local: FileError,
  Unavailable: AGBError,
  Drained: SessionError,
  Internal: AGBError,
} as const;

/**
 * The kinds that mean something of their own on a WebSocket, by the operation that failed. What failed before, for
 * example the creation of a session in place of a lost one, is none of them.
 */
const CLASS_ON_SOCKET: Readonly<Record<string, Readonly<Record<string, typeof AGBError>>>> = {
  // Opening it.
  webSocket: {
    Authentication: WsHandshakeRejectedError,
    Connect: WsHandshakeRejectedError,
    Timeout: WsHandshakeRejectedError,
    Network: WsHandshakeRejectedError,
    Protocol: WsHandshakeRejectedError,
    Http: WsHandshakeRejectedError,
    Api: WsHandshakeRejectedError,
  },
  // A stream on it.
  run_code: {
    Timeout: WsError,
    Network: WsConnectionClosedError,
    Protocol: WsProtocolError,
    Tool: WsRemoteError,
  },
};

/** The kinds that the table knows; a spec compares them with the native client's list. @internal */
export const FAILURE_KINDS: readonly string[] = Object.keys(CLASS_OF_KIND);

/** Makes the error of a failure, with the caller's stack. @internal */
export function errorOf(failure: NativeFailure): AGBError {
  return made(failure, CLASS_OF_KIND[failure.kind as keyof typeof CLASS_OF_KIND] ?? AGBError);
}

/** The same for a failure of what goes over the session's WebSocket. @internal */
export function socketErrorOf(failure: NativeFailure): AGBError {
  const ErrorClass = CLASS_ON_SOCKET[failure.operation]?.[failure.kind];
  return ErrorClass ? made(failure, ErrorClass) : errorOf(failure);
}

function made(failure: NativeFailure, ErrorClass: typeof AGBError | typeof APIError): AGBError {
  const extra = {
    kind: failure.kind,
    requestId: failure.requestId,
    code: failure.code,
    httpStatusCode: failure.httpStatusCode,
    retryable: failure.retryable,
    attempts: failure.attempts,
  };
  const error =
    ErrorClass === APIError
      ? new APIError(failure.errorMessage, failure.httpStatusCode, extra)
      : new (ErrorClass as typeof AGBError)(failure.errorMessage, extra);
  if (failure.cause !== undefined) error.cause = new Error(failure.cause);
  return error;
}

/** The failure that an error tells: the way back from {@link errorOf}, for methods that resolve. @internal */
export function failureToldBy(error: unknown): NativeFailure {
  const known: Partial<NativeFailure> = error instanceof AGBError ? error.extra : {};
  return {
    operation: "",
    attempts: 0,
    code: "",
    kind: "InvalidArgument",
    requestId: "",
    retryable: false,
    ...known,
    errorMessage: error instanceof Error ? error.message : String(error),
  };
}
