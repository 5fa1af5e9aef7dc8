/** The emulator as JavaScript sees it: starting, limits, clock, journal, sessions, and its end. */

import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { inspect } from "node:util";
import { AGB, AGBError, Emulator, type EmulatorOptions, Session } from "agbcloud-native";
import {
  CODE_IMAGE,
  clientOf,
  sessionOf,
  startEmulator,
  useEmulator,
  withEmulator,
  withFreedPort,
} from "./support/emulator";
import { withoutAgbVariables } from "./support/environment";

const spec = useEmulator();

/** A request as anybody may send it, without the client. */
async function raw(path: string, options: { method?: string; key?: string | null; body?: string } = {}) {
  const { method = "POST", key = spec.emulator.apiKey, body } = options;
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (key !== null) headers.authorization = `Bearer ${key}`;
  const response = await fetch(`${spec.emulator.url}${path}`, {
    method,
    headers,
    body: method === "GET" ? undefined : body,
  });
  return { status: response.status, envelope: (await response.json()) as Record<string, unknown> };
}

describe("starting", () => {
  it("listens on this machine alone, on a free port, with a random key", async () => {
    expect(spec.emulator.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(spec.emulator.apiKey.length).toBeGreaterThanOrEqual(16);
    await withEmulator({}, async (other) => {
      expect(other.url).not.toBe(spec.emulator.url);
      expect(other.apiKey).not.toBe(spec.emulator.apiKey);
    });
  });

  it("takes the key that it is given", async () => {
    await withEmulator({ apiKey: "ako-mine" }, async (emulator, agb) => {
      expect(emulator.apiKey).toBe("ako-mine");
      expect(await agb.list()).toMatchObject({ success: true });
    });
  });

  it("says how it keeps sessions apart, and which interpreters it found", async () => {
    expect(["namespace", "plain"]).toContain(spec.emulator.isolation);
    expect(spec.emulator.summary).toContain(`isolation: ${spec.emulator.isolation}`);
    expect(spec.emulator.summary).toMatch(/Python: \//);
    expect(spec.emulator.summary).toMatch(/JavaScript: \//);
    const forced = process.env.AGB_TEST_ISOLATION;
    if (forced) expect(spec.emulator.isolation).toBe(forced);
  });

  it("keeps sessions plainly apart when told so", async () => {
    const emulator = await Emulator.start({ isolation: "plain" });
    try {
      expect(emulator.isolation).toBe("plain");
      const session = sessionOf(await clientOf(emulator).create({ imageId: CODE_IMAGE }));
      expect((await session.command.execute("echo plain", 20_000)).stdout).toBe("plain\n");
    } finally {
      await emulator.close();
    }
  });

  it("gives the same ids and tokens for the same seed", async () => {
    const seen = async (seed: number) =>
      withEmulator({ seed }, async (_, agb) => {
        const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
        return [session.getSessionId(), session.token, session.resourceId];
      });
    const first = await seen(7);
    expect(await seen(7)).toEqual(first);
    expect((await seen(8))[0]).not.toBe(first[0]);
  });

  it("knows the images of the documentation, and those it is told", async () => {
    await withEmulator({ images: ["my-image"] }, async (_, agb) => {
      expect(await agb.create({ imageId: "my-image" })).toMatchObject({ success: true });
      expect(await agb.create({ imageId: "agb-computer-use-ubuntu-2204" })).toMatchObject({ success: true });
      const unknown = await agb.create({ imageId: "no-such-image" });
      expect(unknown).toMatchObject({ success: false, errorMessage: expect.stringContaining("no-such-image") });
      expect(unknown.requestId).toMatch(/./);
      expect(unknown.httpStatusCode).toBe(400);
    });
  });

  it.each([true, false])("gives every session a link URL or none, when told so (%p)", async (linkUrl) => {
    await withEmulator({ linkUrl }, async (_, agb) => {
      for (const imageId of [CODE_IMAGE, "agb-computer-use-1"]) {
        expect(sessionOf(await agb.create({ imageId })).linkUrl !== "").toBe(linkUrl);
      }
    });
  });

  it("uses the interpreters that it is told", async () => {
    await withEmulator({ node: process.execPath }, async (_, agb) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      const run = await session.code.run("process.version", "javascript");
      expect(run.results.find(({ isMainResult }) => isMainResult)?.text).toContain(process.version);
    });
  });

  it("names an interpreter that does not work, and takes the one on PATH", async () => {
    await withEmulator({ python: "/no/such/python3" }, async (emulator) => {
      expect(emulator.summary).toMatch(/\/no\/such\/python3 does not work/);
    });
  });

  const refusals: [EmulatorOptions, RegExp][] = [
    [{ port: -1 }, /port/],
    [{ port: 2 ** 16 }, /port/],
    [{ port: 1.5 }, /port/],
    [{ port: Number.NaN }, /port/],
    [{ port: "80" as never }, /port/],
    [{ seed: -1 }, /seed/],
    [{ seed: 1e20 }, /seed/],
    [{ maxSessions: -1 }, /maxSessions/],
    [{ maxSessions: "2" as never }, /maxSessions/],
    [{ maxBodyBytes: 0.5 }, /maxBodyBytes/],
    [{ maxOutputBytes: Number.POSITIVE_INFINITY }, /maxOutputBytes/],
    [{ isolation: "none" as never }, /isolation/],
    [{ isolation: 7 as never }, /isolation/],
    [{ apiKey: 7 as never }, /apiKey/],
    [{ apiKey: "" }, /apiKey/],
    [{ images: "one" as never }, /images/],
    [{ images: [7] as never }, /images/],
    [{ python: 7 as never }, /python/],
    [{ linkUrl: "yes" as never }, /linkUrl/],
  ];

  it.each(refusals)("refuses %p by name", async (options, message) => {
    const error = await Emulator.start(options).then(
      async (emulator) => {
        await emulator.close();
        return undefined;
      },
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AGBError);
    expect((error as AGBError).message).toMatch(message);
  });

  it("takes null and undefined options for not given", async () => {
    const none = { port: null, apiKey: undefined, seed: null, isolation: undefined, images: null, node: null };
    const emulator = await startEmulator(none as never);
    await emulator.close();
    expect(emulator.url).toMatch(/^http/);
  });

  it("says that a port is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      const error = await startEmulator({ port }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AGBError);
      expect((error as AGBError).message).toMatch(new RegExp(`${port}.*taken`));
      expect((error as AGBError).message).not.toContain("\n");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe("env", () => {
  withoutAgbVariables();

  it("makes clients of this and other processes use the emulator", async () => {
    expect(spec.emulator.env).toEqual({ AGB_ENDPOINT: spec.emulator.url, AGB_API_KEY: spec.emulator.apiKey });
    Object.assign(process.env, spec.emulator.env);
    expect(await new AGB().list()).toMatchObject({ success: true });
  });
});

describe("who may ask", () => {
  it.each([
    ["no key", null],
    ["an empty key", ""],
    ["a wrong key", "wrong"],
  ])("%s gets 401 and an envelope that names the key", async (_, key) => {
    for (const path of ["/mcp/createSession?imageId=agb-code-space-1", "/mcp", "/sdk/SetLabel?sessionId=x"]) {
      const { status, envelope } = await raw(path, { key, body: "{}" });
      expect(status).toBe(401);
      expect(envelope).toMatchObject({
        success: false,
        code: "AccessDenied",
        httpStatusCode: 401,
        requestId: expect.stringMatching(/./),
        message: expect.stringMatching(/key/i),
      });
      expect(envelope).not.toHaveProperty("data");
    }
  });

  it("a route that is not there gets 501, naming it", async () => {
    const { status, envelope } = await raw("/sdk/NoSuchThing", { method: "GET" });
    expect(status).toBe(501);
    expect(envelope).toMatchObject({ success: false, message: expect.stringContaining("/sdk/NoSuchThing") });
  });

  it.each([
    ["no JSON", "{oops"],
    ["a list", "[]"],
    ["a number", "7"],
    ["an id that is no text", '{"sessionId":7}'],
    ["no id", "{}"],
    ["nothing", ""],
  ])("a body that is %s gets an envelope, not a crash", async (_, body) => {
    const { status, envelope } = await raw("/mcp/getSession", { body });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(envelope).toMatchObject({
      success: false,
      requestId: expect.stringMatching(/./),
      message: expect.stringMatching(/./),
    });
  });

  it.each([
    ["args that are no JSON", { args: "oops" }],
    ["args that are a list", { args: "[]" }],
    ["args that are a number", { args: 7 }],
    ["no name", { args: "{}", name: undefined }],
    ["a name that is no text", { args: "{}", name: {} }],
  ])("a tool call with %s fails with a reason", async (_, members) => {
    const session = await spec.create();
    const body = JSON.stringify({ sessionId: session.getSessionId(), name: "shell", ...members });
    const { envelope } = await raw("/mcp?autoGenSession=false", { body });
    const said = JSON.stringify(envelope);
    const data = envelope.data as { isError?: boolean } | undefined;
    expect(envelope.success === false || data?.isError === true).toBe(true);
    expect(said).toMatch(/args|name|tool|argument/i);
    expect(await session.keepAlive()).toMatchObject({ success: true });
  });

  it.each([
    ["labels that are no JSON", '{"labels":"{oops"}'],
    ["a time-out that is a text", '{"timeout":"soon"}'],
    ["a list", "[]"],
  ])("creation with %s is refused with a reason", async (_, body) => {
    const { status, envelope } = await raw(`/mcp/createSession?imageId=${CODE_IMAGE}`, { body });
    expect(status).toBe(400);
    expect(envelope).toMatchObject({ success: false, message: expect.stringMatching(/./) });
  });

  it("files of this machine's user are out of reach: file tools see what the session's shell sees", async () => {
    const session = await spec.create();
    const mine = `${homedir()}/.agb-spec-absent`;
    const written = await session.file.writeFile(`/tmp/../..${mine}`, "x");
    expect(existsSync(mine)).toBe(false);
    const seen = await session.command.execute(`test -e ${mine}`, 20_000);
    expect(seen.success).toBe(written.success);
    const shadow = await session.file.readFile("/etc/shadow");
    expect(shadow).toMatchObject({ success: false, content: "" });
  });
});

describe("limits", () => {
  it("of the request body", async () => {
    await withEmulator({ maxBodyBytes: 2000 }, async (emulator, agb) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      for (const linkUrl of [session.linkUrl, ""]) {
        session.linkUrl = linkUrl;
        const result = await session.callMcpTool("write_file", { path: "/tmp/big", content: "x".repeat(3000) });
        expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/2,?000/) });
        expect(result.httpStatusCode).toBe(413);
      }
      expect(await session.keepAlive()).toMatchObject({ success: true });
      expect(emulator.sessions()).toHaveLength(1);
    });
  });

  it("of sessions alive at once", async () => {
    await withEmulator({ maxSessions: 2 }, async (_, agb) => {
      const first = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      await agb.create({ imageId: CODE_IMAGE });
      const third = await agb.create({ imageId: CODE_IMAGE });
      expect(third).toMatchObject({ success: false, errorMessage: expect.stringMatching(/\b2\b/) });
      expect(third.errorMessage).toMatch(/quota exceeded|resource limits/);
      expect(third.requestId).toMatch(/./);
      expect(await first.delete()).toMatchObject({ success: true });
      expect(await agb.create({ imageId: CODE_IMAGE })).toMatchObject({ success: true });
    });
  });

  it.each([true, false])("of a tool's output, which is cut with a note (link %p)", async (linkUrl) => {
    await withEmulator({ maxOutputBytes: 10_000, linkUrl }, async (_, agb) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      const note = /\[output cut at the limit of 10000 bytes; \d+ bytes were dropped\]/;
      const command = await session.command.execute("echo why >&2; head -c 100000 /dev/zero; exit 3", 30_000);
      expect(command).toMatchObject({ success: false, exitCode: 3, stderr: "why\n" });
      expect(command.stdout).toMatch(/^\0{1000}/);
      expect(command.stdout).toMatch(note);
      const run = await session.code.run("print('x' * 100000)\n6 * 7", "python");
      expect(run.success).toBe(true);
      expect(run.results.at(-1)?.text).toBe("42");
      expect(run.logs.stdout.join("")).toMatch(/^x{5000}/);
      expect(run.logs.stdout.join("")).toMatch(note);
      expect((await session.command.execute("echo fine", 30_000)).stdout).toBe("fine\n");
    });
  });
});

describe("advance", () => {
  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_VALUE, 1e13, "5", undefined, null])(
    "refuses %p",
    async (ms) => {
      const error = await spec.emulator.advance(ms as number).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AGBError);
      expect((error as AGBError).message).toMatch(/advance.*milliseconds/);
      expect((error as AGBError).extra).toEqual({ kind: "InvalidArgument" });
    },
  );

  it("moves the clock of sessions and journal, not real time", async () => {
    await withEmulator({}, async (emulator, agb) => {
      await agb.list();
      const before = Date.now();
      await emulator.advance(3_600_000);
      await agb.list();
      const [first, second] = emulator.journal();
      const moved = Date.parse(second?.at ?? "") - Date.parse(first?.at ?? "");
      expect(moved).toBeGreaterThanOrEqual(3_600_000);
      expect(Date.now() - before).toBeLessThan(600_000);
    });
  });

  it("0 is fine, and many at once are done one after the other", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE, idleReleaseTimeout: 100 }));
      await emulator.advance(0);
      await Promise.all(Array.from({ length: 10 }, () => emulator.advance(5_000)));
      const view = emulator.sessions()[0];
      expect(view?.timeLeft).toBeLessThanOrEqual(50);
      expect(view?.timeLeft).toBeGreaterThan(10);
      expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    });
  });

  it("moves one emulator, not another one", async () => {
    await withEmulator({}, async (emulator) => {
      const session = await spec.create({ idleReleaseTimeout: 60 });
      await emulator.advance(3_600_000);
      expect(spec.view(session)).toMatchObject({ wireStatus: "RUNNING" });
      expect(spec.view(session).timeLeft).toBeGreaterThan(10);
    });
  });
});

describe("sessions", () => {
  it("tells each session's life, oldest first", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const first = sessionOf(await agb.create({ imageId: CODE_IMAGE, labels: { a: "b" }, idleReleaseTimeout: 90 }));
      const second = sessionOf(await agb.create({ imageId: "agb-browser-use-1" }));
      const [one, two] = emulator.sessions();
      expect(one).toEqual({
        id: first.getSessionId(),
        imageId: CODE_IMAGE,
        state: "created",
        wireStatus: "RUNNING",
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/),
        idleReleaseTimeout: 90,
        timeLeft: expect.any(Number),
        lifetimeLeft: expect.any(Number),
        labels: { a: "b" },
      });
      expect(two).toMatchObject({ id: second.getSessionId(), imageId: "agb-browser-use-1", idleReleaseTimeout: 300 });
      expect(one?.lifetimeLeft).toBeLessThanOrEqual(1800);
      expect(one?.lifetimeLeft).toBeGreaterThan(1700);

      await first.keepAlive();
      const kept = emulator.sessions()[0];
      expect(kept).toMatchObject({ state: "idle", lastCall: { operation: "refreshSessionIdleTime" } });
      expect(await first.delete()).toMatchObject({ success: true });
      expect(emulator.sessions()[0]).toMatchObject({
        state: "released",
        wireStatus: "FINISH",
        endReason: expect.stringMatching(/api/i),
      });
    });
  });

  it("are snapshots: changing one changes nothing", async () => {
    const session = await spec.create({ labels: { a: "b" } });
    spec.view(session).labels.a = "changed";
    expect(spec.view(session).labels).toEqual({ a: "b" });
  });
});

describe("the journal", () => {
  it("tells every request, oldest first", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      await session.callMcpTool("read_file", { path: "/tmp/absent" });
      await session.keepAlive();
      await new Session(agb, "session-unknown").keepAlive();
      const [created, called, kept, refused] = emulator.journal();
      expect(emulator.journal().map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
      expect(created).toMatchObject({
        method: "POST",
        operation: "createSession",
        status: 200,
        code: "ok",
        success: true,
      });
      expect(called).toMatchObject({
        operation: "callTool",
        tool: "read_file",
        sessionId: session.getSessionId(),
        status: 200,
        success: false,
        resetsIdleTimer: true,
      });
      expect(kept).toMatchObject({ sessionId: session.getSessionId(), success: true, resetsIdleTimer: true });
      expect(refused).toMatchObject({
        sessionId: "session-unknown",
        status: 400,
        code: "InvalidMcpSession.NotFound",
        success: false,
        resetsIdleTimer: false,
      });
      for (const request of emulator.journal()) {
        expect(request.durationMs).toBeGreaterThanOrEqual(0);
        expect(request.at).toMatch(/^\d{4}-.*Z$/);
        expect(request.requestId).toMatch(/./);
      }
    });
  });

  it("holds no key and no token", async () => {
    const session = await spec.create();
    await session.callMcpTool("get_metrics", {});
    await raw("/mcp/getSession", { key: "wrong-secret-key", body: `{"sessionId":"${session.getSessionId()}"}` });
    const told = JSON.stringify(spec.emulator.journal());
    for (const secret of [spec.emulator.apiKey, session.token, "wrong-secret-key"]) expect(told).not.toContain(secret);
  });

  it("can be cleared, and counts on", async () => {
    await withEmulator({}, async (emulator, agb) => {
      await agb.list();
      emulator.clearJournal();
      expect(emulator.journal()).toEqual([]);
      await agb.list();
      expect(emulator.journal()).toHaveLength(1);
      expect(emulator.journal()[0]?.seq).toBe(2);
    });
  });
});

describe("expectNoLiveSessions", () => {
  it("is content when every session was deleted or released", async () => {
    await withEmulator({}, async (emulator, agb) => {
      emulator.expectNoLiveSessions();
      const deleted = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      await agb.create({ imageId: CODE_IMAGE, idleReleaseTimeout: 60 });
      expect(await deleted.delete()).toMatchObject({ success: true });
      await emulator.advance(66_000);
      emulator.expectNoLiveSessions();
    });
  });

  it("names each session that is left, with its creation time and last call", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const silent = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      expect(() => emulator.expectNoLiveSessions()).toThrow(AGBError);
      expect(() => emulator.expectNoLiveSessions()).toThrow(/^1 session is still alive/);
      const used = sessionOf(await agb.create({ imageId: "agb-browser-use-1" }));
      await used.callMcpTool("get_metrics", {});
      const [one, two] = emulator.sessions();
      const text = messageOf(() => emulator.expectNoLiveSessions()).split("\n");
      expect(text[0]).toMatch(/^2 sessions are still alive/);
      expect(text[1]).toContain(silent.getSessionId());
      expect(text[1]).toContain(`created at ${one?.createdAt}`);
      expect(text[1]).toMatch(/no call/);
      expect(text[2]).toContain(used.getSessionId());
      expect(text[2]).toContain("agb-browser-use-1");
      expect(text[2]).toContain(`created at ${two?.createdAt}`);
      expect(text[2]).toContain(`last call ${two?.lastCall?.operation} at ${two?.lastCall?.at}`);
      expect(text).toHaveLength(3);
    });
  });
});

describe("the end", () => {
  it("close ends everything: calls fail, also those under way, and closing twice is fine", async () => {
    const emulator = await startEmulator();
    const agb = clientOf(emulator);
    const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
    await session.command.execute("true", 20_000);
    const running = session.command.execute("sleep 300", 600_000);
    await emulator.close();
    await emulator.close();
    expect(await running).toMatchObject({ success: false, errorMessage: expect.stringMatching(/./) });
    expect(await session.keepAlive()).toMatchObject({ success: false, requestId: "" });
    expect(await agb.create({ imageId: CODE_IMAGE })).toMatchObject({ success: false });
  });

  it("a closed emulator still answers questions about itself", async () => {
    const emulator = await startEmulator({ apiKey: "k" });
    await clientOf(emulator).list();
    await Promise.all([emulator.close(), emulator.close()]);
    expect(emulator.apiKey).toBe("k");
    expect(emulator.sessions()).toEqual([]);
    expect(emulator.journal()).toHaveLength(1);
    const late = await Promise.race([
      emulator.advance(1000).then(
        () => "done",
        () => "refused",
      ),
      new Promise((resolve) => setTimeout(resolve, 20_000, "hangs").unref()),
    ]);
    expect(late).not.toBe("hangs");
  });

  it("Symbol.asyncDispose closes it", async () => {
    const emulator = await startEmulator();
    const agb = clientOf(emulator);
    expect(await agb.list()).toMatchObject({ success: true });
    await emulator[Symbol.asyncDispose]();
    expect(await agb.list()).toMatchObject({ success: false });
  });

  it("await using closes it at the end of the block", async () => {
    let agb: AGB;
    {
      await using emulator = await startEmulator();
      agb = clientOf(emulator);
      expect(await agb.list()).toMatchObject({ success: true });
    }
    expect(await agb.list()).toMatchObject({ success: false });
  });

  it("frees its port, and the next emulator takes the port it is told to", async () => {
    await withFreedPort((port) =>
      withEmulator({ port }, async ({ url }) => expect(url).toBe(`http://127.0.0.1:${port}`)),
    );
  });
});

it("shows address and isolation of itself, never the key", () => {
  const { emulator } = spec;
  expect(emulator.toJSON()).toMatchObject({ url: emulator.url, isolation: emulator.isolation });
  for (const text of [JSON.stringify(emulator), inspect(emulator, { showHidden: true, depth: 9 }), String(emulator)]) {
    expect(text).not.toContain(emulator.apiKey);
  }
});

function messageOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}
