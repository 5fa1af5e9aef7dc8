// @one-isolation: what is compared is the protocol.

/** The official Python SDK works with the emulator: the emulator speaks the protocol, not only our own client's idea. */

import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Emulator, type EmulatorAgentAnswer } from "agbcloud-native";

import { fewAtATime } from "./support/exit-matrix";
import { type Absence, needs, noChromium, noDesktop, noJdk, noR, peer } from "./support/needs";

const CONFORMANCE = join(__dirname, "..", "conformance");
const PROGRAMS = join(CONFORMANCE, "python");
/** Far more than any program needs; the agent of the SDK looks at its tasks every 5 or 8 s. */
const LONGEST_MS = 150_000;
/** Browser, desktop and Java would starve one another. */
const PROGRAMS_AT_A_TIME = 3;

const python = peer("python-sdk");
const { describe } = needs(python.absence);

/** What the checks of browser.py expect. */
const AGENT_ANSWERS: EmulatorAgentAnswer[] = [
  { tool: "act", containing: "script", answer: "rang the bell" },
  {
    tool: "observe",
    containing: "script",
    answer: [{ selector: "#bell", description: "the bell", method: "click", arguments: { times: 1 } }],
  },
  { tool: "extract", containing: "script", answer: { price: 7 } },
];

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program where there is no `.env`, with the emulator as the only thing it knows. */
function runProgram(name: string, args: string[], env: Record<string, string>, cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const quiet = { AGB_LOG_LEVEL: "CRITICAL", PYTHONDONTWRITEBYTECODE: "1" };
    const options = { cwd, env: { PATH: process.env.PATH, ...quiet, ...env }, timeout: LONGEST_MS };
    execFile(python.path, [join(PROGRAMS, name), ...args], options, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error ? 1 : 0;
      resolve({ code, stdout, stderr });
    });
  });
}

describe("the official Python SDK", () => {
  let directory: string;
  const emulators: Emulator[] = [];

  async function startEmulator(): Promise<Emulator> {
    const emulator = await Emulator.start();
    emulators.push(emulator);
    emulator.scriptBrowserAgent(AGENT_ANSWERS);
    return emulator;
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "agb-conformance-"));
    const tasks = programs.map((program) => () => start(program));
    started = fewAtATime(tasks, PROGRAMS_AT_A_TIME);
  });

  afterAll(async () => {
    for (const emulator of emulators) await emulator.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** How many checks of a program passed, which have to be all. */
  function passedChecks({ code, stdout, stderr }: Outcome): number {
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

  it(
    "creates, runs code, keeps alive, lists, reads, deletes, and fails as it should afterwards",
    async () => {
      const emulator = await startEmulator();
      expect(passedChecks(await runProgram("lifecycle.py", [], emulator.env, directory))).toBeGreaterThan(15);
      emulator.expectNoLiveSessions();
      // What was checked is what the emulator saw.
      const used = emulator.journal().filter(({ success }) => success);
      const operations = used.map(({ operation, tool }) => tool ?? operation);

      expect(operations.filter((operation) => operation === "createSession")).toHaveLength(6);
      expect(operations).toEqual(
        expect.arrayContaining(["run_code", "shell", "read_file", "write_file", "ListSession"]),
      );
    },
    LONGEST_MS + 30_000,
  );

  /** Programs of the SDK wait most of the time: those that nothing is absent for run side by side, each with an emulator. */
  const programs: string[][] = [];
  let started: ReturnType<typeof start>[];

  async function start([name, ...args]: string[]): Promise<{ emulator: Emulator; outcome: Outcome }> {
    const emulator = await startEmulator();
    return { emulator, outcome: await runProgram(name as string, args, emulator.env, directory) };
  }

  /** A program whose checks all pass, at least as many as it should have, and which leaves no session. */
  function passes(title: string, atLeast: number, program: [name: string, ...args: string[]], absence?: Absence): void {
    const index = programs.length;
    if (!absence) programs.push(program);
    needs(absence).it(
      title,
      async () => {
        const { emulator, outcome } = await (started[index] as ReturnType<typeof start>);
        expect(passedChecks(outcome)).toBeGreaterThanOrEqual(atLeast);
        emulator.expectNoLiveSessions();
      },
      LONGEST_MS + 30_000,
    );
  }

  passes("keeps files in contexts and transfers them", 8, ["contexts.py"]);
  passes("runs and streams Python and JavaScript, with what they display", 10, [
    "languages.py",
    "python",
    "javascript",
  ]);
  passes("runs and streams Java", 6, ["languages.py", "java"], noJdk);
  passes("runs and streams R", 6, ["languages.py", "r"], noR);
  passes("opens WebSockets, with streams that are read, cancelled and refused", 7, ["streams.py"]);
  passes("runs commands, and writes, finds and watches files", 10, ["files.py"]);
  passes("stores extensions, and has them in sessions", 5, ["extensions.py"]);
  passes("drives a browser, and its agent", 9, ["browser.py"], noChromium);
  passes("drives a desktop", 9, ["computer.py"], noDesktop);
});

it("every program stands in the table of conformance/README.md", () => {
  const readme = readFileSync(join(CONFORMANCE, "README.md"), "utf8");
  const programs = readdirSync(PROGRAMS).filter((name) => name.endsWith(".py"));
  expect(programs.length).toBeGreaterThan(6);
  expect(programs.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});
