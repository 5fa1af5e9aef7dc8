import { BaseService } from "../base-service";
import { AGBError } from "../errors";
import type { NativeFailure } from "../native";
import type { SessionLike } from "../session-like";
import { failed, isFailure, present, refused } from "../support/call";
import { kindOf, notText, notTexts } from "../support/check";
import { targetOf } from "../support/target";
import { unavailableMessage } from "../support/unavailable";
import type {
  BinaryFileContentResult,
  BoolResult,
  DirectoryEntry,
  DirectoryListResult,
  FileChangeEvent,
  FileChangeResult,
  FileContentResult,
  FileInfoResult,
  FileSearchResult,
  MultipleFileContentResult,
} from "../types";

/** How `writeFile` treats a file that exists. */
type WriteMode = "overwrite" | "append" | "create_new";

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
      return refused(`Invalid write mode: ${mode}. Must be one of overwrite, append, create_new`, {});
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

  /** Not in this version yet. */
  async watchDirectory(
    _path: string,
    _callback: (events: FileChangeEvent[]) => void,
    _interval?: number,
    _signal?: AbortSignal,
  ): Promise<void> {
    throw unavailable("file.watchDirectory");
  }

  /** Not in this version yet. */
  watchDir(_dirPath: string, _callback: (events: FileChangeEvent[]) => void, _interval?: number): { stop: () => void } {
    throw unavailable("file.watchDir");
  }

  /** Not in this version yet. */
  async transferPath(): Promise<string | undefined> {
    throw unavailable("file.transferPath");
  }

  /** Not in this version yet. */
  async upload(_localPath: string, _remotePath: string): Promise<never> {
    throw unavailable("file.upload");
  }

  /** Not in this version yet. */
  async download(_remotePath: string, _localPath: string): Promise<never> {
    throw unavailable("file.download");
  }
}

function unavailable(member: string): AGBError {
  return new AGBError(unavailableMessage(member), { kind: "Unavailable" });
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
