import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Emulator } from "agbcloud-native";
import ts from "typescript";
import { startEmulator } from "./support/emulator";
import { ROOT, runModule } from "./support/processes";

/** The program of the SDK's documentation, unchanged but for the package's name. */
const PROGRAM = `\
import { AGB, CreateSessionParams } from "agbcloud-native";

const agb = new AGB();
const session = (await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 300 })))
  .session;
await session.code.run("print('Hello')", "python");
const result = await session.keepAlive();
if (!result.success) console.log(\`Failed: \${result.errorMessage}\`);
await agb.delete(session);
`;

const WITH_FINALLY = `\
import { AGB, CreateSessionParams } from "agbcloud-native";

const agb = new AGB();
const session = (await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 300 })))
  .session;
try {
  await session.code.run("print('Hello')", "python");
  const result = await session.keepAlive();
  if (!result.success) console.log(\`Failed: \${result.errorMessage}\`);
} finally {
  await agb.delete(session);
}
`;

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  lib: ["lib.es2022.d.ts"],
  types: ["node"],
  strict: true,
  noEmit: true,
};

/** What the compiler has to say about a module that stands in the project. */
function typeErrors(source: string, options: ts.CompilerOptions = {}): string[] {
  const file = join(ROOT, "__test__", "documented-program.mts");
  const merged = { ...OPTIONS, ...options };
  const host = ts.createCompilerHost(merged);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? source : readFile(name));
  host.getSourceFile = (name, target, ...rest) =>
    name === file ? ts.createSourceFile(name, source, target) : getSourceFile(name, target, ...rest);
  const program = ts.createProgram([file], merged, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

/** Runs a TypeScript module as a user's program, with nothing but the two variables. */
function run(source: string, emulator: Emulator) {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  });
  return runModule(outputText, emulator.env);
}

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator?.close());
beforeEach(() => emulator.clearJournal());
afterEach(() => emulator.expectNoLiveSessions());

describe("the documentation's program", () => {
  it.each([
    ["as it is", PROGRAM],
    ["with try and finally", WITH_FINALLY],
  ])("type-checks and runs %s", async (_, program) => {
    expect(typeErrors(program, { strictNullChecks: false })).toEqual([]);
    expect(await run(program, emulator)).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
    const operations = emulator.journal().map(({ operation, tool }) => tool ?? operation);
    expect(operations.slice(0, 4)).toEqual([
      "createSession",
      "run_code",
      "refreshSessionIdleTime",
      "releaseSessionAsync",
    ]);
    expect(emulator.journal()[0]).toMatchObject({ query: { imageId: "agb-code-space-1" }, body: { timeout: 300 } });
  });
});

describe("README.md", () => {
  const readme = existsSync(join(ROOT, "README.md")) ? readFileSync(join(ROOT, "README.md"), "utf8") : "";
  const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
  const jestFile = blocks.find((block) => block.includes("beforeAll("));
  const programs = blocks.filter((block) => block !== jestFile);

  it("shows a complete jest file, which is readme.spec.ts", () => {
    expect(jestFile).toBe(readFileSync(join(__dirname, "readme.spec.ts"), "utf8"));
    expect(jestFile?.split("\n").length).toBeLessThanOrEqual(46);
  });

  it("shows strict TypeScript", () => {
    expect(programs).not.toEqual([]);
    for (const program of programs) expect(typeErrors(program)).toEqual([]);
    expect(typeErrors(jestFile ?? "", { types: ["node", "jest"] })).toEqual([]);
  });

  it("begins with a program that runs, and prints what its comments say", async () => {
    const [example = ""] = programs;
    expect(example.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
    const { code, stdout, stderr } = await run(example, emulator);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const printed = [...example.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => `${text}\n`).join("");
    expect(printed).not.toBe("");
    expect(stdout).toBe(printed);
  });

  it("names only files and npm scripts that exist", () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = ""]) => path);
    const paths = [...readme.matchAll(/`((?:ts|src|crates|docs|examples|bin)\/[\w./-]+)`/g)].map(
      ([, path = ""]) => path,
    );
    for (const path of [...links, ...paths]) expect([path, existsSync(join(ROOT, path))]).toEqual([path, true]);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    for (const [, name = ""] of readme.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });
});

describe("docs/parity.md", () => {
  /** The rows of its tables of members: the first cell without its backticks, the verdict and the words. */
  function parityRows(): { name: string; verdict: string; words: string }[] {
    const [, members = ""] = readFileSync(join(ROOT, "docs/parity.md"), "utf8").split("\n## Member by member\n");
    return [...members.matchAll(/^\| `([^|]+)` +\| (\w+) +\| (.*)\|$/gm)].map(
      ([, name = "", verdict = "", words = ""]) => ({ name, verdict, words: words.trim() }),
    );
  }

  /** What index.d.ts exports: every name, and of classes every public member and the constructor. */
  function exportedMembers(): string[] {
    const text = readFileSync(join(ROOT, "index.d.ts"), "utf8");
    const { statements } = ts.createSourceFile("index.d.ts", text, ts.ScriptTarget.ES2022);
    const exported = statements.flatMap((statement) =>
      ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
        ? statement.exportClause.elements.map(({ name }) => name.text)
        : [],
    );
    const classes = new Map<string, string[]>();
    for (const statement of statements) {
      if (!ts.isClassDeclaration(statement) || !statement.name) continue;
      const owner = statement.name.text;
      classes.set(
        owner,
        statement.members.flatMap((member) => {
          if (ts.isConstructorDeclaration(member)) return [`new ${owner}`];
          return member.name && ts.isIdentifier(member.name) ? [`${owner}.${member.name.text}`] : [];
        }),
      );
    }
    const membersOf = (name: string) => classes.get(name) ?? [];
    return [...new Set(exported.flatMap((name) => (membersOf(name).length > 0 ? membersOf(name) : [name])))];
  }

  const nameOf = (member: string) => member.replace(/^new /, "");

  it("has a line for every member that is exported", () => {
    const listed = new Set(parityRows().map(({ name }) => name));
    expect(exportedMembers().length).toBeGreaterThan(600);
    expect(exportedMembers().filter((member) => !listed.has(member))).toEqual([]);
  });

  it("has no line for what is not there, nor two for one, nor one for two", () => {
    const listed = parityRows().map(({ name }) => name);
    expect(listed).toEqual([...new Set(listed)]);
    const there = new Set(
      exportedMembers().flatMap((member) => [member, nameOf(member), nameOf(member).split(".")[0]]),
    );
    expect(listed.filter((name) => !there.has(nameOf(name)))).toEqual([]);
  });

  it("says of each what it is, and how or why", () => {
    for (const { name, verdict, words } of parityRows()) {
      expect([name, verdict]).toEqual([name, expect.stringMatching(/^(same|better|different|added)$/)]);
      if (verdict !== "same") expect([name, words]).toEqual([name, expect.stringMatching(/./)]);
    }
  });
});
