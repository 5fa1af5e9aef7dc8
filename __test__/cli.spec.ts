import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AGB } from "agbcloud-native";
import { startEmulator, withFreedPort } from "./support/emulator";
import {
  allGone,
  processesWith,
  ROOT,
  type Running,
  runModule,
  runNode,
  sleepMark,
  start,
  startNode,
} from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const CLI = "bin/agb-emulator.js";
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** Runs `work` with the command line; it is ended afterwards. */
async function withProgram<T>(args: string[], work: (program: Running) => Promise<T>): Promise<T> {
  const program = startNode(CLI, args);
  try {
    return await work(program);
  } finally {
    program.child.kill("SIGTERM");
    await program.ended;
  }
}

/** A client by the address and key that a program has printed. */
function clientAt(url: string, apiKey: string): AGB {
  return new AGB({ apiKey, config: { endpoint: url } });
}

it("--help tells every option and starts nothing", async () => {
  const { code, stdout, stderr } = await runNode(CLI, ["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const word of ["agb-emulator", "--port", "--api-key", "--fault", "--json", "--help"])
    expect(stdout).toContain(word);
});

it("--version tells the package's version", async () => {
  const { code, stdout } = await runNode(CLI, ["--version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`\\b${version.replaceAll(".", "\\.")}\\n$`));
});

it.each([
  [["--nonsense"]],
  [["--port"]],
  [["--port", "many"]],
  [["--port", "70000"]],
  [["stray"]],
  [["--isolation", "docker"]],
  [["--fault", "callTool:rest"]],
])("%j is refused in one line", async (args) => {
  const { code, stdout, stderr } = await runNode(CLI, args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(stderr).toContain(args.at(-1));
  expect(stderr).toContain("--help");
});

it("--json prints one ready line with URL and key, and nothing else", async () => {
  await withProgram(["--port", "0", "--json"], async (program) => {
    const ready = JSON.parse(await program.line(/^\{/));
    expect(ready).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/),
      apiKey: expect.stringMatching(/^\S{16,}$/),
    });
    await createSession(clientAt(ready.url, ready.apiKey));
    expect(program.printed.stdout.split("\n")).toHaveLength(2);
  });
});

it("chooses another key each time, and takes one", async () => {
  const keyOf = (args: string[]) =>
    withProgram(["--port", "0", "--json", ...args], async (program) => JSON.parse(await program.line(/^\{/)).apiKey);
  const keys = [await keyOf([]), await keyOf([]), await keyOf(["--api-key", "my-key"])];
  expect(new Set(keys).size).toBe(3);
  expect(keys[2]).toBe("my-key");
});

it("takes the port it is told to", async () => {
  await withFreedPort((port) =>
    withProgram(["--port", String(port), "--json"], async (program) => {
      expect(JSON.parse(await program.line(/^\{/)).url).toBe(`http://127.0.0.1:${port}`);
    }),
  );
});

it("says in one line that a port is taken", async () => {
  const emulator = await startEmulator();
  try {
    const { port } = new URL(emulator.url);
    const { code, stdout, stderr } = await runNode(CLI, ["--port", port]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain(`port ${port} is taken`);
  } finally {
    await emulator.close();
  }
});

it("prints two export lines that a shell can take, the isolation, and how to stop it", async () => {
  const key = 'it\'s-a-"key"-$HOME;`id`';
  await withProgram(["--port", "0", "--api-key", key], async (program) => {
    await program.line(/Ctrl-C/);
    const exports = program.printed.stdout.split("\n").filter((line) => /^\s*export /.test(line));
    expect(exports).toHaveLength(2);
    expect(program.printed.stdout).toMatch(/namespace|plain/);
    const printing = `${exports.join("\n")}\nprintf '%s\\n' "$AGB_ENDPOINT" "$AGB_API_KEY"`;
    const { stdout } = await start("sh", ["-c", printing]).ended;
    const [url = "", read] = stdout.split("\n");
    expect(read).toBe(key);
    await createSession(clientAt(url, key));
  });
});

it("--fault lets requests fail, and the log says so", async () => {
  const json = JSON.stringify({ operation: "callTool", kind: "reset", tool: "shell", when: "after" });
  const args = ["--port", "0", "--json", "--fault", "ListSession:status=400,message=not now", "--fault", json];
  await withProgram(args, async (program) => {
    const { url, apiKey } = JSON.parse(await program.line(/^\{/));
    const agb = clientAt(url, apiKey);
    expect(await agb.list()).toMatchObject({ success: false, errorMessage: expect.stringContaining("not now") });
    must(await agb.list());
    const session = await createSession(agb);
    expect(await session.command.execute("touch done", 30_000)).toMatchObject({ success: false });
    must(await session.command.execute("test -e done", 30_000));
    await program.line(/callTool shell \w+ 0 unanswered \(fault reset, work done\)/);
  });
});

it("serves a client of another process that has only the two variables", async () => {
  await withProgram(["--port", "0", "--json"], async (program) => {
    const { url, apiKey } = JSON.parse(await program.line(/^\{/));
    const { code, stdout, stderr } = await runModule(
      `import { AGB, CreateSessionParams } from "agbcloud-native";
       const agb = new AGB();
       const { session } = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1" }));
       console.log((await session.code.run("print('Hello')", "python")).logs.stdout.join(""));
       console.log((await agb.delete(session)).success);`,
      { AGB_ENDPOINT: url, AGB_API_KEY: apiKey },
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "Hello\n\ntrue\n", stderr: "" });
  });
});

it("logs one readable line per request to standard error, without secrets", async () => {
  await withProgram(["--port", "0", "--json"], async (program) => {
    const { url, apiKey } = JSON.parse(await program.line(/^\{/));
    const agb = clientAt(url, apiKey);
    const session = await createSession(agb);
    must(await session.command.execute("echo hello", 30_000));
    expect((await clientAt(url, "wrong-key").list()).success).toBe(false);
    must(await agb.delete(session));

    await program.line(/createSession.*\b200\b|\b200\b.*createSession/);
    // The operation, the tool, the session by the beginning of its id, and the status.
    const [, id = "none"] = /callTool shell (\w+) 200\b/.exec(await program.line(/shell/)) ?? [];
    expect(session.getSessionId()).toContain(id);
    await program.line(/\b40[13]\b/);
    await program.line(/releaseSessionAsync/);
    const lines = program.printed.stderr.trimEnd().split("\n");
    expect(lines.filter((line) => line.includes("createSession"))).toHaveLength(1);
    expect(program.printed.stderr).not.toContain(apiKey);
    expect(program.printed.stderr).not.toContain("wrong-key");
    expect(session.token === "" || !program.printed.stderr.includes(session.token)).toBe(true);
  });
});

it.each(["SIGINT", "SIGTERM"] as const)("%s stops every session and ends with 0", async (signal) => {
  const program = startNode(CLI, ["--port", "0", "--json"]);
  const { url, apiKey } = JSON.parse(await program.line(/^\{/));
  const session = await createSession(clientAt(url, apiKey));
  const mark = sleepMark();
  must(await session.command.execute(`nohup sleep ${mark} > /dev/null 2>&1 &`, 30_000));
  const held = session.code.run("while True: pass", "python");
  await until("the command runs", () => processesWith(`sleep ${mark}`).length === 1);

  program.child.kill(signal);
  const { code, signal: by } = await program.ended;
  expect({ code, by }).toEqual({ code: 0, by: null });
  await allGone(`sleep ${mark}`);
  expect((await held).success).toBe(false);
});

it("ends with 0 when it is stopped before it is ready", async () => {
  const program = startNode(CLI, ["--port", "0", "--json"]);
  program.child.once("spawn", () => program.child.kill("SIGTERM"));
  const { code, signal } = await program.ended;
  // Before Node has read the file, the signal has its usual effect.
  expect(signal === "SIGTERM" || code === 0).toBe(true);
});

it("is the package's command", () => {
  const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(bin).toEqual({ "agb-emulator": CLI });
  expect(readFileSync(join(ROOT, CLI), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
});
