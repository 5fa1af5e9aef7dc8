/**
 * Keeps many sessions alive in one process, and prints what that took, as JSON: `node scripts/proof/many-sessions.mjs
 * [SESSIONS] [SECONDS]`. The emulator is another process, so that the figures are the client's alone.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { root } from "../lib/paths.mjs";

const [sessions, seconds] = process.argv.slice(2).map(Number);
const SESSIONS = sessions || 10_000;
const SECONDS = seconds || 150;
const IDLE_TIMEOUT_S = 60;
const CREATED_AT_ONCE = 64;
const MIB = 1024 * 1024;

const emulator = spawn(process.execPath, [`${root}/bin/agb-emulator.js`, "--port", "0", "--json"], {
  stdio: ["ignore", "pipe", "ignore"],
});
process.on("exit", () => emulator.kill("SIGTERM"));
const [line] = await once(createInterface({ input: emulator.stdout }), "line");
const { url, apiKey } = JSON.parse(line);

const { AGB } = await import(`${root}/index.js`);
const agb = new AGB({ apiKey, config: { endpoint: url } });
const rssMib = () => Math.round(process.memoryUsage.rss() / MIB);

const params = { imageId: "agb-code-space-1", idleReleaseTimeout: IDLE_TIMEOUT_S, autoKeepAlive: true };
await agb.open(params);
const rssBefore = rssMib();
const began = performance.now();
const kept = [];
async function create() {
  while (kept.length < SESSIONS) {
    const place = kept.push(undefined) - 1;
    kept[place] = await agb.open(params);
  }
}
await Promise.all(Array.from({ length: CREATED_AT_ONCE }, create));
const createdInS = (performance.now() - began) / 1_000;
const rssCreated = rssMib();

/** What is left of the idle time-out of the session that is worst off. */
const leastLeftMs = () => Math.min(...kept.map((session) => session.lifecycle.idleRemainingMs ?? 0));
const totals = () => {
  const statuses = kept.map((session) => session.keepAliveStatus());
  const sum = (of) => statuses.reduce((total, status) => total + of(status), 0);
  return { beats: sum((status) => status.beats), failures: sum((status) => status.failures) };
};

const before = totals();
const cpuBefore = process.cpuUsage();
let leastLeft = Number.POSITIVE_INFINITY;
let rssMost = rssCreated;
const end = performance.now() + SECONDS * 1_000;
while (performance.now() < end) {
  await sleep(1_000);
  leastLeft = Math.min(leastLeft, leastLeftMs());
  rssMost = Math.max(rssMost, rssMib());
}
const cpu = process.cpuUsage(cpuBefore);
const after = totals();
const { totalCount } = await agb.list({}, 1, 1);

// The first session of all was not counted.
const result = {
  sessions: kept.length,
  alive: totalCount - 1,
  seconds: SECONDS,
  createdInS: Math.round(createdInS),
  beatsPerSession: (after.beats - before.beats) / kept.length,
  // A beat comes after 30 to 42 of 60 seconds, 36 on average.
  beatsPerSessionComputed: SECONDS / (IDLE_TIMEOUT_S * 0.6),
  failures: after.failures,
  leastIdleLeftS: Math.round(leastLeft / 100) / 10,
  cpuShare: (cpu.user + cpu.system) / 1e6 / SECONDS,
  rssMib: { before: rssBefore, created: rssCreated, most: rssMost },
};
console.log(JSON.stringify(result));
process.exit(0);
