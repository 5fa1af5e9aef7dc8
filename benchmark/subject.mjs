/**
 * Measures one subject that is written in JavaScript, and prints its figures as JSON: `node benchmark/subject.mjs NAME
 * SIZES`, where SIZES is JSON of `cases.mjs`. The service is in AGB_ENDPOINT and AGB_API_KEY.
 */

import { randomBytes } from "node:crypto";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

const MIB = 1024 * 1024;
const [name, sizes] = process.argv.slice(2);
const { calls, parallelCalls, atOnce, fileBytes, uploadBytes } = JSON.parse(sizes);

const figures = {};
const beforeLoad = performance.now();
const { open } = await import(`./subjects/${name}.mjs`);
figures.load = performance.now() - beforeLoad;

const subject = await open({ url: process.env.AGB_ENDPOINT, apiKey: process.env.AGB_API_KEY });
await measureCalls();
await measureFile();
if (subject.createAndDelete) figures.delete = await timed(subject.createAndDelete);
if (subject.upload) await measureUpload();
await subject.close();
// In KiB, whatever the system counts in.
figures.peakMemory = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify(figures));

async function measureCalls() {
  await subject.keepAlive();
  figures.call =
    (await timed(async () => {
      for (let n = 0; n < calls; n++) await subject.keepAlive();
    })) / calls;

  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  let left = parallelCalls;
  const caller = async () => {
    while (left-- > 0) await subject.keepAlive();
  };
  figures.parallel = (await timed(() => Promise.all(Array.from({ length: atOnce }, caller)))) / parallelCalls;
  delay.disable();
  figures.loopDelay = delay.percentile(99) / 1e6;
  figures.memory = process.memoryUsage.rss() / MIB;
}

async function measureFile() {
  const path = "/tmp/benchmark.txt";
  const text = "🌍 hello ".repeat(Math.ceil(fileBytes / 11));
  await subject.writeFile(path, text);
  let read = "";
  figures.readFile = await timed(async () => {
    read = await subject.readFile(path);
  });
  if (read !== text) throw new Error("what was read is not what was written");
}

async function measureUpload() {
  const directory = await mkdtemp(join(tmpdir(), "agb-benchmark-"));
  try {
    const file = join(directory, "upload");
    // In pieces: the whole of it would count as memory of the subject.
    for (let left = uploadBytes; left > 0; left -= MIB) await appendFile(file, randomBytes(Math.min(left, MIB)));
    const to = `${await subject.transferPath()}/upload`;
    figures.upload = await timed(() => subject.upload(file, to));
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
