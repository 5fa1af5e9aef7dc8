/**
 * Rolls the declarations of dist/ up into index.d.ts, the one file of public types.
 *
 *   node scripts/types.mjs           writes index.d.ts
 *   node scripts/types.mjs --check   fails when index.d.ts is not what it would write
 */

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";

const HEADER = "// The public types of agbcloud-native. Generated from ts/ by `npm run build:types`; do not edit.\n\n";

/** What a file of ts/ says of itself: without its imports it stands before the comment of its first declaration. */
const FILE_COMMENT = /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(?=\/\*\*)/g;

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}index.d.ts`;

async function rollUp() {
  const bundle = await rollup({
    input: `${root}dist/index.d.ts`,
    external: [/^node:/],
    plugins: [dts()],
    onwarn(warning) {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.generate({ format: "es" });
  await bundle.close();
  return HEADER + output[0].code.replace(FILE_COMMENT, "");
}

const text = await rollUp();
if (!process.argv.includes("--check")) {
  await writeFile(target, text);
} else if (text !== (await readFile(target, "utf8"))) {
  console.error("index.d.ts is not what ts/ says. Run `npm run build` and commit index.d.ts.");
  process.exitCode = 1;
}
