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

/** Complete in this version; none of their members may be open. */
const COMPLETE =
  /^(AGB|AGBOptions|CreateSessionParams(Options)?|Session|SessionLike|Config(Options)?|defaultConfig|loadConfig|\w+Error|LogLevel|[gs]etLogLevel|log(Debug|Info|Warn|Error)|VERSION|getSdkVersion|isReleaseVersion|Code|Command|FileSystem)\b/;
/** … but for these. */
const LATER = /^FileSystem\.(upload|download|watchDir|watchDirectory|transferPath)\b/;

async function mismatches() {
  const { code, stdout, output } = await run(process.execPath, [
    "../shared/tools/check-surface.mjs",
    "index.d.ts",
    "--json",
    "--min",
    "0",
  ]);
  if (code !== 0) throw new Error(output);
  return JSON.parse(stdout);
}

const report = await mismatches();
const differing = new Map(report.mismatches.map((mismatch) => [mismatch.member, mismatch]));
const text = await readFile(OPEN_LIST, "utf8");
const listed = text.split("\n").filter((line) => line && !line.startsWith("#"));

const faults = [];
for (const [member, { problems }] of differing) {
  if (!listed.includes(member))
    faults.push(`${member} does not match: ${problems.map((p) => JSON.stringify(p)).join("; ")}`);
}
for (const member of listed) {
  if (!differing.has(member))
    faults.push(`${member} matches by now: take it off the list (node scripts/surface.mjs --update)`);
  if (COMPLETE.test(member) && !LATER.test(member))
    faults.push(`${member} must match in this version and can't be on the list`);
}

if (process.argv.includes("--update")) {
  const kept = text.split("\n").filter((line) => !line || line.startsWith("#") || differing.has(line));
  await writeFile(OPEN_LIST, kept.join("\n"));
} else if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exitCode = 1;
}
console.log(`${report.summary}, ${listed.length} known to be open`);
