// @ts-check

/** A session that is replaced when it is gone: the program goes on with the same object. */

import { AGB } from "agbcloud-native";

import { show, start, succeeded } from "./support/service.mjs";

const service = await start("A session that is replaced");
const agb = new AGB();
const labels = { example: `recreate-${Date.now()}` };

const session = await agb.open(
  { imageId: "agb-code-space-1", idleReleaseTimeout: 60, labels },
  {
    recreate: true,
    // Runs in the new session, before the call that found the loss goes on.
    restore: async (fresh) => {
      succeeded(await fresh.file.writeFile("notes.txt", "what the program remembers"));
      show("restored", "notes.txt");
    },
  },
);
try {
  session.on("recreated", ({ oldId, newId }) => show("recreated", `${oldId !== newId ? "another id" : "the same id"}`));

  // Somebody else deletes it; so would its idle time-out, or the end of its maximum lifetime.
  const deletions = await new AGB().deleteAll(labels);
  show("deleted elsewhere", deletions.length);

  const { text, ...kept } = await read();
  show("the call went on", `${text} (${kept.state})`);
} finally {
  await session.delete();
}

async function read() {
  // On a session's link a tool's failure does not tell whether it ran: such a call is not repeated. A second one finds the
  // new session.
  const first = await session.command.execute("cat notes.txt", 20_000);
  const { stdout } = first.success ? first : succeeded(await session.command.execute("cat notes.txt", 20_000));
  return { text: stdout, state: session.lifecycle.state };
}

await service.end();
