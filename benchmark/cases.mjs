/**
 * What is measured. Every figure is milliseconds or MiB: less is better, and a ratio above 1 says that the peer takes
 * more.
 */

/** How much of each is done: enough to measure, or for `--quick` just enough to see that it works. */
export const FULL = {
  calls: 400,
  parallelCalls: 3_000,
  atOnce: 64,
  fileBytes: 5_000_000,
  uploadBytes: 64 * 1024 * 1024,
};
export const QUICK = { calls: 5, parallelCalls: 64, atOnce: 16, fileBytes: 120_000, uploadBytes: 200_000 };

/** Name → what a person reads. `unit` is that of the figure. */
export const CASES = {
  load: { title: "loading the library in a new process", unit: "ms" },
  call: { title: "one `keepAlive()`, one after the other", unit: "ms" },
  parallel: { title: "`keepAlive()`, many at a time, each", unit: "ms" },
  loopDelay: { title: "wait of the event loop meanwhile, 99th percentile", unit: "ms" },
  memory: { title: "memory (RSS) of the process after that", unit: "MiB" },
  readFile: { title: "reading a text file of the session, 5 MB", unit: "ms" },
  delete: { title: "creating a session and deleting it, until it is gone", unit: "ms" },
  upload: { title: "uploading a file of 64 MiB, until it is in the session", unit: "ms" },
  peakMemory: { title: "memory (RSS) of the process at most, over all of this", unit: "MiB" },
};
