/**
 * Compares the public types with the description of the reference's surface in ../shared. Members that don't match must
 * stand in `__test__/surface-open.txt`, which only gets shorter: a member that matches by now must leave it.
 *
 *   node scripts/surface.mjs            checks
 *   node scripts/surface.mjs --update   removes from the list what matches by now
 */

import { readFile, writeFile } from "node:fs/promises";

import { root } from "./lib/paths.mjs";
import { run } from "./lib/process.mjs";

const OPEN_LIST = `${root}/__test__/surface-open.txt`;

/** Complete in this version: none of their members may be open. */
const COMPLETE = new RegExp(
  `^(new |static )?(${[
    ...["AGB", "AGBOptions", "BaseService", "Session", "SessionLike", "CreateSessionParams(Options)?"],
    ...["Config(Options)?", "defaultConfig", "loadConfig", "Code", "Command", "FileSystem"],
    ...["Client", "HTTPClient", "\\w+Error", "LogLevel", "[gs]etLogLevel", "log(Debug|Info|Warn|Error)"],
    ...["VERSION", "getSdkVersion", "isReleaseVersion"],
  ].join("|")})\\b`,
);
/** … but for these. */
const LATER = /^FileSystem\.(upload|download|watchDir|watchDirectory|transferPath)\b/;

async function compare() {
  const args = ["../shared/tools/check-surface.mjs", "index.d.ts", "--json", "--min", "0"];
  const { code, stdout, output } = await run(process.execPath, args);
  if (code !== 0) throw new Error(output);
  return JSON.parse(stdout);
}

const { mismatches, summary } = await compare();
const text = await readFile(OPEN_LIST, "utf8");
const listed = new Set(text.split("\n").filter((line) => line && !line.startsWith("#")));

/** An export that is missing as a whole is one line; when it is there, its open members are. */
const isListed = (mismatch) => listed.has(mismatch.member) || listed.has(mismatch.export);
const isOpen = (name) => mismatches.some((mismatch) => mismatch.member === name || mismatch.export === name);
const isComplete = (name) => COMPLETE.test(name) && !LATER.test(name);
const describe = ({ member, problems }) =>
  `${member} does not match: ${problems.map(({ problem, expected, found }) => [problem, expected, found].filter(Boolean).join(", ")).join("; ")}`;

if (process.argv.includes("--update")) {
  const comments = text.split("\n").filter((line) => line.startsWith("#"));
  const open = mismatches.filter(isListed).map(({ member }) => member);
  await writeFile(OPEN_LIST, `${[...comments, ...open].join("\n")}\n`);
} else {
  const faults = [
    ...mismatches.filter((mismatch) => !isListed(mismatch)).map(describe),
    ...[...listed]
      .filter((name) => !isOpen(name))
      .map((name) => `${name} matches by now: node scripts/surface.mjs --update`),
    ...[...listed].filter(isComplete).map((name) => `${name} must match in this version and can't be on the list`),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
console.log(`${summary}, the others are listed as open`);
