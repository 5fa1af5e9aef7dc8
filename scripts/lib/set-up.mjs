/**
 * The steps of the set-up. Only Node's own modules are imported at the top: this is what installs the others.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";

import { root } from "./paths.mjs";
import { ask, run } from "./process.mjs";
import { step } from "./steps.mjs";

const OLDEST_NODE = 20;
const STAMP = `${root}/node_modules/.installed-from`;
const TYPE_DEFINITIONS = `${root}/target/napi-types`;

/**
 * Sets the clone up, and says with one line per step what it does.
 *
 * @param {object} [options]
 * @param {boolean} [options.release] optimises the native library; default: the profile that the tests use, so that
 *   nothing is compiled twice
 * @param {(line: string) => void} [options.print] where the lines go; default: standard output
 */
export async function setUp({ release = false, print = console.log } = {}) {
  print("Set-up");
  return (
    (await step("tools", checkTools, print)) &&
    (await step("npm packages", installPackages, print)) &&
    (await step(`native library${release ? " (release)" : ""}`, () => buildNative(release), print)) &&
    (await step("TypeScript", buildTypeScript, print))
  );
}

/** Says what is missing on this machine, all at once, and how to get it. */
async function checkTools() {
  const missing = [];
  if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
    missing.push(
      `Node.js ${OLDEST_NODE} or later (this is ${process.version}): install it from your system's packages.`,
    );
  }
  const cargo = await ask("cargo");
  if (!cargo) missing.push("cargo: install a Rust toolchain, 1.88 or later, with rustup or your system's packages.");
  const compiler = process.env.CC ?? "cc";
  if (!(await ask(compiler))) {
    missing.push(
      `a C compiler (${compiler}): on Debian and Ubuntu \`apt-get install gcc libc6-dev\`, ` +
        "on Fedora `dnf install gcc`, on macOS `xcode-select --install`.",
    );
  }
  if (missing.length > 0) return { ok: false, details: ["Missing on this machine:", ...missing].join("\n- ") };
  return { ok: true, note: `node ${process.version}, ${cargo.split(" ").slice(0, 2).join(" ")}` };
}

/** `npm ci`, unless node_modules is what package-lock.json says already. */
async function installPackages() {
  const wanted = createHash("sha256")
    .update(await readFile(`${root}/package-lock.json`))
    .update(`${process.platform} ${process.arch}`)
    .digest("hex");
  const installed = existsSync(STAMP) ? await readFile(STAMP, "utf8") : undefined;
  if (installed === wanted) return { ok: true, note: "up to date" };
  const { code, output } = await run("npm", ["ci", "--no-audit", "--no-fund"]);
  // npm says what is wrong first, and then how it is used.
  if (code !== 0) return { ok: false, details: output.split("npm error Clean install a project")[0] };
  await writeFile(STAMP, wanted);
  return { ok: true, note: "installed" };
}

/**
 * Builds the addon with cargo directly. `napi build` would do the same, but always for a named target, whose artifacts
 * `cargo test` can't use: every dependency would be compiled twice.
 */
async function buildNative(release) {
  const definitions = `${TYPE_DEFINITIONS}-${release ? "release" : "dev"}`;
  await mkdir(definitions, { recursive: true });
  const env = { NAPI_TYPE_DEF_TMP_FOLDER: definitions };
  // The macros write the types while they compile. A library that was built without asking for them is built again.
  const hasDefinitions = existsSync(`${definitions}/agbcloud-native`);
  if (!hasDefinitions && (await isBuilt(release))) env.NAPI_FORCE_BUILD_AGBCLOUD_NATIVE = String(Date.now());
  const args = ["build", "--package", "agbcloud-native", "--lib", "--message-format=json-render-diagnostics"];
  const { code, stdout, output } = await run("cargo", [...args, ...(release ? ["--release"] : [])], { env });
  if (code !== 0) return { ok: false, details: withoutMessages(output) };

  const library = builtLibrary(stdout);
  if (!library) return { ok: false, details: "cargo built no dynamic library" };
  const { platformArchABI } = (await import("@napi-rs/cli")).parseTriple(await hostTriple());
  const target = `${root}/native/agbcloud-native.${platformArchABI}.node`;
  const types = `${root}/native/index.d.ts`;
  if (library.fresh && (await isCopyOf(target, library.file)) && existsSync(types))
    return { ok: true, note: "up to date" };

  await mkdir(`${root}/native`, { recursive: true });
  // A process that has the old library loaded keeps it: the new one is another file under the same name.
  await copyFile(library.file, `${target}.new`);
  await rename(`${target}.new`, target);
  const { generateTypeDef } = await import("@napi-rs/cli");
  const { napi } = JSON.parse(await readFile(`${root}/package.json`, "utf8"));
  const { dts } = await generateTypeDef({ typeDefDir: definitions, configDtsHeader: napi.dtsHeader, cwd: root });
  await writeFile(types, dts);
  return { ok: true, note: "built" };
}

/** Did cargo build the library before, whoever called it? */
async function isBuilt(release) {
  const directory = `${root}/target/${release ? "release" : "debug"}`;
  return existsSync(directory) && (await readdir(directory)).some((file) => /^(lib)?agbcloud_native\.\w+$/.test(file));
}

/** Cargo's output for people, without its messages for programs. */
function withoutMessages(output) {
  return output
    .split("\n")
    .filter((line) => !line.startsWith('{"reason"'))
    .join("\n");
}

/** The addon among cargo's messages. */
function builtLibrary(messages) {
  for (const line of messages.split("\n")) {
    if (!line.startsWith('{"reason":"compiler-artifact"')) continue;
    const { target, filenames, fresh } = JSON.parse(line);
    if (target.kind.includes("cdylib"))
      return { file: filenames.find((file) => /\.(so|dylib|dll)$/.test(file)), fresh };
  }
  return undefined;
}

async function isCopyOf(copy, original) {
  if (!existsSync(copy)) return false;
  const [a, b] = await Promise.all([readFile(copy), readFile(original)]);
  return a.equals(b);
}

async function hostTriple() {
  const { stdout } = await run("rustc", ["-vV"]);
  return /^host: (.+)$/m.exec(stdout)?.[1] ?? "";
}

/** ts/ → dist/, from scratch, so that a deleted source leaves nothing behind; index.d.ts only where there is none. */
async function buildTypeScript() {
  const sources = await digestOf(["ts", "native/index.d.ts", "package.json", "node_modules/.installed-from"]);
  const stamp = `${root}/dist/.built-from`;
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === sources) return { ok: true, note: "up to date" };
  await rm(`${root}/dist`, { recursive: true, force: true });
  const { code, output } = await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "ts"]);
  if (code !== 0) {
    await rm(`${root}/dist`, { recursive: true, force: true });
    return { ok: false, details: output };
  }
  // The committed file is not touched: a test says when it is not what ts/ says, `npm run build` writes it anew.
  if (!existsSync(`${root}/index.d.ts`)) {
    const types = await run(process.execPath, ["scripts/types.mjs"]);
    if (types.code !== 0) return { ok: false, details: types.output };
  }
  await writeFile(stamp, sources);
  return { ok: true, note: "built" };
}

/** A digest of files and directories: of names and contents, not of times, which a clone doesn't keep. */
async function digestOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    const absolute = `${root}/${path}`;
    const isDirectory = (await stat(absolute)).isDirectory();
    const entries = isDirectory ? await readdir(absolute, { recursive: true, withFileTypes: true }) : [];
    const files = isDirectory
      ? entries.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`)
      : [absolute];
    for (const file of files.sort()) hash.update(file.slice(root.length)).update(await readFile(file));
  }
  return hash.digest("hex");
}
