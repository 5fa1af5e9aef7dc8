// @ts-check

/** Contexts: storage that outlives sessions. What one session leaves there, the next one finds. */

import { AGB, Context, ContextSync, CreateSessionParams } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Contexts");
const agb = new AGB();
/** Any path that is free in the session. */
const MOUNT = `/tmp/diary-${process.pid}`;

// Makes the context, or finds the one of that name.
const { context } = succeeded(await agb.context.create(`example-${Date.now()}`));
if (!context) throw new Error("there is no context");
show("context", context.name);

/** @returns {Promise<import("agbcloud-native").Session>} a session with the context in it */
async function sessionWithDiary() {
  const contextSync = [new ContextSync(context?.id ?? "", MOUNT)];
  return sessionOf(await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", contextSync })));
}

try {
  const monday = await sessionWithDiary();
  try {
    succeeded(await monday.file.writeFile(`${MOUNT}/monday.txt`, "planted a tree"));
    show("the first session wrote", "monday.txt");
  } finally {
    // true: what the mount holds is stored first, and the result says whether that went well.
    succeeded(await agb.delete(monday, true));
  }

  const { files } = succeeded(await agb.context.listFiles(context.id, MOUNT));
  show("stored", files.map(({ name, size }) => `${name}, ${size} bytes`).join("; "));

  const tuesday = await sessionWithDiary();
  try {
    show("the second session reads", succeeded(await tuesday.file.readFile(`${MOUNT}/monday.txt`)).content);

    // Storing needs no end of a session: this resolves when everything is there.
    succeeded(await tuesday.file.writeFile(`${MOUNT}/tuesday.txt`, "watered it"));
    succeeded(await tuesday.context.sync());
    const { items } = succeeded(await tuesday.context.info());
    show(
      "synchronised",
      items
        .map(({ taskType, status }) => `${taskType} ${status}`)
        .sort()
        .join(", "),
    );
  } finally {
    succeeded(await agb.delete(tuesday));
  }

  // Without any session: a URL that grants access to one file for a while.
  const { url = "" } = succeeded(await agb.context.getFileDownloadUrl(context.id, `${MOUNT}/tuesday.txt`));
  show("read by its URL", await (await fetch(url)).text());

  succeeded(await agb.context.clear(context.id));
  show("cleared", `${succeeded(await agb.context.listFiles(context.id, MOUNT)).files.length} files are left`);
} finally {
  succeeded(await agb.context.delete(new Context(context.id, context.name)));
  show("deleted", context.name);
}

await service.end();
