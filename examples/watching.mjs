// @ts-check

/** Directory monitoring: what changes in a session's directory is told as it happens. */

import { EventEmitter, once } from "node:events";

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Watching a directory");
const agb = new AGB();
const DIR = "/tmp/inbox";
const EVERY_MS = 100;

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
const stop = new AbortController();
try {
  succeeded(await session.file.createDirectory(DIR));

  const changes = new EventEmitter();
  const ready = once(changes, "look");
  const watching = session.file.watchDirectory(
    DIR,
    (events) => {
      for (const { eventType, path, pathType } of events) {
        show(`  ${eventType}`, `${path} (${pathType})`);
        changes.emit(eventType);
      }
      changes.emit("look");
    },
    EVERY_MS,
    stop.signal,
  );
  // Changes are counted from the first look on.
  await ready;
  show("watching", DIR);

  for (const [change, command] of [
    ["create", "echo dear > letter.txt"],
    ["modify", "echo friend >> letter.txt"],
    ["delete", "rm letter.txt"],
  ]) {
    const seen = once(changes, String(change));
    succeeded(await session.command.execute(String(command), 10_000, DIR));
    await seen;
  }

  // The promise resolves when the watch is over; the callback is not called again.
  stop.abort();
  await watching;
  show("stopped", "by its signal");

  // In the background: it ends by itself with the program, or when it is told to.
  const background = session.file.watchDir(DIR, () => undefined, EVERY_MS);
  background.stop();
  show("watchDir", "for programs that do something else meanwhile; stop() ends it");
} finally {
  stop.abort();
  await agb.delete(session);
}

await service.end();
