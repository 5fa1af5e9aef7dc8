import assert from "node:assert/strict";
import { test } from "node:test";

import { jestSelection, passedInCargo, passedInJest } from "./again.mjs";

test("a Rust test has passed when its runner says so, and not when it says nothing", () => {
  const output = "running 2 tests\ntest a::one ... ok\ntest a::two ... FAILED\n\ntest result: FAILED.";
  const failures = ["a::one", "a::two", "a::three", "one"].map((what) => ({ what, reason: "" }));
  assert.deepEqual(passedInCargo(output, failures), [failures[0]]);
});

test("jest is told files and names; whole files where one failed as a whole", () => {
  const one = { what: "", reason: "", file: "/p/a.spec.ts", test: "adds 1 + 1 (twice)" };
  const two = { ...one, test: "[b] | c" };
  assert.deepEqual(jestSelection([one, two]), {
    files: ["/p/a.spec.ts"],
    pattern: "^(adds 1 \\+ 1 \\(twice\\)|\\[b\\] \\| c)$",
  });
  const { pattern } = jestSelection([two]);
  assert.match(two.test, new RegExp(pattern));
  const whole = { what: "", reason: "", file: "/p/b.spec.ts" };
  assert.deepEqual(jestSelection([one, whole]), { files: ["/p/a.spec.ts", "/p/b.spec.ts"] });
});

test("a jest test has passed when it was run and is named as passed", () => {
  const report = {
    testResults: [
      {
        name: "/p/a.spec.ts",
        status: "failed",
        assertionResults: [
          { fullName: "x", status: "passed" },
          { fullName: "y", status: "failed" },
          { fullName: "z", status: "pending" },
          { fullName: "twice", status: "passed" },
          { fullName: "twice", status: "failed" },
        ],
      },
      { name: "/p/b.spec.ts", status: "passed", assertionResults: [] },
      { name: "/p/d.spec.ts", status: "failed", assertionResults: [{ fullName: "x", status: "passed" }] },
    ],
  };
  const failures = ["x", "y", "z", "twice", "unknown", undefined].map((test) => ({ file: "/p/a.spec.ts", test }));
  failures.push({ file: "/p/b.spec.ts" }, { file: "/p/c.spec.ts" }, { file: "/p/d.spec.ts", test: "x" });
  assert.deepEqual(passedInJest(report, failures), [failures[0], failures[6]]);
});
