// Makes sessions and ends in the way that it is told.
//   node program.mjs END SESSIONS [released] [handled]
import { existsSync, writeSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { AGB } from "agbcloud-native";

const [end, count, ...flags] = isMainThread ? process.argv.slice(2) : workerData;
const timeoutMs = Number(process.env.EXIT_TIMEOUT_MS);
const agb = new AGB({ releaseOnExit: flags.includes("released") && { timeoutMs } });
const labels = { exit: process.env.EXIT_LABEL ?? "" };
const sessions = [];

/** Prints at once, also when nothing else is done any more. */
const say = (text) => writeSync(1, `${text}\n`);
/** From here on it ends. */
const ending = () => say(`ending at ${Date.now()}`);

async function createAll() {
  while (sessions.length < Number(count)) {
    const batch = Math.min(20, Number(count) - sessions.length);
    const created = await Promise.all(
      Array.from({ length: batch }, () => agb.create({ imageId: "agb-code-space-1", labels })),
    );
    for (const { session, errorMessage } of created) {
      if (!session) throw new Error(errorMessage);
      sessions.push(session);
    }
  }
}

/** What a program does that drains at a signal: its sessions are alive still. */
async function handled() {
  const kept = await Promise.all(sessions.map((session) => session.keepAlive()));
  say(`alive: ${kept.filter(({ success }) => success).length}`);
  process.exit(5);
}

/** Keeps the event loop busy: for ever, or until the file is there, so that a listener can be called. */
function block() {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (!flags.includes("handled") || !existsSync(process.env.EXIT_FILE)) Atomics.wait(pause, 0, 0, 1);
}

const ends = {
  drains() {},
  exit: () => process.exit(3),
  exitInHandler() {
    process.on("exit", () => process.exit(4));
  },
  throw() {
    setImmediate(() => {
      throw new Error("thrown at the end");
    });
  },
  rejection() {
    Promise.reject(new Error("rejected at the end"));
  },
  idle() {
    if (flags.includes("handled")) for (const name of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(name, handled);
    setInterval(() => undefined, 60_000);
    say("ready");
  },
  blocked() {
    ends.idle();
    block();
  },
  abort: () => process.abort(),
  outOfMemory() {
    const kept = [];
    for (;;) kept.push(new Array(100_000).fill(kept.length));
  },
  /** The sessions are a worker's. */
  async workerTerminated() {
    const worker = new Worker(new URL(import.meta.url), { workerData: ["workerWaits", count, ...flags] });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    ending();
    await worker.terminate();
  },
  async workerEnds() {
    const worker = new Worker(new URL(import.meta.url), { workerData: ["drains", count, ...flags] });
    await new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
  },
  async workerLives() {
    const worker = new Worker(new URL(import.meta.url), { workerData: ["workerWaits", count, ...flags] });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    ending();
    process.exit(6);
  },
  workerWaits() {
    setInterval(() => undefined, 60_000);
    parentPort.postMessage("ready");
  },
};

if (!isMainThread || !end.startsWith("worker")) await createAll();
if (!end.startsWith("worker")) ending();
await ends[end]();
