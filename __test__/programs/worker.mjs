// Works in worker threads, several at once, and each ends by itself.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { AGB, Emulator } from "agbcloud-native";

if (isMainThread) {
  const emulator = await Emulator.start();
  const workers = [1, 2, 3].map(
    (number) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { number }, env: emulator.env });
        const answers = [];
        worker.on("message", (answer) => answers.push(answer));
        worker.on("error", reject);
        worker.on("exit", (code) => resolve({ answers, code }));
      }),
  );
  process.stdout.write(JSON.stringify(await Promise.all(workers)));
  emulator.expectNoLiveSessions();
  await emulator.close();
} else {
  // The variables are the worker's own; the main thread has none.
  const agb = new AGB();
  const { session } = await agb.create({ imageId: "agb-code-space-1" });
  const { results } = await session.code.run(`${workerData.number} * 14`, "python");
  await agb.delete(session);
  parentPort.postMessage(results[0].text);
}
