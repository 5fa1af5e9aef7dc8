/** Reads what the test runners say of their results. */

import { stripVTControlCharacters } from "node:util";

import { parseSkip } from "./needs.mjs";

/**
 * @typedef {object} Skip
 * @property {string} need a name in needs.mjs
 * @property {string} what the test or step
 * @property {string} [reason]
 *
 * @typedef {object} Failure
 * @property {string} what the test
 * @property {string} reason what it printed
 * @property {string} [file] jest's: where it is
 * @property {string} [test] jest's: its name in the file; without, the file failed as a whole
 *
 * @typedef {object} Tally
 * @property {number} passed
 * @property {number} failed
 * @property {Failure[]} failures the failed tests that have a name
 * @property {Skip[]} skips
 * @property {string[]} lines the runner's own summary
 */

/** What cargo says at its end of the test programs that did not end well. */
const TARGETS_FAILED = /^error: (\d+) targets? failed:$/;
const RESULT = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/;
const IGNORED = /^test (.+) \.\.\. ignored(?:, (.*))?$/;
/** How the reason begins why something is ignored that is no test: another test starts it in a process of its own. */
const HELPER = "helper: ";
const OUTPUT_OF = /^---- (.+) stdout ----$/;
/** What is no output of a test any more: the next part of the report. */
const PART = /^(successes|failures):$/;

/**
 * Adds up the output of `cargo test -- --show-output`. A Rust test can't skip itself: it prints "skipped: needs NAME"
 * and returns; it is counted as skipped here, once however often it says so.
 *
 * A test program that ended without a result, as one that crashed does, is one more failure.
 *
 * @param {string} output
 * @returns {Tally & { crashed: number }}
 */
export function tallyCargo(output) {
  const tally = { passed: 0, failed: 0, failures: [], skips: [], lines: [] };
  const skippedTests = new Set();
  let test = "";
  let part = "";
  let failure;
  let failedPrograms = 0;
  let programsWithFailures = 0;
  for (const line of output.split("\n")) {
    const result = RESULT.exec(line);
    const ignored = IGNORED.exec(line);
    const skip = parseSkip(line);
    const begins = OUTPUT_OF.exec(line)?.[1];
    part = PART.exec(line)?.[1] ?? part;
    if (begins !== undefined || PART.test(line) || result) failure = undefined;
    if (failure) failure.reason += `${line}\n`;
    if (begins !== undefined) {
      test = begins;
      failure = { what: test, reason: "" };
      if (part === "failures") tally.failures.push(failure);
    }
    failedPrograms = Number(TARGETS_FAILED.exec(line)?.[1] ?? failedPrograms);
    if (result) {
      if (Number(result[2]) > 0) programsWithFailures += 1;
      tally.passed += Number(result[1]);
      tally.failed += Number(result[2]);
      if (Number(result[1]) + Number(result[2]) + Number(result[3]) > 0) tally.lines.push(line);
    } else if (ignored && !ignored[2]?.startsWith(HELPER)) {
      tally.skips.push({ need: "ignored", what: `cargo: ${ignored[1]}`, reason: ignored[2] });
    } else if (skip && !skippedTests.has(test)) {
      skippedTests.add(test);
      tally.passed -= 1;
      tally.skips.push({ need: skip.need, what: `cargo: ${test}`, reason: skip.reason });
    }
  }
  const crashed = Math.max(0, failedPrograms - programsWithFailures);
  return { ...tally, failed: tally.failed + crashed, crashed };
}

/**
 * Adds up jest's JSON report. A skipped test carries its reason in its name or in its block's, by
 * `__test__/support/needs.ts`.
 *
 * @param {object} report what `jest --json` writes
 * @returns {Omit<Tally, "lines">}
 */
export function tallyJest(report) {
  const tally = { passed: 0, failed: 0, failures: [], skips: [] };
  const fail = ({ what, reason = "", ...where }) => {
    tally.failed += 1;
    tally.failures.push({ what, reason: stripVTControlCharacters(reason), ...where });
  };
  for (const file of report.testResults) {
    const name = file.name.split(/[/\\]/).at(-1);
    // A file that doesn't compile, or fails before its first test, has no tests to count.
    const hasNone = file.assertionResults.every(({ status }) => status !== "failed");
    if (file.status === "failed" && hasNone) fail({ what: name, reason: file.message, file: file.name });
    for (const { status, fullName: test, failureMessages } of file.assertionResults) {
      const what = `${name}: ${test}`;
      if (status === "passed") tally.passed += 1;
      else if (status === "failed") fail({ what, reason: failureMessages?.join("\n"), file: file.name, test });
      else tally.skips.push(skipOf(name, test));
    }
  }
  return tally;
}

const MARK = /\s*\[skipped: needs ([\w-]+): ([^\]]*)\]/;

function skipOf(file, fullName) {
  const mark = MARK.exec(fullName);
  const what = `${file}: ${fullName.replace(MARK, "")}`;
  return mark ? { need: mark[1], what, reason: mark[2] } : { need: "nothing it says", what };
}
