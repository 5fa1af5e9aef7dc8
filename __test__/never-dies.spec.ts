// @one-isolation: what is tested is the client.
// @alone: it keeps every core busy, and its sessions live for 4 s.

/** Sessions that are kept alive don't die, whatever the process is busy with: gaps as the service saw them. */

import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Session } from "agbcloud-native";
import { type SpecEmulator, useEmulator } from "./support/emulator";

const spec = useEmulator();

const SESSIONS = 50;
const TIMEOUT_S = 4;
const BLOCKED_MS = 12_000;

/** The largest gap between the activities of each session, in milliseconds, up to now. */
function largestGaps({ emulator }: SpecEmulator, sessions: Session[], since: number, until: number): number[] {
  const activities = new Map(sessions.map((session) => [session.getSessionId(), [since]]));
  for (const { sessionId, at, resetsIdleTimer } of emulator.journal()) {
    if (resetsIdleTimer && sessionId) activities.get(sessionId)?.push(Date.parse(at));
  }
  return [...activities.values()].map((times) => {
    const sorted = [...times, until].sort((one, other) => one - other);
    return Math.max(...sorted.slice(1).map((time, index) => time - (sorted[index] as number)));
  });
}

async function createKept(): Promise<Session[]> {
  const create = () => spec.create({ idleReleaseTimeout: TIMEOUT_S, autoKeepAlive: true });
  return Promise.all(Array.from({ length: SESSIONS }, create));
}

/** Nothing of this process's JavaScript runs meanwhile. */
function blockEventLoop(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
}

function expectAllAlive(sessions: Session[], since: number): void {
  const gaps = largestGaps(spec, sessions, since, Date.now());
  // `npm run proof` collects these.
  const report = process.env.AGB_NEVER_DIES_REPORT;
  const test = expect.getState().currentTestName;
  if (report) appendFileSync(report, `${JSON.stringify({ test, sessions: SESSIONS, gapMs: Math.max(...gaps) })}\n`);
  expect(Math.max(...gaps)).toBeLessThan(TIMEOUT_S * 1_000);
  for (const session of sessions) {
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    expect(session.keepAliveStatus()?.beats).toBeGreaterThanOrEqual(3);
  }
}

afterEach(async () => {
  await spec.agb.deleteAll({});
});

it("fifty sessions outlive an event loop that is blocked for three times their time-out", async () => {
  const sessions = await createKept();
  const since = Date.now();
  blockEventLoop();
  expectAllAlive(sessions, since);
}, 60_000);

it("the same with every core busy, and 500 calls that are slow to be answered", async () => {
  const sessions = await createKept();
  spec.emulator.faults.add({ operation: "getLink", kind: "delay", ms: BLOCKED_MS, count: "always" });
  const other = await spec.create({ idleReleaseTimeout: 300 });
  const slow = Promise.all(Array.from({ length: 500 }, () => other.getLink()));
  const burners = cpus().map(() =>
    spawn(process.execPath, ["-e", `const end = Date.now() + ${BLOCKED_MS}; while (Date.now() < end);`]),
  );
  const ended = burners.map((burner) => new Promise((resolve) => burner.once("exit", resolve)));
  const since = Date.now();
  blockEventLoop();
  expectAllAlive(sessions, since);
  await Promise.all(ended);
  await slow;
}, 120_000);

it("a thousand sessions over five minutes of the service's time: none expires, and none beats more than it has to", async () => {
  const before = process.memoryUsage.rss();
  const sessions: Session[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const create = () => spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    sessions.push(...(await Promise.all(Array.from({ length: 50 }, create))));
  }
  const beats = () => sessions.reduce((sum, session) => sum + (session.keepAliveStatus()?.beats ?? 0), 0);
  const beatsBefore = beats();
  await spec.emulator.advance(300_000);
  expect(sessions.filter(({ lifecycle }) => lifecycle.state === "released")).toEqual([]);
  const { totalCount } = await spec.agb.list({}, 1, 1);
  expect(totalCount).toBe(sessions.length);
  // 300 s at 30 to 42 s each, 36 on average.
  const perSession = (beats() - beatsBefore) / sessions.length;
  expect(perSession).toBeGreaterThan(7.1);
  expect(perSession).toBeLessThan(10);
  const mibPerThousand = (process.memoryUsage.rss() - before) / 1024 / 1024 / (sessions.length / 1_000);
  // The sessions of both sides, a journal of 10,000 requests, and whatever JavaScript has not collected yet.
  expect(mibPerThousand).toBeLessThan(1_000);
}, 180_000);
