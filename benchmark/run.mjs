/**
 * Compares this package with what its users would otherwise use, on the same emulator, in the same run:
 * `npm run bench`.
 *
 *   node benchmark/run.mjs [--rounds N] [--quick] [--json]
 *
 * Each round measures every subject once, in a process of its own, one after the other. A figure is the median of the
 * rounds, and stands beside its ratio to this package's: absolute times say more of the machine than of the code.
 */

import { parseArgs } from "node:util";

import { markdown, median } from "../scripts/lib/figures.mjs";
import { root } from "../scripts/lib/paths.mjs";
import { run, serve } from "../scripts/lib/process.mjs";
import { setUp } from "../scripts/lib/set-up.mjs";
import { CASES, FULL, QUICK } from "./cases.mjs";

const OURS = "native";

async function main() {
  const { rounds, quick, json } = options();
  const print = json ? console.error : console.log;
  // A quick run takes whatever is built.
  if (!quick && !(await setUp({ release: true, print }))) return 1;
  const subjects = await findSubjects(print);
  const emulator = await startEmulator();
  const figures = new Map(subjects.map(({ name }) => [name, []]));
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const { name, command, env } of subjects) {
        const { code, stdout, output } = await run(...command(quick ? QUICK : FULL), {
          env: { ...emulator.env, ...env, AGB_LOG_LEVEL: "ERROR" },
        });
        if (code !== 0) throw new Error(`${name} failed:\n${output}`);
        figures.get(name).push(JSON.parse(stdout.trim().split("\n").at(-1)));
      }
      print(`round ${round} of ${rounds} is done`);
    }
  } finally {
    await emulator.stop();
  }
  const result = compare(subjects, figures);
  if (json) console.log(JSON.stringify(result, null, 2));
  else for (const line of table(subjects, result)) console.log(line);
  return 0;
}

function options() {
  const { values } = parseArgs({
    options: { rounds: { type: "string" }, quick: { type: "boolean" }, json: { type: "boolean" } },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds takes a whole number from 1");
  return { rounds, quick: values.quick ?? false, json: values.json ?? false };
}

/** Who takes part: this package always, a peer where this machine can have it. */
async function findSubjects(print) {
  const script = (name, env = {}) => ({
    name,
    env,
    command: (sizes) => [process.execPath, [`${root}/benchmark/subject.mjs`, name, JSON.stringify(sizes)]],
  });
  const subjects = [script(OURS), script("fetch")];
  const axios = await peer("axios");
  if (axios.path) subjects.push(script("axios", { AXIOS: axios.path }));
  else print(`without axios: needs ${axios.need}: ${axios.reason}`);
  const python = await peer("python-sdk");
  const program = `${root}/benchmark/subjects/python_sdk.py`;
  if (python.path) {
    const command = (sizes) => [python.path, [program, JSON.stringify(sizes)]];
    subjects.push({ name: "python-sdk", command, env: { PYTHONDONTWRITEBYTECODE: "1" } });
  } else print(`without the Python SDK: needs ${python.need}: ${python.reason}`);
  return subjects;
}

async function peer(name) {
  const { code, stdout, output } = await run(process.execPath, [`${root}/scripts/peers.mjs`, name]);
  if (code !== 0) throw new Error(output);
  return JSON.parse(stdout);
}

/** A process of its own, so that nobody's figures hold the service's work. */
async function startEmulator() {
  const { line, stop } = await serve(process.execPath, [`${root}/bin/agb-emulator.js`, "--port", "0", "--json"]);
  const { url, apiKey } = JSON.parse(line);
  return { env: { AGB_ENDPOINT: url, AGB_API_KEY: apiKey }, stop };
}

/** For each case, each subject's median and its ratio to ours. */
function compare(subjects, figures) {
  return Object.entries(CASES).map(([name, { title, unit }]) => {
    const medians = subjects.map((subject) => {
      const values = figures.get(subject.name).map((round) => round[name]);
      return [subject.name, values.includes(undefined) ? undefined : median(values)];
    });
    const ours = medians.find(([subject]) => subject === OURS)[1];
    const cells = medians.map(([subject, value]) => [subject, value === undefined ? value : figureOf(value, ours)]);
    return { name, title, unit, subjects: Object.fromEntries(cells) };
  });
}

/** There is no ratio to nothing, as which a little memory may be measured. */
function figureOf(value, ours) {
  return ours > 0 ? { median: value, ratio: value / ours } : { median: value };
}

/** The result as a table in Markdown. */
function table(subjects, result) {
  const cell = (figure, unit, isOurs) => {
    if (!figure) return "";
    const value = `${figure.median.toFixed(figure.median < 10 ? 2 : 0)} ${unit}`;
    return isOurs || figure.ratio === undefined ? value : `${value} (${figure.ratio.toFixed(1)} ×)`;
  };
  const rows = result.map(({ title, unit, subjects: figures }) => [
    title,
    ...subjects.map(({ name }) => cell(figures[name], unit, name === OURS)),
  ]);
  return ["", ...markdown([["", ...subjects.map(({ name }) => name)], ...rows])];
}

process.exitCode = await main();
