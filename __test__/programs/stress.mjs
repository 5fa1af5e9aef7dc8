// Terminates worker threads with calls of every kind in flight; the process has to survive it, and to work afterwards.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { AGB } from "agbcloud-native";

const WORKERS = 8;
const CALLS = 50;
const agb = new AGB();

if (isMainThread) {
  const { session } = await agb.create({ imageId: "agb-code-space-1" });
  const terminated = Array.from({ length: WORKERS }, async (_, index) => {
    const calls = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL(import.meta.url), { argv: [session.getSessionId()], workerData: calls });
    await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject));
    // Some are ended at once, some after a few turns of this thread.
    for (let turn = 0; turn < index; turn += 1) await new Promise(setImmediate);
    const inFlight = Atomics.load(calls, 0);
    await worker.terminate();
    return inFlight;
  });
  const inFlight = await Promise.all(terminated);
  const { success } = await session.keepAlive();
  const { results } = await session.code.run("6 * 7", "python");
  await agb.delete(session);
  process.stdout.write(JSON.stringify({ inFlight, success, result: results[0]?.text }));
} else {
  const { session } = await agb.get(process.argv[2]);
  /** Counts a call that is under way, for the thread that terminates this one. */
  const inFlight = async (call) => {
    Atomics.add(workerData, 0, 1);
    await call;
    Atomics.sub(workerData, 0, 1);
  };
  // One of each that keeps an interpreter or a shell busy, and many that only cross and come back.
  inFlight(session.command.execute("sleep 0.2", 30_000));
  inFlight(session.code.run("import time; time.sleep(0.05)", "python"));
  const kinds = [
    () => session.keepAlive(),
    () => session.getStatus(),
    () => session.file.writeFile("/tmp/stress.txt", "x".repeat(100_000)),
    () => session.file.readFile("/tmp/stress.txt", { format: "bytes" }),
    () => agb.list(),
    () => agb.create({ imageId: "" }),
  ];
  for (let call = 2; call < CALLS; call += 1) inFlight(kinds[call % kinds.length]());
  parentPort.postMessage("begun");
  // Stays until it is terminated, with new calls all the time.
  for (;;) await inFlight(session.getStatus());
}
