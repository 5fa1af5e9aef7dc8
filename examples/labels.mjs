// @ts-check

/** Labels: what a session is for, said when it is created or later, and found again by it. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Labels");
const agb = new AGB();
const team = `example-${Date.now()}`;

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1", labels: { team, step: "draft" } }));
try {
  show("labels at creation", JSON.stringify(succeeded(await session.getLabels()).data));

  // Replaces the whole set: what is not named any more is gone.
  succeeded(await session.setLabels({ team, step: "review", reviewer: "none yet" }));
  show("labels now", JSON.stringify(succeeded(await session.getLabels()).data));

  const drafts = succeeded(await agb.list({ team, step: "draft" }));
  const reviews = succeeded(await agb.list({ team, step: "review" }));
  show("sessions with draft", drafts.sessionIds.length);
  show("sessions with review", reviews.sessionIds.length);
  show("is it this one?", reviews.sessionIds.includes(session.getSessionId()));

  // What can't be a label is refused before anything is sent.
  const refused = await session.setLabels({ "": "no name" });
  show("a label without a name", `success ${refused.success}: ${refused.errorMessage}`);
} finally {
  await agb.delete(session);
}

await service.end();
