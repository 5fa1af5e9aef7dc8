/**
 * Compares the public types with the description of the reference's surface in ../shared: every member must match.
 *
 *   node scripts/surface.mjs
 */

import { run } from "./lib/process.mjs";

const args = ["../shared/tools/check-surface.mjs", "index.d.ts", "--json", "--min", "0"];
const { code, stdout, output } = await run(process.execPath, args);
if (code !== 0) throw new Error(output);

const { mismatches, summary } = JSON.parse(stdout);
for (const { member, problems } of mismatches) {
  const faults = problems.map(({ problem, expected, found }) => [problem, expected, found].filter(Boolean).join(", "));
  console.error(`${member} does not match: ${faults.join("; ")}`);
  process.exitCode = 1;
}
console.log(summary);
