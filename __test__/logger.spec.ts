// @one-isolation: what is tested is the client.

/** Logging: standard error only, one line an event, WARN by default, never a secret. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { getLogLevel, LogLevel, setLogLevel } from "agbcloud-native";
import { useEmulator } from "./support/emulator";

const spec = useEmulator();
const SCRIPT = join(__dirname, "fixtures", "log-everything.cjs");

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  lines: string[];
}

/** Runs a task of the script in a process of its own; `level` is its AGB_LOG_LEVEL. */
function run(task: string, level?: string): Promise<Ended> {
  const { AGB_LOG_LEVEL: _, ...environment } = process.env;
  const env = level === undefined ? environment : { ...environment, AGB_LOG_LEVEL: level };
  const child = spawn(process.execPath, [SCRIPT, spec.emulator.url, spec.emulator.apiKey, task], { env });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => {
      resolve({ exitCode, stdout, stderr, lines: stderr.split("\n").filter((line) => line !== "") });
    });
  });
}

/** Level and message of a line, which has the layout of the reference. */
function parsed(line: string): [string, string] {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) \| AGB \| (DEBUG|INFO |WARN |ERROR) \| (.+)$/.exec(line);
  if (!match?.[1] || !match[2] || !match[3]) throw new Error(`a line of another layout: ${line}`);
  expect(Number.isNaN(Date.parse(match[1]))).toBe(false);
  return [match[2].trim(), match[3]];
}

it("writes warnings and errors by default, to standard error", async () => {
  const { stdout, lines } = await run("levels");
  expect(stdout).toBe("");
  expect(lines.map(parsed)).toEqual([
    ["WARN", "w text null"],
    ["ERROR", "e boom"],
  ]);
});

it.each([
  ["debug", ["DEBUG", "INFO", "WARN", "ERROR"]],
  ["INFO", ["INFO", "WARN", "ERROR"]],
  ["Warn", ["WARN", "ERROR"]],
  ["WARNING", ["WARN", "ERROR"]],
  ["error", ["ERROR"]],
  ["SILENT", []],
  ["", ["WARN", "ERROR"]],
  ["loud", ["WARN", "ERROR"]],
])("AGB_LOG_LEVEL=%s shows %p", async (level, shown) => {
  const { stdout, lines } = await run("levels", level);
  expect(stdout).toBe("");
  expect(lines.map((line) => parsed(line)[0])).toEqual(shown);
});

it("further arguments follow the message", async () => {
  const { lines } = await run("levels", "INFO");
  expect(lines.map(parsed)[0]).toEqual(["INFO", expect.stringMatching(/^i 1 \{ a: \[ 1 \] \}$/)]);
});

it("getLogLevel tells what the environment says", async () => {
  expect((await run("level")).exitCode).toBe(10 + LogLevel.WARN);
  expect((await run("level", "DEBUG")).exitCode).toBe(10 + LogLevel.DEBUG);
  expect((await run("level", "SILENT")).exitCode).toBe(10 + LogLevel.SILENT);
});

it("the level can be changed at any time", async () => {
  const { stdout, lines } = await run("raise", "ERROR");
  expect(stdout).toBe("");
  expect(lines.map(parsed)).toContainEqual(["DEBUG", "now"]);
  expect(lines.join()).not.toContain("never");

  const before = getLogLevel();
  try {
    setLogLevel(LogLevel.SILENT);
    expect(getLogLevel()).toBe(LogLevel.SILENT);
    for (const level of [-1, 5, 1.5, Number.NaN, "INFO", undefined, null]) {
      expect(() => setLogLevel(level as never)).toThrow(RangeError);
    }
    expect(getLogLevel()).toBe(LogLevel.SILENT);
  } finally {
    setLogLevel(before);
  }
});

it("LogLevel has the reference's numbers and names", () => {
  expect(LogLevel).toMatchObject({ DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3, SILENT: 4 });
  expect(LogLevel[2]).toBe("WARN");
});

it("a whole session logs nothing by default, and ends by itself", async () => {
  const { exitCode, stdout, stderr } = await run("session");
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});

it("at DEBUG every line has the layout, and none holds a secret", async () => {
  const seen = spec.emulator.sessions().length;
  const { exitCode, stdout, stderr, lines } = await run("session", "DEBUG");
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
  expect(lines.length).toBeGreaterThan(5);
  const levels = lines.map((line) => parsed(line)[0]);
  expect(levels).toContain("DEBUG");
  // A missing file and a deleted session are outcomes that callers expect.
  expect(levels).not.toContain("ERROR");

  const session = spec.emulator.sessions()[seen];
  expect(session).toBeDefined();
  const secrets = [
    spec.emulator.apiKey,
    "label-secret",
    "command-secret",
    "variable-secret",
    "code-secret",
    "file-secret",
    "object-secret",
    "resourceId=",
    "authCode",
    "/callTool",
  ];
  for (const secret of secrets) expect(stderr).not.toContain(secret);
});
