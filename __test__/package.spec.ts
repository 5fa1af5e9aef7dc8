// @one-isolation: what is tested is the package.

/** The package as it is published: packed, and installed in a project of its own under the reference's name. */

import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";

import { AGB, Emulator } from "agbcloud-native";

import { needs, peer } from "./support/needs";

const ROOT = join(__dirname, "..");
const FIXTURES = join(__dirname, "fixtures", "package");
const TSC = join(ROOT, "node_modules", "typescript", "bin", "tsc");
const JEST_30 = join(ROOT, "node_modules", "jest", "bin", "jest.js");

interface Outcome {
  code: number;
  stdout: string;
  output: string;
}

/** Runs a program to its end, without the variables that would point it at another service. */
function run(program: string, args: string[], cwd: string, env: Record<string, string> = {}): Promise<Outcome> {
  const { AGB_API_KEY: _key, AGB_ENDPOINT: _endpoint, NODE_OPTIONS: _options, ...inherited } = process.env;
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env: { ...inherited, ...env }, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error ? 1 : 0;
      resolve({ code, stdout, output: `${stdout}${stderr}` });
    });
  });
}

/** Runs a program that must succeed; when it does not, the failure shows what it said. */
async function mustRun(program: string, args: string[], cwd: string, env?: Record<string, string>): Promise<string> {
  const { code, stdout, output } = await run(program, args, cwd, env);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${output}`);
  return stdout;
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}

describe("the package", () => {
  let directory: string;
  let project: string;
  let packed: { filename: string; files: { path: string }[] };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "agb-package-"));
    project = join(directory, "project");
    const report = await mustRun("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], ROOT);
    [packed] = JSON.parse(report);

    await cp(FIXTURES, project, { recursive: true });
    await writeFile(join(project, "package.json"), '{ "name": "project", "private": true }\n');
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--offline"];
    await mustRun("npm", ["install", ...quiet, `agbcloud-sdk@file:${join(directory, packed.filename)}`], project);
    // What a TypeScript project has anyway; linked, so that nothing must be fetched.
    await mkdir(join(project, "node_modules", "@types"), { recursive: true });
    for (const name of ["@types/node", "undici-types"]) {
      await symlink(join(ROOT, "node_modules", name), join(project, "node_modules", name));
    }
  }, 180_000);

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it("holds what is needed to run, the library of this platform, and nothing else", async () => {
    const sources = await filesBelow(join(ROOT, "ts"));
    const compiled = sources
      .filter((file) => file.endsWith(".ts"))
      .map((file) => `dist/${file.replace(/\.ts$/, ".js")}`);
    const documents = (await filesBelow(join(ROOT, "docs"))).map((file) => `docs/${file}`);
    const libraries = packed.files.map(({ path }) => path).filter((path) => path.endsWith(".node"));

    expect(packed.files.map(({ path }) => path).sort()).toEqual(
      [
        ...["CHANGELOG.md", "LICENSE", "README.md", "bin/agb-emulator.js", "index.d.ts", "index.js", "package.json"],
        ...compiled,
        ...documents,
        ...libraries,
      ].sort(),
    );
    expect(libraries).toHaveLength(1);
    expect(libraries[0]).toContain(`native/agbcloud-native.${process.platform}-${process.arch}`);
  });

  it("needs no other package", async () => {
    const manifest = JSON.parse(await readFile(join(project, "node_modules", "agbcloud-sdk", "package.json"), "utf8"));

    for (const field of ["dependencies", "optionalDependencies", "peerDependencies", "bundleDependencies"]) {
      expect(manifest[field]).toBeUndefined();
    }
    for (const script of ["preinstall", "install", "postinstall", "prepare"]) {
      expect(manifest.scripts[script]).toBeUndefined();
    }
  });

  it.each(["required.cjs", "imported.mjs"])("loads in %s", async (file) => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));

    expect(await mustRun(process.execPath, [file], project)).toBe(`function function ${version} 300\n`);
  });

  describe.each([
    { resolution: "node16", module: "node16" },
    { resolution: "bundler", module: "esnext" },
  ])("under tsc with moduleResolution $resolution", ({ resolution, module }) => {
    const options = (strictness: object) => ({
      compilerOptions: {
        target: "es2022",
        lib: ["es2022", "esnext.disposable"],
        module,
        moduleResolution: resolution,
        types: ["node"],
        skipLibCheck: false,
        outDir: `out-${resolution}`,
        ...strictness,
      },
    });

    async function compile(name: string, strictness: object, files: string[]): Promise<void> {
      await writeFile(join(project, name), JSON.stringify({ ...options(strictness), files }));
      await mustRun(process.execPath, [TSC, "-p", name], project);
    }

    it("the programs of the documentation compile and run unchanged", async () => {
      const programs = ["documentation", "documentation-finally"];
      const sources = programs.map((program) => `${program}.mts`);
      await compile(`documentation-${resolution}.json`, { strict: true, strictNullChecks: false }, sources);

      const emulator = await Emulator.start();
      try {
        for (const program of programs) {
          emulator.clearJournal();
          expect(await mustRun(process.execPath, [`out-${resolution}/${program}.mjs`], project, emulator.env)).toBe("");
          const requests = emulator.journal();
          expect(requests.map(({ operation, tool }) => tool ?? operation)).toEqual(
            expect.arrayContaining(["createSession", "run_code"]),
          );
          expect(requests.filter(({ success }) => !success)).toEqual([]);
          emulator.expectNoLiveSessions();
        }
      } finally {
        await emulator.close();
      }
    });

    it("a program that checks every result compiles strictly and runs", async () => {
      const strictness = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true };
      await compile(`strict-${resolution}.json`, strictness, ["strict.mts"]);

      expect(await mustRun(process.execPath, [`out-${resolution}/strict.mjs`], project)).toBe("42 done\n");
    });
  });

  const jest29 = peer("jest-29");
  const versions = [
    { version: 30, program: JEST_30, absence: undefined },
    { version: 29, program: jest29.path, absence: jest29.absence },
  ];
  for (const { version, program, absence } of versions) {
    needs(absence).it(`works in a user's tests under jest ${version}`, async () => {
      // Jest's own limits are short where a machine is busy.
      const limits = { testTimeout: 120_000, openHandlesTimeout: 10_000 };
      const config = JSON.stringify({ transform: {}, testEnvironment: "node", rootDir: project, ...limits });

      const { code, output } = await run(process.execPath, [program, "--ci", "--config", config], project);

      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("Tests:       3 passed, 3 total") });
      expect(output).not.toMatch(/did not exit|Force exiting|open handle/);
    });
  }

  it("brings a program that starts the emulator, says where, and ends on SIGTERM", async () => {
    const program = join(project, "node_modules", ".bin", "agb-emulator");
    const child = spawn(program, ["--json"], { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
      const ready = await new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve));
      const { url, apiKey } = JSON.parse(ready);
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      const listed = await new AGB({ apiKey, config: { endpoint: url } }).list();
      expect(listed).toMatchObject({ success: true, sessionIds: [] });

      child.kill("SIGTERM");

      expect(await ended).toEqual({ code: 0, signal: null });
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("runs by npx", async () => {
    expect(await mustRun("npx", ["--no-install", "agb-emulator", "--help"], project)).toContain("--port");
  });
});
