// @ts-check

/**
 * What every example begins and ends with: the local emulator, or with `--cloud` the real service. A program of your own
 * needs none of this: with `AGB_API_KEY` set, `new AGB()` is the whole set-up.
 */

import { Emulator } from "agbcloud-native";

/**
 * Prepares the environment so that `new AGB()` finds its service.
 *
 * @param {string} title what the example shows
 */
export async function start(title) {
  if (!process.argv.includes("--cloud")) return startEmulator(title);
  if (!process.env.AGB_API_KEY) {
    console.error("--cloud needs AGB_API_KEY, the key of your account. Without --cloud an example needs nothing.");
    process.exit(2);
  }
  console.log(`\n${title} · on the real service\n`);
  return { emulator: undefined, end: async () => console.log("") };
}

/** @param {string} title */
async function startEmulator(title) {
  const emulator = await Emulator.start();
  Object.assign(process.env, emulator.env);
  console.log(`\n${title} · on the local emulator\n`);
  return {
    emulator,
    /** Throws when the example has forgotten a session. */
    async end() {
      emulator.expectNoLiveSessions();
      await emulator.close();
      console.log("\n  ✓ no session is left\n");
    },
  };
}

/**
 * A result that has to be good here: most methods don't throw, they resolve with `success: false` and say why.
 *
 * @template {{ success: boolean, errorMessage?: string }} T
 * @param {T} result
 * @returns {T}
 */
export function succeeded(result) {
  if (!result.success) throw new Error(result.errorMessage || "it failed without a word");
  return result;
}

/**
 * The session of a result that has to have one.
 *
 * @param {import("agbcloud-native").SessionResult} result
 */
export function sessionOf(result) {
  const { session, errorMessage } = result;
  if (!session) throw new Error(errorMessage || "there is no session");
  return session;
}

/**
 * Prints one line: what was done, and what came of it.
 *
 * @param {string} what
 * @param {unknown} outcome
 */
export function show(what, outcome) {
  console.log(`  ${what.padEnd(26)} ${outcome}`);
}
