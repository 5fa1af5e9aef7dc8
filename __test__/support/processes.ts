/** Programs that specs start, and what runs on this machine. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "./wait";

/** The project's directory. */
export const ROOT = join(__dirname, "..", "..");

/** Far more than any program here needs; one that takes longer hangs and is ended. */
const LONGEST_MS = 120_000;

/** How a program ended and what it printed. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A program that runs. */
export interface Running {
  child: ChildProcess;
  pid: number;
  /** What it has printed so far. */
  printed: { stdout: string; stderr: string };
  /** Waits until a line of its output or errors matches; rejects when the program ends before. */
  line(pattern: RegExp): Promise<string>;
  /** Waits for its end. */
  ended: Promise<Ended>;
}

const alive = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** Starts a program of ours; its environment has no AGB variable but those given here. */
export function start(command: string, args: string[], env: NodeJS.ProcessEnv = {}, input?: string): Running {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("AGB_"));
  const child = spawn(command, args, { cwd: ROOT, env: { ...Object.fromEntries(inherited), ...env } });
  alive.add(child);
  child.stdin.on("error", () => undefined).end(input);

  const printed = { stdout: "", stderr: "" };
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      printed[name] += text;
    });
    createInterface({ input: child[name] }).on("line", (line) => {
      lines.push(line);
      wake();
    });
  }

  let over = false;
  const ended = new Promise<Ended>((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      alive.delete(child);
      over = true;
      resolve({ code, signal, ...printed });
      wake();
    });
  });

  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = lines.find((candidate) => pattern.test(candidate));
        if (found === undefined && !over) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the program ended without a line like ${pattern}:\n${printed.stdout}${printed.stderr}`));
      };
      waiting.add(look);
      look();
    });

  return { child, pid: child.pid ?? -1, printed, line, ended };
}

/** Runs a JavaScript file of the project to its end. */
export function runNode(file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return startNode(file, args, env).ended;
}

/** Starts a JavaScript file of the project. */
export function startNode(file: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Running {
  return start(process.execPath, [join(ROOT, file), ...args], env);
}

/** Runs a text as an ES module that finds the package by its name. */
export function runModule(source: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return start(process.execPath, ["--input-type=module", "-"], env, source).ended;
}

/** A process of this machine. */
export interface Process {
  pid: number;
  parent: number;
  command: string;
}

/** The processes of this machine that have not ended. */
export function processes(): Process[] {
  const table = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,stat=,args="], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return table.split("\n").flatMap((row) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(row) ?? [];
    if (pid === undefined || parent === undefined || command === undefined || state?.startsWith("Z")) return [];
    return [{ pid: Number(pid), parent: Number(parent), command }];
  });
}

/** The processes whose command line has this text. */
export function processesWith(text: string): Process[] {
  return processes().filter(({ command }) => command.includes(text));
}

/** Waits until no process has this text in its command line: one that was killed is seen until it has had its turn. */
export function allGone(text: string): Promise<void> {
  return until(`no process with ${text} is left`, () => processesWith(text).length === 0);
}

/** The processes below another one. */
export function descendantsOf(pid: number): Process[] {
  const all = processes();
  const below = (parent: number): Process[] =>
    all.filter((process) => process.parent === parent).flatMap((process) => [process, ...below(process.pid)]);
  return below(pid);
}

let marks = 0;

/** A number of seconds that no other process of this machine sleeps: `sleep` with it is found by its command line. */
export function sleepMark(): string {
  marks += 1;
  return `300.${process.pid}${String(marks).padStart(4, "0")}7`;
}
