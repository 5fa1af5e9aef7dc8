// @ts-check

/** Faults of the service, to try what a program makes of them. For the emulator alone. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start } from "./support/service.mjs";

const service = await start("Faults");
const { emulator } = service;
if (!emulator) throw new Error("the real service has no faults to order: run this without --cloud");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  // What can be done twice is repeated.
  const busy = emulator.faults.add({ operation: "GetLabel", kind: "status", status: 429, retryAfter: 0, count: 2 });
  show("labels, twice refused", (await session.getLabels()).success);
  show("requests that were struck", busy.hits);

  // A command may have run when its answer is lost: it is not repeated, and the error says so.
  emulator.faults.add({ operation: "callTool", tool: "shell", kind: "reset", when: "after" });
  const { success, errorMessage } = await session.command.execute("echo once >> log.txt", 20_000);
  show("a lost answer", `success ${success}: ${errorMessage?.replace(/127\.\S+/, "…")}`);
  show("it ran", (await session.command.execute("wc -l < log.txt", 20_000)).stdout.trim());

  // A creation whose answer is lost is found again.
  emulator.faults.add({ operation: "createSession", kind: "reset", when: "after" });
  const found = await agb.open({ imageId: "agb-code-space-1" });
  show("a lost creation", `found again, ${found.lifecycle.state}`);
  await found.delete();
} finally {
  await agb.delete(session);
}

await service.end();
