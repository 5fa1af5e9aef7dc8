// Terminates worker threads with calls of every kind in flight; the process has to survive it, and to work afterwards.
import { isMainThread, parentPort, Worker } from "node:worker_threads";

import { AGB } from "agbcloud-native";

const WORKERS = 8;
const CALLS = 50;
const agb = new AGB();

if (isMainThread) {
  const { session } = await agb.create({ imageId: "agb-code-space-1" });
  const terminated = Array.from({ length: WORKERS }, async (_, index) => {
    const worker = new Worker(new URL(import.meta.url), { argv: [session.getSessionId()] });
    const [inFlight] = await Promise.all([new Promise((resolve) => worker.on("message", (count) => resolve(count)))]);
    // Some are ended at once, some after a few turns of this thread.
    for (let turn = 0; turn < index; turn += 1) await new Promise(setImmediate);
    await worker.terminate();
    return inFlight;
  });
  const inFlight = await Promise.all(terminated);
  const { success } = await session.keepAlive();
  const { results } = await session.code.run("6 * 7", "python");
  await agb.delete(session);
  console.log(JSON.stringify({ inFlight, success, result: results[0]?.text }));
} else {
  const { session } = await agb.get(process.argv[2]);
  let answered = 0;
  const kinds = [
    () => session.keepAlive(),
    () => session.getStatus(),
    () => session.command.execute("sleep 0.2", 30_000),
    () => session.code.run("1", "python"),
    () => session.file.writeFile("/tmp/stress.txt", "x".repeat(100_000)),
    () => session.file.readFile("/tmp/stress.txt", { format: "bytes" }),
    () => agb.list(),
    () => agb.create({ imageId: "" }),
  ];
  for (let call = 0; call < CALLS; call += 1) {
    kinds[call % kinds.length]().then(() => {
      answered += 1;
    });
  }
  parentPort.postMessage(CALLS - answered);
  // Stays until it is terminated, with new calls all the time.
  for (;;) await session.getStatus();
}
