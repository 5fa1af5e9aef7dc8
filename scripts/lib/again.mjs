/** Running failed tests once more: which, and which of them passed. */

/** More failures than these are no accident. */
export const MOST_RUN_AGAIN = 5;

/**
 * Those of the Rust tests `failures` that passed, as `cargo test -- --exact NAME…` says.
 *
 * @param {string} output
 * @param {import("./tally.mjs").Failure[]} failures
 */
export function passedInCargo(output, failures) {
  const passed = new Set(output.split("\n").map((line) => /^test (.+) \.\.\. ok$/.exec(line)?.[1]));
  return failures.filter(({ what }) => passed.has(what));
}

/**
 * What jest has to run of `failures`: their files, and a pattern of their names; none where a whole file failed.
 *
 * @param {import("./tally.mjs").Failure[]} failures
 * @returns {{ files: string[], pattern?: string }}
 */
export function jestSelection(failures) {
  const files = [...new Set(failures.map(({ file }) => file))];
  if (failures.some(({ test }) => test === undefined)) return { files };
  const escaped = failures.map(({ test }) => test.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return { files, pattern: `^(${escaped.join("|")})$` };
}

/**
 * Those of the jest tests `failures` that passed, as jest's report says.
 *
 * @param {object} report what `jest --json` writes
 * @param {import("./tally.mjs").Failure[]} failures
 */
export function passedInJest(report, failures) {
  return failures.filter(({ file, test }) => {
    const ofFile = report.testResults.find(({ name }) => name === file);
    if (test === undefined) return ofFile?.status === "passed";
    // Something beside the tests failed, as an afterAll does.
    const isOfNoTest =
      ofFile?.assertionResults.every(({ status }) => status !== "failed") && ofFile.status === "failed";
    if (isOfNoTest) return false;
    const ofTest = ofFile?.assertionResults.filter(({ fullName }) => fullName === test) ?? [];
    return ofTest.length > 0 && ofTest.every(({ status }) => status === "passed");
  });
}
