/**
 * Runs every test of the project, after setting it up: `npm test`. Each step runs even when an earlier one failed. At
 * the end stand what was skipped and why, what the runners say, which tests failed and how, and one line that adds
 * everything up.
 *
 *   node scripts/test.mjs [STEP…]     only these steps; --list names them
 *
 *   AGB_FRESH=1                       also what passed before with the same sources
 *   AGB_REQUIRE=all                   whatever is skipped for something absent is a failure
 *   AGB_REQUIRE=pypi,matplotlib       … only these
 */

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";

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

/** Where the results of all steps add up. */
const total = { passed: 0, failed: 0, failures: [], skips: [], lines: [], failedSteps: [] };

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
async function cargo() {
  const isResult = (line) => /^test result: .* [1-9]\d* (passed|failed)|^test .* FAILED$/.test(line);
  const args = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
  const { code, output } = await run("cargo", args, { show: isResult, log: `${logs}/cargo-test.log` });
  const tally = tallyCargo(output);
  // Without one failed test it is the build, or a test program that crashed.
  if (code !== 0 && tally.failed === 0) tally.failed = 1;
  // What the failed tests printed stands at the end; the log has it among what thousands of others did.
  const details = tally.failures.length > 0 ? "" : output;
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
const LEFT_RUNNING = /did not exit one second after the test run/;

/** Runs these specs. */
async function jest(name, env, files) {
  // Without a path jest would run all of them.
  if (files.length === 0) return { ok: true, note: "no spec is marked for it" };
  const title = name.replaceAll(/\W+/g, "-");
  const report = `${logs}/${title}.json`;
  await rm(report, { force: true });
  const options = ["--ci", "--json", `--outputFile=${report}`, "--runTestsByPath"];
  const { code, output } = await run(process.execPath, ["node_modules/jest/bin/jest.js", ...options, ...files], {
    env,
    show: (line) => !line.startsWith('{"'),
    endOn: LEFT_RUNNING,
    log: `${logs}/${title}.log`,
  });
  if (!existsSync(report)) return { ok: false, failed: 1, details: "jest wrote no report" };
  const tally = tallyJest(JSON.parse(await readFile(report, "utf8")));
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

/**
 * Where sessions are kept apart by namespaces, the specs that work in sessions run once more without; but for those that
 * run alone, as others run beside this.
 */
async function jestInPlainIsolation() {
  const name = "jest, plain isolation";
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
  return jest(name, { AGB_TEST_ISOLATION: "plain" }, files);
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
    total.passed += result.passed ?? 0;
    total.failed += result.failed ?? 0;
    total.failures.push(...(result.failures ?? []).map(({ what, reason }) => ({ what: `${name}: ${what}`, reason })));
    total.skips.push(...(result.skips ?? []));
    total.lines.push(...(result.lines ?? []));
    if (!result.ok) total.failedSteps.push(name);
    return { ...result, note: result.note?.split("\n").at(-1) };
  });
}

function printSummary(required) {
  const missing = total.skips.filter(({ need }) => required.has(need));
  console.log(`\nSkipped`);
  for (const line of skipTable(total.skips, required)) console.log(`  ${line}`);
  console.log("\nRunners");
  for (const line of total.lines) console.log(`  ${line}`);
  console.log("");
  if (total.failedSteps.length > 0) console.log(`Failed: ${total.failedSteps.join("; ")}`);
  for (const line of failureTable(total.failures)) console.log(`  ${line}`);
  if (missing.length > 0)
    console.log(`Required by AGB_REQUIRE but absent: ${[...new Set(missing.map((s) => s.need))].join(", ")}`);
  console.log(`All in ${seconds(start)}`);

  const failed = total.failed + missing.length;
  console.log(`${total.passed} passed, ${failed} failed, ${total.skips.length - missing.length} skipped`);
  if (failed > 0 || total.failedSteps.length > 0) process.exitCode = 1;
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
  return printSummary(required);
}

await main(process.argv.slice(2));
