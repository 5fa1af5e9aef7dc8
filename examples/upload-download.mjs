// @ts-check

/** Upload and download: files of this machine into a session and back, of any size, also as streams. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Upload and download");
const agb = new AGB();
const here = await mkdtemp(join(tmpdir(), "agb-example-"));

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const { file, command } = session;
  const there = await file.transferPath();
  show("the session's place", there);

  const rows = Array.from({ length: 20_000 }, (_, row) => `${(row * 7919) % 20_000},fruit`);
  await writeFile(join(here, "fruit.csv"), rows.join("\n"));
  let told = 0;
  const up = succeeded(
    await file.upload(join(here, "fruit.csv"), `${there}/fruit.csv`, { progressCallback: (bytes) => (told = bytes) }),
  );
  show("uploaded", `${up.bytesSent} bytes, progress said ${told}`);

  succeeded(await command.execute("sort -n fruit.csv > sorted.csv", 20_000, there));
  const down = succeeded(await file.download(`${there}/sorted.csv`, join(here, "sorted.csv")));
  const [first, second] = (await readFile(join(here, "sorted.csv"), "utf8")).split("\n");
  show("downloaded", `${down.bytesReceived} bytes, beginning with ${first} and ${second}`);

  // A local file is replaced only when the whole content is there; or not at all.
  const kept = await file.download(`${there}/fruit.csv`, join(here, "sorted.csv"), { overwrite: false });
  show("overwrite: false", `success ${kept.success}: ${kept.errorMessage?.replace(here, "…")}`);

  // Streams in both directions, with a small and constant amount of memory.
  succeeded(await file.upload(Readable.from(["straight ", "from a ", "stream"]), `${there}/stream.txt`));
  const target = new PassThrough();
  const [received] = await Promise.all([text(target), file.download(`${there}/stream.txt`, target)]);
  show("through streams", received);
} finally {
  await agb.delete(session);
  await rm(here, { recursive: true, force: true });
}

await service.end();
