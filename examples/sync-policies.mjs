// @ts-check

/** Sync policies: what of a mount is stored, in which form, for how long, and where it appears. */

import {
  AGB,
  Context,
  ContextSync,
  Lifecycle,
  newRecyclePolicy,
  newSyncPolicy,
  newUploadPolicy,
  syncPolicyToDict,
  UploadMode,
} from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Sync policies");
const agb = new AGB();
/** Any paths that are free in the session. */
const WORK = `/tmp/work-${process.pid}`;
const ELSEWHERE = `/tmp/elsewhere-${process.pid}`;

const { context } = succeeded(await agb.context.create(`example-${Date.now()}`));
if (!context) throw new Error("there is no context");
const { id, name } = context;

/**
 * Runs one command in a session of its own that has the context mounted. What it leaves is stored at the session's end,
 * as the policy says.
 *
 * @param {string} path
 * @param {import("agbcloud-native").SyncPolicy} policy
 * @param {string} command
 */
async function inSession(path, policy, command) {
  const contextSync = [new ContextSync(id, path, policy)];
  const session = sessionOf(await agb.create({ imageId: "agb-code-space-1", contextSync }));
  try {
    return succeeded(await session.command.execute(command, 20_000, path)).stdout.trim();
  } finally {
    succeeded(await agb.delete(session));
  }
}

/** @param {string} [folder] */
async function stored(folder = WORK) {
  const { files } = succeeded(await agb.context.listFiles(id, folder));
  return (
    files
      .map((file) => file.name)
      .sort()
      .join(", ") || "nothing"
  );
}

try {
  // What is left out gets its default: stored at the end, brought back at the beginning, deletions included.
  show("the default, in short", Object.keys(syncPolicyToDict(newSyncPolicy())).join(", "));

  // Only src is stored, and of that everything but src/out.
  const sourcesOnly = newSyncPolicy({ bwList: { whiteLists: [{ path: "/src", excludePaths: ["/out"] }] } });
  await inSession(WORK, sourcesOnly, "mkdir -p src/out cache; touch src/main.py src/out/main.pyc cache/big");
  show("a white list stored", `${await stored()}; in src: ${await stored(`${WORK}/src`)}`);

  // Data that were stored from one path, mounted at another.
  const moved = newSyncPolicy({ mappingPolicy: { path: WORK } });
  show("a mapping brings it to", await inSession(ELSEWHERE, moved, "find $PWD -name main.py"));

  // Brought in, but what the session does there is not stored.
  const readOnly = newSyncPolicy({ uploadPolicy: newUploadPolicy({ autoUpload: false }) });
  succeeded(await agb.context.clear(id));
  await inSession(WORK, readOnly, "touch scratch");
  show("without auto-upload", await stored());

  // One archive instead of many files: faster for a great number of small ones.
  const archive = newSyncPolicy({ uploadPolicy: newUploadPolicy({ uploadMode: UploadMode.ARCHIVE }) });
  await inSession(WORK, archive, "for n in 1 2 3 4 5; do echo $n > $n; done");
  show(
    "as an archive",
    `${(await stored()).replace(/\S*\.tar/, "one .tar")}; unpacked again: ${await inSession(WORK, archive, "ls | wc -l")}`,
  );

  // For a day, and then it is deleted. Wildcards are refused where the policy is made.
  const logs = newRecyclePolicy({ lifecycle: Lifecycle.LIFECYCLE_1DAY, paths: ["/logs"] });
  show("kept for a day", `${logs.paths.join()}: ${logs.lifecycle}`);
  try {
    newRecyclePolicy({ paths: ["/logs/*.txt"] });
  } catch (error) {
    show("a wildcard", error instanceof Error ? error.message : error);
  }
} finally {
  succeeded(await agb.context.delete(new Context(id, name)));
}

await service.end();
