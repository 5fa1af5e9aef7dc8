// @ts-check

/**
 * Recovery: a program that was restarted finds its session again, by id or by labels; and it knows what to do when the
 * session is gone, which nobody can bring back.
 */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Recovery");
const task = { task: `example-${Date.now()}` };

/**
 * The session for a task: the one that is still alive, else a new one.
 *
 * @param {AGB} agb
 * @param {Record<string, string>} labels
 */
async function sessionFor(agb, labels) {
  for (const id of succeeded(await agb.list(labels)).sessionIds) {
    const { session } = await agb.get(id);
    // It may have been released since it was listed; then the next one may do.
    if (session) return { session, isNew: false };
  }
  return {
    session: sessionOf(await agb.create({ imageId: "agb-code-space-1", labels, idleReleaseTimeout: 60 })),
    isNew: true,
  };
}

// The program that begins the work. All that has to be remembered of it is an id, or labels.
const before = new AGB();
const first = await sessionFor(before, task);
const id = first.session.getSessionId();
try {
  succeeded(await first.session.code.run("collected = [1, 2, 3]", "python"));
  show("began", `new: ${first.isNew}, collected 3 numbers`);

  // The same program, started again: a client that knows nothing.
  const after = new AGB();
  const byId = sessionOf(await after.get(id));
  const counted = succeeded(await byId.code.run("len(collected)", "python"));
  show("found by id", `its Python still has ${counted.results[0]?.text} numbers`);

  const byLabels = await sessionFor(after, task);
  show("found by labels", `new: ${byLabels.isNew}, same: ${byLabels.session.getSessionId() === id}`);
} finally {
  // Nobody calls for longer than its idle time-out. (On the real service we don't want to wait: it is deleted.)
  if (service.emulator) await service.emulator.advance(65_000);
  else await before.delete(first.session);
}

// What a program sees that comes too late.
const late = await first.session.code.run("len(collected)", "python");
show("used too late", `success ${late.success}: ${late.errorMessage}`);
const gone = await new AGB().get(id);
show("looked for too late", `success ${gone.success}, code ${gone.code}`);

// So it takes a new one and does its work again; keep in a context what must outlive a session (see contexts.mjs).
const agb = new AGB();
const { session, isNew } = await sessionFor(agb, task);
try {
  const again = succeeded(await session.code.run("collected = [1, 2, 3]\nlen(collected)", "python"));
  show("began again", `new: ${isNew}, collected ${again.results[0]?.text} numbers`);
} finally {
  await agb.delete(session);
}

await service.end();
