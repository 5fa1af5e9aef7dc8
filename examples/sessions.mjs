// @ts-check

/** The life of a session: create it, use it, keep it alive, ask how it is, delete it. */

import { AGB, CreateSessionParams } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Sessions");
const agb = new AGB();

const params = new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 120 });
const session = sessionOf(await agb.create(params));
try {
  show("created", `${session.getSessionId()} from ${session.imageId}`);

  const run = succeeded(await session.code.run("print('hello from', __import__('sys').platform)", "python"));
  show("ran a program", run.logs.stdout.join("").trim());

  // The idle timer starts anew with every call that uses the session. This does that, and nothing else.
  succeeded(await session.keepAlive());
  show("kept alive", "for another 120 seconds");

  const { status } = succeeded(await session.getStatus());
  show("status", status);

  const info = succeeded(await session.info());
  show("info tells", Object.keys(Object(info.data)).join(", "));
} finally {
  const deleted = await agb.delete(session);
  show("deleted", deleted.success ? "gone for good" : deleted.errorMessage);
}

// A deleted session can't be used, and says so: nothing is thrown.
const late = await session.keepAlive();
show("kept alive again", `success ${late.success}, code ${late.code}`);

await service.end();
