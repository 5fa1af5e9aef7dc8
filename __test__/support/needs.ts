/**
 * Tests that need something a machine may lack. A skipped test says what it needs in its name; `npm test` puts all of
 * those into one table, and AGB_REQUIRE makes them failures.
 */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The names in `scripts/lib/needs.mjs`, which says how to get each. */
export type Need =
  | "python3"
  | "python3-venv"
  | "pypi"
  | "npm-registry"
  | "matplotlib"
  | "namespaces"
  | "root"
  | "jdk"
  | "r"
  | "chromium"
  | "x-tools"
  | "shared";

/** What is missing, and why we think so. */
export interface Absence {
  need: Need;
  reason: string;
}

type Body = () => Promise<void>;

/**
 * `it` and `describe` for tests that need something: the usual ones when nothing is absent.
 *
 * ```ts
 * const { it } = needs(absenceOf("jdk", which("javac")));
 * it("runs Java", async () => { … });
 * ```
 */
export function needs(absence: Absence | undefined) {
  const title = (name: string) => `${name} [skipped: needs ${absence?.need}: ${absence?.reason.replaceAll("]", ")")}]`;
  return {
    it(name: string, body: Body, timeoutMs?: number): void {
      if (absence) it.skip(title(name), body);
      else it(name, body, timeoutMs);
    },
    describe(name: string, body: () => void): void {
      if (absence) describe.skip(title(name), body);
      else describe(name, body);
    },
  };
}

/** The absence of something that was looked for and is undefined. */
export function absenceOf(need: Need, found: string | undefined, reason = "not found"): Absence | undefined {
  return found === undefined ? { need, reason } : undefined;
}

/** Where a program is on PATH. */
export function which(program: string): string | undefined {
  const directories = (process.env.PATH ?? "").split(":");
  return directories.map((directory) => join(directory, program)).find((file) => existsSync(file));
}

const X_TOOLS = ["Xvfb", "xkbcomp", "openbox", "xdotool", "wmctrl", "import", "xterm", "xprop"];
const missingTool = X_TOOLS.find((program) => which(program) === undefined);

/** What the emulator's desktops lack here. */
export const noDesktop = absenceOf("x-tools", missingTool ? undefined : "there", `${missingTool} was not found`);

/** The browser that the emulator starts. */
export const CHROMIUM = process.env.CHROMIUM_PATH || which("chromium");
export const noChromium = absenceOf("chromium", CHROMIUM);

export const noJdk = absenceOf("jdk", which("java") && which("jshell"));
export const noR = absenceOf("r", which("Rscript"));

/** A Python interpreter that has matplotlib: the one on PATH, or the system's. */
export function pythonWithMatplotlib(): string | undefined {
  const candidates = [which("python3"), "/usr/bin/python3"].filter((file) => file !== undefined);
  return candidates.find((file) => succeeds(file, ["-c", "import matplotlib"]));
}

function succeeds(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore", timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

/** Other people's package in `.cache/`, by `scripts/peers.mjs`; got now if it is not there yet. */
export function peer(name: "python-sdk" | "jest-29" | "axios"): { path: string; absence: Absence | undefined } {
  const script = join(__dirname, "..", "..", "scripts", "peers.mjs");
  const { path, need, reason } = JSON.parse(execFileSync(process.execPath, [script, name], { encoding: "utf8" }));
  return { path: path ?? "", absence: need && { need, reason } };
}
