// @ts-check

/** Listing: the active sessions of an account, page by page. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Listing");
const agb = new AGB();
const labels = { batch: `example-${Date.now()}` };
const PAGE_SIZE = 2;

/** @type {import("agbcloud-native").Session[]} */
const sessions = [];
try {
  for (let count = 0; count < 5; count += 1) {
    sessions.push(sessionOf(await agb.create({ imageId: "agb-code-space-1", labels })));
  }
  show("created", `${sessions.length} sessions`);

  // Pages are counted from 1; the newest sessions come first. An empty nextToken marks the last page.
  let page = 1;
  let found = 0;
  for (let more = true; more; page += 1) {
    const { sessionIds, totalCount, nextToken } = succeeded(await agb.list(labels, page, PAGE_SIZE));
    found += sessionIds.length;
    show(`page ${page}`, `${sessionIds.length} more, ${found} of ${totalCount} so far`);
    more = nextToken !== "";
  }

  const beyond = await agb.list(labels, page, PAGE_SIZE);
  show(`page ${page}`, `success ${beyond.success}: ${beyond.errorMessage}`);
} finally {
  for (const session of sessions) await agb.delete(session);
}
show("left of this batch", succeeded(await agb.list(labels)).totalCount);

await service.end();
