/**
 * Runs every test of the project, after setting it up: `npm test`. Each step runs even when an earlier one failed. At
 * the end stand what was skipped and why, what the runners say, which tests failed and how, and one line that adds
 * everything up.
 *
 * In CI, where at most five tests failed, they are run once more at the end, one after the other: the machines there may
 * stand still for seconds. Who passes then counts as passed, and is named as unsteady with what it printed when it failed. Anywhere
 * else it is a failure, for whoever can look into it.
 *
 *   node scripts/test.mjs [STEP…]     only these steps; --list names them
 *
 *   AGB_FRESH=1                       also what passed before with the same sources
 *   AGB_REQUIRE=all                   whatever is skipped for something absent is a failure
 *   AGB_REQUIRE=pypi,matplotlib       … only these
 */

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";

import { jestSelection, MOST_RUN_AGAIN, passedInCargo, passedInJest } from "./lib/again.mjs";
import { requiredNeeds, skipTable } from "./lib/needs.mjs";
import { recall, remember, sourcesDigest } from "./lib/passed.mjs";
import { cache, root } from "./lib/paths.mjs";
import { run } from "./lib/process.mjs";
import { setUp } from "./lib/set-up.mjs";
import { failureTable, seconds, step } from "./lib/steps.mjs";
import { tallyCargo, tallyJest } from "./lib/tally.mjs";

const start = Date.now();
const logs = `${cache}/logs`;
const SURFACE_CHECKER = `${root}/../shared/tools/check-surface.mjs`;

/** What each step gave, by its name. */
const results = new Map();

/**
 * What `npm test` runs: one stage after the other, the lanes of a stage side by side, the steps of a lane in this order.
 * Compilers take all there is of a machine, so they run first. Tests wait more than they compute: two lanes of them share
 * two cores.
 */
const STAGES = [
  [
    {
      rustfmt: () => check("cargo", ["fmt", "--all", "--check"]),
      clippy: () => check("cargo", ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
      "build of Rust tests": () => check("cargo", ["test", "--workspace", "--no-run", "--quiet"]),
    },
    {
      biome: () => check("node_modules/.bin/biome", ["check", ...(process.env.CI ? ["--colors=off"] : []), "."]),
      scripts,
      "types of ts": () => tsc("ts", "--noEmit"),
      "index.d.ts is current": () => check(process.execPath, ["scripts/types.mjs", "--check"]),
      "types of tests": () => tsc("__test__"),
      "types of examples": () => tsc("examples"),
      surface,
      "Python SDK": () => peer("python-sdk"),
      "jest 29": () => peer("jest-29"),
      axios: () => peer("axios"),
    },
  ],
  [{ cargo }, { jest: jestTogether, "jest, plain isolation": jestInPlainIsolation }],
  [{ "jest, alone": jestAlone }],
];
const STEPS = Object.assign({}, ...STAGES.flat());

/** A program whose exit code is the result. */
async function check(command, args) {
  const { code, output } = await run(command, args);
  return { ok: code === 0, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, details: output };
}

function tsc(project, ...options) {
  return check(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project, ...options]);
}

/** Compares the public types with the description of the reference's. */
async function surface() {
  if (!existsSync(SURFACE_CHECKER)) return skipped("shared", "surface", "no ../shared beside this clone");
  const { code, output } = await run(process.execPath, ["scripts/surface.mjs"]);
  return { ok: code === 0, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, note: output, details: output };
}

/** The tests of these scripts, by Node's own runner: they must work before anything is installed. */
async function scripts() {
  const { code, output } = await run(process.execPath, ["--test", "--test-reporter=tap", "scripts/lib"]);
  const count = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return {
    ok: code === 0,
    passed: count("pass"),
    failed: code === 0 ? 0 : Math.max(1, count("fail")),
    details: output,
  };
}

function skipped(need, what, reason) {
  return { ok: true, note: `skipped: needs ${need}`, skips: [{ need, what, reason }] };
}

/** All Rust tests at once: package by package, other features would be chosen and all dependencies built again. */
function runCargo(title, options) {
  const isResult = (line) => /^test result: .* [1-9]\d* (passed|failed)|^test .* FAILED$/.test(line);
  const args = ["test", "--workspace", "--no-fail-fast", "--", "--show-output", ...options];
  return run("cargo", args, { show: isResult, log: `${logs}/${title}.log` });
}

async function cargo() {
  const { code, output } = await runCargo("cargo-test", []);
  const tally = tallyCargo(output);
  // Without one failed test it is the build.
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  // What the failed tests printed stands at the end; the log has it among what thousands of others did.
  const details = tally.failures.length > 0 && tally.crashed === 0 ? "" : output;
  return { ok: code === 0, ...tally, note: "log: .cache/logs/cargo-test.log", details };
}

/** Gets other people's packages that specs compare with; the specs themselves say when there are none. */
async function peer(name) {
  const { code, stdout, output } = await run(process.execPath, ["scripts/peers.mjs", name]);
  if (code !== 0) return { ok: false, failed: 1, details: output };
  const { note, need, reason } = JSON.parse(stdout);
  return { ok: true, note: need ? `absent: needs ${need}: ${reason}` : note };
}

/**
 * What jest says when a test left something running. (That a worker was ended by force it also says of one that is only
 * slow to leave on a busy machine; whether programs end by themselves is what process.spec.ts tests.)
 */
const LEFT_RUNNING = /did not exit \S+ seconds? after the test run/;

/** Runs these specs, and gives jest's report; undefined: it wrote none. */
async function runJest(name, env, files, options = []) {
  const title = name.replaceAll(/\W+/g, "-");
  const report = `${logs}/${title}.json`;
  await rm(report, { force: true });
  const jest = ["node_modules/jest/bin/jest.js", "--ci", "--json", `--outputFile=${report}`];
  const { code, output } = await run(process.execPath, [...jest, ...options, "--runTestsByPath", ...files], {
    env,
    show: (line) => !line.startsWith('{"'),
    endOn: LEFT_RUNNING,
    log: `${logs}/${title}.log`,
  });
  return { code, output, report: existsSync(report) ? JSON.parse(await readFile(report, "utf8")) : undefined };
}

async function jest(name, env, files) {
  // Without a path jest would run all of them.
  if (files.length === 0) return { ok: true, note: "no spec is marked for it" };
  const { code, output, report } = await runJest(name, env, files);
  if (!report) return { ok: false, failed: 1, details: "jest wrote no report" };
  const tally = tallyJest(report);
  const leftRunning = LEFT_RUNNING.test(output);
  if (leftRunning || (code !== 0 && tally.failed === 0)) tally.failed += 1;
  const lines = output.split("\n").filter((line) => /^(Tests|Test Suites|Time): /.test(line));
  return {
    ok: tally.failed === 0,
    ...tally,
    lines: lines.map((line) => `${name}: ${line}`),
    details: leftRunning ? "A test left something running; `npx jest --detectOpenHandles` tells what." : "",
  };
}

/** The specs whose text is as wanted. */
async function specs(isWanted) {
  const names = await readdir(`${root}/__test__`, { recursive: true });
  const files = names.filter((name) => name.endsWith(".spec.ts")).map((name) => `__test__/${name}`);
  const texts = await Promise.all(files.map((file) => readFile(`${root}/${file}`, "utf8")));
  return files.filter((_, index) => isWanted(texts[index]));
}

/** Marks a spec that puts a load on the whole machine, or can't be right under that of others. */
const ALONE = "// @alone:";

async function jestTogether() {
  return jest("jest", {}, await specs((text) => !text.includes(ALONE)));
}

async function jestAlone() {
  return jest("jest, alone", {}, await specs((text) => text.includes(ALONE)));
}

const PLAIN = { AGB_TEST_ISOLATION: "plain" };

/**
 * Where sessions are kept apart by namespaces, the specs that work in sessions run once more without; but for those that
 * run alone, as others run beside this.
 */
async function jestInPlainIsolation() {
  const { code, stdout, output } = await run(process.execPath, ["scripts/isolation.mjs"]);
  if (code !== 0) return { ok: false, failed: 1, details: output };
  if (stdout !== "namespace") {
    return skipped(
      "namespaces",
      "specs in namespaces",
      "the emulator chose plain isolation, and all specs ran in that",
    );
  }
  const isWanted = (text) =>
    text.includes("support/emulator") && !text.includes("@one-isolation") && !text.includes(ALONE);
  const files = await specs(isWanted);
  return jest("jest, plain isolation", PLAIN, files);
}

/** How each runner runs `failures` once more; gives those that passed. */
const RUN_AGAIN = {
  async cargo(failures) {
    const names = failures.map(({ what }) => what);
    const { output } = await runCargo("cargo-test-again", ["--test-threads=1", "--exact", ...names]);
    return passedInCargo(output, failures);
  },
  jest: (failures) => jestAgain("jest", {}, failures),
  "jest, plain isolation": (failures) => jestAgain("jest, plain isolation", PLAIN, failures),
  "jest, alone": (failures) => jestAgain("jest, alone", {}, failures),
};

async function jestAgain(name, env, failures) {
  const { files, pattern } = jestSelection(failures);
  const { output, report } = await runJest(`${name}, again`, env, files, [
    "--runInBand",
    ...(pattern ? [`--testNamePattern=${pattern}`] : []),
  ]);
  return report && !LEFT_RUNNING.test(output) ? passedInJest(report, failures) : [];
}

/** The steps that take minutes: one that passed with the very same sources on this machine is not run again. */
const LONG = ["cargo", "jest", "jest, plain isolation", "jest, alone"];

/** Runs a step, or tells what it gave when nothing was different. CI runs everything, and so does AGB_FRESH=1. */
async function resultOf(name, digest) {
  if (!LONG.includes(name)) return STEPS[name]();
  const before = !process.env.CI && !process.env.AGB_FRESH && (await recall(name, digest));
  if (before) return { ...before, note: "passed before with the same sources; AGB_FRESH=1 runs it again" };
  const result = await STEPS[name]();
  // Whoever edits while tests run has tested neither the old sources nor the new ones.
  const isSame = digest === (await sourcesDigest());
  await remember(name, isSame ? digest : undefined, result);
  return result;
}

async function runStep(name, digest) {
  await step(name, async () => {
    const result = await resultOf(name, digest).catch((error) => ({ ok: false, failed: 1, details: error.stack }));
    results.set(name, { passed: 0, failed: 0, failures: [], unsteady: [], skips: [], lines: [], ...result });
    return { ...result, note: result.note?.split("\n").at(-1) };
  });
}

/** Runs the tests that failed once more, one runner after the other, unless they are so many that something is wrong. */
async function runFailedAgain() {
  const isFew = [...results.values()].reduce((sum, { failures }) => sum + failures.length, 0) <= MOST_RUN_AGAIN;
  if (!process.env.CI || !isFew) return;
  for (const [name, result] of results) {
    if (result.failures.length === 0) continue;
    await step(`${name}, again`, async () => {
      result.unsteady = await RUN_AGAIN[name](result.failures);
      result.failures = result.failures.filter((failure) => !result.unsteady.includes(failure));
      result.failed -= result.unsteady.length;
      result.passed += result.unsteady.length;
      result.ok = result.failed === 0;
      return { ok: result.ok, note: `${result.unsteady.length} passed` };
    });
  }
}

function printSummary(required) {
  const sum = (key) => [...results.values()].reduce((total, result) => total + result[key], 0);
  const tests = (key) =>
    [...results].flatMap(([name, result]) => result[key].map((test) => ({ ...test, what: `${name}: ${test.what}` })));
  const skips = [...results.values()].flatMap(({ skips }) => skips);
  const missing = skips.filter(({ need }) => required.has(need));
  console.log(`\nSkipped`);
  for (const line of skipTable(skips, required)) console.log(`  ${line}`);
  console.log("\nRunners");
  for (const { lines } of results.values()) for (const line of lines) console.log(`  ${line}`);
  console.log("");
  const unsteady = tests("unsteady");
  if (unsteady.length > 0) console.log("Unsteady: failed first, and passed with nothing beside them");
  for (const line of failureTable(unsteady)) console.log(`  ${line}`);
  const failedSteps = [...results].filter(([, { ok }]) => !ok).map(([name]) => name);
  if (failedSteps.length > 0) console.log(`Failed: ${failedSteps.join("; ")}`);
  for (const line of failureTable(tests("failures"))) console.log(`  ${line}`);
  if (missing.length > 0)
    console.log(`Required by AGB_REQUIRE but absent: ${[...new Set(missing.map((s) => s.need))].join(", ")}`);
  console.log(`All in ${seconds(start)}`);

  const failed = sum("failed") + missing.length;
  console.log(`${sum("passed")} passed, ${failed} failed, ${skips.length - missing.length} skipped`);
  if (failed > 0 || failedSteps.length > 0) process.exitCode = 1;
}

async function main(names) {
  if (names.includes("--list")) return console.log(Object.keys(STEPS).join("\n"));
  const unknown = names.filter((name) => !(name in STEPS));
  if (unknown.length > 0) {
    console.error(`No step "${unknown[0]}"; steps: ${Object.keys(STEPS).join(" | ")}`);
    process.exitCode = 2;
    return undefined;
  }
  const required = requiredNeeds();
  // Before anything is built of the sources.
  const digest = await sourcesDigest();
  if (!(await setUp())) {
    console.log("0 passed, 1 failed, 0 skipped");
    process.exitCode = 1;
    return undefined;
  }
  await mkdir(logs, { recursive: true });
  console.log("\nTests");
  const isWanted = (name) => names.length === 0 || names.includes(name);
  const runLane = async (lane) => {
    for (const name of Object.keys(lane).filter(isWanted)) await runStep(name, digest);
  };
  for (const lanes of STAGES) await Promise.all(lanes.map(runLane));
  await runFailedAgain();
  return printSummary(required);
}

await main(process.argv.slice(2));
