// @ts-check

/** Metrics: how busy a session's machine is. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Metrics");
const agb = new AGB();
const GIB = 1024 ** 3;

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const { metrics, raw } = succeeded(await session.getMetrics());
  if (!metrics) throw new Error("there are no metrics");
  show("processors", metrics.cpuCount);
  show("busy", `${metrics.cpuUsedPct.toFixed(1)} %`);
  show("memory", `${(metrics.memUsed / GIB).toFixed(1)} of ${(metrics.memTotal / GIB).toFixed(1)} GiB`);
  show("disk", `${(metrics.diskUsed / GIB).toFixed(1)} of ${(metrics.diskTotal / GIB).toFixed(1)} GiB`);
  show("received, sent", `${metrics.rxUsedKbyte} kB, ${metrics.txUsedKbyte} kB`);
  show("measured at", metrics.timestamp);
  show("as the service sent it", Object.keys(raw ?? {}).join(", "));
} finally {
  await agb.delete(session);
}

await service.end();
