/**
 * Node streams and buffers as content of transfers. The pieces cross one at a time, and the next when native code has room
 * for it (or has one ready), so that less than 1 MiB is on the way.
 */

import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { type NativeByteReader, type NativeByteWriter, type NativeFailure, native } from "../native";
import { failureOf } from "./call";

/** The most that crosses at once. */
const PIECE_BYTES = 128 * 1024;

export function isReadable(value: unknown): value is Readable {
  return typeof value === "object" && value !== null && hasMethods(value, ["pipe", Symbol.asyncIterator]);
}

export function isWritable(value: unknown): value is Writable {
  return typeof value === "object" && value !== null && hasMethods(value, ["write", "end", "on"]);
}

function hasMethods(value: object, names: (string | symbol)[]): boolean {
  return names.every((name) => typeof (value as Record<string | symbol, unknown>)[name] === "function");
}

/** Streams that a transfer uses now: a second one would take a part of what the first needs, or mix into its content. */
const sources = new WeakSet<Readable>();
const targets = new WeakSet<Writable>();

/** Why a stream has nothing to give any more, or not for this upload, as a message; undefined when it may have. */
export function spentFault(source: Readable): string | undefined {
  if (source.errored) return `the source has failed: ${messageOf(source.errored)}`;
  if (source.destroyed || source.readableEnded) return "the source has been read already, or closed";
  return sources.has(source) ? "another upload is reading the source" : undefined;
}

/** Why a stream takes nothing any more, or not of this download, as a message; undefined when it may. */
export function closedFault(target: Writable): string | undefined {
  if (target.errored) return `the target has failed: ${messageOf(target.errored)}`;
  if (target.destroyed || target.writableEnded) return "the target has been ended already, or closed";
  return targets.has(target) ? "another download is writing to the target" : undefined;
}

/** Lets `upload` read what `source` gives. Afterwards a stream is destroyed, whether it was read to its end or not. */
export async function filled<Report>(
  source: ArrayBufferView | Readable,
  size: number | undefined,
  upload: (writer: NativeByteWriter) => Promise<Report>,
): Promise<Report> {
  if (isReadable(source)) {
    const writer = new native.NativeByteWriter(size);
    sources.add(source);
    // Never rejects, and ends by itself once nobody reads.
    void writeStream(source, writer);
    try {
      return await upload(writer);
    } finally {
      writer.close();
      source.destroy();
      sources.delete(source);
    }
  }
  const bytes = Buffer.from(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
  const writer = native.NativeByteWriter.repeatable(bytes.length);
  void writeBytes(bytes, writer);
  try {
    return await upload(writer);
  } finally {
    // Should the upload never have begun, as its session could not be replaced, nobody reads.
    writer.close();
  }
}

/** Never rejects, and ends with the upload. */
async function writeBytes(bytes: Buffer, writer: NativeByteWriter): Promise<void> {
  do {
    if (await writeAll(bytes, writer)) await writer.end();
  } while (await writer.again());
}

async function writeStream(source: Readable, writer: NativeByteWriter): Promise<void> {
  try {
    for await (const chunk of source) {
      if (!(await writeAll(bytesOf(chunk, source), writer))) return;
    }
  } catch (error) {
    await writer.fail(messageOf(error));
    return;
  }
  await writer.end();
}

/** Writes piece by piece; false: nobody reads any more. */
async function writeAll(bytes: Buffer, writer: NativeByteWriter): Promise<boolean> {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
    if (!(await writer.write(bytes.subarray(offset, offset + PIECE_BYTES)))) return false;
  }
  return true;
}

function bytesOf(chunk: unknown, source: Readable): Buffer {
  if (typeof chunk === "string") return Buffer.from(chunk, source.readableEncoding ?? "utf8");
  if (ArrayBuffer.isView(chunk)) return Buffer.from(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError(`the source gave ${chunk === null ? "null" : typeof chunk}, not bytes`);
}

/**
 * Lets `target` have what `download` writes. It is ended with the content; a download that fails before the first byte
 * leaves it as it was, and one that fails later destroys it.
 */
export async function drained<Report extends { failure?: NativeFailure }>(
  target: Writable,
  download: (reader: NativeByteReader) => Promise<Report>,
): Promise<Report> {
  const reader = new native.NativeByteReader();
  targets.add(target);
  const stop = new AbortController();
  const reading = readInto(target, reader, stop.signal);
  try {
    const report = await download(reader);
    const failure = failureOf(report);
    // The target may be waiting for something else than us.
    if (failure) stop.abort(new Error(failure.errorMessage));
    return report;
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    reader.close();
    await reading;
    targets.delete(target);
  }
}

/** Never rejects: the download learns how it went, and reports it. */
async function readInto(target: Writable, reader: NativeByteReader, signal: AbortSignal): Promise<void> {
  try {
    const first = await reader.read();
    if (!first) return;
    await pipeline(piecesFrom(first, reader), target, { signal });
    reader.finish();
  } catch (error) {
    reader.finish(messageOf(error));
  }
}

async function* piecesFrom(first: Buffer, reader: NativeByteReader): AsyncGenerator<Buffer> {
  let piece: Buffer | null | undefined = first;
  while (piece && piece.length > 0) {
    yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    piece = await reader.read();
  }
  if (!piece) throw new Error("the download failed before its end");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
