/**
 * What passed, and with which sources: a second run with nothing changed need not wait for minutes.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";

import { cache, root } from "./paths.mjs";
import { ask, run } from "./process.mjs";

const FOLDER = `${cache}/passed`;
/** Variables of ours that say what of the results counts, not what is tested. */
const OF_RESULTS = ["AGB_FRESH", "AGB_REQUIRE"];

/** Needs that come and go with a network: what was skipped for one of these is tried again. */
const PASSING_NEEDS = ["pypi", "npm-registry"];
/** Programs that parts of the suite need; `needs.mjs` says by which packages they come. */
const PROGRAMS = [
  ...["java", "jshell", "Rscript", "chromium", "unshare", "nsenter", "setpriv"],
  ...["Xvfb", "xkbcomp", "openbox", "xdotool", "wmctrl", "import", "xterm", "xprop"],
];
const PYTHONS = ["python3", "/usr/bin/python3"];
const MODULES = ["ensurepip, venv", "matplotlib"];

/**
 * A digest of all that tests depend on: every file that git tracks or would track, the tools, what the machine has of
 * that which parts of the suite need, and the variables that change what is tested. Undefined where git can't tell; then
 * nothing is remembered.
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
  const tools = [process.version, await ask("rustc"), await ask("python3")];
  hash.update(JSON.stringify([tools, await whatThereIs(), variables.sort()]));
  return hash.digest("hex");
}

/** What decides which tests are skipped. */
async function whatThereIs() {
  const folders = (process.env.PATH ?? "").split(":");
  const programs = PROGRAMS.filter((program) => folders.some((folder) => existsSync(`${folder}/${program}`)));
  const imports = PYTHONS.flatMap((python) => MODULES.map((modules) => [python, ["-c", `import ${modules}`]]));
  const namespaces = ["unshare", ["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"]];
  const works = await Promise.all(
    [...imports, namespaces].map(async ([command, args]) => (await run(command, args)).code === 0),
  );
  return { programs, works, user: process.getuid?.(), shared: existsSync(`${root}/../shared`) };
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
 * an earlier one and is not kept: also none that lacks what a network may bring the next time.
 */
export async function remember(name, digest, { ok, passed, failed, skips, lines }, folder = FOLDER) {
  const file = fileOf(folder, name);
  if (!digest || !ok || skips?.some(({ need }) => PASSING_NEEDS.includes(need))) return rm(file, { force: true });
  await mkdir(folder, { recursive: true });
  return writeFile(file, JSON.stringify({ digest, result: { ok, passed, failed, skips, lines } }));
}

function fileOf(folder, name) {
  return `${folder}/${name.replaceAll(/\W+/g, "-")}.json`;
}
