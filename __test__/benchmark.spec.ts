/** The benchmark runs, and measures every subject in every case that it has. What it measures is not asserted here. */

import { needs, peer } from "./support/needs";
import { runNode } from "./support/processes";

const NAMES = ["load", "call", "parallel", "loopDelay", "memory", "readFile", "delete", "upload", "peakMemory"];
/** The cases that need nothing but requests by hand. */
const BY_HAND = NAMES.filter((name) => !["delete", "upload"].includes(name));

let cases: { name: string; subjects: Record<string, { median: number; ratio?: number } | undefined> }[];

beforeAll(async () => {
  const { code, stdout, stderr } = await runNode("benchmark/run.mjs", ["--quick", "--json"]);
  // One comparison, so that a failure shows why.
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  cases = JSON.parse(stdout);
}, 180_000);

/** The cases for which a subject has a figure. */
function measured(subject: string): string[] {
  const figures = cases.map(({ name, subjects }) => ({ name, figure: subjects[subject] }));
  for (const { figure } of figures.filter(({ figure }) => figure)) expect(figure?.median).toBeGreaterThanOrEqual(0);
  return figures.filter(({ figure }) => figure).map(({ name }) => name);
}

it("measures this package in every case", () => {
  expect(measured("native")).toEqual(NAMES);
});

it("compares it with fetch", () => {
  expect(measured("fetch")).toEqual(BY_HAND);
  expect(cases.find(({ name }) => name === "call")?.subjects.fetch?.ratio).toBeGreaterThan(0);
});

needs(peer("axios").absence).it("compares it with axios", async () => {
  expect(measured("axios")).toEqual(BY_HAND);
});

needs(peer("python-sdk").absence).it("compares it with the Python SDK", async () => {
  expect(measured("python-sdk")).toEqual(expect.arrayContaining(["call", "upload"]));
});
