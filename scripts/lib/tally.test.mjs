import assert from "node:assert/strict";
import { test } from "node:test";

import { requiredNeeds, skipTable } from "./needs.mjs";
import { failureTable } from "./steps.mjs";
import { tallyCargo, tallyJest } from "./tally.mjs";

const CARGO = `
     Running unittests src/lib.rs (target/debug/deps/agb_client-1)
test a::works ... ok
test a::needs_python ... ok
test a::needs_more ... ok
test a::slow ... ignored, takes minutes
test a::killed ... ignored, helper: what the next test kills

successes:

---- a::needs_python stdout ----
skipped: needs python3-venv
---- a::needs_more stdout ----
skipped: needs namespaces (Operation not permitted)
skipped: needs namespaces (again)

test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s

   Doc-tests agb_client

successes:

---- doc::fine stdout ----
no news

successes:
    doc::fine

failures:

---- doc::one stdout ----

thread 'doc::one' panicked at src/lib.rs:1:1:
left: 1
---- doc::two stdout ----
two lines
of it


failures:
    doc::one
    doc::two

test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;

test("a Rust test that says what it needs counts as skipped, once", () => {
  const { passed, failed, skips, lines } = tallyCargo(CARGO);
  assert.deepEqual([passed, failed, lines.length], [1, 2, 2]);
  assert.deepEqual(skips, [
    { need: "ignored", what: "cargo: a::slow", reason: "takes minutes" },
    { need: "python3-venv", what: "cargo: a::needs_python", reason: "" },
    { need: "namespaces", what: "cargo: a::needs_more", reason: "Operation not permitted" },
  ]);
});

test("a Rust test program that crashed is a failure of its own", () => {
  const crash = "error: 2 targets failed:\n    `-p a --lib`\n    `-p b --lib`\n";
  const one = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
  assert.deepEqual([tallyCargo(one + crash).failed, tallyCargo(one + crash).crashed], [2, 1]);
  assert.deepEqual([tallyCargo(CARGO).failed, tallyCargo(CARGO).crashed], [2, 0]);
});

test("a failed Rust test has what it printed, and nothing of the others", () => {
  const failures = tallyCargo(CARGO).failures.map(({ what, reason }) => [what, reason.trim()]);
  assert.deepEqual(failures, [
    ["doc::one", "thread 'doc::one' panicked at src/lib.rs:1:1:\nleft: 1"],
    ["doc::two", "two lines\nof it"],
  ]);
});

test("of what a failed test printed, the beginning is shown", () => {
  const reason = `\n${Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n")}\n`;
  const lines = failureTable([
    { what: "cargo: a", reason },
    { what: "jest: b", reason: "short\n    at /p/node_modules/jest/index.js:1:1\n    at new Promise (<anonymous>)" },
  ]);
  assert.deepEqual([lines.length, ...lines.slice(0, 2)], [29, "cargo: a", "    line 0"]);
  assert.deepEqual(lines.slice(25), ["    line 24", "    … 5 lines more", "jest: b", "    short"]);
});

const BROKEN = { status: "failed", fullName: "breaks", failureMessages: ["\u001b[31mnot 1\u001b[39m", "nor 2"] };

test("jest's skipped tests carry their need in their name; a file without tests that failed is one failure", () => {
  const report = {
    testResults: [
      {
        name: "/p/a.spec.ts",
        status: "passed",
        assertionResults: [
          { status: "passed", fullName: "works" },
          { status: "pending", fullName: "java [skipped: needs jdk: not found] runs" },
          { status: "pending", fullName: "left out" },
        ],
      },
      { name: "/p/b.spec.ts", status: "failed", message: "no such type", assertionResults: [] },
      { name: "/p/c.spec.ts", status: "failed", assertionResults: [BROKEN] },
    ],
  };
  assert.deepEqual(tallyJest(report), {
    passed: 1,
    failed: 2,
    failures: [
      { what: "b.spec.ts", reason: "no such type", file: "/p/b.spec.ts" },
      { what: "c.spec.ts: breaks", reason: "not 1\nnor 2", file: "/p/c.spec.ts", test: "breaks" },
    ],
    skips: [
      { need: "jdk", what: "a.spec.ts: java runs", reason: "not found" },
      { need: "nothing it says", what: "a.spec.ts: left out" },
    ],
  });
});

test("AGB_REQUIRE is a list, or all, and knows its names", () => {
  assert.ok(requiredNeeds("all").has("jdk"));
  assert.ok(requiredNeeds("pypi, jdk").has("jdk"));
  assert.ok(!requiredNeeds("pypi").has("jdk"));
  assert.ok(!requiredNeeds("").has("jdk"));
  assert.throws(() => requiredNeeds("java"), /java/);
});

test("the table says what is required", () => {
  const skips = [
    { need: "jdk", what: "a.spec.ts: java", reason: "not found" },
    { need: "r", what: "b" },
  ];
  const lines = skipTable(skips, requiredNeeds("jdk"));
  assert.match(lines[0], /^skipped: needs jdk \(required!\) +a\.spec\.ts: java +not found$/);
  assert.match(lines[1], /^skipped: needs r +b$/);
  assert.deepEqual(skipTable([], requiredNeeds("")), ["Nothing was skipped."]);
});
