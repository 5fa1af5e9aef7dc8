/** Every way in which a program may end: what ends it, and what came of its sessions. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Emulator } from "agbcloud-native";
import { type Ended, ROOT, start } from "./processes";

/** A way to end. */
export interface Cell {
  name: string;
  /** What `__test__/programs/exit/program.mjs` is told; absent for a jest run. */
  end?: string;
  /** Options of Node. */
  node?: string[];
  /** Is sent when the program is ready. */
  signal?: NodeJS.Signals;
  /** Does the program listen to signals? */
  handled?: boolean;
  /** Options of a jest run. */
  jest?: string[];
  /** Does Node, or jest, write to standard error? */
  loud?: boolean;
  /** Is it in a hurry? jest ends its workers by force a second after their last test. */
  alone?: boolean;
}

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

function signalCells(): Cell[] {
  return SIGNALS.flatMap((signal) =>
    ["idle", "blocked"].flatMap((end) =>
      [false, true].map((handled) => ({
        name: `${signal}, ${end}${handled ? ", with a listener" : ""}`,
        end,
        signal,
        handled,
      })),
    ),
  );
}

/** All of them. */
export const CELLS: Cell[] = [
  { name: "drains", end: "drains" },
  { name: "process.exit", end: "exit" },
  { name: "process.exit in an exit handler", end: "exitInHandler" },
  { name: "throws", end: "throw", loud: true },
  { name: "rejects", end: "rejection", loud: true },
  ...signalCells(),
  { name: "process.abort", end: "abort", loud: true },
  { name: "heap out of memory", end: "outOfMemory", node: ["--max-old-space-size=40"], loud: true },
  { name: "worker terminated", end: "workerTerminated" },
  { name: "worker ends", end: "workerEnds" },
  { name: "process.exit with a worker", end: "workerLives" },
  { name: "jest in band", jest: ["--runInBand"], loud: true },
  { name: "jest in workers", jest: ["--maxWorkers=2"], loud: true, alone: true },
  { name: "jest in band, forced", jest: ["--runInBand", "--forceExit"], loud: true },
  { name: "jest in workers, forced", jest: ["--maxWorkers=2", "--forceExit"], loud: true, alone: true },
];

/**
 * How long the programs give the release, in milliseconds. Machines are slow at times, and the tests of time limits set
 * their own; `npm run proof` sets the default of the package.
 */
export const TIMEOUT_MS = Number(process.env.AGB_EXIT_TIMEOUT_MS ?? 20_000);

/** How a program ended, and what the service saw of its sessions. */
export interface Outcome extends Ended {
  created: number;
  /** Sessions whose release the service was asked for. */
  released: number;
  /** From what ended the program to its end, in milliseconds; absent where nobody knows when that began. */
  tookMs?: number;
}

let runs = 0;

/** Runs a program to its end. Its sessions are told apart by a label. */
export async function runCell(emulator: Emulator, cell: Cell, sessions: number, released: boolean): Promise<Outcome> {
  runs += 1;
  const label = `run ${runs}`;
  const directory = mkdtempSync(join(tmpdir(), "agb-exit-"));
  const file = join(directory, "signal-sent");
  try {
    const program = start(process.execPath, argumentsOf(cell, sessions, released, directory), {
      ...emulator.env,
      EXIT_LABEL: label,
      EXIT_FILE: file,
      EXIT_SESSIONS: String(sessions),
      EXIT_TIMEOUT_MS: String(TIMEOUT_MS),
      EXIT_RELEASED: released ? "yes" : "no",
    });
    let signalledAt: number | undefined;
    if (cell.signal) {
      await program.line(/^ready$/);
      signalledAt = Date.now();
      program.child.kill(cell.signal);
      writeFileSync(file, "");
    }
    const ended = await program.ended;
    const endedAt = Date.now();
    const beganAt = signalledAt ?? /^ending at (\d+)$/m.exec(ended.stdout)?.[1];
    const own = emulator.sessions().filter(({ labels }) => labels.exit === label);
    return {
      ...ended,
      created: own.length,
      released: own.filter(({ state }) => state === "released" || state === "releasing").length,
      tookMs: beganAt === undefined ? undefined : endedAt - Number(beganAt),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function argumentsOf(cell: Cell, sessions: number, released: boolean, directory: string): string[] {
  if (!cell.end) {
    const config = join(ROOT, "__test__/programs/exit/jest/config.cjs");
    const jest = join(ROOT, "node_modules/jest/bin/jest.js");
    return [jest, "--ci", "--config", config, "--cacheDirectory", directory, ...(cell.jest ?? [])];
  }
  const program = join(ROOT, "__test__/programs/exit/program.mjs");
  const flags = [...(released ? ["released"] : []), ...(cell.handled ? ["handled"] : [])];
  return [...(cell.node ?? []), program, cell.end, String(sessions), ...flags];
}

/** Starts tasks in their order, a few at a time. */
export function fewAtATime<T>(
  tasks: (() => Promise<T>)[],
  parallel: number,
  after: Promise<unknown> = Promise.resolve(),
): Promise<T>[] {
  const results: Promise<T>[] = [];
  for (const task of tasks) {
    const before: Promise<unknown> = results[results.length - parallel] ?? after;
    const result = before.then(task, task);
    // Whoever asks for a failed one gets its error; nobody may ask.
    result.catch(() => undefined);
    results.push(result);
  }
  return results;
}
