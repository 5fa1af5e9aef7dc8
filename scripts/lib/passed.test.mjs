import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { recall, remember, sourcesDigest } from "./passed.mjs";
import { run } from "./process.mjs";

let directory;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "agb-passed-"));
});
after(() => rm(directory, { recursive: true }));

const PASSED = { ok: true, passed: 3, failed: 0, skips: [], lines: ["all well"] };

test("a result is known for the sources it was got with, as long as it is the last", async () => {
  const folder = join(directory, "known");
  assert.equal(await recall("a step", "one", folder), undefined);
  await remember("a step", "one", { ...PASSED, details: "long" }, folder);
  assert.deepEqual(await recall("a step", "one", folder), PASSED);
  assert.equal(await recall("a step", "two", folder), undefined);
  assert.equal(await recall("another", "one", folder), undefined);
  const others = [
    ["one", { ...PASSED, ok: false }],
    ["one", { ...PASSED, skips: [{ need: "jdk" }, { need: "pypi" }] }],
    [undefined, PASSED],
  ];
  for (const [digest, result] of others) {
    await remember("a step", "one", PASSED, folder);
    await remember("a step", digest, result, folder);
    assert.equal(await recall("a step", "one", folder), undefined);
  }
  assert.deepEqual(await readdir(folder), []);
  await writeFile(join(folder, "a-step.json"), '{"digest":"one"');
  assert.equal(await recall("a step", "one", folder), undefined);
});

test("what was skipped is known, too, until the machine has it", async () => {
  const folder = join(directory, "skipped");
  const result = { ...PASSED, skips: [{ need: "r" }] };
  await remember("a step", "one", result, folder);
  assert.deepEqual(await recall("a step", "one", folder), result);

  const clone = join(directory, "clone-of-programs");
  await run("git", ["init", "--quiet", clone]);
  const path = process.env.PATH;
  const programs = join(directory, "programs");
  await mkdir(programs);
  try {
    process.env.PATH = `${programs}:${path}`;
    const without = await sourcesDigest(clone);
    await writeFile(join(programs, "Rscript"), "");
    const has = path.split(":").some((folder) => existsSync(join(folder, "Rscript")));
    assert.equal((await sourcesDigest(clone)) === without, has);
  } finally {
    process.env.PATH = path;
  }
});

test("the sources are what git knows, without other clones in between", async () => {
  const clone = join(directory, "clone");
  await run("git", ["init", "--quiet", clone]);
  await writeFile(join(clone, "a"), "1");
  const first = await sourcesDigest(clone);
  await mkdir(join(clone, "other"));
  await run("git", ["init", "--quiet", join(clone, "other")]);
  await writeFile(join(clone, "other", "b"), "1");
  assert.equal(await sourcesDigest(clone), first);
  await writeFile(join(clone, "a"), "2");
  assert.notEqual(await sourcesDigest(clone), first);
});

test("what says how results count is no part of the sources", async () => {
  const clone = join(directory, "clone-of-variables");
  await run("git", ["init", "--quiet", clone]);
  const plain = await sourcesDigest(clone);
  const withVariable = async (name) => {
    process.env[name] = "x";
    const digest = await sourcesDigest(clone);
    delete process.env[name];
    return digest;
  };
  assert.equal(await withVariable("AGB_FRESH"), plain);
  assert.equal(await withVariable("AGB_REQUIRE"), plain);
  assert.notEqual(await withVariable("AGB_TEST_ISOLATION"), plain);
});
