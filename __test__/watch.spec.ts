/** Watching directories: what the callback gets, how a watch ends, and what it does not hold. */

import { AGBError, type FileChangeEvent, type Session } from "agbcloud-native";
import { ok, reply, sessionData, withServer } from "./support/answers";
import { clientOf, useEmulator } from "./support/emulator";
import { runModule } from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();
/** Short, so that tests are quick; every look is a request on this machine. */
const INTERVAL_MS = 20;

let session: Session;
let dir: string;
let made = 0;

beforeAll(async () => {
  session = await spec.create();
});
beforeEach(async () => {
  made += 1;
  dir = `${await homeOf(session)}/watched-${made}`;
  must(await session.file.createDirectory(dir));
});

/** The directory of a session: /tmp would be the machine's where sessions are not kept apart, and full of other things. */
async function homeOf(of: Session): Promise<string> {
  return must(await of.command.execute("pwd", 30_000)).stdout.trim();
}

/** Until another watch has had several answers: one that has been stopped before would have had some, too. */
async function severalAnswersLater(): Promise<void> {
  const abort = new AbortController();
  let answers = 0;
  const count = () => {
    answers += 1;
    if (answers === 5) abort.abort();
  };
  await session.file.watchDirectory(dir, count, INTERVAL_MS, abort.signal);
  expect(answers).toBe(5);
}

/** How many listeners a signal has, by counting what comes and goes. */
function counted(signal: AbortSignal): { listeners: number } {
  const count = { listeners: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    count.listeners += 1;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    count.listeners -= 1;
    removeEventListener.apply(signal, args);
  };
  return count;
}

describe("watchDirectory", () => {
  it("hands every answer to the callback: the first, empty ones, and what changed", async () => {
    const answers: FileChangeEvent[][] = [];
    const abort = new AbortController();
    const watching = session.file.watchDirectory(dir, (events) => answers.push(events), INTERVAL_MS, abort.signal);

    await until("there are two answers", () => answers.length >= 2);
    expect(answers[0]).toEqual([]);
    expect(Array.isArray(answers[0])).toBe(true);
    must(await session.file.writeFile(`${dir}/a`, "1"));
    await until("the file is seen", () => answers.flat().length > 0);
    const [event] = answers.flat();
    expect(event).toEqual({ eventType: "create", path: `${dir}/a`, pathType: "file" });

    abort.abort();
    await expect(watching).resolves.toBeUndefined();
    const count = answers.length;
    await severalAnswersLater();
    expect(answers.length).toBe(count);
  });

  it("does nothing with a signal that was aborted before", async () => {
    const callback = jest.fn();
    const requests = await spec.requestsOf(() =>
      session.file.watchDirectory(`${dir}/never`, callback, INTERVAL_MS, AbortSignal.abort()),
    );
    expect(callback).not.toHaveBeenCalled();
    // A look of the test before may be written down late.
    expect(requests.filter(({ body }) => JSON.stringify(body)?.includes("never"))).toEqual([]);
  });

  it("ends within a pause as long as one likes, and leaves no listener", async () => {
    const abort = new AbortController();
    const count = counted(abort.signal);
    const callback = jest.fn();
    const watching = session.file.watchDirectory(dir, callback, 3_600_000, abort.signal);
    await until("the first answer is there", () => callback.mock.calls.length === 1);
    expect(count.listeners).toBe(1);
    abort.abort();
    await watching;
    expect(count.listeners).toBe(0);
  });

  it("does not call a callback that aborts it again", async () => {
    const abort = new AbortController();
    const callback = jest.fn(() => abort.abort());
    await session.file.watchDirectory(dir, callback, 1, abort.signal);
    await severalAnswersLater();
    expect(callback).toHaveBeenCalledTimes(1);
  });

  it("goes on after a callback that throws or rejects, and logs it", async () => {
    const written = jest.spyOn(process.stderr, "write").mockImplementation(() => true);
    const abort = new AbortController();
    let calls = 0;
    const callback = () => {
      calls += 1;
      if (calls === 1) throw new Error("thrown by the test");
      if (calls === 2) return Promise.reject(new Error("rejected by the test"));
      if (calls === 4) abort.abort();
      return undefined;
    };
    await session.file.watchDirectory(dir, callback, INTERVAL_MS, abort.signal);
    const lines = written.mock.calls.map(([line]) => String(line)).join("");
    written.mockRestore();
    expect(calls).toBe(4);
    expect(lines).toContain("thrown by the test");
    expect(lines).toContain("rejected by the test");
  });

  it("ends by itself when its session is gone", async () => {
    const short = await createSession(spec.agb);
    const callback = jest.fn();
    const watching = short.file.watchDirectory(await homeOf(short), callback, INTERVAL_MS);
    await until("the first answer is there", () => callback.mock.calls.length > 0);
    must(await spec.agb.delete(short));
    await expect(watching).resolves.toBeUndefined();
  });

  it("looks again after failures, more slowly", async () => {
    const times: number[] = [];
    await withServer(
      ({ path }, response) => {
        if (path === "/mcp/createSession") return reply(response, 200, ok(sessionData()));
        times.push(Date.now());
        const isError = times.length <= 3;
        reply(response, 200, ok({ isError, content: [{ type: "text", text: isError ? "busy" : "[]" }] }));
      },
      async ({ url }) => {
        const file = (await createSession(clientOf({ url, apiKey: "any" } as typeof spec.emulator))).file;
        const abort = new AbortController();
        await file.watchDirectory("/d", () => abort.abort(), INTERVAL_MS, abort.signal);
      },
    );
    expect(times.length).toBe(4);
    // A pause doubles at each failure; timers may be late, but never early.
    expect((times[3] ?? 0) - (times[2] ?? 0)).toBeGreaterThanOrEqual(8 * INTERVAL_MS - 5);
  });
});

describe("watchDir", () => {
  it("watches in the background until it is stopped, and not once more", async () => {
    const answers: FileChangeEvent[][] = [];
    const { stop } = session.file.watchDir(dir, (events) => answers.push(events), INTERVAL_MS);
    await until("there are two answers", () => answers.length >= 2);
    stop();
    const count = answers.length;
    stop();
    await severalAnswersLater();
    expect(answers.length).toBe(count);
  });

  it("watches several directories at the same time, each on its own", async () => {
    const seen = { a: [] as string[], b: [] as string[] };
    for (const name of ["a", "b"] as const) must(await session.file.createDirectory(`${dir}/${name}`));
    const answers = { a: 0, b: 0 };
    const watches = (["a", "b"] as const).map((name) =>
      session.file.watchDir(
        `${dir}/${name}`,
        (events) => {
          answers[name] += 1;
          seen[name].push(...events.map(({ path }) => path));
        },
        INTERVAL_MS,
      ),
    );
    await until("both have begun", () => answers.a > 0 && answers.b > 0);
    must(await session.file.writeFile(`${dir}/a/file`, "x"));
    must(await session.file.writeFile(`${dir}/b/file`, "x"));
    await until("both have seen their file", () => seen.a.length > 0 && seen.b.length > 0);
    for (const watch of watches) watch.stop();
    expect(new Set(seen.a)).toEqual(new Set([`${dir}/a/file`]));
    expect(new Set(seen.b)).toEqual(new Set([`${dir}/b/file`]));
  });
});

it.each([
  ["path", [7, () => undefined], "path must be a string, got number"],
  ["callback", ["/tmp", undefined], "callback must be a function, got undefined"],
  ["interval", ["/tmp", () => undefined, Number.NaN], "interval must be a finite number, got NaN"],
])("a wrong %s is refused by name, and nothing is sent", async (_, args, message) => {
  const requests = await spec.requestsOf(async () => {
    const file = session.file as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => file.watchDir?.(...args)).toThrow(message);
    await expect(file.watchDirectory?.(...args)).rejects.toThrow(message);
    await expect(file.watchDirectory?.(...args)).rejects.toBeInstanceOf(AGBError);
  });
  // As above.
  expect(requests.filter(({ body }) => !JSON.stringify(body)?.includes("/watched-"))).toEqual([]);
});

it("a wrong signal is refused by name", async () => {
  const watching = session.file.watchDirectory("/tmp", () => undefined, 1, "now" as unknown as AbortSignal);
  await expect(watching).rejects.toThrow("signal must be an AbortSignal, got string");
});

describe("a program", () => {
  const begin = `
    import { AGB } from "agbcloud-native";
    const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
    const directory = (await session.command.execute("pwd", 30_000)).stdout.trim();`;

  it("ends by itself while watchDir watches", async () => {
    const { code, stdout, stderr } = await runModule(
      `${begin}
       const held = setInterval(() => {}, 1_000);
       let calls = 0;
       session.file.watchDir(directory, () => {
         calls += 1;
         if (calls !== 3) return;
         clearInterval(held);
         console.log("over");
       }, 10);`,
      spec.emulator.env,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "over\n", stderr: "" });
  });

  it("is held by watchDirectory that is awaited", async () => {
    const { code, stdout, stderr } = await runModule(
      `${begin}
       const abort = new AbortController();
       let calls = 0;
       await session.file.watchDirectory(directory, () => { if (++calls === 5) abort.abort(); }, 20, abort.signal);
       console.log("over after", calls);`,
      spec.emulator.env,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "over after 5\n", stderr: "" });
  });

  it("may end a worker that watches", async () => {
    const { code, stdout, stderr } = await runModule(
      `import { Worker } from "node:worker_threads";
       const source = \`
         const { parentPort } = require("node:worker_threads");
         const { AGB } = require("agbcloud-native");
         // Listening keeps the worker alive; watching does not.
         parentPort.on("message", () => {});
         new AGB().create({ imageId: "agb-code-space-1" }).then(async ({ session }) => {
           const directory = (await session.command.execute("pwd", 30_000)).stdout.trim();
           for (let i = 0; i < 20; i += 1) session.file.watchDir(directory, () => parentPort.postMessage(1), 1);
         });\`;
       for (let round = 0; round < 5; round += 1) {
         const worker = new Worker(source, { eval: true, execArgv: [] });
         await new Promise((resolve) => worker.once("message", resolve));
         await worker.terminate();
       }
       console.log("over");`,
      spec.emulator.env,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "over\n", stderr: "" });
  });
});
