/**
 * What passed, and with which sources: a second run with nothing changed need not wait for minutes.
 */

import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";

import { cache, root } from "./paths.mjs";
import { ask, run } from "./process.mjs";

const FOLDER = `${cache}/passed`;
/** Variables of ours that say what of the results counts, not what is tested. */
const OF_RESULTS = ["AGB_FRESH", "AGB_REQUIRE"];

/**
 * A digest of all that tests depend on: every file that git tracks or would track, the tools, and the variables that
 * change what is tested. Undefined where git can't tell; then nothing is remembered.
 */
export async function sourcesDigest(directory = root) {
  const { code, stdout } = await run("git", ["-C", directory, "ls-files", "-z", "-co", "--exclude-standard"]);
  if (code !== 0) return undefined;
  const hash = createHash("sha256");
  for (const file of stdout.split("\0").filter(Boolean).sort()) {
    const content = await contentOf(`${directory}/${file}`);
    if (content) hash.update(`${file}\0`).update(content);
  }
  const variables = Object.entries(process.env).filter(
    ([name]) => /^(AGB_|PATH$|HOME$|JAVA_HOME$|CHROMIUM_)/.test(name) && !OF_RESULTS.includes(name),
  );
  hash.update(JSON.stringify([process.version, await ask("rustc"), await ask("python3"), variables.sort()]));
  return hash.digest("hex");
}

/** Undefined: the file was deleted, or it is another clone inside this one, which git names like a file. */
async function contentOf(file) {
  return readFile(file).catch((error) => {
    if (["ENOENT", "EISDIR"].includes(error.code)) return undefined;
    throw error;
  });
}

/** The result of a step that passed with these sources. */
export async function recall(name, digest, folder = FOLDER) {
  const text = digest && (await contentOf(fileOf(folder, name)));
  const kept = text && parse(text);
  return kept && kept.digest === digest ? kept.result : undefined;
}

/** Undefined: it was not written to its end. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Keeps the result of a step that passed with these sources, without what it printed. Any other result takes the place of
 * an earlier one and is not kept: also none with skipped tests, as only they know whether a need is still absent.
 */
export async function remember(name, digest, { ok, passed, failed, skips, lines }, folder = FOLDER) {
  const file = fileOf(folder, name);
  if (!digest || !ok || skips?.length > 0) return rm(file, { force: true });
  await mkdir(folder, { recursive: true });
  return writeFile(file, JSON.stringify({ digest, result: { ok, passed, failed, skips, lines } }));
}

function fileOf(folder, name) {
  return `${folder}/${name.replaceAll(/\W+/g, "-")}.json`;
}
