import { BaseService } from "../base-service";
import { invalidArgument } from "../errors";
import type { NativeFailure } from "../native";
import type { SessionLike } from "../session-like";
import { notSignal, whileListening } from "../support/abort";
import { failed, isFailure, present, refused } from "../support/call";
import { guarded } from "../support/callback";
import { kindOf, notFunction, notNumber, notText, notTexts } from "../support/check";
import { openTargetOf, targetOf } from "../support/target";
import type {
  BinaryFileContentResult,
  BoolResult,
  DirectoryEntry,
  DirectoryListResult,
  DownloadResult,
  FileChangeEvent,
  FileChangeResult,
  FileContentResult,
  FileInfoResult,
  FileSearchResult,
  MultipleFileContentResult,
  UploadResult,
} from "../types";
import {
  type DownloadOptions,
  type DownloadTarget,
  download,
  transferPath,
  type UploadOptions,
  type UploadSource,
  upload,
} from "./file-transfer";

/** How `writeFile` treats a file that exists. */
type WriteMode = "overwrite" | "append" | "create_new";

interface WatchArguments {
  path: string;
  callback: (events: FileChangeEvent[]) => void;
  interval: number;
}

const WRITE_MODES: readonly string[] = ["overwrite", "append", "create_new"];

/** Files and directories of a session. Paths are absolute, or relative to the session's home. */
export class FileSystem extends BaseService {
  /** Bytes of a file that one request reads, and UTF-16 units that one request writes. */
  static readonly DEFAULT_CHUNK_SIZE: number = 51_200;

  /** Another name of {@link createDirectory}. */
  mkdir: FileSystem["createDirectory"];
  /** Another name of {@link deleteFile}. */
  delete: FileSystem["deleteFile"];
  /** Another name of {@link deleteFile}. */
  remove: FileSystem["deleteFile"];
  /** Another name of {@link deleteFile}. */
  rm: FileSystem["deleteFile"];
  /** Another name of {@link listDirectory}. */
  list: FileSystem["listDirectory"];
  /** Another name of {@link listDirectory}. */
  ls: FileSystem["listDirectory"];
  /** Another name of {@link writeFile}. */
  write: FileSystem["writeFile"];

  constructor(session: SessionLike) {
    super(session);
    this.mkdir = this.createDirectory.bind(this);
    this.delete = this.deleteFile.bind(this);
    this.remove = this.deleteFile.bind(this);
    this.rm = this.deleteFile.bind(this);
    this.list = this.listDirectory.bind(this);
    this.ls = this.listDirectory.bind(this);
    this.write = this.writeFile.bind(this);
  }

  /** Creates a directory and its parents; one that exists is fine. */
  async createDirectory(path: string): Promise<BoolResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return done(await native.fileCreateDirectory(route, path));
  }

  /** Deletes a file; a directory is refused. */
  async deleteFile(path: string): Promise<BoolResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return done(await native.fileDelete(route, path));
  }

  /**
   * Replaces text in a file. The edits apply in order, each to the first place that has its `oldText`; when one is not
   * found, the file stays as it was.
   *
   * @param dryRun check, but change nothing
   */
  async editFile(path: string, edits: { oldText: string; newText: string }[], dryRun = false): Promise<BoolResult> {
    const fault = notText({ path }) ?? editFault(edits);
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    const pairs = edits.map(({ oldText, newText }) => ({ oldText, newText }));
    return done(await native.fileEdit(route, path, pairs, Boolean(dryRun)));
  }

  /** What is known of a file or directory. */
  async getFileInfo(path: string): Promise<FileInfoResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileInfo(route, path);
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, fileInfo: present({ ...outcome.info }) };
  }

  /** The entries of a directory. */
  async listDirectory(path: string): Promise<DirectoryListResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, { entries: [] });
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileList(route, path);
    if (isFailure(outcome)) return failed(outcome, { entries: [] });
    const entries = Array.from(
      outcome.entries,
      ({ isDirectory, name }): DirectoryEntry => ({ type: isDirectory ? "directory" : "file", name }),
    );
    return { requestId: outcome.requestId, success: true, entries };
  }

  /** Moves or renames a file or directory; a destination that exists is refused. */
  async moveFile(source: string, destination: string): Promise<BoolResult> {
    const fault = notText({ source, destination });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return done(await native.fileMove(route, source, destination));
  }

  /** Reads a whole file: as text, or as bytes with `{ format: "bytes" }`. */
  async readFile(path: string): Promise<FileContentResult>;
  async readFile(path: string, opts: { format: "text" }): Promise<FileContentResult>;
  async readFile(path: string, opts: { format: "bytes" }): Promise<BinaryFileContentResult>;
  async readFile(
    path: string,
    opts?: { format: "text" | "bytes" },
  ): Promise<FileContentResult | BinaryFileContentResult> {
    return opts?.format === "bytes" ? this.#readBytes(path) : this.#readText(path);
  }

  /** Another name of {@link readFile}. */
  async read(path: string): Promise<FileContentResult>;
  async read(path: string, opts: { format: "text" }): Promise<FileContentResult>;
  async read(path: string, opts: { format: "bytes" }): Promise<BinaryFileContentResult>;
  async read(path: string, opts?: { format: "text" | "bytes" }): Promise<FileContentResult | BinaryFileContentResult> {
    return opts?.format === "bytes" ? this.#readBytes(path) : this.#readText(path);
  }

  async #readText(path: string): Promise<FileContentResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, { content: "" });
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileReadText(route, path);
    if (isFailure(outcome)) return failed(outcome, { content: "" });
    return { requestId: outcome.requestId, success: true, content: outcome.content };
  }

  async #readBytes(path: string): Promise<BinaryFileContentResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, { content: Buffer.alloc(0) });
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileReadBytes(route, path);
    if (isFailure(outcome)) return failed(outcome, { content: Buffer.alloc(0) });
    // The bytes stay where native code put them; only the view is made here, so that it is a Buffer of this realm.
    const { buffer, byteOffset, byteLength } = outcome.content;
    const content = Buffer.from(buffer, byteOffset, byteLength);
    return { requestId: outcome.requestId, success: true, content, size: content.length };
  }

  /** Reads several text files. */
  async readMultipleFiles(paths: string[]): Promise<MultipleFileContentResult> {
    const fault = notTexts({ paths: paths ?? "" });
    if (fault) return refused(fault, { files: {} });
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileReadMultiple(route, paths);
    if (isFailure(outcome)) return failed(outcome, { files: {} });
    const files = Object.fromEntries(Array.from(outcome.files, ({ path, content }) => [path, content]));
    return { requestId: outcome.requestId, success: true, files };
  }

  /**
   * Finds files and directories below `path` by name.
   *
   * @param pattern a glob when it has wildcards, else part of the name
   * @param excludePatterns what to leave out
   */
  async searchFiles(path: string, pattern: string, excludePatterns?: string[]): Promise<FileSearchResult> {
    const fault = notText({ path, pattern }) ?? notTexts({ excludePatterns });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileSearch(route, path, pattern, excludePatterns ?? []);
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, matches: [...outcome.matches] };
  }

  /**
   * Writes a text file.
   *
   * @param mode `overwrite` (default), `append`, or `create_new`, which fails when the file exists
   */
  async writeFile(path: string, content: string, mode: WriteMode = "overwrite"): Promise<BoolResult> {
    if (!WRITE_MODES.includes(mode)) {
      return refused(`Invalid write mode: ${String(mode)}. Must be one of overwrite, append, create_new`, {});
    }
    const fault = notText({ path, content });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return done(await native.fileWrite(route, path, content, mode));
  }

  /** What changed below a directory since the last call for it; the first call finds nothing. */
  async getFileChange(path: string): Promise<FileChangeResult> {
    const fault = notText({ path });
    if (fault) return refused(fault, { events: [], rawData: "" });
    const { native, route } = targetOf(this.session);
    const outcome = await native.fileChange(route, path);
    if (isFailure(outcome)) return failed(outcome, { events: [], rawData: "" });
    const events = Array.from(outcome.events, (event) => ({ ...event }));
    return { requestId: outcome.requestId, success: true, events, rawData: outcome.rawData };
  }

  /**
   * Watches a directory and all below it, until the signal is aborted or the session is gone. Every answer of the service
   * goes to `callback`, the first and empty ones included; the first finds nothing. While it is awaited, the process stays
   * alive.
   *
   * @param callback what it throws is logged, and the watch goes on
   * @param interval pause between two looks, in milliseconds; longer after looks that failed
   * @param signal ends the watch; then the callback is not called again, and the promise resolves
   * @throws {AGBError} for arguments of the wrong kind
   */
  async watchDirectory(
    path: string,
    callback: (events: FileChangeEvent[]) => void,
    interval = 1000,
    signal?: AbortSignal,
  ): Promise<void> {
    const fault = notSignal(signal);
    if (fault) throw invalidArgument(fault);
    if (signal?.aborted) return;
    const watch = this.#watch({ path, callback, interval });
    await whileListening(signal, watch.stop, watch.ended);
  }

  /**
   * As {@link watchDirectory}, in the background: it does not keep the process alive.
   *
   * @returns `stop()` ends the watch; the callback is not called again
   * @throws {AGBError} for arguments of the wrong kind
   */
  watchDir(path: string, callback: (events: FileChangeEvent[]) => void, interval = 1000): { stop: () => void } {
    const { stop } = this.#watch({ path, callback, interval });
    return { stop };
  }

  #watch({ path, callback, interval }: WatchArguments): { stop: () => void; ended: () => Promise<void> } {
    const fault = notText({ path }) ?? notFunction({ callback }) ?? notNumber({ interval });
    if (fault) throw invalidArgument(fault);
    const tell = guarded("The callback that watches a directory", callback);
    let stopped = false;
    const { native, route } = openTargetOf(this.session);
    const watch = native.fileWatch(route, path, interval ?? 1000, (events) => {
      // An answer may be on its way when the watch is stopped.
      if (!stopped) tell(Array.from(events, (event) => ({ ...event })));
      return !stopped;
    });
    const stop = () => {
      stopped = true;
      watch.stop();
    };
    return { stop, ended: () => watch.ended() };
  }

  /** The directory of the session for transfers; undefined when the service does not tell. */
  async transferPath(): Promise<string | undefined> {
    return transferPath(this.session);
  }

  /**
   * Uploads a local file, bytes or a stream to `remotePath`, an absolute path in the session. A source that fails leaves
   * nothing behind.
   */
  async upload(localPath: UploadSource, remotePath: string, options?: UploadOptions): Promise<UploadResult> {
    return upload(this.session, localPath, remotePath, options);
  }

  /**
   * Downloads `remotePath`, an absolute path in the session, to a local file or a stream. A local file is replaced when
   * the whole content is there, and not before; a stream is ended then, and destroyed when the download fails after its
   * first byte.
   */
  async download(remotePath: string, localPath: DownloadTarget, options?: DownloadOptions): Promise<DownloadResult> {
    return download(this.session, remotePath, localPath, options);
  }
}

function done(outcome: { requestId: string } | NativeFailure): BoolResult {
  if (isFailure(outcome)) return failed(outcome, {});
  return { requestId: outcome.requestId, success: true, data: true };
}

function editFault(edits: unknown): string | undefined {
  if (!Array.isArray(edits)) return `edits must be an array, got ${kindOf(edits)}`;
  for (const [index, edit] of edits.entries()) {
    const fault = notText({ [`edits[${index}].oldText`]: edit?.oldText, [`edits[${index}].newText`]: edit?.newText });
    if (fault) return fault;
  }
  return undefined;
}
