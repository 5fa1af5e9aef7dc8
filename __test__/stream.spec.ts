import {
  APIError,
  AuthenticationError,
  type EnhancedCodeExecutionResult,
  type Session,
  SessionError,
  WsHandshakeRejectedError,
} from "agbcloud-native";
import { eventsOf } from "./support/code-events";
import { clientOf, IMAGE_WITHOUT_LINK, sessionOf, useSession } from "./support/emulator";
import { runModule, runNode } from "./support/processes";
import { rejectionOf } from "./support/rejection";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useSession();

/** Prints `one`, and `two` once the file `go` is there. */
const WAITING = {
  python: "import os, time\nprint('one')\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('two')\n42",
  javascript: "const fs = require('fs'); console.log('one'); while (!fs.existsSync('go')) {}; console.log('two'); 42",
};
const FOREVER = "import time\nprint('on')\ntime.sleep(300)";

const streamed = (code: string, options: object = {}, language = "python", timeoutS?: number) =>
  spec.session.code.run(code, language, timeoutS, { streamBeta: true, ...options });

describe("code.run with streamBeta", () => {
  it.each(Object.entries(WAITING))("calls back while the %s program still runs", async (language, code) => {
    const chunks: string[] = [];
    let isOver = false;
    let told: Promise<unknown> | undefined;
    const onStdout = (chunk: string) => {
      chunks.push(chunk);
      // Only now the program may go on: a chunk held back to the end would never come.
      told ??= spec.session.command.execute("touch go", 20_000).then(must);
    };
    const onError = jest.fn();
    const result = await streamed(code, { onStdout, onError }, language).finally(() => {
      isOver = true;
    });
    await told;
    expect(chunks).toEqual(["one\n", "two\n"]);
    expect(isOver).toBe(true);
    expect(onError).not.toHaveBeenCalled();
    expect(result).toEqual({
      requestId: expect.stringMatching(/^[0-9a-f]{32}$/),
      success: true,
      executionCount: 1,
      executionTime: expect.any(Number),
      logs: { stdout: ["one\n", "two\n"], stderr: [] },
      results: [{ text: "42", isMainResult: true }],
      errorMessage: "",
    });
  });

  it("has called back for every chunk when the promise resolves", async () => {
    const chunks: string[] = [];
    const code = "import sys\nfor i in range(2000): print(i, flush=True)\nprint('err', file=sys.stderr)";
    const stderr: string[] = [];
    const result = must(
      await streamed(code, { onStdout: (c: string) => chunks.push(c), onStderr: (c: string) => stderr.push(c) }),
    );
    expect(chunks).toEqual(result.logs.stdout);
    expect(chunks.join("")).toBe(Array.from({ length: 2000 }, (_, i) => `${i}\n`).join(""));
    expect(stderr.join("")).toBe("err\n");
  });

  it("tells how a program failed", async () => {
    const onError = jest.fn();
    const result = await streamed("1 / 0", { onError });
    expect(result).toMatchObject({
      success: false,
      errorMessage: "ZeroDivisionError: division by zero",
      error: { name: "ExecutionError", value: "ZeroDivisionError: division by zero" },
    });
    expect(result.logs.stderr.join("")).toContain("Traceback");
    expect(onError.mock.calls).toEqual([[expect.objectContaining({ message: "ZeroDivisionError: division by zero" })]]);
  });

  it("shares its state with other runs, and needs no callback", async () => {
    must(await streamed("x = 42"));
    expect((await spec.session.code.run("print(x)", "python")).logs.stdout).toEqual(["42\n"]);
    const late = await streamed("print('so far', flush=True)\nwhile True: pass", {}, "python", 3);
    expect(late).toMatchObject({
      success: false,
      errorMessage: "Execution timeout after 3 s",
      logs: { stdout: ["so far\n"] },
    });
    expect(must(await streamed("x")).results).toEqual([{ text: "42", isMainResult: true }]);
  });

  it("survives callbacks that throw or reject, and takes null for none", async () => {
    const written = jest.spyOn(process.stderr, "write").mockImplementation(() => true);
    const options = {
      onStdout: () => {
        throw new Error("thrown by the test");
      },
      onStderr: async () => {
        throw new Error("rejected by the test");
      },
      onError: null,
    };
    try {
      const result = must(await streamed("import sys\nprint(1)\nprint(2, file=sys.stderr)", options));
      expect(result.logs).toEqual({ stdout: ["1\n"], stderr: ["2\n"] });
    } finally {
      written.mockRestore();
    }
  });

  it("refuses what is no function, and unknown languages, before anything is sent", async () => {
    spec.emulator.clearJournal();
    const onError = jest.fn();
    expect(await streamed("1", { onStdout: "x" })).toMatchObject({
      success: false,
      errorMessage: "onStdout must be a function, got string",
    });
    expect(await streamed("1", { onError }, "ruby")).toEqual({
      requestId: "",
      success: false,
      executionTime: 0,
      logs: { stdout: [], stderr: [] },
      results: [],
      errorMessage: "Unsupported language: ruby. Supported: java, javascript, python, r",
    });
    expect(onError).not.toHaveBeenCalled();
    expect(spec.emulator.journal()).toEqual([]);
  });

  it("resolves with a failure where the session has no WebSocket", async () => {
    const { wsUrl, token } = spec.session;
    const tail = "is not set on this session. Ensure the session was created with WebSocket support enabled.";
    spec.session.wsUrl = "";
    expect(await streamed("1")).toMatchObject({ success: false, errorMessage: `wsUrl ${tail}` });
    Object.assign(spec.session, { wsUrl, token: "" });
    expect(await streamed("1")).toMatchObject({ success: false, errorMessage: `token ${tail}` });
    Object.assign(spec.session, { wsUrl: undefined, token });
    const errorMessage = "WebSocket streaming is not supported by this session";
    expect(await streamed("1")).toMatchObject({ success: false, errorMessage });
    Object.assign(spec.session, { wsUrl, token: "wrong" });
    const refused = await streamed("1");
    expect(refused.errorMessage).toMatch(/^Unexpected server response: 401: access denied/);
    expect({ code: refused.code, status: refused.httpStatusCode }).toEqual({ code: "AccessDenied", status: 401 });
    await expect(eventsOf(spec.session.code.stream("1", "python"))).rejects.toBeInstanceOf(WsHandshakeRejectedError);
    expect(JSON.stringify(refused)).not.toContain("wrong");
    spec.session.token = token;
    must(await streamed("1"));
  });

  it("uses one connection for streams that begin together", async () => {
    spec.emulator.clearJournal();
    const runs = Array.from({ length: 20 }, (_, i) => streamed(`print(${i})`));
    const results = await Promise.all(runs);
    expect(results.map(({ logs }) => logs.stdout.join(""))).toEqual(Array.from({ length: 20 }, (_, i) => `${i}\n`));
    expect(spec.emulator.journal().filter(({ operation }) => operation === "webSocket")).toHaveLength(1);
  });

  it("settles every pending run when the session is deleted", async () => {
    const onError = jest.fn();
    let started = 0;
    const onStdout = () => {
      started += 1;
    };
    const runs = [streamed(FOREVER, { onStdout, onError }), streamed(FOREVER, { onStdout, onError })];
    await until("the first runs, the second waits for it", () => started === 1);
    must(await spec.session.delete());
    for (const result of await Promise.all(runs)) {
      expect(result).toMatchObject({ success: false, requestId: "", errorMessage: expect.stringMatching(/session/) });
    }
    expect(onError).toHaveBeenCalledTimes(2);
    expect((await streamed("1")).success).toBe(false);
  });

  it("holds the session while it runs, longer than its idle time-out", async () => {
    const held = await createSession(spec.agb, { idleReleaseTimeout: 60 });
    let result: Promise<EnhancedCodeExecutionResult> | undefined;
    await new Promise<void>((resolve) => {
      result = held.code.run(WAITING.python, "python", 60, { streamBeta: true, onStdout: () => resolve() });
    });
    await spec.emulator.advance(600_000);
    must(await held.command.execute("touch go", 20_000));
    must((await result) as EnhancedCodeExecutionResult);
    await spec.emulator.advance(62_000);
    expect((await held.getStatus()).status).not.toBe("RUNNING");
  });
});

describe("code.stream", () => {
  it("gives what happens as it happens, and at last the result", async () => {
    const types: string[] = [];
    let result: EnhancedCodeExecutionResult | undefined;
    for await (const event of spec.session.code.stream(WAITING.python, "python")) {
      types.push(event.type === "stdout" ? event.chunk : event.type);
      if (types.length === 1) must(await spec.session.command.execute("touch go", 20_000));
      if (event.type === "end") result = event.result;
    }
    expect(types).toEqual(["one\n", "two\n", "result", "end"]);
    expect(result).toMatchObject({ success: true, logs: { stdout: ["one\n", "two\n"] } });
  });

  it("does not throw for a program that fails", async () => {
    const events = await eventsOf(
      spec.session.code.stream("import sys\nprint('e', file=sys.stderr)\nnope", "py", { timeoutS: 30 }),
    );
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["stderr", "error", "end"]));
    expect(events.at(-1)).toMatchObject({
      type: "end",
      result: { success: false, errorMessage: expect.stringContaining("NameError") },
    });
  });

  it("sends nothing before it is read", async () => {
    spec.emulator.clearJournal();
    spec.session.code.stream("1", "python");
    await expect(eventsOf(spec.session.code.stream("1", "ruby"))).rejects.toThrow("Unsupported language: ruby");
    await expect(eventsOf(spec.session.code.stream("1", "python", { timeoutS: 0 }))).rejects.toThrow("Invalid timeout");
    await expect(eventsOf(spec.session.code.stream("1", "python", { signal: "x" as never }))).rejects.toThrow(
      "AbortSignal",
    );
    expect(spec.emulator.journal()).toEqual([]);
  });

  it("is given up by leaving the loop, which interrupts the program and keeps the state", async () => {
    for await (const event of spec.session.code.stream(`x = 42\n${FOREVER}`, "python")) {
      expect(event).toEqual({ type: "stdout", chunk: "on\n" });
      break;
    }
    expect((await spec.session.code.run("print(x)", "python", 30)).logs.stdout).toEqual(["42\n"]);
  });

  it("throws the reason of a signal aborted before, and sends nothing", async () => {
    spec.emulator.clearJournal();
    const reason = new Error("before");
    await expect(eventsOf(spec.session.code.stream("1", "python", { signal: AbortSignal.abort(reason) }))).rejects.toBe(
      reason,
    );
    expect(spec.emulator.journal()).toEqual([]);
  });

  it("throws the reason of a signal aborted while it waits, and takes its listener away", async () => {
    const controller = new AbortController();
    const removed = jest.spyOn(controller.signal, "removeEventListener");
    const reason = { why: "during" };
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of spec.session.code.stream(FOREVER, "python", { signal: controller.signal })) {
        seen.push(event.type);
        setImmediate(() => controller.abort(reason));
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(seen).toEqual(["stdout"]);
    expect(removed).toHaveBeenCalledWith("abort", expect.any(Function));
    expect((await spec.session.code.run("print('free')", "python", 30)).logs.stdout).toEqual(["free\n"]);
  });

  it("does not care about a signal aborted after its end", async () => {
    const controller = new AbortController();
    const events = await eventsOf(spec.session.code.stream("print(1)", "python", { signal: controller.signal }));
    controller.abort();
    expect(events.at(-1)).toMatchObject({ type: "end", result: { success: true } });
  });
});

describe("what is no failure of the WebSocket", () => {
  const failureOf = (session: Session) => rejectionOf(eventsOf(session.code.stream("1", "python")));

  it("is an error as other calls throw it", async () => {
    const session = sessionOf(await clientOf(spec.emulator).get(spec.session.getSessionId()));
    session.getAgb().apiKey = "";
    expect(await failureOf(session)).toBeInstanceOf(AuthenticationError);
    const onError = jest.fn();
    await session.code.run("1", "python", 60, { streamBeta: true, onError });
    expect(onError.mock.calls).toEqual([[expect.any(AuthenticationError)]]);
    must(await spec.session.delete());
    expect(await failureOf(spec.session)).toBeInstanceOf(SessionError);
  });

  it.each(["run", "stream"] as const)("is the release of the session in the middle of code.%s", async (way) => {
    const session = await createSession(spec.agb);
    const elsewhere = sessionOf(await clientOf(spec.emulator).get(session.getSessionId()));
    let deletion: Promise<unknown> | undefined;
    const onStdout = () => {
      deletion ??= elsewhere.delete().then(must);
    };
    let error: Error | undefined;
    if (way === "run") {
      const onError = jest.fn();
      const result = await session.code.run(FOREVER, "python", 60, { streamBeta: true, onStdout, onError });
      expect(result).toMatchObject({ success: false, code: "InvalidSession.NotFound", logs: { stdout: ["on\n"] } });
      error = onError.mock.calls[0]?.[0];
    } else {
      const reading = (async () => {
        for await (const _ of session.code.stream(FOREVER, "python")) onStdout();
      })();
      error = await rejectionOf(reading);
    }
    await deletion;
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ extra: { kind: "SessionNotFound", code: "InvalidSession.NotFound" } });
    expect(session.lifecycle).toMatchObject({ state: "released", confirmed: true });
  });

  it("may be the creation of a session in place of a lost one", async () => {
    const session = await spec.agb.open({ imageId: IMAGE_WITHOUT_LINK }, { recreate: true });
    must(await sessionOf(await clientOf(spec.emulator).get(session.getSessionId())).delete());
    const fault = spec.emulator.faults.add({ operation: "createSession", kind: "status", status: 400 });
    const error = await failureOf(session);
    fault.remove();
    expect(error.message).toMatch(/is gone, and creating another failed/);
    expect(error).toBeInstanceOf(APIError);
    await session.delete();
  });
});

describe("a program", () => {
  it("is held by a pending stream, and by nothing after it", async () => {
    const { code, stdout } = await runModule(
      `import { AGB } from "agbcloud-native";
       const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
       session.code.run("import time; time.sleep(0.3); print('ran')", "python", 60, {
         streamBeta: true, onStdout: (chunk) => process.stdout.write(chunk),
       }).then(({ success }) => console.log(success));
       console.log("main is over");`,
      spec.emulator.env,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "main is over\nran\ntrue\n" });
  });

  it("may end with streams in flight, in workers too", async () => {
    const { code, signal, stdout } = await runNode("__test__/programs/streams.mjs", [], spec.emulator.env);
    expect({ code, signal, stdout }).toEqual({ code: 3, signal: null, stdout: "worker ended with 1\n".repeat(3) });
  });
});
