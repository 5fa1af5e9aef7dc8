/**
 * A test that sets variables, the working directory or files puts everything back.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Before each test: no `AGB_*` variable is set. After it: all are as they were. */
export function withoutAgbVariables(): void {
  let saved: Record<string, string | undefined> = {};
  beforeEach(() => {
    saved = {};
    for (const name of Object.keys(process.env).filter((name) => name.startsWith("AGB_"))) {
      saved[name] = process.env[name];
      delete process.env[name];
    }
  });
  afterEach(() => {
    for (const name of Object.keys(process.env).filter((name) => name.startsWith("AGB_"))) delete process.env[name];
    Object.assign(process.env, saved);
  });
}

/** Makes a directory with files in it, works there as the current directory, and removes it. */
export function inDirectory<T>(files: Record<string, string>, work: (directory: string) => T): T {
  const before = process.cwd();
  const directory = mkdtempSync(join(tmpdir(), "agb-spec-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), content);
    }
    process.chdir(directory);
    return work(directory);
  } finally {
    process.chdir(before);
    rmSync(directory, { recursive: true, force: true });
  }
}
