// @one-isolation: what is tested is the client.
// @alone: it keeps every core busy, and its sessions live for 4 s.

/** Sessions that are kept alive don't die, whatever the process is busy with: gaps as the service saw them. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { cpus } from "node:os";
import { Worker } from "node:worker_threads";
import type { Session } from "agbcloud-native";
import { useEmulator } from "./support/emulator";
import { blockEventLoop } from "./support/wait";

const spec = useEmulator();

const SESSIONS = 50;
const TIMEOUT_S = 4;
const BLOCKED_MS = 12_000;

/** Beats come up to 2.8 s apart: a machine that stands still for longer than this may make a gap that is no client's. */
const LONGEST_STALL_MS = 500;
/** The proof counts every measurement. */
const MOST_MEASURED = process.env.AGB_NEVER_DIES_REPORT ? 1 : 3;

/** Ticks beside everything else, and says by how long a tick came late at most. */
const WITNESS = `
  const { parentPort } = require("node:worker_threads");
  const PERIOD_MS = 50;
  let [last, longest] = [performance.now(), 0];
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last - PERIOD_MS);
    last = now;
  };
  setInterval(tick, PERIOD_MS);
  parentPort.on("message", () => {
    tick();
    parentPort.postMessage(longest);
  });
  parentPort.postMessage("ready");`;

interface Measured {
  sessions: Session[];
  /** The largest gap between two activities of a session, as the service saw them. */
  gapMs: number;
}

/** What the journal tells of the sessions from `since` to now. */
function measured(sessions: Session[], since: number): Measured {
  const now = Date.now();
  const activities = new Map(sessions.map((session) => [session.getSessionId(), [since]]));
  for (const { sessionId, at, resetsIdleTimer } of spec.emulator.journal()) {
    if (resetsIdleTimer && sessionId) activities.get(sessionId)?.push(Date.parse(at));
  }
  const gaps = [...activities.values()].map((times) => {
    const sorted = [...times, now].sort((one, other) => one - other);
    return Math.max(...sorted.slice(1).map((time, index) => time - (sorted[index] as number)));
  });
  return { sessions, gapMs: Math.max(...gaps) };
}

async function createKept(): Promise<Session[]> {
  const create = () => spec.create({ idleReleaseTimeout: TIMEOUT_S, autoKeepAlive: true });
  return Promise.all(Array.from({ length: SESSIONS }, create));
}

/** What `measure` gives, and for how long at most no thread had its turn meanwhile. */
async function withWitness<T>(measure: () => Promise<T>): Promise<{ result: T; stallMs: number }> {
  const witness = new Worker(WITNESS, { eval: true });
  try {
    await once(witness, "message");
    const result = await measure();
    witness.postMessage("how long?");
    const [stallMs] = await once(witness, "message");
    return { result, stallMs };
  } finally {
    await witness.terminate();
  }
}

/** Measures again, a few times at most, when a gap is too large and the machine stood still meanwhile. */
async function unlessFrozen(measure: () => Promise<Measured>): Promise<Measured> {
  for (let count = 1; ; count++) {
    const { result, stallMs } = await withWitness(measure);
    if (result.gapMs < TIMEOUT_S * 1_000 || stallMs <= LONGEST_STALL_MS || count === MOST_MEASURED) return result;
    process.stderr.write(`The machine stood still for ${Math.round(stallMs)} ms: measured once more.\n`);
    await spec.agb.deleteAll({});
  }
}

function expectAllAlive({ sessions, gapMs }: Measured): void {
  // `npm run proof` collects these.
  const report = process.env.AGB_NEVER_DIES_REPORT;
  const test = expect.getState().currentTestName;
  if (report) appendFileSync(report, `${JSON.stringify({ test, sessions: SESSIONS, gapMs })}\n`);
  expect(gapMs).toBeLessThan(TIMEOUT_S * 1_000);
  for (const session of sessions) {
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    expect(session.keepAliveStatus()?.beats).toBeGreaterThanOrEqual(3);
  }
}

afterEach(async () => {
  await spec.agb.deleteAll({});
});

it("fifty sessions outlive an event loop that is blocked for three times their time-out", async () => {
  const result = await unlessFrozen(async () => {
    const sessions = await createKept();
    const since = Date.now();
    blockEventLoop(BLOCKED_MS);
    return measured(sessions, since);
  });
  expectAllAlive(result);
});

it("the same with every core busy, and 500 calls that are slow to be answered", async () => {
  const result = await unlessFrozen(async () => {
    const sessions = await createKept();
    const late = spec.emulator.faults.add({ operation: "getLink", kind: "delay", ms: BLOCKED_MS, count: "always" });
    const other = await spec.create({ idleReleaseTimeout: 300 });
    const slow = Promise.all(Array.from({ length: 500 }, () => other.getLink()));
    const burners = cpus().map(() =>
      spawn(process.execPath, ["-e", `const end = Date.now() + ${BLOCKED_MS}; while (Date.now() < end);`]),
    );
    const ended = burners.map((burner) => new Promise((resolve) => burner.once("exit", resolve)));
    const since = Date.now();
    blockEventLoop(BLOCKED_MS);
    const gaps = measured(sessions, since);
    await Promise.all(ended);
    await slow;
    late.remove();
    return gaps;
  });
  expectAllAlive(result);
});

it("a thousand sessions over five minutes of the service's time: none expires, and none beats more than it has to", async () => {
  const before = process.memoryUsage.rss();
  const sessions: Session[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const create = () => spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    sessions.push(...(await Promise.all(Array.from({ length: 50 }, create))));
  }
  const beats = () => sessions.reduce((sum, session) => sum + (session.keepAliveStatus()?.beats ?? 0), 0);
  const lifetimeLeft = () => spec.view(sessions[0] as Session).lifetimeLeft;
  const [beatsBefore, lifetimeBefore] = [beats(), lifetimeLeft()];
  await spec.emulator.advance(300_000);
  // More than was advanced: real time goes on meanwhile.
  const [beatsAfter, seconds] = [beats(), lifetimeBefore - lifetimeLeft()];
  expect(sessions.filter(({ lifecycle }) => lifecycle.state === "released")).toEqual([]);
  const { totalCount } = await spec.agb.list({}, 1, 1);
  expect(totalCount).toBe(sessions.length);
  // One in 30 to 42 s, 36 on average.
  const perSession = (beatsAfter - beatsBefore) / sessions.length;
  expect(perSession).toBeGreaterThan(seconds / 42);
  expect(perSession).toBeLessThan(seconds / 30);
  const mibPerThousand = (process.memoryUsage.rss() - before) / 1024 / 1024 / (sessions.length / 1_000);
  // The sessions of both sides, a journal of 10,000 requests, and whatever JavaScript has not collected yet.
  expect(mibPerThousand).toBeLessThan(1_000);
}, 180_000);
