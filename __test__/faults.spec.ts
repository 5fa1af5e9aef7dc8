// @one-isolation: faults strike requests, not sessions.

/** Faults of the emulator: how they are asked for, and what each does to a user of the client. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import {
  AGB,
  AGBError,
  CreateSessionParams,
  type EmulatorFault,
  type EmulatorRequest,
  type Session,
} from "agbcloud-native";
import { CODE_IMAGE, clientOf, IMAGE_WITHOUT_LINK, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { ROOT } from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();
/** On the link route. */
let session: Session;
/** On the API route. */
let withoutLink: Session;

/** A stream over a half-open WebSocket, without a deadline of its own: it takes 40 s, in which other tests run. */
let silent: ReturnType<Session["code"]["run"]>;

beforeAll(async () => {
  session = await spec.create();
  withoutLink = await spec.create({ imageId: IMAGE_WITHOUT_LINK });
  const other = await spec.create();
  const handle = add({ operation: "webSocket", kind: "halfOpen", when: "after", sessionId: other.getSessionId() });
  silent = other.code.run("print(1, flush=True)", "python", 600, { streamBeta: true });
  await until("the fault has struck", () => handle.hits === 1);
}, 60_000);
afterEach(() => spec.emulator.faults.clear());

const add = (fault: EmulatorFault) => spec.emulator.faults.add(fault);

/** A client that does not wait for long. */
const impatient = (timeoutMs: number) =>
  new AGB({ apiKey: spec.emulator.apiKey, config: { endpoint: spec.emulator.url, timeoutMs } });

/** The same session in the hands of a client that does not wait for long, but did for the session. */
async function inHaste(timeoutMs: number, of: Session = session): Promise<Session> {
  const agb = clientOf(spec.emulator);
  const again = sessionOf(await agb.get(of.getSessionId()));
  agb.config.timeoutMs = timeoutMs;
  return again;
}

/** The requests for an operation while `work` ran. */
async function sent(operation: string, work: () => Promise<unknown>): Promise<EmulatorRequest[]> {
  return (await spec.requestsOf(work)).filter((request) => request.operation === operation);
}

/** How often a command or program that appends to the file has run. */
async function runs(of: Session, file: string): Promise<number> {
  return Number(must(await of.command.execute(`cat ${file} 2>/dev/null | wc -l`, 30_000)).stdout);
}

describe("asking for faults", () => {
  it("a handle counts and removes; clear removes all", async () => {
    const handle = add({ operation: "ListSession", kind: "status", status: 400, count: Infinity });
    expect((await spec.agb.list()).success).toBe(false);
    expect((await spec.agb.list()).success).toBe(false);
    expect(handle.hits).toBe(2);
    handle.remove();
    handle.remove();
    must(await spec.agb.list());
    expect(JSON.parse(JSON.stringify(handle))).toEqual({ id: expect.any(Number), hits: 2 });
    add({ operation: "*", kind: "status", status: 400, count: "always" });
    expect((await spec.agb.list()).success).toBe(false);
    spec.emulator.faults.clear();
    must(await spec.agb.list());
  });

  it("strikes from the nth request on, for an operation, a tool, a session or a label", async () => {
    const labelled = await spec.create({ labels: { who: "faults" } });
    add({ operation: ["GetLabel", "SetLabel"], kind: "status", status: 400, from: 2 });
    must(await session.getLabels());
    expect((await session.setLabels({ a: "b" })).success).toBe(false);
    must(await session.getLabels());
    add({ operation: "callTool", kind: "status", status: 400, tool: "read_file", sessionId: session.getSessionId() });
    add({ operation: "callTool", kind: "status", status: 500, labels: { who: "faults" } });
    must(await session.command.execute("echo 1 > f", 30_000));
    must(await withoutLink.command.execute("true", 30_000));
    expect((await session.file.readFile("f")).success).toBe(false);
    expect(await labelled.command.execute("true", 30_000)).toMatchObject({ success: false });
    must(await labelled.delete());
  });

  it("the journal tells which fault it was and what was done", async () => {
    const handle = add({ operation: "SetLabel", kind: "status", status: 418, code: "Teapot", when: "after" });
    const [request] = await sent("SetLabel", () => session.setLabels({ brew: "tea" }));
    expect(request).toMatchObject({ status: 418, code: "Teapot", success: false });
    expect(request?.fault).toEqual({ id: handle.id, kind: "status", worked: true, status: 200, code: "ok" });
    expect((await session.getLabels()).data).toEqual({ brew: "tea" });
    const [, clean] = await sent("GetLabel", async () => {
      await session.getLabels();
      await session.getLabels();
    });
    expect(clean).not.toHaveProperty("fault");
  });

  it.each([
    [{}, /operation must be createSession, getSession/],
    [{ operation: "callTol", kind: "reset" }, /operation must be .*callTool.*got 'callTol'/],
    [{ operation: "*" }, /kind must be status, delay, reset, truncate, garbage, halfOpen, slow or close/],
    [{ operation: "*", kind: "status" }, /status is required/],
    [{ operation: "*", kind: "status", status: "503" }, /status must be a whole number from 200 to 599, got "503"/],
    [{ operation: "*", kind: "reset", count: Number.NaN }, /count must be a whole number .* got "NaN"/],
    [{ operation: "*", kind: "reset", count: 0 }, /count must be .* \(or "always"\)/],
    [{ operation: "*", kind: "reset", counts: 2 }, /the kind reset has no counts; it takes operation, kind, tool/],
    [{ operation: "*", kind: "delay", ms: -1 }, /ms must be a number from 0/],
    [{ operation: "*", kind: "garbage", body: () => "x" }, /must be plain data: body is a function/],
    [{ operation: "*", kind: "slow", bytesPerSecond: 0 }, /bytesPerSecond must be a whole number from 1/],
    [null, /must be an object with operation and kind, got null/],
    ["callTool:reset", /must be an object with operation and kind, got string/],
    [{ operation: "*", kind: "reset", labels: { n: 1n } }, /must be plain data/],
  ])("%p is refused, with what is allowed", async (fault, message) => {
    expect(() => add(fault as unknown as EmulatorFault)).toThrow(AGBError);
    expect(() => add(fault as unknown as EmulatorFault)).toThrow(message);
  });

  it("every fault of the documentation can be used", () => {
    const text = readFileSync(join(ROOT, "docs/emulator.md"), "utf8");
    const examples = [...text.matchAll(/^emulator\.faults\.add\((\{.*\})\);$/gm)];
    const kinds = examples.map(([, example]) => {
      const fault: EmulatorFault = runInNewContext(`(${example})`);
      add({ ...fault });
      return fault.kind;
    });
    expect(new Set(kinds).size).toBe(8);
  });

  it("Emulator.start takes them, and refuses what can't be used", async () => {
    const faults: EmulatorFault[] = [{ operation: "createSession", kind: "status", status: 400, message: "full" }];
    await withEmulator({ faults }, async (_, agb) => {
      const params = new CreateSessionParams({ imageId: CODE_IMAGE });
      expect(await agb.create(params)).toMatchObject({ success: false, errorMessage: expect.stringContaining("full") });
      must(await agb.create(params));
    });
    const start = (given: unknown) => withEmulator({ faults: given as EmulatorFault[] }, async () => undefined);
    await expect(start([{ operation: "*", kind: "rest" }])).rejects.toThrow(/kind must be/);
    await expect(start({})).rejects.toThrow(/faults must be an array/);
  });
});

describe("what does no harm when it is done twice", () => {
  const calls: [EmulatorFault["operation"] & string, () => Promise<{ success: boolean }>][] = [
    ["refreshSessionIdleTime", () => session.keepAlive()],
    ["getSession", () => spec.agb.get(session.getSessionId())],
    ["ListSession", () => spec.agb.list()],
  ];

  it.each(calls)("%s is repeated after a 503, a reset and a lost answer", async (operation, call) => {
    for (const fault of [
      { operation, kind: "status", status: 503 },
      { operation, kind: "reset" },
      { operation, kind: "reset", when: "after" },
      { operation, kind: "truncate" },
    ] as EmulatorFault[]) {
      const handle = add(fault);
      const requests = await sent(operation, async () => must(await call()));
      expect([fault.kind, requests.length, handle.hits]).toEqual([fault.kind, 2, 1]);
    }
  });

  it.each(calls)("%s waits after a 429 as long as Retry-After says", async (operation, call) => {
    add({ operation, kind: "status", status: 429, retryAfter: 1 });
    const [first, second] = await sent(operation, async () => must(await call()));
    expect(first).toMatchObject({ status: 429, code: "TooManyRequests" });
    const waited = Date.parse(second?.at ?? "") - Date.parse(first?.at ?? "");
    expect(waited).toBeGreaterThanOrEqual(990);
  });

  it.each([{ kind: "status", status: 503 }, { kind: "reset" }, { kind: "reset", when: "after" }, { kind: "truncate" }])(
    "a tool that only looks is called again after %j, on either route",
    async (fault) => {
      for (const of of [session, withoutLink]) {
        must(await of.file.writeFile("looked-at", "content"));
        const handle = add({ operation: "callTool", tool: "read_file", ...fault } as EmulatorFault);
        expect(must(await of.file.readFile("looked-at")).content).toBe("content");
        expect(handle.hits).toBe(1);
      }
    },
  );

  it("a file that seems empty is not taken for one when it can't be read now", async () => {
    add({ operation: "callTool", tool: "read_file", kind: "status", status: 503, count: Infinity });
    expect(await session.file.readFile("/proc/cpuinfo")).toMatchObject({ success: false });
  });

  it("is given up when the service stays broken, and says how often it was tried", async () => {
    const handle = add({ operation: "ListSession", kind: "status", status: 503, count: Infinity });
    const result = await spec.agb.list();
    expect(result).toMatchObject({ success: false });
    expect(result.attempts).toBe(handle.hits);
    expect(result.httpStatusCode).toBe(503);
  });
});

describe("what may have been done", () => {
  const routes: [string, () => Session][] = [
    ["the link", () => session],
    ["the API", () => withoutLink],
  ];
  const kinds: [string, Record<string, unknown>, number][] = [
    ["a lost answer", { kind: "reset", when: "after" }, 1],
    ["a reset", { kind: "reset" }, 0],
    ["an answer that breaks off", { kind: "truncate" }, 1],
    ["no answer in time", { kind: "halfOpen", when: "after" }, 1],
  ];

  it.each(routes)(
    "a command on %s is not repeated, and the error says that it may have run",
    async (_, of) => {
      for (const [index, [name, fault, done]] of kinds.entries()) {
        const handle = add({ operation: "callTool", tool: "shell", ...fault } as EmulatorFault);
        const args = { command: `echo x >> log${index}`, timeout_ms: 30_000 };
        // Where no answer comes, this is what is waited for.
        const readTimeout = fault.kind === "halfOpen" ? 3_000 : 30_000;
        const requests = await sent("callTool", async () => {
          const result = await of().callMcpTool("shell", args, readTimeout);
          expect([name, result]).toEqual([name, expect.objectContaining({ success: false })]);
          expect([name, result.errorMessage]).toEqual([name, expect.stringMatching(/may have been executed/)]);
          // The journal has a request when its work is done.
          const ofCall = () => spec.emulator.journal().filter(({ fault }) => fault?.id === handle.id);
          await until(`${name}: the work is done`, () => ofCall().length === 1);
        });
        expect([name, requests.length]).toEqual([name, 1]);
        expect([name, await runs(of(), `log${index}`)]).toEqual([name, done]);
      }
    },
    120_000,
  );

  it.each(kinds.slice(0, 3))(
    "code is not repeated after %s, and the error says that it may have run",
    async (_, fault, done) => {
      must(await session.command.execute("rm -f ran", 30_000));
      add({ operation: "callTool", tool: "run_code", ...fault } as EmulatorFault);
      const requests = await sent("callTool", async () => {
        const result = await session.code.run("open('ran', 'a').write('x\\n')", "python");
        expect(result).toMatchObject({ success: false });
        expect(result.errorMessage).toMatch(/may have been executed/);
      });
      expect(requests).toHaveLength(1);
      expect(await runs(session, "ran")).toBe(done);
    },
  );

  it("a session whose answer was lost is there, and the error says that it may be", async () => {
    add({ operation: "createSession", kind: "reset", when: "after" });
    const before = spec.emulator.sessions().length;
    const requests = await sent("createSession", async () => {
      const result = await spec.agb.create(new CreateSessionParams({ imageId: CODE_IMAGE }));
      expect(result).toMatchObject({ success: false });
      expect(result.session ?? null).toBeNull();
      expect(result.errorMessage).toMatch(/may have been executed/);
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]?.fault).toMatchObject({ worked: true, status: 200 });
    expect(spec.emulator.sessions()).toHaveLength(before + 1);
    must(await (await inHandsOfId(requests[0]?.sessionId)).delete());
  });

  async function inHandsOfId(id = ""): Promise<Session> {
    const { session: left } = must(await spec.agb.get(id));
    if (!left) throw new Error("no session");
    return left;
  }

  it("what was certainly not done is not said to be possible", async () => {
    add({ operation: "callTool", kind: "status", status: 503 });
    const result = await session.command.execute("true", 30_000);
    expect(result).toMatchObject({ success: false });
    expect(result.errorMessage).not.toMatch(/may have been/);
  });
});

describe("answers that can't be read", () => {
  it.each([
    { kind: "garbage" },
    { kind: "garbage", body: "<html>hello</html>" },
    { kind: "truncate", framed: true },
    { kind: "truncate", bytes: 0, framed: true },
    { kind: "status", status: 200, body: "[]" },
  ])("%j is a failure with a reason", async (fault) => {
    for (const [operation, call] of [
      ["createSession", () => spec.agb.create(new CreateSessionParams({ imageId: CODE_IMAGE }))],
      ["getSession", () => spec.agb.get(session.getSessionId())],
      ["ListSession", () => spec.agb.list()],
      ["callTool", () => session.command.execute("echo 1", 30_000)],
      ["callTool", () => withoutLink.command.execute("echo 1", 30_000)],
      ["callTool", () => session.code.run("1", "python")],
    ] as const) {
      const handle = add({ operation, count: Infinity, ...fault } as EmulatorFault);
      const result: { success: boolean; errorMessage?: string } = await call();
      handle.remove();
      expect([operation, result.success]).toEqual([operation, false]);
      expect([operation, result.errorMessage]).toEqual([operation, expect.stringMatching(/\w{3}/)]);
      expect(handle.hits).toBeGreaterThanOrEqual(1);
    }
  });
});

describe("a service that says nothing", () => {
  it("is noticed by the deadline, whatever it has done", async () => {
    for (const when of ["before", "after"] as const) {
      const handle = add({ operation: "SetLabel", kind: "halfOpen", when });
      const labels = { half: when };
      const inHands = await inHaste(2_000);
      expect(await inHands.setLabels(labels)).toMatchObject({
        success: false,
        errorMessage: expect.stringMatching(/timeout of 2000ms/),
      });
      await until("the fault has struck", () => handle.hits === 1);
      const seen = must(await session.getLabels()).data;
      expect(JSON.stringify(seen) === JSON.stringify(labels)).toBe(when === "after");
    }
  });

  it("a delay within the deadline is waited for, one beyond it is not", async () => {
    add({ operation: "ListSession", kind: "delay", ms: 100 });
    must(await impatient(20_000).list());
    const agb = impatient(1_000);
    add({ operation: "ListSession", kind: "delay", ms: 600_000, when: "after" });
    expect(await agb.list()).toMatchObject({ success: false, errorMessage: expect.stringMatching(/timeout/) });
  });
});

describe("streams", () => {
  const COUNTING = "import time\nfor i in range(1000):\n    print(i, flush=True)\n    time.sleep(0.02)";

  it.each([
    [{ kind: "close", afterChunks: 2 }, /closed.*1011/],
    [{ kind: "close", afterChunks: 2, code: 1012, reason: "restart" }, /1012.*restart/],
    [{ kind: "status", status: 503, message: "busy" }, /busy/],
    [{ kind: "reset" }, /./],
  ])("%j in mid-stream is never a success", async (fault, message) => {
    const handle = add({ operation: "callTool", ...fault } as EmulatorFault);
    const chunks: string[] = [];
    const onError = jest.fn();
    const result = await session.code.run(COUNTING, "python", 60, {
      streamBeta: true,
      onStdout: (chunk: string) => chunks.push(chunk),
      onError,
    });
    expect(handle.hits).toBe(1);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(message) });
    expect(onError).toHaveBeenCalledTimes(1);
    expect(chunks).toHaveLength(fault.kind === "close" ? 2 : 0);
    expect(result.logs.stdout).toEqual(chunks);
    // The next one has a new connection.
    expect(must(await session.code.run("print(7)", "python", 60, { streamBeta: true })).logs.stdout).toEqual(["7\n"]);
  });

  it.each([
    { kind: "truncate" },
    { kind: "garbage", body: '{"invocationId": "' },
    { kind: "reset", when: "after" },
    { kind: "close", afterChunks: 100 },
  ])("an end lost by %j is never a success, and nothing runs twice", async (fault) => {
    must(await session.command.execute("rm -f streamed", 30_000));
    add({ operation: "callTool", ...fault } as EmulatorFault);
    const code = "open('streamed', 'a').write('x\\n')\nprint('done', flush=True)";
    const result = await session.code.run(code, "python", 60, { streamBeta: true });
    expect(result).toMatchObject({ success: false, logs: { stdout: ["done\n"] } });
    expect(result.errorMessage).toMatch(/\w{3}/);
    expect(await runs(session, "streamed")).toBe(1);
  });

  it("a half-open WebSocket is noticed by the stream's deadline, in mid-stream and in the handshake", async () => {
    const other = await createSession(spec.agb);
    add({ operation: "callTool", kind: "halfOpen", when: "after", afterChunks: 1, sessionId: session.getSessionId() });
    add({ operation: "webSocket", kind: "halfOpen", sessionId: other.getSessionId() });
    // A limit of 1 s and the margin of 15 s.
    const [late, unopened] = await Promise.all([
      session.code.run("print(1, flush=True)", "python", 1, { streamBeta: true }),
      other.code.run("open('ran', 'w')", "python", 1, { streamBeta: true }),
    ]);
    expect(late).toMatchObject({ success: false, logs: { stdout: ["1\n"] } });
    expect(late.errorMessage).toMatch(/timeout of 16000ms.*may have been executed/);
    expect(unopened).toMatchObject({ success: false, errorMessage: expect.stringMatching(/timeout/) });
    expect((await other.file.getFileInfo("ran")).success).toBe(false);
    must(await other.delete());
  }, 60_000);

  it.each([
    [{ kind: "status", status: 503 }, /503/],
    [{ kind: "reset" }, /./],
  ])(
    "a handshake that fails with %j runs nothing",
    async (fault, message) => {
      const other = await createSession(spec.agb);
      add({ operation: "webSocket", count: Infinity, ...fault } as EmulatorFault);
      const result = await other.code.run("open('ran', 'w')", "python", 60, { streamBeta: true });
      spec.emulator.faults.clear();
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(message) });
      expect((await other.file.getFileInfo("ran")).success).toBe(false);
      must(await other.delete());
    },
    60_000,
  );

  it("a half-open WebSocket is noticed by a missing pong where there is no deadline", async () => {
    expect(await silent).toMatchObject({
      success: false,
      logs: { stdout: [] },
      errorMessage: expect.stringMatching(/no sign of life for 40 s.*may have been executed/),
    });
  });
});

describe("transfers", () => {
  const BYTES = 3_000_000;
  let here: string;
  let there: string;

  beforeAll(async () => {
    there = `${await session.file.transferPath()}/big`;
    must(await session.command.execute(`head -c ${BYTES} /dev/zero > '${there}'`, 30_000));
  });
  beforeEach(() => {
    here = mkdtempSync(join(tmpdir(), "agb-faults-"));
  });
  afterEach(() => rmSync(here, { recursive: true, force: true }));

  it.each([
    { kind: "truncate", bytes: 1_000_000 },
    { kind: "reset", when: "after" },
    { kind: "status", status: 503 },
  ])(
    "a download that always fails by %j leaves no file",
    async (fault) => {
      const handle = add({ operation: "getObject", count: Infinity, ...fault } as EmulatorFault);
      const result = await session.file.download(there, join(here, "big"));
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/\w{3}/) });
      expect(handle.hits).toBeGreaterThanOrEqual(1);
      expect(readdirSync(here)).toEqual([]);
    },
    60_000,
  );

  it("a body that stalls ends the download; one that is only slow does not", async () => {
    const inHands = await inHaste(5_000);
    add({ operation: "getObject", kind: "slow", bytesPerSecond: 500_000 });
    const started = Date.now();
    expect(await inHands.file.download(there, join(here, "slow"))).toMatchObject({
      success: true,
      bytesReceived: BYTES,
    });
    expect(Date.now() - started).toBeGreaterThan(5_000);
    rmSync(join(here, "slow"));
    // A byte a second: nothing moves within the limit.
    const handle = add({ operation: "getObject", kind: "slow", bytesPerSecond: 1, count: Infinity });
    const hasty = await inHaste(800);
    let result = await hasty.file.download(there, join(here, "big"));
    // The limit holds for the requests before it, too, which a busy machine may miss.
    for (let again = 0; again < 3 && /timeout of 800ms/.test(result.errorMessage ?? ""); again++) {
      result = await hasty.file.download(there, join(here, "big"));
    }
    expect(result).toMatchObject({
      success: false,
      errorMessage: expect.stringMatching(/nothing has moved for 800ms/),
    });
    expect(handle.hits).toBeGreaterThanOrEqual(1);
    expect(readdirSync(here)).toEqual([]);
  }, 60_000);

  it("an upload whose answer is lost is sent again from a file; from a buffer it fails and says why", async () => {
    const source = join(here, "source");
    writeFileSync(source, Buffer.alloc(100_000, "a"));
    const to = `${await session.file.transferPath()}/up`;
    add({ operation: "putObject", kind: "reset", when: "after", count: 2 });
    const requests = await sent("putObject", async () => must(await session.file.upload(source, to)));
    expect(requests.map(({ status }) => status)).toEqual([0, 0, 200]);
    expect(must(await session.command.execute(`wc -c < '${to}'`, 30_000)).stdout.trim()).toBe("100000");

    add({ operation: "putObject", kind: "status", status: 507, body: "the disk is full" });
    const result = await session.file.upload(Buffer.alloc(1_000, "a"), `${to}-2`);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/507/) });
    expect((await session.file.getFileInfo(`${to}-2`)).success).toBe(false);
  }, 60_000);

  it("an upload that is read slowly goes on as long as it moves", async () => {
    add({ operation: "putObject", kind: "slow", direction: "request", bytesPerSecond: 40_000 });
    const inHands = await inHaste(5_000);
    const to = `${await inHands.file.transferPath()}/slowly`;
    const started = Date.now();
    must(await inHands.file.upload(Buffer.alloc(20_000, "a"), to));
    expect(Date.now() - started).toBeGreaterThanOrEqual(450);
  }, 60_000);
});

it("an emulator with clients in the dark closes all the same", async () => {
  await withEmulator({}, async (emulator, agb) => {
    const silent = await createSession(agb);
    emulator.faults.add({ operation: "*", kind: "halfOpen", count: Infinity });
    const waiting = silent.keepAlive();
    await until("it has arrived", () => emulator.journal().some(({ fault }) => fault?.kind === "halfOpen"));
    await emulator.close();
    expect((await waiting).success).toBe(false);
  });
}, 60_000);
