// @one-isolation: what is compared is the protocol.

/** The official Python SDK works with the emulator: the emulator speaks the protocol, not only our own client's idea. */

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Emulator } from "agbcloud-native";

import { needs, peer } from "./support/needs";

const PROGRAMS = join(__dirname, "..", "conformance", "python");

const python = peer("python-sdk");
const { describe } = needs(python.absence);

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program where there is no `.env`, with the emulator as the only thing it knows. */
function runProgram(name: string, env: Record<string, string>, cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { PATH: process.env.PATH, AGB_LOG_LEVEL: "CRITICAL", ...env }, timeout: 55_000 };
    execFile(python.path, [join(PROGRAMS, name)], options, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error ? 1 : 0;
      resolve({ code, stdout, stderr });
    });
  });
}

describe("the official Python SDK", () => {
  let emulator: Emulator;
  let directory: string;

  beforeAll(async () => {
    emulator = await Emulator.start();
    directory = await mkdtemp(join(tmpdir(), "agb-conformance-"));
  });

  afterAll(async () => {
    await emulator?.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** How many checks of a program passed, which have to be all. */
  async function passedChecks(name: string): Promise<number> {
    const { code, stdout, stderr } = await runProgram(name, emulator.env, directory);
    const lines = stdout.trim().split("\n");
    const passed = lines.filter((line) => line.startsWith("ok "));
    const others = lines.filter((line) => !line.startsWith("ok "));
    // One comparison, so that a failure shows each check that failed, and the program's own errors.
    expect({ code, others, stderr: code === 0 ? "" : stderr.slice(-5_000) }).toEqual({
      code: 0,
      others: [`${passed.length} checks`],
      stderr: "",
    });
    return passed.length;
  }

  it("creates, runs code, keeps alive, lists, reads, deletes, and fails as it should afterwards", async () => {
    expect(await passedChecks("lifecycle.py")).toBeGreaterThan(15);
    emulator.expectNoLiveSessions();
  });

  it("is what the emulator saw", () => {
    const used = emulator.journal().filter(({ success }) => success);
    const operations = used.map(({ operation, tool }) => tool ?? operation);

    expect(operations.filter((operation) => operation === "createSession")).toHaveLength(6);
    expect(operations).toEqual(expect.arrayContaining(["run_code", "shell", "read_file", "write_file", "ListSession"]));
  });

  it("keeps files in contexts and transfers them", async () => {
    expect(await passedChecks("contexts.py")).toBeGreaterThan(7);
    emulator.expectNoLiveSessions();
  });
});
