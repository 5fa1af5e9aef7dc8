/** ZIP files, made here: a machine need not have a program for them. */

import { deflateRawSync, gzipSync } from "node:zlib";

const u16 = (value: number) => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number) => Buffer.concat([u16(value & 0xffff), u16(value >>> 16)]);

/** The checksum, from the end of a gzip file: `zlib.crc32` is younger than the oldest Node that is supported. */
function crc32(content: Buffer): number {
  const packed = gzipSync(content);
  return packed.readUInt32LE(packed.length - 8);
}

/** A ZIP file with these files. */
export function zipOf(files: Record<string, string>): Buffer {
  const local: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const packed = deflateRawSync(content);
    const sizes = [u32(crc32(content)), u32(packed.length), u32(content.length), u16(Buffer.byteLength(name)), u16(0)];
    const common = Buffer.concat([u16(20), u16(0), u16(8), u16(0), u16(0), ...sizes]);
    const entry = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    const rest = Buffer.concat([u16(0), u16(0), u16(0), u32(0), u32(offset), Buffer.from(name)]);
    directory.push(Buffer.from("PK\x01\x02"), u16(20), common, rest);
    local.push(entry);
    offset += entry.length;
  }
  const list = Buffer.concat(directory);
  const count = u16(Object.keys(files).length);
  const end = [Buffer.from("PK\x05\x06"), u16(0), u16(0), count, count, u32(list.length), u32(offset), u16(0)];
  return Buffer.concat([...local, list, ...end]);
}
