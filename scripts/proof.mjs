/**
 * Proves, many times over, what the package promises of the life of sessions, and writes `docs/reliability.md`:
 * `npm run proof`.
 *
 *   node scripts/proof.mjs [COUNT] [PROOF…]
 *
 * COUNT says how often each program is run; default 20. PROOF is one of "exit matrix", "blocked event loop" and "many
 * sessions"; default all. The others keep their sections of the document.
 */

import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";

import { markdown, median } from "./lib/figures.mjs";
import { cache, root } from "./lib/paths.mjs";
import { run } from "./lib/process.mjs";
import { setUp } from "./lib/set-up.mjs";
import { step } from "./lib/steps.mjs";

const DEFAULT_COUNT = 20;
/** How often the event loop is blocked for one round of the exit matrix: 50 times with the default of 20. */
const BLOCKED_ROUNDS = 2.5;
/** The tests that block it. */
const BLOCKED = "blocked|every core busy";
const SIZES = [0, 1, 100];
/** What a program gives the release by default. */
const TIMEOUT_MS = 2_000;
const REPORT = `${cache}/logs/exit-matrix.jsonl`;
const DOCUMENT = `${root}/docs/reliability.md`;

/** Each proof gives the section of the document that has its name. */
const PROOFS = { "exit matrix": exitMatrix, "blocked event loop": blockedEventLoop, "many sessions": manySessions };

/** Every end of a program, with each number of sessions. */
async function exitMatrix(count) {
  await rm(REPORT, { force: true });
  const { code, output } = await run(
    process.execPath,
    ["node_modules/jest/bin/jest.js", "--ci", "__test__/exit.spec.ts", "--testNamePattern", "at every end"],
    {
      env: {
        AGB_EXIT_SIZES: SIZES.join(","),
        AGB_EXIT_ROUNDS: String(count),
        AGB_EXIT_REPORT: REPORT,
        AGB_EXIT_TIMEOUT_MS: String(TIMEOUT_MS),
      },
      log: `${cache}/logs/exit-matrix.log`,
    },
  );
  if (!existsSync(REPORT)) return { ok: false, details: output };
  const rows = (await readFile(REPORT, "utf8")).trim().split("\n").map(JSON.parse);
  const asExpected = rows.filter(({ isExpected }) => isExpected).length;
  const ok = code === 0 && asExpected === rows.length;
  return { ok, note: `${asExpected} of ${rows.length}`, details: output, section: matrixSection(rows, count) };
}

function matrixSection(rows, count) {
  const cells = [...new Set(rows.map(({ cell }) => cell))];
  const sum = (list, of) => list.reduce((total, row) => total + of(row), 0);
  const table = [
    [
      "the program ends by",
      "ends",
      "as without the option",
      "in time",
      "sessions",
      "released",
      ...SIZES.map((size) => `added ms, ${size} sessions`),
    ],
    ...cells.map((cell) => {
      const own = rows.filter((row) => row.cell === cell);
      const same = own.filter(
        ({ code, signal, plainCode, plainSignal }) => code === plainCode && signal === plainSignal,
      );
      return [
        cell,
        own.length,
        same.length,
        own.filter(({ isInTime }) => isInTime).length,
        sum(own, ({ sessions }) => sessions),
        sum(own, ({ released }) => released),
        ...SIZES.map((size) => added(own.filter(({ sessions }) => sessions === size))),
      ];
    }),
  ];
  return [
    "## Exit matrix",
    "",
    `Each program was run ${count} times with ${SIZES.slice(0, -1).join(", ")} and ${SIZES.at(-1)} sessions, four programs at a ` +
      "time, and with `releaseOnExit`. Its parent, which runs the emulator, counts the sessions whose release the service was " +
      "asked for, and compares exit code and signal with those of the same program without the option. *Added* is the median " +
      "and the longest time from what ended the program (the last line before it, or the signal) to its end, less that of " +
      `the program without the option and without sessions: it must be under ${TIMEOUT_MS + 1_000} ms, and under ${TIMEOUT_MS} ms with few sessions, with a \`timeoutMs\` of ${TIMEOUT_MS}. ` +
      "jest ends its workers by force a second after their last test, so that these programs run alone.",
    "",
    ...markdown(table),
  ].join("\n");
}

/** Sessions that are kept alive while nothing of the program's JavaScript runs. */
async function blockedEventLoop(count) {
  const report = `${cache}/logs/never-dies.jsonl`;
  await rm(report, { force: true });
  const rounds = Math.ceil(count * BLOCKED_ROUNDS);
  let passed = 0;
  let details = "";
  for (let round = 0; round < rounds; round++) {
    const args = ["node_modules/jest/bin/jest.js", "--ci", "__test__/never-dies.spec.ts", "--testNamePattern", BLOCKED];
    const { code, output } = await run(process.execPath, args, { env: { AGB_NEVER_DIES_REPORT: report } });
    if (code === 0) passed += 1;
    else details = output;
  }
  if (!existsSync(report)) return { ok: false, details };
  const rows = (await readFile(report, "utf8")).trim().split("\n").map(JSON.parse);
  const tests = [...new Set(rows.map(({ test }) => test))];
  const table = [
    ["program", "times", "sessions each", "largest gap, median ms", "largest gap of all, ms"],
    ...tests.map((test) => {
      const own = rows.filter((row) => row.test === test);
      const gaps = own.map(({ gapMs }) => gapMs);
      return [test, own.length, own[0].sessions, Math.round(median(gaps)), Math.max(...gaps)];
    }),
  ];
  const words =
    "Sessions with an idle timeout of 4 seconds and `autoKeepAlive`, in a program whose event loop is blocked for 12 seconds. " +
    "The gap is the longest time that the service saw nothing of a session: below 4,000 ms none can have been released.";
  const section = ["## Blocked event loop", "", words, "", ...markdown(table)].join("\n");
  return { ok: passed === rounds, note: `${passed} of ${rounds}`, details, section };
}

/** One process with ten thousand sessions. */
async function manySessions() {
  const { code, stdout, output } = await run(process.execPath, ["scripts/proof/many-sessions.mjs"]);
  if (code !== 0) return { ok: false, details: output };
  const seen = JSON.parse(stdout);
  const { rssMib } = seen;
  const faults = faultsOfMany(seen);
  const table = [
    ["what", "figure"],
    ["sessions with an idle timeout of 60 s, each with `autoKeepAlive`", seen.sessions],
    ["of these alive at the service at the end", seen.alive],
    ["watched for", `${seen.seconds} s`],
    ["created in", `${seen.createdInS} s`],
    ["beats per session; computed", `${seen.beatsPerSession.toFixed(2)}; ${seen.beatsPerSessionComputed.toFixed(2)}`],
    ["beats that failed", seen.failures],
    ["least that was left of a session's 60 s (a beat on time leaves 18)", `${seen.leastIdleLeftS} s`],
    ["processors used", seen.cpuShare.toFixed(2)],
    ["memory (RSS) before, with all sessions, at most", `${rssMib.before}, ${rssMib.created}, ${rssMib.most} MiB`],
  ];
  const section = ["## Many sessions", "", ...markdown(table)].join("\n");
  const details = [...faults, output].join("\n");
  return { ok: faults.length === 0, note: `${seen.alive} of ${seen.sessions}`, details, section };
}

/** What is not as it has to be. */
function faultsOfMany({ sessions, alive, failures, beatsPerSession, beatsPerSessionComputed, rssMib }) {
  const mibPerThousand = (rssMib.most - rssMib.before) / (sessions / 1_000);
  // The beats of 150 s vary by one a session; memory is what an unoptimised build takes, and a leak would not stop there.
  const bounds = {
    "sessions died": alive !== sessions,
    "beats failed": failures > 0,
    "too few beats": beatsPerSession < beatsPerSessionComputed * 0.8,
    "too many beats": beatsPerSession > beatsPerSessionComputed * 1.25,
    [`${Math.round(mibPerThousand)} MiB for a thousand sessions`]: mibPerThousand > 200,
  };
  return Object.keys(bounds).filter((fault) => bounds[fault]);
}

/** The median and the longest added time; nobody knows when a jest run begins to end. */
function added(rows) {
  const times = rows.flatMap(({ tookMs, plainTookMs }) =>
    tookMs === undefined ? [] : [Math.max(0, tookMs - plainTookMs)],
  );
  if (times.length === 0) return "";
  return `${Math.round(median(times))} – ${Math.max(...times)}`;
}

async function main() {
  const [first = String(DEFAULT_COUNT), ...names] = process.argv.slice(2);
  const count = Number(first);
  const wanted = names.length > 0 ? names : Object.keys(PROOFS);
  if (!Number.isInteger(count) || count < 1 || wanted.some((name) => !(name in PROOFS))) {
    console.error(`usage: node scripts/proof.mjs [COUNT] [${Object.keys(PROOFS).join(" | ")}]`);
    process.exitCode = 2;
    return;
  }
  if (!(await setUp({}))) {
    process.exitCode = 1;
    return;
  }
  await mkdir(`${cache}/logs`, { recursive: true });
  const sections = await writtenSections();
  for (const name of wanted) {
    const ok = await step(name, async () => {
      const { section, ...result } = await PROOFS[name](count);
      if (section) sections.set(name, section);
      return result;
    });
    if (!ok) process.exitCode = 1;
  }
  const ordered = Object.keys(PROOFS).flatMap((name) => sections.get(name) ?? []);
  await writeFile(DOCUMENT, `${[heading(), ...ordered].join("\n\n")}\n`);
}

/** The sections of the document as it is, by the names of their proofs. */
async function writtenSections() {
  const text = existsSync(DOCUMENT) ? await readFile(DOCUMENT, "utf8") : "";
  const sections = text.split(/^(?=## )/m).slice(1);
  return new Map(sections.map((section) => [/^## (.+)/.exec(section)[1].toLowerCase(), section.trim()]));
}

function heading() {
  const machine = `${availableParallelism()} processors, Node.js ${process.version}, ${process.platform}`;
  return [
    "# Reliability",
    "",
    `Written by \`npm run proof\`; not by hand. Measured on a machine with ${machine}, with an unoptimised build of the addon.`,
  ].join("\n");
}

await main();
