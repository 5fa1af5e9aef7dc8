/** The benchmark runs, and measures every subject in every case that it has. What it measures is not asserted here. */

import { runNode } from "./support/processes";

it("measures this package beside its peers", async () => {
  const { code, stdout, stderr } = await runNode("benchmark/run.mjs", ["--quick", "--json"]);
  // One comparison, so that a failure shows why.
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const cases: { name: string; subjects: Record<string, { median: number; ratio?: number } | undefined> }[] =
    JSON.parse(stdout);
  const names = ["load", "call", "parallel", "loopDelay", "memory", "readFile", "delete", "upload", "peakMemory"];
  expect(cases.map(({ name }) => name)).toEqual(names);
  for (const { name, subjects } of cases) {
    expect([name, subjects.native?.median]).toEqual([name, expect.any(Number)]);
    // What a peer has no part in is left out.
    for (const figure of Object.values(subjects).filter(Boolean)) expect(figure?.median).toBeGreaterThanOrEqual(0);
  }
  expect(cases.find(({ name }) => name === "call")?.subjects.fetch?.ratio).toBeGreaterThan(0);
}, 180_000);
