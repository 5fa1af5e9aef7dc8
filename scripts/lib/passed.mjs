/**
 * What passed, and with which sources: a second run with nothing changed need not wait for minutes.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";

import { cache, root } from "./paths.mjs";
import { ask, run } from "./process.mjs";

const FOLDER = `${cache}/passed`;

/**
 * A digest of all that tests depend on: every file that git tracks or would track, the tools, and the variables that
 * change what is tested. Undefined where git can't tell; then nothing is remembered.
 */
export async function sourcesDigest() {
  const { code, stdout } = await run("git", ["-C", root, "ls-files", "-z", "-co", "--exclude-standard"]);
  if (code !== 0) return undefined;
  const hash = createHash("sha256");
  for (const file of stdout.split("\0").filter(Boolean).sort()) {
    if (existsSync(`${root}/${file}`)) hash.update(`${file}\0`).update(await readFile(`${root}/${file}`));
  }
  const variables = Object.entries(process.env).filter(([name]) =>
    /^(AGB_|PATH$|HOME$|JAVA_HOME$|CHROMIUM_)/.test(name),
  );
  hash.update(JSON.stringify([process.version, await ask("rustc"), await ask("python3"), variables.sort()]));
  return hash.digest("hex");
}

/** The result of a step that passed with these sources. */
export async function recall(name, digest) {
  const file = fileOf(name);
  if (!digest || !existsSync(file)) return undefined;
  const { digest: known, result } = JSON.parse(await readFile(file, "utf8"));
  return known === digest ? result : undefined;
}

/**
 * Keeps the result of a step that passed, without what it printed. What was skipped is not kept: whether the need is still
 * absent next time, only the tests know.
 */
export async function remember(name, digest, { ok, passed, failed, skips, lines }) {
  if (!digest || !ok || skips?.length > 0) return;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(fileOf(name), JSON.stringify({ digest, result: { ok, passed, failed, skips, lines } }));
}

function fileOf(name) {
  return `${FOLDER}/${name.replaceAll(/\W+/g, "-")}.json`;
}
