/**
 * Everything that a clone needs before it can run: packages, native library, JavaScript. Does only what is not done
 * yet. Needs nothing but Node itself.
 *
 *   node scripts/setup.mjs [--release]
 */

import { setUp } from "./lib/set-up.mjs";

if (!(await setUp({ release: process.argv.includes("--release") }))) process.exitCode = 1;
