/**
 * Gets other people's packages that specs compare with or run under, each into a folder of its own in .cache/, once.
 * Nothing of them is part of the project.
 *
 *   node scripts/peers.mjs python-sdk     the official Python SDK, in a virtual environment
 *   node scripts/peers.mjs jest-29        the older jest that users may have
 *   node scripts/peers.mjs axios          the HTTP client that the benchmark compares with
 *
 * Prints one line of JSON: `{ path, note }`, or `{ need, reason }` when this machine can't have it.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";

import { cache, root } from "./lib/paths.mjs";
import { run } from "./lib/process.mjs";

const REQUIREMENTS = `${root}/conformance/python/requirements.txt`;
const JEST_29 = "29.7.0";
const AXIOS = "1.21.1";

/** What a peer lacks on this machine. */
class Absent extends Error {
  constructor(need, output) {
    const reason = output.trim().split("\n").at(-1)?.trim() ?? "";
    super(reason);
    this.need = need;
  }
}

const PEERS = {
  "python-sdk": async () => {
    const requirements = await readFile(REQUIREMENTS, "utf8");
    const digest = createHash("sha256").update(requirements).digest("hex").slice(0, 12);
    return folder(`python-sdk-${digest}`, "bin/python", async (directory) => {
      const made = await run("python3", ["-m", "venv", directory]);
      if (made.code !== 0) throw new Absent("python3-venv", made.output);
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", REQUIREMENTS];
      const installed = await run(`${directory}/bin/python`, pip);
      if (installed.code !== 0) throw new Absent("pypi", installed.output);
    });
  },
  "jest-29": () => npmPackage("jest", JEST_29, "bin/jest.js"),
  axios: () => npmPackage("axios", AXIOS, "index.js"),
};

/** One version of an npm package, with what it depends on. */
function npmPackage(name, version, program) {
  return folder(`${name}-${version}`, `node_modules/${name}/${program}`, async (directory) => {
    await mkdir(directory, { recursive: true });
    await writeFile(`${directory}/package.json`, '{ "private": true }\n');
    const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", `${name}@${version}`];
    const { code, output } = await run("npm", args, { cwd: directory });
    if (code !== 0) throw new Absent("npm-registry", output.replaceAll(/^npm error A complete log.*$/gm, ""));
  });
}

/** Fills a folder in .cache/ unless it is there in full already, and gives the path of the program in it. */
async function folder(name, program, fill) {
  const directory = `${cache}/${name}`;
  const complete = `${directory}/.complete`;
  const path = `${directory}/${program}`;
  if (existsSync(complete) && existsSync(path)) return { path, note: "kept in .cache" };
  await rm(directory, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  try {
    await fill(directory);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  await writeFile(complete, "");
  return { path, note: "installed in .cache" };
}

const peer = PEERS[process.argv[2]];
if (!peer) {
  console.error(`usage: node scripts/peers.mjs ${Object.keys(PEERS).join("|")}`);
  process.exit(2);
}
try {
  console.log(JSON.stringify(await peer()));
} catch (error) {
  if (!(error instanceof Absent)) throw error;
  console.log(JSON.stringify({ need: error.need, reason: error.message }));
}
