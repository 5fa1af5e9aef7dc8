import assert from "node:assert/strict";
import { test } from "node:test";

import { serve } from "./process.mjs";

const program = (code) => serve(process.execPath, ["--eval", code]);

test("a program that serves is there until it is stopped", async () => {
  const server = await program("console.log(process.pid); console.log('more'); setInterval(() => {}, 1e6)");
  const isThere = () => process.kill(Number(server.line), 0);
  assert.ok(isThere());
  await server.stop();
  assert.throws(isThere, { code: "ESRCH" });
  // Once more: it has ended.
  await server.stop();
});

test("one that ends before it serves says why", async () => {
  await assert.rejects(program("console.error('no port'); process.exit(3)"), /ended before it served: no port/);
  await assert.rejects(serve("/no/such/program", []), /ended before it served: .*ENOENT/);
});
