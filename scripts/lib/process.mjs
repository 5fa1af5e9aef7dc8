/**
 * Runs programs so that none of them outlives us: each has its own process group, which is ended when this program is.
 */

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { constants } from "node:os";
import { createInterface } from "node:readline";

import { root } from "./paths.mjs";

/** The process groups that run now. */
const running = new Set();

function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended by itself.
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const child of running) endGroup(child, "SIGTERM");
    process.exit(128 + constants.signals[signal]);
  });
}
process.on("exit", () => {
  for (const child of running) endGroup(child, "SIGKILL");
});

/**
 * Runs a program to its end and gives its exit code and what it printed. It never throws: a program that can't be
 * started ends with code 127 and the reason as its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} [options]
 * @param {Record<string, string | undefined>} [options.env] added to the environment
 * @param {string} [options.cwd] default: the project's directory
 * @param {(line: string) => boolean} [options.show] which lines to print as they come; default: none
 * @param {string} [options.log] a file that gets everything
 * @param {RegExp} [options.endOn] a line after which the program won't end by itself: it is ended
 * @returns {Promise<{ code: number, stdout: string, output: string }>}
 */
export function run(command, args, { env = {}, cwd = root, show = () => false, log, endOn } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    if (child.pid !== undefined) running.add(child);
    const logFile = log && createWriteStream(log);
    const lines = { stdout: [], both: [] };
    const take = (stream, ...into) =>
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
        for (const list of into) list.push(line);
        logFile?.write(`${line}\n`);
        if (show(line)) console.log(`    ${line}`);
        if (endOn?.test(line)) endGroup(child, "SIGKILL");
      });
    take(child.stdout, lines.stdout, lines.both);
    take(child.stderr, lines.both);

    const done = (code) => {
      running.delete(child);
      const result = { code, stdout: lines.stdout.join("\n"), output: lines.both.join("\n") };
      if (logFile) logFile.end(() => resolve(result));
      else resolve(result);
    };
    // What the program leaves behind in its group must not go on, nor keep the pipes open.
    child.once("exit", () => endGroup(child, "SIGKILL"));
    child.once("error", (error) => {
      lines.both.push(`${command} can't be started: ${error.message}`);
      done(127);
    });
    child.once("close", (code, signal) => done(code ?? 128 + constants.signals[signal]));
  });
}

/**
 * Starts a program that serves this one, and waits for the first line that it prints.
 *
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ line: string, stop: () => Promise<void> }>} rejects with what it said when it ends before
 */
export async function serve(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true });
  if (child.pid !== undefined) running.add(child);
  const errors = [];
  const keep = (line) => errors.push(line);
  const said = createInterface({ input: child.stderr }).on("line", keep);
  child.once("exit", () => endGroup(child, "SIGKILL"));
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(errors.push(error.message)));
    child.once("close", resolve);
  }).then(() => running.delete(child));
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    ended.then(() => reject(new Error(`${command} ended before it served: ${errors.join("\n")}`)));
  });
  // From now on it is read, so that it can go on, and not kept.
  said.off("line", keep);
  return {
    line,
    async stop() {
      endGroup(child, "SIGTERM");
      await ended;
    },
  };
}

/** Does the program exist and answer? Gives what it printed, or undefined. */
export async function ask(command, args = ["--version"]) {
  const { code, output } = await run(command, args);
  return code === 0 ? output.trim() : undefined;
}
