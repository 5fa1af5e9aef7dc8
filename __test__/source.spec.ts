/** Rules of docs/architecture.md that no compiler checks. They read the sources that git knows. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const ROOT = join(__dirname, "..");

/** Tracked files and new ones that are not ignored, with their text. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: ROOT,
  encoding: "utf8",
})
  .split("\n")
  .filter(Boolean)
  .flatMap((path) => {
    try {
      return [{ path, text: readFileSync(join(ROOT, path), "utf8") }];
    } catch {
      return []; // deleted, but not yet for git
    }
  });

const isIn = (folder: string) => (file: { path: string }) => file.path.startsWith(folder);
const isRust = ({ path }: { path: string }) => path.endsWith(".rs");
const isSpec = ({ path }: { path: string }) => path.startsWith("__test__/") && /\.(spec|test)\.[cm]?[jt]s$/.test(path);

/** The places where a pattern occurs, as "path:line: text". */
function occurrences(pattern: RegExp, where: (file: { path: string; text: string }) => boolean): string[] {
  return files
    .filter(where)
    .flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
}

/** The path of each place. */
const pathsOf = (places: string[]) => [...new Set(places.map((place) => place.split(":")[0]))];

/** Rust code without its comments. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\/.*$/gm, "").replaceAll(/\/\*[\s\S]*?\*\//g, "");
}

it("reads sources of every layer", () => {
  for (const folder of ["ts/", "src/", "crates/agb-client/src/", "crates/agb-emulator/src/", "__test__/", "docs/"]) {
    expect(files.filter(isIn(folder)).length).toBeGreaterThan(0);
  }
});

describe("the binding", () => {
  /** What stands behind each `#[napi…]`: other attributes left out, up to the end of a signature. */
  const exported = files
    .filter(isRust)
    .filter(isIn("src/"))
    .flatMap(({ path, text }) =>
      [...withoutComments(text).matchAll(/#\[napi\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*([^{;]*)/g)].map(([, signature]) => ({
        path,
        signature: signature.replaceAll(/\s+/g, " ").trim(),
      })),
    );

  it("exports no async fn: a worker that is terminated during its call would corrupt memory", () => {
    expect(exported.length).toBeGreaterThan(10);
    expect(exported.filter(({ signature }) => /\basync\b/.test(signature))).toEqual([]);
  });

  it("alone depends on napi", () => {
    const manifests = files.filter(({ path }) => /^crates\/.*Cargo\.toml$/.test(path));

    expect(manifests.length).toBe(2);
    expect(manifests.filter(({ text }) => /^napi/m.test(text)).map(({ path }) => path)).toEqual([]);
    expect(pathsOf(occurrences(/\bnapi(_derive)?::/, (file) => isRust(file) && !isIn("src/")(file)))).toEqual([]);
  });

  it("allows unsafe code in the two files that need it", () => {
    const allowed = ["src/support/promise.rs", "src/support/fatal.rs"];
    const used = files
      .filter(isRust)
      .filter(({ text }) => /\bunsafe\b(?!_)/.test(withoutComments(text)))
      .map(({ path }) => path);

    expect(used.filter((path) => !allowed.includes(path))).toEqual([]);
  });
});

describe("the client", () => {
  const isClient = (file: { path: string }) => isIn("crates/agb-client/src/")(file) && isRust(file);

  it.each(["reqwest", "tokio_tungstenite"])("names %s in its transport only", (library) => {
    const named = new RegExp(`\\b${library}::`);
    const code = files.filter(isClient).filter(({ text }) => named.test(withoutComments(text)));
    // The server that its tests talk to is built of the same frames.
    const allowed = (path: string) => /^crates\/agb-client\/src\/(transport\/|testing\.rs$)/.test(path);

    expect(code.length).toBeGreaterThan(0);
    expect(code.map(({ path }) => path).filter((path) => !allowed(path))).toEqual([]);
  });

  it("does not depend on the emulator but in tests, and the emulator not on the client", () => {
    const manifest = (name: string) => readFileSync(join(ROOT, "crates", name, "Cargo.toml"), "utf8");
    const dependencies = (text: string) => /^\[dependencies\]\n([\s\S]*?)(?=^\[)/m.exec(text)?.[1] ?? "";

    expect(dependencies(manifest("agb-client"))).toContain("tokio");
    expect(dependencies(manifest("agb-client"))).not.toContain("agb-emulator");
    expect(manifest("agb-emulator")).not.toContain("agb-client");
  });

  it("has no kind of error that the facade doesn't know, and the other way round", () => {
    const rust = readFileSync(join(ROOT, "crates", "agb-client", "src", "error.rs"), "utf8");
    const body = /pub enum ErrorKind \{([\s\S]*?)^\}/m.exec(rust)?.[1] ?? "";
    const kinds = [...withoutComments(body).matchAll(/^\s*(\w+),/gm)].map(([, name]) => name);
    const { FAILURE_KINDS } = require("../dist/errors.js") as { FAILURE_KINDS: readonly string[] };

    expect(kinds.length).toBeGreaterThan(10);
    expect([...FAILURE_KINDS].sort()).toEqual(kinds.sort());
  });
});

describe("the facade", () => {
  // Shows the native side that the event loop runs, for which there is nothing but a timer.
  const LOOP_WATCH = "ts/support/event-loop.ts";
  // Waits for the program's own code, and not without end.
  const PATIENCE = "ts/support/patience.ts";
  const isFacade = (file: { path: string }) => isIn("ts/")(file) && ![LOOP_WATCH, PATIENCE].includes(file.path);

  it("opens no socket, sends no request and polls nothing", () => {
    const forbidden = /\b(fetch|setInterval|setTimeout)\(|from "node:(https?|net|tls|dgram|http2|child_process)"/;

    expect(occurrences(forbidden, isFacade)).toEqual([]);
  });

  it("touches no file, but to find the native library and where the surface itself writes one", () => {
    const allowed = ["ts/native.ts", "ts/modules/browser/fingerprint-generator.ts"];
    const places = occurrences(/from "node:fs(\/promises)?"/, isFacade);

    expect(places.filter((place) => !allowed.some((path) => place.startsWith(path)))).toEqual([]);
  });
});

describe("tests", () => {
  it("use no fixed port", () => {
    const fixed = /\bport: *[1-9]\d|\.listen\([1-9]\d|\bbind\(.*[:,] *[1-9]\d{3}/;
    const places = occurrences(fixed, (file) => isSpec(file) || isIn("crates/")(file));

    expect(places).toEqual([]);
  });

  it("all run: none is the only one, none is left out without a reason", () => {
    const only = /\b(it|test|describe)\.(only|skip|todo)\b|\b(fit|fdescribe|xit|xdescribe|xtest)\(|#\[ignore\]/;
    const places = occurrences(only, (file) => isSpec(file) || isRust(file));

    expect(places.filter((place) => !place.startsWith("__test__/source.spec.ts"))).toEqual([]);
  });

  it("end by themselves", () => {
    expect(occurrences(/forceExit\b/, (file) => /^(jest\.config|package\.json|scripts\/)/.test(file.path))).toEqual([]);
  });
});

describe("the repository", () => {
  const isOurText = ({ path }: { path: string }) => path !== "__test__/source.spec.ts";

  it("names no place of the machine it was written on", () => {
    const places = [ROOT, homedir()].filter((place) => place.split("/").length > 2);
    const foreign = new RegExp(`${places.map((place) => `${place}\\b|`).join("")}(?<![\\w.*~-])/work/`);

    expect(occurrences(foreign, isOurText)).toEqual([]);
  });

  it("names no package registry's host", () => {
    const hosts =
      /registry\.(npmjs|npmmirror|yarnpkg)\.|pypi\.org|files\.pythonhosted|static\.crates\.io|index\.crates\.io/;

    expect(occurrences(hosts, isOurText)).toEqual([]);
    expect(occurrences(/"resolved": "http/, ({ path }) => path === "package-lock.json")).toEqual([]);
  });

  it("holds no test of README that differs from README", () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const spec = readFileSync(join(ROOT, "__test__", "readme.spec.ts"), "utf8");

    expect(readme).toContain(`\`\`\`ts\n${spec}\`\`\`\n`);
  });
});
