/** Prints what is being done, one line per step, with the time it took. */

/** Seconds, for people. */
export function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/** How many lines of a failed program are shown. */
const LAST_LINES = 100;

/** The end of a long text; a failure's reason stands there. */
export function tail(text, lines = LAST_LINES) {
  const all = text.split("\n");
  const shown = all.slice(-lines);
  const left = all.length - shown.length;
  return (left > 0 ? [`… ${left} lines before`, ...shown] : shown).map((line) => `    ${line}`).join("\n");
}

/** Of what a failed test printed, how many lines are shown: its first ones say what it missed and where. */
const FIRST_LINES = 25;

/** Lines of a stack trace that say nothing of the test. */
const OF_THE_RUNNER = /^\s+at .*(node_modules|node:internal|new Promise)/;

/**
 * The failed tests and what each printed, for the end of everything, where people look.
 *
 * @param {import("./tally.mjs").Failure[]} failures
 * @returns {string[]} lines
 */
export function failureTable(failures) {
  return failures.flatMap(({ what, reason }) => {
    const all = reason
      .trim()
      .split("\n")
      .filter((line) => !OF_THE_RUNNER.test(line));
    const left = all.length - FIRST_LINES;
    const shown = left > 0 ? [...all.slice(0, FIRST_LINES), `… ${left} lines more`] : all;
    return [what, ...shown.map((line) => `    ${line}`)];
  });
}

/**
 * Does one step and prints its line.
 *
 * @param {string} title
 * @param {() => Promise<{ ok: boolean, note?: string, details?: string }>} work
 * @param {(line: string) => void} [print]
 */
export async function step(title, work, print = console.log) {
  const start = Date.now();
  const { ok, note, details } = await work();
  const line = `${ok ? "  ok  " : "FAILED"}  ${title.padEnd(28)} ${seconds(start).padStart(8)}${note ? `   ${note}` : ""}`;
  print(line);
  if (!ok && details) print(tail(details));
  return ok;
}
