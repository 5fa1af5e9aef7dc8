// Ends workers, and then itself, while streams call back.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import { AGB } from "agbcloud-native";

const PRINTER = "for i in range(100000): print(i, flush=True)";

/** Runs five streams; `onChunk` is called for every piece of output. */
async function stream(onChunk) {
  const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
  for (let i = 0; i < 5; i += 1) session.code.run(PRINTER, "python", 60, { streamBeta: true, onStdout: onChunk });
}

if (isMainThread) {
  for (let round = 0; round < 3; round += 1) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { round }, env: process.env });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    process.stdout.write(`worker ended with ${await worker.terminate()}\n`);
  }
  await new Promise((resolve) => stream(resolve));
  process.exit(3);
} else {
  await stream(() => parentPort.postMessage(workerData.round));
}
