// @ts-check

/** Binary files: bytes come out by `readFile` with a format, and go in by `upload`. */

import { createHash } from "node:crypto";

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Binary files");
const agb = new AGB();

/** @param {Uint8Array} bytes */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  // A program of the session makes a file: every byte there is, 1,000 times.
  const made = succeeded(
    await session.code.run(
      `import hashlib
data = bytes(range(256)) * 1000
open("/tmp/all.bin", "wb").write(data)
print(hashlib.sha256(data).hexdigest())`,
      "python",
    ),
  );
  const { content, size } = succeeded(await session.file.readFile("/tmp/all.bin", { format: "bytes" }));
  show("read", `${size} bytes, as a Buffer: ${Buffer.isBuffer(content)}`);
  show("the same as there", sha256(content) === made.logs.stdout.join("").trim());

  // The other way: bytes of this program become a file of the session.
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
  const remote = `${await session.file.transferPath()}/sent.bin`;
  const { bytesSent } = succeeded(await session.file.upload(bytes, remote));
  const counted = succeeded(await session.command.execute(`sha256sum < '${remote}'`, 20_000));
  show("sent", `${bytesSent} bytes`);
  show("the same there", counted.stdout.startsWith(sha256(bytes)));
} finally {
  await agb.delete(session);
}

await service.end();
