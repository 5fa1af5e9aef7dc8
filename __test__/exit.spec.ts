// @one-isolation: what is tested is the process that ends, not how its sessions are kept apart.

import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AGB, AGBError, Emulator, Session } from "agbcloud-native";
import { type AnsweringServer, ok, reply, sessionData, withServer } from "./support/answers";
import { CODE_IMAGE, clientOf, withEmulator } from "./support/emulator";
import { CELLS, type Cell, fewAtATime, type Outcome, runCell, TIMEOUT_MS } from "./support/exit-matrix";
import { type Absence, needs } from "./support/needs";
import { descendantsOf, type Ended, type Running, start } from "./support/processes";
import { createSession } from "./support/session";
import { until } from "./support/wait";

/** How many sessions, for all cells and for those that `npm test` tries with more. */
const USUAL_SIZES = sizes(process.env.AGB_EXIT_SIZES) ?? [3];
const FURTHER_SIZES = sizes(process.env.AGB_EXIT_SIZES) ? [] : [0, 100];
const FURTHER_CELLS = ["drains", "process.exit", "throws", "SIGTERM, idle", "SIGTERM, blocked", "process.abort"];
/** How often the matrix is run, and where each run is written to: for `npm run proof`. */
const ROUNDS = Number(process.env.AGB_EXIT_ROUNDS ?? 1);
const REPORT = process.env.AGB_EXIT_REPORT;
/** Together they wait more than they compute. */
const PARALLEL = 4;
/** What a few sessions may add at most. A program that never learns of their release waits for longer than the time-out. */
const FEW = 3;
const FEW_LIMIT_MS = Math.max(TIMEOUT_MS / 2, 2_000);
/** For all programs that are before one in the queue. */
const PATIENCE_MS = 60_000 + ROUNDS * 120_000;

function sizes(text: string | undefined): number[] | undefined {
  return text === undefined || text === "" ? undefined : text.split(",").map(Number);
}

interface Run {
  title: string;
  cell: Cell;
  sessions: number;
  /** Does the program have the option? */
  released: boolean;
}

/** The same program without the option and without sessions. */
function plainRun(cell: Cell): Run {
  return { title: `${cell.name}, plain`, cell, sessions: 0, released: false };
}

describe("at every end of the program, its sessions are released and its parent sees nothing of it", () => {
  const runs: Run[] = Array.from({ length: ROUNDS }, (_, round) => round + 1).flatMap((round) =>
    CELLS.flatMap((cell) =>
      [...USUAL_SIZES, ...(FURTHER_CELLS.includes(cell.name) ? FURTHER_SIZES : [])].map((sessions) => ({
        title: `${cell.name}, sessions: ${sessions}${ROUNDS > 1 ? `, round ${round}` : ""}`,
        cell,
        sessions,
        released: true,
      })),
    ),
  );
  let emulator: Emulator;
  const outcomes = new Map<string, Promise<Outcome>>();

  /** Has programs run, a few at a time. */
  function begin(some: Run[], parallel: number, after?: Promise<unknown>): Promise<unknown> {
    const tasks = some.map(
      ({ cell, sessions, released }) =>
        () =>
          runCell(emulator, cell, sessions, released),
    );
    const promises = fewAtATime(tasks, parallel, after);
    some.forEach(({ title }, index) => {
      outcomes.set(title, promises[index] as Promise<Outcome>);
    });
    return Promise.allSettled(promises);
  }

  beforeAll(async () => {
    emulator = await Emulator.start({ isolation: "plain" });
    const all = [...CELLS.map(plainRun), ...runs];
    const together = begin(
      all.filter(({ cell }) => !cell.alone),
      PARALLEL,
    );
    begin(
      all.filter(({ cell }) => cell.alone),
      1,
      together,
    );
  });
  afterAll(async () => {
    await Promise.allSettled(outcomes.values());
    await emulator?.close();
  }, PATIENCE_MS);

  it.each(runs)(
    "$title",
    async ({ title, cell, sessions }) => {
      const without = (await outcomes.get(plainRun(cell).title)) as Outcome;
      const outcome = (await outcomes.get(title)) as Outcome;
      const { code, signal, stdout, stderr, created, released, tookMs } = outcome;
      const expected = { code: without.code, signal: without.signal, created: sessions, released: sessions };
      const addedMs = (tookMs ?? 0) - (without.tookMs ?? 0);
      const isInTime = addedMs < (sessions <= FEW ? Math.min(FEW_LIMIT_MS, TIMEOUT_MS + 1_000) : TIMEOUT_MS + 1_000);
      const isExpected = code === without.code && signal === without.signal && released === sessions && isInTime;
      if (REPORT) {
        const plainly = { plainCode: without.code, plainSignal: without.signal, plainTookMs: without.tookMs };
        const row = { cell: cell.name, sessions, released, code, signal, tookMs, isExpected, isInTime, ...plainly };
        appendFileSync(REPORT, `${JSON.stringify(row)}\n`);
      }

      expect({ code, signal, created, released, stderr }).toEqual({ ...expected, stderr });
      expect(stderr).not.toContain("agbcloud-native:");
      expect({ addedMs, isInTime }).toEqual({ addedMs, isInTime: true });
      if (!cell.loud) expect({ stderr, plain: without.stderr }).toEqual({ stderr: "", plain: "" });
      // A program that listens to the signal may need its sessions still.
      if (cell.handled) expect(stdout).toContain(`alive: ${sessions}\n`);
    },
    PATIENCE_MS,
  );
});

/** Starts the text of an ES module. */
function startModule(source: string, env: NodeJS.ProcessEnv): Running {
  return start(process.execPath, ["--input-type=module", "-"], env, source);
}

/** The option of programs that must not be hurried: machines are slow at times. */
const PATIENT = "{ timeoutMs: 20_000 }";

describe("the sessions that are released", () => {
  let emulator: Emulator;
  beforeAll(async () => {
    emulator = await Emulator.start({ isolation: "plain" });
  });
  afterAll(() => emulator?.close());

  const stateOf = (id: string | undefined) => emulator.sessions().find((session) => session.id === id)?.state;
  const isAlive = (id: string | undefined) => ["created", "active", "idle"].includes(stateOf(id) ?? "");

  it("are those that the program created and kept, and those that it adopted", async () => {
    const agb = clientOf(emulator);
    const [found, adopted] = [await createSession(agb), await createSession(agb)];
    const program = startModule(
      `import { AGB } from "agbcloud-native";
       const agb = new AGB({ releaseOnExit: ${PATIENT} });
       const create = async () => (await agb.create({ imageId: "${CODE_IMAGE}" })).session;
       const [kept, deleted, detached, taken] = [await create(), await create(), await create(), await create()];
       await agb.delete(deleted);
       detached.detach();
       taken.detach();
       taken.adopt();
       await agb.get("${found.getSessionId()}");
       const { session: adopted } = await agb.get("${adopted.getSessionId()}");
       adopted.adopt();
       const ids = [kept, detached, taken].map((session) => session.getSessionId());
       console.log(JSON.stringify({ ids, live: agb.liveSessions() }));`,
      emulator.env,
    );
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { ids, live } = JSON.parse(stdout);
    const [kept, detached, taken] = ids;
    const createdAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
    expect(live).toEqual([
      { sessionId: kept, imageId: CODE_IMAGE, createdAt, adopted: false },
      { sessionId: taken, imageId: CODE_IMAGE, createdAt: null, adopted: true },
      { sessionId: adopted.getSessionId(), imageId: "", createdAt: null, adopted: true },
    ]);
    expect([kept, taken, adopted.getSessionId()].filter(isAlive)).toEqual([]);
    expect([detached, found.getSessionId()].filter(isAlive)).toEqual([detached, found.getSessionId()]);
  });

  it("are none without the option", async () => {
    const program = startModule(
      `import { AGB } from "agbcloud-native";
       const agb = new AGB();
       const { session } = await agb.create({ imageId: "${CODE_IMAGE}" });
       console.log(JSON.stringify([session.getSessionId(), agb.liveSessions()]));`,
      emulator.env,
    );
    const [id, live] = JSON.parse((await program.ended).stdout);
    expect(live).toEqual([]);
    expect(isAlive(id)).toBe(true);
  });

  it("are listed without a request, also when nobody holds them, until they are seen to be gone", async () => {
    const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url }, releaseOnExit: true });
    const ids = () => agb.liveSessions().map(({ sessionId }) => sessionId);
    const [first, second, third] = [await createSession(agb), await createSession(agb), await createSession(agb)];
    const requests = emulator.journal().length;
    expect(ids()).toEqual([first, second, third].map((session) => session.getSessionId()));
    expect(emulator.journal()).toHaveLength(requests);
    expect(agb.liveSessions()[0]?.createdAt).toBeInstanceOf(Date);

    await first.delete();
    expect(ids()).toHaveLength(2);
    // Deleted by another client of the program.
    await (await clientOf(emulator).get(second.getSessionId())).session?.delete();
    expect(ids()).toEqual([third.getSessionId()]);
    third.detach();
    expect(ids()).toEqual([]);
    expect((await third.keepAlive()).success).toBe(true);
    await third.delete();
  });

  it("are not listed any more when they can't be alive", async () => {
    await withEmulator({ isolation: "plain" }, async (own) => {
      const agb = new AGB({ apiKey: own.apiKey, config: { endpoint: own.url }, releaseOnExit: true });
      await createSession(agb);
      await own.advance(600_000);
      expect(agb.liveSessions()).toHaveLength(1);
      await own.advance(1_300_000);
      expect(agb.liveSessions()).toEqual([]);
    });
  });

  it("are not listed any more when their emulator has closed, by whatever name the client knows it", async () => {
    const own = await Emulator.start({ isolation: "plain" });
    const endpoint = own.url.replace("127.0.0.1", "localhost");
    const agb = new AGB({ apiKey: own.apiKey, config: { endpoint }, releaseOnExit: true });
    await createSession(agb);
    expect(agb.liveSessions()).toHaveLength(1);
    await own.close();
    expect(agb.liveSessions()).toEqual([]);
  });

  /** A program that prints the id of its session is ended by SIGTERM, as without the package, and its session with it. */
  async function expectReleasedAtSigterm(program: Running): Promise<void> {
    const line = await program.line(/^id /);
    program.child.kill("SIGTERM");
    const { code, signal, stderr } = await program.ended;
    expect({ code, signal, stderr }).toEqual({ code: null, signal: "SIGTERM", stderr: "" });
    expect(isAlive(line.slice(3))).toBe(false);
  }

  it("are a worker's too, where the main thread never loads the package", async () => {
    const program = startModule(
      `import { Worker } from "node:worker_threads";
       const source = \`import { parentPort } from "node:worker_threads";
         import { AGB } from "agbcloud-native";
         const { session } = await new AGB({ releaseOnExit: ${PATIENT} }).create({ imageId: "${CODE_IMAGE}" });
         parentPort.postMessage(session.getSessionId());
         setInterval(() => undefined, 60_000);\`;
       new Worker(source, { eval: true, env: process.env }).on("message", (id) => console.log("id", id));`,
      emulator.env,
    );
    await expectReleasedAtSigterm(program);
  });

  it("are a worker's too, when the main thread has listened to the signal and listens no more", async () => {
    const program = startModule(
      `import { readFileSync } from "node:fs";
       import { constants } from "node:os";
       import { Worker } from "node:worker_threads";
       const source = \`import { parentPort } from "node:worker_threads";
         import { AGB } from "agbcloud-native";
         const agb = new AGB({ releaseOnExit: ${PATIENT} });
         const { session } = await agb.create({ imageId: "${CODE_IMAGE}" });
         parentPort.postMessage(session.getSessionId());
         setInterval(() => undefined, 60_000);\`;
       /** As the system sees it: does anything handle the signal? */
       const isCaught = () => {
         const [, mask] = /^SigCgt:\\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
         return ((BigInt("0x" + mask) >> BigInt(constants.signals.SIGTERM - 1)) & 1n) === 1n;
       };
       new Worker(source, { eval: true, env: process.env }).on("message", async (id) => {
         const listener = () => undefined;
         process.on("SIGTERM", listener).off("SIGTERM", listener);
         while (!isCaught()) await new Promise((resolve) => setTimeout(resolve, 20));
         console.log("id", id);
       });`,
      emulator.env,
    );
    await expectReleasedAtSigterm(program);
  });

  const living = () => emulator.sessions().filter(({ id }) => isAlive(id)).length;

  it("are a worker's too that ends before it has them", async () => {
    const before = living();
    const program = startModule(
      `import { Worker } from "node:worker_threads";
       const source = \`import { AGB } from "agbcloud-native";
         const agb = new AGB({ releaseOnExit: { timeoutMs: 60_000 } });
         agb.open({ imageId: "${CODE_IMAGE}" }).catch(() => undefined);
         process.exit();\`;
       const end = () => new Promise((resolve, reject) => {
         new Worker(source, { eval: true, env: process.env }).once("error", reject).once("exit", resolve);
       });
       for (let round = 0; round < 5; round++) await Promise.all([end(), end(), end(), end()]);`,
      emulator.env,
    );
    const { code, stderr } = await program.ended;
    expect({ code, stderr, living: living() }).toEqual({ code: 0, stderr: "", living: before });
  });

  describe("although the answer of their creation got lost", () => {
    async function endAfterLostAnswer(timeoutMs: number): Promise<Ended> {
      const lost = emulator.faults.add({ operation: "createSession", kind: "reset", when: "after" });
      const program = startModule(
        `import { AGB } from "agbcloud-native";
         const agb = new AGB({ releaseOnExit: { timeoutMs: ${timeoutMs} } });
         await agb.create({ imageId: "${CODE_IMAGE}" });
         process.exit(3);`,
        emulator.env,
      );
      const ended = await program.ended;
      expect(lost.hits).toBe(1);
      return ended;
    }

    it("are looked for until the end", async () => {
      const blind = emulator.faults.add({ operation: "ListSession", kind: "status", status: 400, count: 5 });
      const before = living();
      const { code, stderr } = await endAfterLostAnswer(60_000);
      blind.remove();
      expect({ code, stderr, living: living() }).toEqual({ code: 3, stderr: "", living: before });
    });

    it("are told of where they can't be found", async () => {
      const blind = emulator.faults.add({ operation: "ListSession", kind: "status", status: 400, count: "always" });
      const before = living();
      const { code, stderr } = await endAfterLostAnswer(1_000);
      blind.remove();
      expect({ code, living: living() }).toEqual({ code: 3, living: before + 1 });
      expect(stderr).toMatch(/^agbcloud-native: sessions not released within 1000 ms, .*: 1 still being created\n$/);
    });
  });

  it.each(["", "await emulator.close();", "process.exit();"])(
    "have ended with an emulator of the same program: %s",
    async (ends) => {
      const program = startModule(
        `import { AGB, Emulator } from "agbcloud-native";
         const emulator = await Emulator.start({ isolation: "plain" });
         const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url }, releaseOnExit: ${PATIENT} });
         await agb.create({ imageId: "${CODE_IMAGE}" });
         ${ends}`,
        {},
      );
      const { code, stderr } = await program.ended;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    },
  );

  describe("at a signal that the program no longer listens to", () => {
    const went: Record<string, string> = {
      "its listener was removed": 'process.on("SIGTERM", listener).off("SIGTERM", listener);',
      "all listeners of the signal were removed":
        'process.on("SIGTERM", listener).on("SIGTERM", () => undefined).removeAllListeners("SIGTERM");',
      "all listeners were removed": 'process.on("SIGTERM", listener).removeAllListeners();',
      "its listener was called once":
        'process.once("SIGTERM", listener); process.kill(process.pid, "SIGTERM"); await called;',
      "a listener that is the only one sends it again": `process.on("SIGTERM", function alone() {
         if (process.listeners("SIGTERM").length > 1) return;
         process.off("SIGTERM", alone);
         listener();
         process.kill(process.pid, "SIGTERM");
       });`,
    };
    const options = [true, false].flatMap((before) => Object.keys(went).map((how) => ({ how, before })));

    it.each(options)("because $how (AGB made before: $before)", async ({ how, before }) => {
      const program = startModule(
        `import { AGB } from "agbcloud-native";
         let listener;
         const called = new Promise((resolve) => { listener = () => { console.log("called"); resolve(); }; });
         let agb = ${before} && new AGB({ releaseOnExit: ${PATIENT} });
         ${before ? "" : 'process.on("SIGTERM", listener);'}
         agb ||= new AGB({ releaseOnExit: ${PATIENT} });
         ${before ? "" : 'process.off("SIGTERM", listener);'}
         const { session } = await agb.create({ imageId: "${CODE_IMAGE}" });
         setInterval(() => undefined, 60_000);
         ${went[how]}
         console.log("id", session.getSessionId());`,
        emulator.env,
      );
      const line = await program.line(/^id /);
      program.child.kill("SIGTERM");
      const { code, signal, stdout, stderr } = await program.ended;
      expect({ code, signal, stderr }).toEqual({ code: null, signal: "SIGTERM", stderr: "" });
      expect(stdout.includes("called")).toBe(/once|again/.test(how));
      expect(isAlive(line.slice(3))).toBe(false);
    });
  });
});

const AS_FIRST_PROCESS = ["--user", "--map-root-user", "--pid", "--fork", "--kill-child"];

/** What keeps this machine from starting a program as a container does. */
function firstProcessAbsent(): Absence | undefined {
  try {
    execFileSync("unshare", [...AS_FIRST_PROCESS, "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return { need: "namespaces", reason: "unshare failed" };
  }
}

needs(firstProcessAbsent()).describe("the first process of a container", () => {
  let emulator: Emulator;
  let directory: string;
  let file: string;
  beforeEach(async () => {
    emulator = await Emulator.start({ isolation: "plain" });
    directory = mkdtempSync(join(tmpdir(), "agb-exit-"));
    file = join(directory, "signal-sent");
  });
  afterEach(async () => {
    await emulator?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const states = () => emulator.sessions().map(({ state }) => (state === "releasing" ? "released" : state));

  /** Starts a program that has a session. */
  function startFirst(ends: string, option = PATIENT): Running {
    const source = `import { existsSync } from "node:fs";
      import { AGB } from "agbcloud-native";
      const agb = new AGB({ releaseOnExit: ${option} });
      const create = async () => (await agb.create({ imageId: "${CODE_IMAGE}" })).session;
      const session = await create();
      const look = async () => console.log("alive:", (await session.keepAlive()).success);
      ${ends}`;
    const args = [...AS_FIRST_PROCESS, process.execPath, "--input-type=module", "-"];
    return start("unshare", args, { ...emulator.env, EXIT_FILE: file }, source);
  }

  /** Sends a signal from outside the container to a program that is ready, which then finds the file. */
  async function send(signal: NodeJS.Signals, program: Running): Promise<void> {
    expect(await program.line(/^pid /)).toBe("pid 1");
    process.kill(descendantsOf(program.pid)[0]?.pid ?? Number.NaN, signal);
    writeFileSync(file, "");
  }

  it.each<[NodeJS.Signals, string]>([
    ["SIGTERM", ""],
    ["SIGINT", ""],
    ["SIGHUP", ""],
    ["SIGABRT", ""],
    ["SIGTERM", 'const listener = () => undefined; process.on("SIGTERM", listener).off("SIGTERM", listener);'],
  ])("keeps its sessions at %s, which the kernel drops, and releases them at its exit: %s", async (signal, before) => {
    const program = startFirst(
      `${before}
       console.log("pid", process.pid);
       while (!existsSync(process.env.EXIT_FILE)) await new Promise((resolve) => setTimeout(resolve, 10));
       await look();
       await create();
       process.exit(3);`,
    );
    await send(signal, program);
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: "pid 1\nalive: true\n", stderr: "" });
    expect(states()).toEqual(["released", "released"]);
  });

  it("has its sessions at a signal that it listens to, and releases them when it then exits", async () => {
    const program = startFirst(
      `process.once("SIGTERM", async () => { await look(); process.exit(5); });
       setInterval(() => undefined, 60_000);
       console.log("pid", process.pid);`,
    );
    await send("SIGTERM", program);
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stdout, stderr }).toEqual({ code: 5, stdout: "pid 1\nalive: true\n", stderr: "" });
    expect(states()).toEqual(["released"]);
  });

  it("releases them when it aborts, and ends as without the option", async () => {
    const without = await startFirst("process.abort();", "false").ended;
    const { code, signal, stderr } = await startFirst("process.abort();").ended;
    expect({ code, signal }).toEqual({ code: without.code, signal: without.signal });
    expect(stderr).not.toContain("agbcloud-native:");
    expect(states().sort()).toEqual(["created", "released"]);
  });
});

/** A service that creates sessions, and whose other answers are the test's. */
interface HeldService {
  server: AnsweringServer;
  env: NodeJS.ProcessEnv;
  /** Waits until a path was asked for; then its request may be answered. */
  asked(path: string): Promise<() => void>;
}

const RELEASE = "/mcp/releaseSessionAsync";
const CREATE = "/mcp/createSession";

/** Runs `work` with a service that answers requests to the `held` paths only when it is told to. */
function withHeldService(held: string[], work: (service: HeldService) => Promise<void>): Promise<void> {
  let created = 0;
  const open = new Map<string, ServerResponse[]>();
  const waiting = new Map<string, (answer: () => void) => void>();
  const answerNow = (path: string, response: ServerResponse) => {
    if (path === CREATE) created += 1;
    reply(response, 200, ok(path === CREATE ? sessionData({ sessionId: `s-${created}` }) : undefined));
  };
  const meet = (path: string) => {
    const response = open.get(path)?.[0];
    const resolve = waiting.get(path);
    if (!response || !resolve) return;
    open.get(path)?.shift();
    waiting.delete(path);
    resolve(() => answerNow(path, response));
  };
  return withServer(
    ({ path }, response) => {
      if (!held.includes(path)) return answerNow(path, response);
      open.set(path, [...(open.get(path) ?? []), response]);
      meet(path);
    },
    (server) =>
      work({
        server,
        env: { AGB_ENDPOINT: server.url, AGB_API_KEY: "any" },
        asked: (path) =>
          new Promise((resolve) => {
            waiting.set(path, resolve);
            meet(path);
          }),
      }),
  );
}

/** The sessions whose release was asked for. */
function releasedAt(server: AnsweringServer): string[] {
  const ids = server.requests.filter(({ path }) => path === RELEASE).map(({ body }) => JSON.parse(body).sessionId);
  return [...new Set<string>(ids)].sort();
}

function programThat(ends: string, releaseOnExit: object | boolean = { timeoutMs: 60_000 }): string {
  return `import { AGB } from "agbcloud-native";
    const agb = new AGB({ releaseOnExit: ${JSON.stringify(releaseOnExit)} });
    for (let i = 0; i < 2; i += 1) await agb.create({ imageId: "${CODE_IMAGE}" });
    console.log("ready");
    ${ends}`;
}

const WAITS = "setInterval(() => undefined, 60_000);";

describe("a release that takes long", () => {
  const endOf = ({ code, signal, stderr }: Ended) => ({ code, signal, stderr });

  it.each(["process.exit(3);", "process.abort();", WAITS])("is given up in time, and named: %s", async (ends) => {
    await withHeldService([RELEASE], async ({ env, server }) => {
      const program = startModule(programThat(ends, { timeoutMs: 3_000 }), env);
      await program.line(/^ready$/);
      const started = Date.now();
      if (ends === WAITS) program.child.kill("SIGHUP");
      const { code, signal, stderr } = await program.ended;

      // 3 s on a machine that does nothing else.
      expect(Date.now() - started).toBeLessThan(20_000);
      const expected = {
        code: ends.includes("3") ? 3 : null,
        signal: ends === WAITS ? "SIGHUP" : ends.includes("3") ? null : "SIGABRT",
      };
      expect({ code, signal }).toEqual(expected);
      const named = stderr.split("\n").filter((line) => line.startsWith("agbcloud-native:"));
      expect(named).toEqual([
        "agbcloud-native: sessions not released within 3000 ms, which stay until their idle timeout: s-1, s-2",
      ]);
      // The program may be gone before this process has read what it sent.
      await until("both requests are read", () => releasedAt(server).length === 2);
    });
  });

  it("ends at once when a signal comes again", async () => {
    await withHeldService([RELEASE], async ({ env, asked }) => {
      const program = startModule(programThat(WAITS), env);
      await program.line(/^ready$/);
      program.child.kill("SIGINT");
      await asked(RELEASE);
      const again = setInterval(() => program.child.kill("SIGINT"), 50);
      const ended = await program.ended;
      clearInterval(again);
      expect(endOf(ended)).toEqual({ code: null, signal: "SIGINT", stderr: "" });
    });
  });

  it("goes on when the same signal came twice at the same time", async () => {
    await withHeldService([], async ({ env, server }) => {
      const program = startModule(programThat(WAITS), env);
      await program.line(/^ready$/);
      program.child.kill("SIGINT");
      program.child.kill("SIGINT");
      expect(endOf(await program.ended)).toEqual({ code: null, signal: "SIGINT", stderr: "" });
      expect(releasedAt(server)).toEqual(["s-1", "s-2"]);
    });
  });

  it("leaves the exit code as it is when a signal comes meanwhile", async () => {
    await withHeldService([RELEASE], async ({ env, asked }) => {
      const program = startModule(programThat("process.exit(3);"), env);
      const answers = [await asked(RELEASE), await asked(RELEASE)];
      program.child.kill("SIGTERM");
      for (const answer of answers) answer();
      expect(endOf(await program.ended)).toEqual({ code: 3, signal: null, stderr: "" });
    });
  });

  it("leaves the signal as it is when the program exits meanwhile", async () => {
    await withHeldService([RELEASE], async ({ env, asked }) => {
      const ends =
        "process.stdin.destroy(); setInterval(() => { if (existsSync(process.env.EXIT_FILE)) process.exit(3); }, 5);";
      const source = `import { existsSync } from "node:fs"; process.on("exit", () => console.log("exits"));${programThat(ends)}`;
      const directory = mkdtempSync(join(tmpdir(), "agb-exit-"));
      const program = startModule(source, { ...env, EXIT_FILE: join(directory, "exit") });
      await program.line(/^ready$/);
      program.child.kill("SIGTERM");
      const answers = [await asked(RELEASE), await asked(RELEASE)];
      writeFileSync(join(directory, "exit"), "");
      await program.line(/^exits$/);
      rmSync(directory, { recursive: true });
      for (const answer of answers) answer();
      expect(endOf(await program.ended)).toEqual({ code: null, signal: "SIGTERM", stderr: "" });
    });
  });

  it("waits for a session that is being created", async () => {
    await withHeldService([CREATE], async ({ env, server, asked }) => {
      const source = `import { AGB } from "agbcloud-native";
        const agb = new AGB({ releaseOnExit: { timeoutMs: 60_000 } });
        agb.create({ imageId: "${CODE_IMAGE}" });
        process.on("exit", () => console.log("exits"));
        process.exit(3);`;
      const program = startModule(source, env);
      const answer = await asked(CREATE);
      await program.line(/^exits$/);
      answer();
      expect(endOf(await program.ended)).toEqual({ code: 3, signal: null, stderr: "" });
      expect(releasedAt(server)).toEqual(["s-1"]);
    });
  });
});

describe("the option", () => {
  const make = (releaseOnExit: unknown) => () => new AGB({ apiKey: "any", releaseOnExit: releaseOnExit as boolean });

  it.each([
    ["yes", "releaseOnExit must be true, false or an object, got string"],
    [[], "releaseOnExit must be true, false or an object, got an array"],
    [{ timeoutMs: Number.NaN }, "releaseOnExit.timeoutMs must be a finite number, got NaN"],
    [{ timeoutMs: 0 }, "releaseOnExit.timeoutMs must be above 0 and up to 60000, got 0"],
    [{ timeoutMs: 60_001 }, "releaseOnExit.timeoutMs must be above 0 and up to 60000, got 60001"],
    [{ signals: "SIGTERM" }, "releaseOnExit.signals must be an array, got string"],
    [
      { signals: ["SIGTERM", "SIGKILL"] },
      "releaseOnExit.signals may hold SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR2, got SIGKILL",
    ],
  ])("is refused: %j", (option, message) => {
    expect(make(option)).toThrow(AGBError);
    expect(make(option)).toThrow(message);
  });

  it.each([null, undefined, false, {}, { timeoutMs: null, signals: null }, { signals: [] }])("may be %j", (option) => {
    expect(make(option)().liveSessions()).toEqual([]);
  });

  it("is needed to adopt a session", () => {
    expect(() => new Session(new AGB("any"), "s-1").adopt()).toThrow("adopt() needs an AGB with releaseOnExit");
  });

  it("says which signals are meant", async () => {
    await withHeldService([], async ({ env, server }) => {
      const ends = { SIGQUIT: ["s-1", "s-2"], SIGTERM: [] };
      for (const [signal, released] of Object.entries(ends).reverse()) {
        const program = startModule(programThat(WAITS, { signals: ["SIGQUIT"], timeoutMs: 20_000 }), env);
        await program.line(/^ready$/);
        program.child.kill(signal as NodeJS.Signals);
        expect((await program.ended).signal).toBe(signal);
        expect(releasedAt(server)).toHaveLength(released.length);
      }
    });
  });
});
