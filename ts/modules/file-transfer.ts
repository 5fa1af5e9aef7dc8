/**
 * Files into a session and out of it. Local files are read and written by native code; what only JavaScript can reach, a
 * buffer or a stream, comes and goes by `support/stream.ts`.
 */

import type { Readable, Writable } from "node:stream";

import type { NativeDownload, NativeFailure, NativeUpload, native } from "../native";
import type { SessionLike } from "../session-like";
import { cancellable, notSignal } from "../support/abort";
import { failed, isFailure, present, refused } from "../support/call";
import { guarded } from "../support/callback";
import { kindOf, notBoolean, notFunction, notNumber, notText, optional } from "../support/check";
import { closedFault, drained, filled, isReadable, isWritable, spentFault } from "../support/stream";
import { targetOf } from "../support/target";
import type { DownloadResult, UploadResult } from "../types";

/** What both ways have in common. */
interface TransferOptions {
  /** Wait until the service has carried the file between its store and the session. Default: true. */
  wait?: boolean;
  /** The longest such wait, in milliseconds. Default: 30,000. */
  waitTimeout?: number;
  /** The longest pause between two looks, in milliseconds; the first are quicker. Default: 1,500. */
  pollInterval?: number;
  /** Ends the transfer; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Leave the copy in the service's store, instead of removing it when it has served. Default: false. */
  keepObject?: boolean;
}

/** How a file is uploaded. */
export interface UploadOptions extends TransferOptions {
  /** The content type to store. Default: none is sent. */
  contentType?: string;
  /** Told how many bytes were sent so far. What it throws is logged. */
  progressCallback?: (bytesSent: number) => void;
  /** Bytes of a stream, where they are known: some stores demand it. Default: it is sent in chunks. */
  size?: number;
}

/** How a file is downloaded. */
export interface DownloadOptions extends TransferOptions {
  /** Replace a local file that is there. Default: true. */
  overwrite?: boolean;
  /** Told how many bytes were received so far. What it throws is logged. */
  progressCallback?: (bytesReceived: number) => void;
}

/** What can be uploaded: the path of a local file, bytes, or a stream of bytes. */
export type UploadSource = string | Uint8Array | Readable;

/** Where a download can go: the path of a local file, or a stream. */
export type DownloadTarget = string | Writable;

/** The directory of the session through which files are transferred; undefined when the service does not tell. */
export async function transferPath(session: SessionLike): Promise<string | undefined> {
  const outcome = await targetOf(session).native.fileTransferPath();
  return isFailure(outcome) ? undefined : outcome.path;
}

/** Uploads to `remotePath`. */
export async function upload(
  session: SessionLike,
  source: UploadSource,
  remotePath: string,
  options?: UploadOptions | null,
): Promise<UploadResult> {
  const fields = { bytesSent: 0, path: remotePath };
  const fault = notUploadSource(source) ?? notText({ remotePath }) ?? optionFault(options) ?? uploadFault(options);
  if (fault) return withoutRequestId(refused(fault, fields));

  const { native: target, failure } = targetOf(session);
  // Nobody would take what is read.
  if (failure) return withoutRequestId(failed(failure, fields));
  const progress = progressOf(options?.progressCallback, "The progress callback of an upload");
  const report = await transferred(options?.signal, (cancel) => {
    const rest = [remotePath, nativeOptions(options), cancel, progress] as const;
    if (typeof source === "string") return target.fileUpload(source, ...rest);
    return filled(source, optional(options?.size), (writer) => target.fileUploadBytes(writer, ...rest));
  });
  return uploadResult(report, remotePath);
}

/** Downloads from `remotePath`. */
export async function download(
  session: SessionLike,
  remotePath: string,
  target: DownloadTarget,
  options?: DownloadOptions | null,
): Promise<DownloadResult> {
  const localPath = typeof target === "string" ? target : "";
  const fields = { bytesReceived: 0, path: remotePath, localPath };
  const fault = notText({ remotePath }) ?? notDownloadTarget(target) ?? optionFault(options) ?? downloadFault(options);
  if (fault) return withoutRequestId(refused(fault, fields));

  const { native: from, failure } = targetOf(session);
  if (failure) return withoutRequestId(failed(failure, fields));
  const progress = progressOf(options?.progressCallback, "The progress callback of a download");
  const report = await transferred(options?.signal, (cancel) => {
    const rest = [nativeOptions(options), cancel, progress] as const;
    if (typeof target === "string") {
      return from.fileDownload(remotePath, target, options?.overwrite ?? true, ...rest);
    }
    return drained(target, (reader) => from.fileDownloadBytes(remotePath, reader, ...rest));
  });
  return downloadResult(report, remotePath, localPath);
}

function uploadResult(report: Partial<NativeUpload>, path: string): UploadResult {
  const { requestIdUploadUrl, requestIdSync, httpStatus, etag, bytesSent = 0, failure } = report;
  const fields = present({ requestIdUploadUrl, requestIdSync, httpStatus, etag, bytesSent, path });
  return failure ? withoutRequestId(failed(failure, fields)) : { success: true, ...fields };
}

function downloadResult(report: Partial<NativeDownload>, path: string, localPath: string): DownloadResult {
  const { requestIdDownloadUrl, requestIdSync, httpStatus, bytesReceived = 0, failure } = report;
  const fields = present({ requestIdDownloadUrl, requestIdSync, httpStatus, bytesReceived, path, localPath });
  return failure ? withoutRequestId(failed(failure, fields)) : { success: true, ...fields };
}

/** Results of transfers name two request ids, and none that is called `requestId`. */
function withoutRequestId<Result extends { requestId: string }>(result: Result): Omit<Result, "requestId"> {
  const { requestId: _, ...rest } = Object.getOwnPropertyDescriptors(result);
  return Object.defineProperties({}, rest) as Omit<Result, "requestId">;
}

/** Does `work`, and gives it up when the signal is aborted before its end: then rejects with the signal's reason. */
async function transferred<Report extends { failure?: NativeFailure }>(
  signal: AbortSignal | null | undefined,
  work: (cancel: InstanceType<typeof native.NativeCancel>) => Promise<Report>,
): Promise<Report | { failure: NativeFailure }> {
  if (signal?.aborted) throw signal.reason;
  const outcome = await cancellable(signal, work);
  // A transfer that never began, as its session could not be replaced, has no report.
  const report = isFailure(outcome) ? { failure: outcome as NativeFailure } : outcome;
  // What was complete before the abort stays a success.
  if (signal?.aborted && report.failure) throw signal.reason;
  return report;
}

function progressOf(callback: ((bytes: number) => void) | null | undefined, what: string) {
  if (!callback) return undefined;
  const tell = guarded(what, callback);
  return (bytes: number) => {
    tell(bytes);
    return true;
  };
}

function nativeOptions(options: UploadOptions | null | undefined) {
  return {
    wait: optional(options?.wait),
    waitTimeout: optional(options?.waitTimeout),
    pollInterval: optional(options?.pollInterval),
    keepObject: optional(options?.keepObject),
    contentType: options?.contentType || undefined,
  };
}

function notUploadSource(source: unknown): string | undefined {
  if (typeof source === "string" || ArrayBuffer.isView(source)) return undefined;
  if (isReadable(source)) return spentFault(source);
  return `the source must be a path, a Buffer, a Uint8Array or a Readable, got ${kindOf(source)}`;
}

function notDownloadTarget(target: unknown): string | undefined {
  if (typeof target === "string") return undefined;
  if (isWritable(target)) return closedFault(target);
  return `the target must be a path or a Writable, got ${kindOf(target)}`;
}

function uploadFault(options: UploadOptions | null | undefined): string | undefined {
  const { contentType, size } = options ?? {};
  const fault = contentType == null ? undefined : notText({ contentType });
  if (fault || size == null) return fault;
  return Number.isSafeInteger(size) && size >= 0 ? undefined : `size must be a number of bytes, got ${String(size)}`;
}

function downloadFault(options: DownloadOptions | null | undefined): string | undefined {
  return notBoolean({ overwrite: options?.overwrite });
}

function optionFault(options: UploadOptions | DownloadOptions | null | undefined): string | undefined {
  if (options === undefined || options === null) return undefined;
  if (typeof options !== "object") return `options must be an object, got ${kindOf(options)}`;
  const { wait, waitTimeout, pollInterval, keepObject, progressCallback, signal } = options;
  return (
    notBoolean({ wait, keepObject }) ??
    notNumber({ waitTimeout, pollInterval }) ??
    (progressCallback ? notFunction({ progressCallback }) : undefined) ??
    notSignal(signal)
  );
}
