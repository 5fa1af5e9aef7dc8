/** Errors: the classes, what a failed result carries, and what a caller hears when the service misbehaves. */

import { PassThrough, Readable } from "node:stream";

import {
  AGB,
  AGBError,
  APIError,
  ApplicationError,
  AuthenticationError,
  BrowserError,
  ClearanceTimeoutError,
  CommandError,
  type EmulatorFault,
  FileError,
  ScreenError,
  Session,
  SessionError,
} from "agbcloud-native";
import { type Answer, CLOSED_ADDRESS, ok, reply, sessionData, withServer } from "./support/answers";
import { CODE_IMAGE, clientOf, sessionOf, useEmulator } from "./support/emulator";

const spec = useEmulator();

describe("the classes", () => {
  it.each([
    [AGBError, "AGBError", "AGBError"],
    [AuthenticationError, "AuthenticationError", "Authentication failed"],
    [APIError, "APIError", "API error"],
    [FileError, "FileError", "File operation error"],
    [CommandError, "CommandError", "Command execution error"],
    [SessionError, "SessionError", "Session error"],
    [ApplicationError, "ApplicationError", "Application operation error"],
    [BrowserError, "BrowserError", "Browser operation error"],
    [ScreenError, "ScreenError", "Screen operation error"],
    [ClearanceTimeoutError, "ClearanceTimeoutError", "Clearance task timed out"],
  ] as [typeof AGBError, string, string][])("%p has its name and default message", (ErrorClass, name, message) => {
    const error = new ErrorClass();
    expect(error).toBeInstanceOf(ErrorClass);
    expect(error).toBeInstanceOf(AGBError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, message, extra: {} });
    expect(ErrorClass.name).toBe(name);
    expect(String(error)).toBe(`${name}: ${message}`);
    expect(new ErrorClass("mine").message).toBe("mine");
  });

  it("carry what they are given", () => {
    expect(new FileError("m", { path: "/x" })).toMatchObject({ message: "m", extra: { path: "/x" } });
    expect(new APIError("m", 502, { a: 1 })).toMatchObject({ message: "m", statusCode: 502, extra: { a: 1 } });
    expect(new APIError().statusCode).toBeUndefined();
    expect(new FileError()).not.toBeInstanceOf(CommandError);
  });

  it("the table knows every kind of the native client, and no other", () => {
    const { FAILURE_KINDS } = jest.requireActual<{ FAILURE_KINDS: string[] }>("../dist/errors");
    const { native } = jest.requireActual<{ native: { failureKinds(): string[] } }>("../dist/native");
    expect([...FAILURE_KINDS].sort()).toEqual([...native.failureKinds()].sort());
  });
});

describe("a failed result", () => {
  it("carries details that JSON, Object.keys and toEqual do not see", async () => {
    const result = await new Session(spec.agb, "session-unknown").keepAlive();
    const shown = {
      requestId: spec.emulator.journal().at(-1)?.requestId,
      success: false,
      errorMessage: "Resource [McpSession] is not found",
    };
    expect(result).toEqual(shown);
    expect(JSON.parse(JSON.stringify(result))).toEqual(shown);
    expect(Object.keys(result).sort()).toEqual(["errorMessage", "requestId", "success"]);
    expect({ ...result }).toEqual(shown);
    expect([result.code, result.httpStatusCode, result.retryable, result.attempts]).toEqual([
      "InvalidMcpSession.NotFound",
      400,
      false,
      1,
    ]);
    for (const name of ["code", "httpStatusCode", "retryable", "attempts"]) {
      expect(Object.getOwnPropertyDescriptor(result, name)?.enumerable).toBe(false);
    }
  });

  it("a refusal before anything is sent has no attempts and no status", async () => {
    const result = await spec.agb.create(null);
    expect([result.code, result.httpStatusCode, result.retryable, result.attempts]).toEqual(["", undefined, false, 0]);
  });

  it("a success carries none of them", async () => {
    const session = await spec.create();
    const result = await session.keepAlive();
    for (const name of ["code", "httpStatusCode", "retryable", "attempts"]) expect(result).not.toHaveProperty(name);
  });
});

type Call = [string, () => Promise<{ success: boolean; requestId?: string; errorMessage?: string }>];

/** Every public call that sends a request, for a session at `agb`. */
function calls(agb: AGB, session = new Session(agb, "s-1")): Call[] {
  return [
    ["create", () => agb.create({ imageId: CODE_IMAGE })],
    ["get", () => agb.get("s-1")],
    ["getSession", () => agb.getSession("s-1")],
    ["list", () => agb.list()],
    ["keepAlive", () => session.keepAlive()],
    ["getStatus", () => session.getStatus()],
    ["info", () => session.info()],
    ["setLabels", () => session.setLabels({ a: "b" })],
    ["getLabels", () => session.getLabels()],
    ["getLink", () => session.getLink("https", 30_100)],
    ["listMcpTools", () => session.listMcpTools("image")],
    ["callMcpTool", () => session.callMcpTool("shell", {})],
    ["getMetrics", () => session.getMetrics()],
    ["command.execute", () => session.command.execute("true")],
    ["code.run", () => session.code.run("1", "python")],
    ["file.readFile", () => session.file.readFile("/x")],
    ["file.writeFile", () => session.file.writeFile("/x", "y")],
    ["delete", () => session.delete()],
  ];
}

/** More calls, one of each kind of result. */
function moreCalls(agb: AGB, session: Session): Call[] {
  return [
    ["code.run, streamed", () => session.code.run("1", "python", 5, { streamBeta: true })],
    ["file.upload", () => session.file.upload(Buffer.from("x"), "/tmp/x")],
    ["file.download", () => session.file.download("/tmp/x", "/tmp/never-written")],
    ["computer.mouse.move", () => session.computer.mouse.move(1, 1)],
    ["context.list", () => agb.context.list()],
    ["context.clear", () => agb.context.clear("c-1")],
    ["session.context.info", () => session.context.info()],
    ["agb.delete", () => agb.delete(session)],
  ];
}

const KEY = "ako-secret-key";

function agbAt(endpoint: string, timeoutMs = 60_000): AGB {
  return new AGB({ apiKey: KEY, config: { endpoint, timeoutMs } });
}

describe("when nobody answers", () => {
  it("every call resolves with a failure that says so, without a request id", async () => {
    const url = CLOSED_ADDRESS;
    // Together: each is tried four times.
    const results = await Promise.all(calls(agbAt(url)).map(async ([name, call]) => [name, await call()] as const));
    for (const [name, result] of results) {
      expect([name, result]).toEqual([name, expect.objectContaining({ success: false, requestId: "" })]);
      expect([name, result.errorMessage]).toEqual([name, expect.stringMatching(/connect|refused/i)]);
      expect(result.errorMessage).toContain(new URL(url).host);
      expect(result.errorMessage).not.toMatch(/HTTP 0/);
      expect(result.errorMessage).not.toContain(KEY);
    }
  }, 120_000);

  it("the details say that it may be tried again, and how often it was", async () => {
    const result = await agbAt(CLOSED_ADDRESS).create({ imageId: CODE_IMAGE });
    expect(result).toMatchObject({ success: false });
    expect(result.retryable).toBe(true);
    expect(result.attempts).toBeGreaterThan(1);
    expect(result.httpStatusCode).toBeUndefined();
  });

  it("a host that does not exist is named", async () => {
    const result = await agbAt("http://no-such-host.invalid", 5_000).list();
    expect(result).toMatchObject({ success: false, requestId: "", sessionIds: [], maxResults: 10, totalCount: 0 });
    expect(result.errorMessage).toContain("no-such-host.invalid");
  });
});

describe("deadlines", () => {
  it("a service that never answers ends every call at the time-out", async () => {
    await withServer(
      () => undefined,
      async ({ url }) => {
        const agb = agbAt(url, 300);
        const waiting = calls(agb).filter(([name]) => !["command.execute", "code.run"].includes(name));
        const results = await Promise.all(waiting.map(async ([name, call]) => [name, await call()] as const));
        for (const [name, result] of results) {
          expect([name, result]).toEqual([
            name,
            expect.objectContaining({
              success: false,
              requestId: "",
              errorMessage: expect.stringMatching(/time|300/i),
            }),
          ]);
        }
      },
    );
  }, 30_000);

  it("a body that trickles for ever ends at the time-out as well", async () => {
    const timers = new Set<NodeJS.Timeout>();
    const trickle: Answer = (_, response) => {
      response.writeHead(200, { "Content-Type": "application/json" });
      const timer = setInterval(() => response.write(" "), 50);
      timers.add(timer);
      response.on("close", () => clearInterval(timer));
    };
    await withServer(trickle, async ({ url }) => {
      const result = await agbAt(url, 500).list();
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/time|500/i) });
    });
    for (const timer of timers) clearInterval(timer);
  }, 30_000);

  it("readTimeout shortens one call on both routes", async () => {
    await withServer(
      () => undefined,
      async ({ url }) => {
        const session = new Session(agbAt(url, 60_000), "s-1");
        const expected = { success: false, errorMessage: expect.stringMatching(/time|200/i) };
        expect(await session.callMcpTool("any", {}, 200)).toMatchObject(expected);
        expect(await session.getMetrics(200)).toMatchObject(expected);
        Object.assign(session, { linkUrl: url, token: "t", toolList: '[{"name":"any","server":"srv"}]' });
        expect(await session.callMcpTool("any", {}, 200)).toMatchObject(expected);
      },
    );
  }, 30_000);

  it("a tool may take as long as its own limit says, beyond the configured time-out", async () => {
    const agb = clientOf(spec.emulator);
    const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
    agb.config.timeoutMs = 1_000;
    for (const linkUrl of [session.linkUrl, ""]) {
      session.linkUrl = linkUrl;
      expect(await session.command.execute("sleep 2; echo late", 30_000)).toMatchObject({
        success: true,
        stdout: "late\n",
      });
    }
  }, 60_000);
});

describe("retries", () => {
  afterEach(() => spec.emulator.faults.clear());

  const busy = (status: number): EmulatorFault => ({
    operation: "*",
    kind: "status",
    status,
    body: "<html>busy</html>",
  });
  /** How many requests reached the service while `work` ran. */
  const sent = async (work: () => Promise<unknown>) => (await spec.requestsOf(work)).length;

  it.each([503, 502, 504, 429])("a safe call is repeated after %p and succeeds", async (status) => {
    const session = await spec.create();
    spec.emulator.faults.add(busy(status));
    const requests = await sent(async () => {
      expect(await session.getStatus()).toMatchObject({ success: true, status: "RUNNING" });
    });
    expect(requests).toBe(2);
  });

  it("a safe call is repeated when the connection broke", async () => {
    spec.emulator.faults.add({ operation: "ListSession", kind: "reset" });
    const requests = await sent(async () => expect(await spec.agb.list()).toMatchObject({ success: true }));
    expect(requests).toBe(2);
  });

  it("repeating ends: the failure tells how often it was sent", async () => {
    spec.emulator.faults.add({ ...busy(503), count: Infinity });
    const requests = await sent(async () => {
      const result = await spec.agb.list();
      expect(result).toMatchObject({ success: false });
      expect(result).toMatchObject({ httpStatusCode: 503, retryable: true, attempts: 4 });
    });
    expect(requests).toBe(4);
  });

  it.each([
    ["create", 503],
    ["code.run", 503],
    ["command.execute", 502],
    ["callMcpTool", 429],
  ])("%s is never sent twice: it may have been done (%p)", async (name, status) => {
    spec.emulator.faults.add({ ...busy(status), count: Infinity });
    const call = calls(spec.agb).find(([candidate]) => candidate === name)?.[1];
    expect(await sent(async () => expect(await call?.()).toMatchObject({ success: false }))).toBe(1);
  });

  it.each(["create", "code.run", "command.execute", "callMcpTool"])(
    "%s is never sent twice when the connection broke",
    async (name) => {
      spec.emulator.faults.add({ operation: "*", kind: "reset", count: Infinity });
      const call = calls(spec.agb).find(([candidate]) => candidate === name)?.[1];
      const requests = await sent(async () => {
        expect(await call?.()).toMatchObject({
          success: false,
          requestId: "",
          errorMessage: expect.stringMatching(/may have been executed/),
        });
      });
      expect(requests).toBe(1);
    },
  );

  it("a refusal by the service is not repeated", async () => {
    const refusal: Answer = (_, response) =>
      reply(response, 400, { success: false, code: "Bad", message: "no", requestId: "r" });
    await withServer(refusal, async ({ url, requests }) => {
      expect(await agbAt(url).list()).toMatchObject({ success: false, errorMessage: "no", requestId: "r" });
      expect(requests).toHaveLength(1);
    });
  });
});

describe("answers that are no envelope", () => {
  it("an error page gives the status and a short excerpt, not the page", async () => {
    const page = `<html><head><title>502 Bad Gateway</title></head><body>${"<p>nginx</p>".repeat(2000)}</body></html>`;
    await withServer(
      (_, response) => reply(response, 502, page, { "Content-Type": "text/html", "x-request-id": "edge-1" }),
      async ({ url }) => {
        const result = await agbAt(url).create({ imageId: CODE_IMAGE });
        expect(result).toMatchObject({ success: false, requestId: "edge-1" });
        expect(result.errorMessage).toMatch(/502/);
        expect(result.errorMessage?.length).toBeLessThan(600);
        expect(result.httpStatusCode).toBe(502);
      },
    );
  });

  it.each([
    ["an empty body", ""],
    ["no JSON", "hello"],
    ["a number", "7"],
    ["null", "null"],
    ["a list", "[]"],
    ["a text", '"hello"'],
    ["an object without success", "{}"],
    ["a success that is a text", '{"success":"true"}'],
    ["a success that is 1", '{"success":1}'],
    ["half an object", '{"success":true'],
  ])(
    "%s with status 200 is a failure of every call",
    async (_, body) => {
      await withServer(
        (_request, response) => reply(response, 200, body, { "x-request-id": "head-1" }),
        async ({ url }) => {
          for (const [name, call] of calls(agbAt(url))) {
            const result = await call();
            expect([name, result]).toEqual([name, expect.objectContaining({ success: false, requestId: "head-1" })]);
            expect([name, result.errorMessage]).toEqual([name, expect.stringMatching(/./)]);
          }
        },
      );
    },
    60_000,
  );

  it("JSON within a JSON text is read", async () => {
    await withServer(
      (_, response) => reply(response, 200, JSON.stringify(JSON.stringify(ok({ status: "RUNNING" })))),
      async ({ url }) => {
        expect(await new Session(agbAt(url), "s-1").getStatus()).toMatchObject({
          status: "RUNNING",
          requestId: "r-ok",
        });
      },
    );
  });

  it.each([[7], [""], [null], [undefined]])("the request id %p gives way to the header's", async (requestId) => {
    await withServer(
      (_, response) => reply(response, 200, { ...ok(), requestId }, { "x-request-id": "head-1" }),
      async ({ url }) => {
        expect(await new Session(agbAt(url), "s-1").keepAlive()).toEqual({ requestId: "head-1", success: true });
      },
    );
  });

  it("an answer that breaks off is a failure", async () => {
    await withServer(
      (_, response) => {
        response.writeHead(200, { "Content-Type": "application/json", "Content-Length": "1000" });
        response.write('{"success":true,');
        setTimeout(() => response.destroy(), 20);
      },
      async ({ url }) => {
        const result = await agbAt(url).create({ imageId: CODE_IMAGE });
        expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/./) });
      },
    );
  });

  it("redirects are not followed; the failure names where they lead", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok(sessionData())),
      async (target) => {
        await withServer(
          (_, response) =>
            reply(response, 302, "", { Location: `${target.url}/mcp/createSession`, "x-request-id": "head-1" }),
          async ({ url }) => {
            const result = await agbAt(url).create({ imageId: CODE_IMAGE });
            expect(result).toMatchObject({
              success: false,
              requestId: "head-1",
              errorMessage: expect.stringMatching(/302|redirect/i),
            });
            expect(target.requests).toEqual([]);
          },
        );
      },
    );
  });

  it("an error with status 500 and an envelope gives the service's own words", async () => {
    await withServer(
      (_, response) =>
        reply(response, 500, { success: false, code: "Internal.Error", message: "we broke", requestId: "r-5" }),
      async ({ url }) => {
        const result = await agbAt(url).create({ imageId: CODE_IMAGE });
        expect(result).toEqual({ requestId: "r-5", success: false, errorMessage: "we broke" });
        expect(result).toHaveProperty("code", "Internal.Error");
        expect(result).toHaveProperty("httpStatusCode", 500);
      },
    );
  });

  it("a failure without a message still says something", async () => {
    await withServer(
      (_, response) => reply(response, 400, { success: false, code: "Some.Code", requestId: "r-5" }),
      async ({ url }) => {
        for (const [name, call] of calls(agbAt(url))) {
          const result = await call();
          expect([name, result]).toEqual([
            name,
            expect.objectContaining({ success: false, requestId: "r-5", errorMessage: expect.stringMatching(/./) }),
          ]);
        }
      },
    );
  });
});

describe("fields that were assigned and can't be used", () => {
  const assigned: [string, (agb: AGB) => unknown, RegExp][] = [
    ["an empty key", (agb) => Object.assign(agb, { apiKey: "" }), /API key is required/],
    ["a key that is no text", (agb) => Object.assign(agb, { apiKey: 5 }), /apiKey must be a string, got number/],
    ["a time-out of 0", ({ config }) => Object.assign(config, { timeoutMs: 0 }), /timeoutMs is "0"/],
    ["a time-out that is no number", ({ config }) => Object.assign(config, { timeoutMs: "5" }), /got string/],
    ["an endpoint that is none", ({ config }) => Object.assign(config, { endpoint: "::bad" }), /"::bad" is not an/],
  ];

  it.each(assigned)(
    "%s: every call resolves with a failure that says so, and nothing is sent",
    async (_, assign, text) => {
      const agb = clientOf(spec.emulator);
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      // Were it asked, the environment would have a key that works.
      const saved = process.env.AGB_API_KEY;
      process.env.AGB_API_KEY = spec.emulator.apiKey;
      try {
        assign(agb);
        const requests = await spec.requestsOf(async () => {
          for (const [name, call] of [...calls(agb), ...moreCalls(agb, session)]) {
            const result = await call();
            expect([name, result]).toEqual([name, expect.objectContaining({ success: false })]);
            expect([name, result.errorMessage]).toEqual([name, expect.stringMatching(text)]);
          }
          expect(() => session.lifecycle).toThrow(AGBError);
          await expect(session[Symbol.asyncDispose]()).rejects.toThrow(SessionError);
          await expect(agb.listAll().next()).rejects.toThrow(AGBError);
        });
        expect(requests).toEqual([]);
      } finally {
        if (saved === undefined) delete process.env.AGB_API_KEY;
        else process.env.AGB_API_KEY = saved;
      }
    },
  );

  it("the results are those of the surface, with its words", async () => {
    const agb = clientOf(spec.emulator);
    agb.config.endpoint = "::bad";
    const why = /: the endpoint "::bad" is not an http\(s\) URL or host/.source;
    const text = (prefix: string) => expect.stringMatching(new RegExp(`^${prefix}${why}`));
    expect(await agb.list()).toEqual({
      requestId: "",
      success: false,
      errorMessage: text("Failed to list sessions"),
      sessionIds: [],
      nextToken: "",
      maxResults: 0,
      totalCount: 0,
    });
    expect(await agb.create({ imageId: CODE_IMAGE })).toEqual({
      requestId: "",
      success: false,
      errorMessage: text("Failed to create session"),
    });
    expect(await agb.get("s-1")).toEqual({
      requestId: "",
      success: false,
      errorMessage: text("Failed to get session s-1"),
      session: null,
    });
    expect(await agb.getSession("s-1")).toEqual({
      requestId: "",
      httpStatusCode: 0,
      code: "",
      success: false,
      errorMessage: text("Failed to get session s-1"),
    });
    const session = new Session(agb, "s-1");
    expect((await session.command.execute("true")).errorMessage).toEqual(text("Failed to execute command"));
    expect((await session.callMcpTool("shell", {})).errorMessage).toEqual(text("Failed to call MCP tool shell"));
    const streamed = await session.code.run("1", "python", 5, { streamBeta: true });
    expect(streamed.errorMessage).toEqual(text("Failed to run code"));
  });

  it("what is put right works again, and nothing was forgotten", async () => {
    const session = await spec.create();
    const agb = session.getAgb() as AGB;
    const { timeoutMs } = agb.config;
    agb.config.timeoutMs = 0;
    expect(await session.keepAlive()).toMatchObject({ success: false });
    agb.config.timeoutMs = timeoutMs;
    expect(await session.keepAlive()).toMatchObject({ success: true });
    expect(session.lifecycle.idleRemainingMs).toBeGreaterThan(0);
  });

  it.each([undefined, null, 5])("a session whose id is %p says so", async (id) => {
    const ofSession = calls(spec.agb, new Session(spec.agb, id as never)).slice(4);
    for (const [name, call] of ofSession) {
      const result = await call();
      expect([name, result]).toEqual([name, expect.objectContaining({ success: false })]);
      expect([name, result.errorMessage]).toEqual([name, expect.stringContaining("sessionId must be a string, got")]);
    }
  });

  it("a session without a client says so", async () => {
    const result = await new Session(undefined as never, "s-1").keepAlive();
    expect(result).toMatchObject({ success: false, requestId: "", errorMessage: expect.stringMatching(/./) });
  });

  it.each([
    ["token", { token: 5 }],
    ["linkUrl", { linkUrl: 5 }],
    ["wsUrl", { wsUrl: {} }],
    ["name", { mcpTools: [{ name: 5 }] }],
  ])("a %s that is no text says so", async (name, fields) => {
    const session = Object.assign(new Session(spec.agb, "s-1"), fields);
    expect(await session.callMcpTool("shell", {})).toMatchObject({
      success: false,
      errorMessage: expect.stringContaining(`${name} must be a string`),
    });
  });
});

it("a session that can't be replaced says so of every kind of call, and nothing is left waiting", async () => {
  const session = await spec.agb.open({ imageId: CODE_IMAGE }, { recreate: true });
  await new Session(clientOf(spec.emulator), session.getSessionId()).delete();
  await session.getStatus();
  using _fault = spec.emulator.faults.add({ operation: "createSession", kind: "status", status: 400, count: "always" });
  const failure = { success: false, errorMessage: expect.stringMatching(/creating another failed/) };

  const bytes = Buffer.alloc(1 << 20);
  expect(await session.file.upload("package.json", "/tmp/x")).toMatchObject({ ...failure, bytesSent: 0 });
  expect(await session.file.upload(bytes, "/tmp/x")).toMatchObject({ ...failure, bytesSent: 0 });
  expect(await session.file.upload(Readable.from([bytes]), "/tmp/x")).toMatchObject({ ...failure, bytesSent: 0 });
  const sink = new PassThrough();
  expect(await session.file.download("/tmp/x", sink)).toMatchObject({ ...failure, bytesReceived: 0 });
  expect(sink.destroyed).toBe(false);
  expect(await session.code.run("1", "python", 5, { streamBeta: true })).toMatchObject(failure);
  expect(await session.keepAlive()).toMatchObject(failure);
});

describe("arguments of the wrong kind are named", () => {
  it.each([[[1]], ["x"], [5], [true]])("args and labels %p", async (value) => {
    const session = new Session(spec.agb, "s-1");
    const requests = await spec.requestsOf(async () => {
      const called = await session.callMcpTool("shell", value as never);
      expect(called.errorMessage).toMatch(/^args must be an object, got /);
      const listed = await spec.agb.list(value as never);
      expect(listed.errorMessage).toMatch(/^labels must be an object, got /);
      await expect(spec.agb.listAll(value as never).next()).rejects.toThrow(/^labels must be an object, got /);
    });
    expect(requests).toEqual([]);
  });

  it("a symbol is named, too", async () => {
    const result = await new Session(spec.agb, "s-1").file.writeFile("/x", "a", Symbol("mode") as never);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringContaining("Symbol(mode)") });
  });
});

describe("what native code throws by itself", () => {
  const { reporting } = jest.requireActual<{ reporting<T extends object>(native: T): T }>("../dist/support/stand-in");
  const native = reporting({
    field: 7,
    give: async (value: number) => value,
    reject: () => Promise.reject(new Error("native code panicked: oh")),
    raise() {
      throw new Error("can't convert");
    },
  });

  it("is an AGBError of the kind Internal", async () => {
    await expect(native.reject()).rejects.toThrow(AGBError);
    await expect(native.reject()).rejects.toMatchObject({
      message: "Internal error of agbcloud-native, please report it: native code panicked: oh",
      extra: { kind: "Internal" },
      cause: new Error("native code panicked: oh"),
    });
    expect(() => native.raise()).toThrow(AGBError);
  });

  it("what it gives stays as it is", async () => {
    expect(native.field).toBe(7);
    expect(await native.give(8)).toBe(8);
  });

  it("covers what can't be converted", async () => {
    const { agbTargetOf } = jest.requireActual("../dist/support/target");
    const { client, apiKey } = spec.agb;
    const call = () => agbTargetOf(client, apiKey).get(5);
    expect(call).toThrow(AGBError);
    expect(call).toThrow(/^Internal error of agbcloud-native.*convert/);
  });
});

describe("a wrong key", () => {
  it("every call fails with 401, AccessDenied and a request id, and does not show the key", async () => {
    const agb = new AGB({ apiKey: KEY, config: { endpoint: spec.emulator.url } });
    for (const [name, call] of calls(agb)) {
      const result = await call();
      expect([name, result.success, name === "delete" || /key/i.test(result.errorMessage ?? "")]).toEqual([
        name,
        false,
        true,
      ]);
      expect([name, result.requestId]).toEqual([name, spec.emulator.journal().at(-1)?.requestId]);
      expect(result.errorMessage).not.toContain(KEY);
      expect([name, (result as { code?: string }).code]).toEqual([name, "AccessDenied"]);
      expect([name, (result as { httpStatusCode?: number }).httpStatusCode]).toEqual([name, 401]);
    }
  });

  it("a link token that is wrong fails with 401", async () => {
    const session = await spec.create();
    session.token = "wrong-token";
    const result = await session.callMcpTool("get_metrics", {});
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/token/i) });
    expect(result.httpStatusCode).toBe(401);
    expect(result.errorMessage).not.toContain("wrong-token");
  });
});

it("many failures at once, then everything works: nothing is left broken", async () => {
  const agb = clientOf(spec.emulator);
  const unknown = new Session(agb, "session-unknown");
  const results = await Promise.all(Array.from({ length: 100 }, () => unknown.keepAlive()));
  expect(new Set(results.map(({ errorMessage }) => errorMessage))).toEqual(
    new Set(["Resource [McpSession] is not found"]),
  );
  expect(new Set(results.map(({ requestId }) => requestId)).size).toBe(100);
  expect(await agb.list()).toMatchObject({ success: true });
});
