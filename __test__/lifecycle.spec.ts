/** The life of a session: what keeps it alive, what does not, how it ends, and what calls say after its end. */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { AGB, AGBError, type ApiResponse, type Emulator, Session } from "agbcloud-native";
import { CODE_IMAGE, type SpecEmulator, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { until } from "./support/wait";

const spec = useEmulator();

const MCP_NOT_FOUND = "Resource [McpSession] is not found";
const TOOL_NOT_FOUND = "Resource [Session] is not found";

/** Moves the clock to `seconds` before the session's idle timer ends. */
async function advanceToBefore(session: Session, seconds: number): Promise<void> {
  await spec.emulator.advance((spec.view(session).timeLeft - seconds) * 1000);
}

describe("the idle timer", () => {
  it("releases a session by 61 to 65 seconds while another one, kept alive at 45, lives on", async () => {
    const silent = await spec.create({ idleReleaseTimeout: 60 });
    const kept = await spec.create({ idleReleaseTimeout: 60 });

    await spec.emulator.advance(45_000);
    expect(await kept.keepAlive()).toMatchObject({ success: true });
    expect(await silent.getStatus()).toMatchObject({ success: true, status: "RUNNING" });
    expect(spec.view(silent).timeLeft).toBeLessThanOrEqual(15);
    expect(spec.view(kept).timeLeft).toBeGreaterThan(50);

    await advanceToBefore(silent, 8);
    expect(spec.view(silent)).toMatchObject({ wireStatus: "RUNNING" });
    // Eight seconds are left of sixty: thirteen more make at most 65.
    await spec.emulator.advance(13_000);
    expect(spec.view(silent)).toMatchObject({
      timeLeft: 0,
      lifetimeLeft: 0,
      endReason: expect.stringMatching(/idle/i),
    });
    expect(["DELETING", "FINISH", "NOT_FOUND"]).toContain((await silent.getStatus()).status || "NOT_FOUND");
    expect(await silent.keepAlive()).toMatchObject({ success: false, errorMessage: MCP_NOT_FOUND });
    expect((await spec.agb.list({}, 1, 100)).sessionIds).not.toContain(silent.getSessionId());

    expect(await kept.getStatus()).toMatchObject({ success: true, status: "RUNNING" });
    expect((await kept.command.execute("echo alive", 20_000)).stdout).toBe("alive\n");
    expect((await spec.agb.list({}, 1, 100)).sessionIds).toContain(kept.getSessionId());
  });

  it("is that of the client also when its endpoint names the emulator localhost", async () => {
    const endpoint = spec.emulator.url.replace("127.0.0.1", "localhost");
    const agb = new AGB({ apiKey: spec.emulator.apiKey, config: { endpoint } });
    const session = sessionOf(await agb.create({ imageId: CODE_IMAGE, idleReleaseTimeout: 60 }));
    await spec.emulator.advance(40_000);
    expect(session.lifecycle.idleRemainingMs).toBeLessThanOrEqual(20_000);
    expect(await session.delete()).toMatchObject({ success: true });
  });

  it("never releases early", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    await advanceToBefore(session, 5);
    expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    expect(await session.keepAlive()).toMatchObject({ success: true });
  });

  it("is 300 seconds by default", async () => {
    const session = await spec.create();
    expect(spec.view(session)).toMatchObject({ idleReleaseTimeout: 300, state: "created" });
    await spec.emulator.advance(280_000);
    expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    await spec.emulator.advance(25_000);
    expect(spec.view(session).timeLeft).toBe(0);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("keepAlive sets it back to its full length as often as one likes", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    for (let beat = 0; beat < 5; beat++) {
      await spec.emulator.advance(45_000);
      expect(await session.keepAlive()).toMatchObject({ success: true });
      expect(spec.view(session).timeLeft).toBeGreaterThan(50);
    }
  });

  it("one jump over many timers does all that was due on the way, in order", async () => {
    const sessions = [60, 120, 180].map((idleReleaseTimeout) => spec.create({ idleReleaseTimeout }));
    const [first, second, third] = await Promise.all(sessions);
    await spec.emulator.advance(150_000);
    expect(spec.view(first as Session).wireStatus).toBe("NOT_FOUND");
    expect(spec.view(second as Session).wireStatus).not.toBe("RUNNING");
    expect(spec.view(third as Session).wireStatus).toBe("RUNNING");
  });
});

describe("which calls use a session", () => {
  /** Far from the end and far from the beginning of the timer, so that a slow machine changes nothing. */
  const TIMEOUT = 600;
  const PASSED = 300;

  type Call = (session: Session, spec: SpecEmulator) => Promise<ApiResponse & { success: boolean }>;

  const resets: [string, Call][] = [
    ["keepAlive", (session) => session.keepAlive()],
    ["command.execute", (session) => session.command.execute("true", 20_000)],
    ["code.run", (session) => session.code.run("1", "python")],
    ["file.writeFile", (session) => session.file.writeFile("/tmp/used.txt", "x")],
    ["file.getFileInfo", (session) => session.file.getFileInfo("/tmp")],
    ["callMcpTool on the link route", (session) => session.callMcpTool("get_metrics", {})],
    [
      "callMcpTool on the API route",
      (session) => Object.assign(session, { linkUrl: "" }).callMcpTool("get_metrics", {}),
    ],
    ["getMetrics", (session) => session.getMetrics()],
    ["agb.get", (session) => spec.agb.get(session.getSessionId())],
    ["agb.getSession", (session) => spec.agb.getSession(session.getSessionId())],
    ["setLabels", (session) => session.setLabels({ a: "b" })],
    ["getLabels", (session) => session.getLabels()],
    ["info", (session) => session.info()],
    ["getLink", (session) => session.getLink("https", 30_100)],
  ];

  it.each(resets)("%s starts the timer anew", async (_, call) => {
    const session = await spec.create({ idleReleaseTimeout: TIMEOUT });
    await spec.emulator.advance(PASSED * 1000);
    expect(spec.view(session).timeLeft).toBeLessThanOrEqual(TIMEOUT - PASSED);
    const requests = await spec.requestsOf(async () =>
      expect(await call(session, spec)).toMatchObject({ success: true }),
    );
    expect(requests.every(({ resetsIdleTimer }) => resetsIdleTimer)).toBe(true);
    const { timeLeft, state, lastCall } = spec.view(session);
    expect(timeLeft).toBeGreaterThan(TIMEOUT - 100);
    expect(state).toBe("idle");
    expect(lastCall).toEqual({ operation: expect.stringMatching(/./), at: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  const others: [string, Call][] = [
    ["getStatus", (session) => session.getStatus()],
    ["agb.list", () => spec.agb.list({}, 1, 100)],
    ["listMcpTools", (session) => session.listMcpTools()],
  ];

  it.each(others)("%s does not", async (_, call) => {
    const session = await spec.create({ idleReleaseTimeout: TIMEOUT });
    await spec.emulator.advance(PASSED * 1000);
    const requests = await spec.requestsOf(async () =>
      expect(await call(session, spec)).toMatchObject({ success: true }),
    );
    expect(requests).toHaveLength(1);
    expect(requests[0]?.resetsIdleTimer).toBe(false);
    expect(spec.view(session).timeLeft).toBeLessThanOrEqual(TIMEOUT - PASSED);
    expect(spec.view(session).state).toBe("created");
  });

  it("polling the status every two seconds keeps nothing alive", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const seen: string[] = [];
    for (let second = 0; second < 66; second += 2) {
      seen.push((await session.getStatus()).status);
      await spec.emulator.advance(2_000);
    }
    expect(seen[0]).toBe("RUNNING");
    expect((await session.getStatus()).status).not.toBe("RUNNING");
    expect(spec.view(session).timeLeft).toBe(0);
  });
});

describe("a call under way", () => {
  /** A command that runs until `release` is called; starts when `running` resolves. */
  async function heldCall(session: Session) {
    const flag = `/tmp/go-${session.getSessionId()}`;
    const command = session.command.execute(
      `while [ ! -e ${flag} ]; do sleep 0.05; done; rm -f ${flag}; echo done`,
      60_000,
    );
    await until("the command runs", () => spec.view(session).state === "active");
    return { command, release: () => session.file.writeFile(flag, "") };
  }

  it.each(["link", "API"])("holds the idle timer, which starts anew at its end (%s route)", async (route) => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    if (route === "API") session.linkUrl = "";
    const { command, release } = await heldCall(session);
    await spec.emulator.advance(200_000);
    expect(spec.view(session)).toMatchObject({ state: "active", wireStatus: "RUNNING" });
    expect(await release()).toMatchObject({ success: true });
    expect(await command).toMatchObject({ success: true, stdout: "done\n" });
    expect(spec.view(session)).toMatchObject({ state: "idle", wireStatus: "RUNNING" });
    expect(spec.view(session).timeLeft).toBeGreaterThan(50);
    await spec.emulator.advance(70_000);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("holds it while another call comes and goes", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const { command, release } = await heldCall(session);
    expect((await session.command.execute("echo other", 20_000)).stdout).toBe("other\n");
    expect(spec.view(session).state).toBe("active");
    await spec.emulator.advance(200_000);
    expect(spec.view(session)).toMatchObject({ state: "active", wireStatus: "RUNNING" });
    await release();
    expect(await command).toMatchObject({ success: true });
  });

  it("does not hold the maximum lifetime, and fails then", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const { command } = await heldCall(session);
    await spec.emulator.advance(1_805_000);
    const result = await command;
    expect(result.success).toBe(false);
    expect(result.errorMessage).toMatch(/not ?found|expired|invalid/i);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("fails when its session is deleted", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const { command } = await heldCall(session);
    expect(await session.delete()).toMatchObject({ success: true });
    const result = await command;
    expect(result.success).toBe(false);
    expect(result.errorMessage).toMatch(/./);
  });
});

describe("the maximum lifetime", () => {
  it("is 1,800 seconds from creation, however often the session is kept alive", async () => {
    const session = await spec.create({ idleReleaseTimeout: 600 });
    for (let beat = 0; beat < 5; beat++) {
      await spec.emulator.advance(340_000);
      expect(await session.keepAlive()).toMatchObject({ success: true });
    }
    const { timeLeft, lifetimeLeft } = spec.view(session);
    expect(lifetimeLeft).toBeLessThanOrEqual(100);
    // Time left never promises more than the maximum lifetime allows.
    expect(timeLeft).toBeLessThanOrEqual(lifetimeLeft);
    await spec.emulator.advance((lifetimeLeft + 5) * 1000);
    expect(spec.view(session)).toMatchObject({ timeLeft: 0, lifetimeLeft: 0 });
    expect(spec.view(session).endReason).not.toMatch(/idle/i);
    expect(await session.keepAlive()).toMatchObject({ success: false, errorMessage: MCP_NOT_FOUND });
  });

  it("ends a session with a longer idle timeout too", async () => {
    const session = await spec.create({ idleReleaseTimeout: 7200 });
    expect(spec.view(session).idleReleaseTimeout).toBe(7200);
    await spec.emulator.advance(1_700_000);
    expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    await spec.emulator.advance(105_000);
    expect((await session.getStatus()).status).not.toBe("RUNNING");
  });
});

describe("the way down", () => {
  it("is RUNNING, FINISH, then not found", async () => {
    const session = await spec.create();
    await session.code.run("1", "python");
    const way: string[] = [];
    const look = () => {
      const { wireStatus } = spec.view(session);
      if (way.at(-1) !== wireStatus) way.push(wireStatus);
    };
    look();
    let deleted = false;
    const deleting = session.delete().finally(() => {
      deleted = true;
    });
    while (!deleted) {
      look();
      await new Promise(setImmediate);
    }
    look();
    expect(await deleting).toMatchObject({ success: true });
    // DELETING may last too short to be seen.
    expect(way.filter((word) => word !== "DELETING")).toEqual(["RUNNING", "FINISH"]);
    await spec.emulator.advance(60_000);
    expect(spec.view(session).wireStatus).toBe("NOT_FOUND");
  });

  it("is the same after an idle release", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    await advanceToBefore(session, 20);
    const way: string[] = [];
    const look = async () => {
      const { success, status, code } = await session.getStatus();
      const word = success ? status : code;
      if (way.at(-1) !== word) way.push(word);
    };
    for (let step = 0; step < 100; step++) {
      await look();
      await spec.emulator.advance(1_000);
    }
    // Here, too: a jump ends only when what was due is done.
    expect(way.filter((word) => word !== "DELETING")).toEqual(["RUNNING", "FINISH", "InvalidMcpSession.NotFound"]);
    expect(spec.view(session).endReason).toMatch(/idle/i);
  });

  it("shows FINISH for about half a minute", async () => {
    const session = await spec.create();
    expect(await session.delete()).toMatchObject({ success: true });
    await spec.emulator.advance(15_000);
    expect(await session.getStatus()).toMatchObject({ success: true, status: "FINISH" });
    await spec.emulator.advance(45_000);
    expect(await session.getStatus()).toMatchObject({ success: false, status: "", code: "InvalidMcpSession.NotFound" });
    expect(spec.view(session).wireStatus).toBe("NOT_FOUND");
  });

  it("takes everything with it: files and interpreters of one session are not those of the next", async () => {
    const first = await spec.create();
    await first.code.run("kept = 1", "python");
    expect(await first.delete()).toMatchObject({ success: true });
    const second = await spec.create();
    const run = await second.code.run("kept", "python");
    expect(run.success).toBe(false);
    expect(run.errorMessage).toMatch(/kept/);
  });
});

describe("calls on a session that is not there", () => {
  type Gone = { session: Session; agb: AGB; emulator: Emulator };
  type Call = (gone: Gone) => Promise<ApiResponse & { success: boolean; errorMessage?: string }>;

  const sessionCalls: [string, Call][] = [
    ["keepAlive", ({ session }) => session.keepAlive()],
    ["info", ({ session }) => session.info()],
    ["setLabels", ({ session }) => session.setLabels({ a: "b" })],
    ["getLabels", ({ session }) => session.getLabels()],
    ["getLink", ({ session }) => session.getLink("https", 30_100)],
  ];

  const toolCalls: [string, Call][] = [
    ["callMcpTool", ({ session }) => session.callMcpTool("shell", { command: "true" })],
    ["getMetrics", ({ session }) => session.getMetrics()],
    ["command.execute", ({ session }) => session.command.execute("true", 20_000)],
    ["code.run", ({ session }) => session.code.run("1", "python")],
    ["file.createDirectory", ({ session }) => session.file.createDirectory("/tmp/d")],
    ["file.deleteFile", ({ session }) => session.file.deleteFile("/tmp/f")],
    ["file.editFile", ({ session }) => session.file.editFile("/tmp/f", [{ oldText: "a", newText: "b" }])],
    ["file.getFileInfo", ({ session }) => session.file.getFileInfo("/tmp/f")],
    ["file.listDirectory", ({ session }) => session.file.listDirectory("/tmp")],
    ["file.moveFile", ({ session }) => session.file.moveFile("/tmp/f", "/tmp/g")],
    ["file.readFile", ({ session }) => session.file.readFile("/tmp/f")],
    ["file.readFile as bytes", ({ session }) => session.file.readFile("/tmp/f", { format: "bytes" })],
    ["file.readMultipleFiles", ({ session }) => session.file.readMultipleFiles(["/tmp/f"])],
    ["file.searchFiles", ({ session }) => session.file.searchFiles("/tmp", "f")],
    ["file.writeFile", ({ session }) => session.file.writeFile("/tmp/f", "x")],
    ["file.getFileChange", ({ session }) => session.file.getFileChange("/tmp")],
  ];

  /** What fails in a way of its own. */
  const otherCalls: [string, (gone: Gone) => Promise<unknown>][] = [
    ["code.run with streamBeta", ({ session }) => session.code.run("1", "python", 60, { streamBeta: true })],
    [
      "code.stream",
      async ({ session }) => {
        for await (const _ of session.code.stream("1", "python"));
      },
    ],
    ["file.upload", ({ session }) => session.file.upload(__filename, "/tmp/f")],
    ["file.download", ({ session }) => session.file.download("/tmp/f", join(tmpdir(), `agb-gone-${process.pid}`))],
    ["file.transferPath", ({ session }) => session.file.transferPath()],
    ["context.info", ({ session }) => session.context.info()],
    ["context.sync", ({ session }) => session.context.sync("c-1", "/tmp/c")],
    ["browser.initialize", ({ session }) => session.browser.initialize({})],
    ["browser.initializeAsync", ({ session }) => session.browser.initializeAsync({})],
    ["browser.getEndpointUrl", ({ session }) => session.browser.getEndpointUrl()],
    [
      "browser.screenshot",
      ({ session }) => session.browser.screenshot({ evaluate: () => Promise.reject(new Error()) }),
    ],
    ["browser.destroy", ({ session }) => session.browser.destroy()],
    ["browser.agent.navigate", ({ session }) => session.browser.agent.navigate("http://127.0.0.1:1/")],
    ["browser.agent.screenshot", ({ session }) => session.browser.agent.screenshot()],
    ["browser.agent.close", ({ session }) => session.browser.agent.close()],
    ["browser.agent.act", ({ session }) => session.browser.agent.act({ action: "click" })],
    ["browser.agent.actAsync", ({ session }) => session.browser.agent.actAsync({ action: "click" })],
    ["browser.agent.observe", ({ session }) => session.browser.agent.observe({ instruction: "x" })],
    ["browser.agent.observeAsync", ({ session }) => session.browser.agent.observeAsync({ instruction: "x" })],
    ["browser.agent.extract", ({ session }) => session.browser.agent.extract({ instruction: "x", schema: {} })],
    [
      "browser.agent.extractAsync",
      ({ session }) => session.browser.agent.extractAsync({ instruction: "x", schema: {} }),
    ],
    ["computer.screenshot", ({ session }) => session.computer.screenshot()],
    ["computer.mouseClick", ({ session }) => session.computer.mouseClick(1, 1)],
    ["computer.keyPress", ({ session }) => session.computer.keyPress("a")],
    ["computer.app.start", ({ session }) => session.computer.app.start("xterm")],
    ["computer.app.listInstalled", ({ session }) => session.computer.app.listInstalled()],
    ["computer.app.getVisible", ({ session }) => session.computer.app.getVisible()],
    ["computer.app.stopByPname", ({ session }) => session.computer.app.stopByPname("xterm")],
    ["computer.app.stopByPid", ({ session }) => session.computer.app.stopByPid(1)],
    ["computer.app.stopByCmd", ({ session }) => session.computer.app.stopByCmd("true")],
    ["computer.keyboard.type", ({ session }) => session.computer.keyboard.type("a")],
    ["computer.keyboard.press", ({ session }) => session.computer.keyboard.press(["a"])],
    ["computer.keyboard.release", ({ session }) => session.computer.keyboard.release(["a"])],
    ["computer.mouse.click", ({ session }) => session.computer.mouse.click(1, 1)],
    ["computer.mouse.move", ({ session }) => session.computer.mouse.move(1, 1)],
    ["computer.mouse.drag", ({ session }) => session.computer.mouse.drag(1, 1, 2, 2)],
    ["computer.mouse.scroll", ({ session }) => session.computer.mouse.scroll(1, 1)],
    ["computer.mouse.getPosition", ({ session }) => session.computer.mouse.getPosition()],
    ["computer.screen.capture", ({ session }) => session.computer.screen.capture()],
    ["computer.screen.getSize", ({ session }) => session.computer.screen.getSize()],
    ["computer.screen.betaTakeScreenshot", ({ session }) => session.computer.screen.betaTakeScreenshot()],
    ["computer.window.listRootWindows", ({ session }) => session.computer.window.listRootWindows()],
    ["computer.window.getActiveWindow", ({ session }) => session.computer.window.getActiveWindow()],
    ["computer.window.activate", ({ session }) => session.computer.window.activate(1)],
    ["computer.window.close", ({ session }) => session.computer.window.close(1)],
    ["computer.window.maximize", ({ session }) => session.computer.window.maximize(1)],
    ["computer.window.minimize", ({ session }) => session.computer.window.minimize(1)],
    ["computer.window.restore", ({ session }) => session.computer.window.restore(1)],
    ["computer.window.resize", ({ session }) => session.computer.window.resize(1, 100, 100)],
    ["computer.window.fullscreen", ({ session }) => session.computer.window.fullscreen(1)],
    ["computer.window.focusMode", ({ session }) => session.computer.window.focusMode(true)],
  ];

  /** Those that fail without a word, as in the reference. */
  const wordless: Record<string, unknown> = {
    "browser.agent.close": false,
    "browser.initialize": false,
    "browser.initializeAsync": false,
    "file.transferPath": undefined,
  };

  it("are tried with every method of a session and its modules", () => {
    const { browser, code, command, computer, context, file } = new Session(new AGB("any"), "s-1");
    const { app, keyboard, mouse, screen, window } = computer;
    const modules = { browser, "browser.agent": browser.agent, code, command, computer, context, file };
    const parts = { app, keyboard, mouse, screen, window };
    // What looks at nothing but this process, watches until it is told to stop, or is the session's own.
    const local = ["toJSON", "getOption", "isInitialized", "watchDirectory", "watchDir", "callMcpTool"];
    const aliases = ["read"];
    const methods = [
      ...Object.entries(modules).flatMap(([name, object]) => methodsOf(name, object)),
      ...Object.entries(parts).flatMap(([name, object]) => methodsOf(`computer.${name}`, object)),
    ].filter((method) => ![...local, ...aliases].includes(method.split(".").at(-1) ?? ""));
    const tried = new Set([...toolCalls, ...otherCalls].map(([name]) => name.split(" ")[0]));
    expect(methods.filter((method) => !tried.has(method))).toEqual([]);
  });

  function methodsOf(name: string, object: object): string[] {
    const prototype = Object.getPrototypeOf(object);
    if (prototype === Object.prototype) return [];
    const own = Object.entries(Object.getOwnPropertyDescriptors(prototype));
    const methods = own.filter(([key, { value }]) => typeof value === "function" && key !== "constructor");
    return [...methods.map(([key]) => `${name}.${key}`), ...methodsOf(name, prototype)];
  }

  const kinds: [string, (session: Session, emulator: Emulator, agb: AGB) => Promise<Session>][] = [
    [
      "deleted",
      async (session) => {
        expect(await session.delete()).toMatchObject({ success: true });
        return session;
      },
    ],
    [
      "released",
      async (session, emulator) => {
        // Never later than five seconds after the timer, then deleted within one.
        await emulator.advance(307_000);
        return session;
      },
    ],
    [
      "long forgotten",
      async (session, emulator) => {
        await emulator.advance(3_600_000);
        return session;
      },
    ],
    [
      "unknown",
      async (session, _, agb) => {
        const linkUrl = session.linkUrl.replace(session.getSessionId(), "session-unknown");
        expect(linkUrl).not.toBe(session.linkUrl);
        const { token, mcpTools } = session;
        return Object.assign(new Session(agb, "session-unknown"), { linkUrl, token, mcpTools });
      },
    ],
  ];

  describe.each(kinds)("%s", (kind, end) => {
    let gone: Gone;
    let close: () => void;
    let closed: Promise<void>;

    beforeAll(async () => {
      // An emulator of its own: the clock of one kind must not end the session of another.
      await new Promise<void>((ready, fail) => {
        closed = withEmulator({}, async (emulator, agb) => {
          const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
          gone = { session: await end(session, emulator, agb), agb, emulator };
          await new Promise<void>((resolve) => {
            close = resolve;
            ready();
          });
        });
        closed.catch(fail);
      });
    }, 60_000);
    afterAll(async () => {
      close();
      await closed;
    });

    const last = () => gone.emulator.journal().at(-1);
    const details = { code: "InvalidMcpSession.NotFound", httpStatusCode: 400, retryable: false };

    // First, as FINISH is shown for half a minute of real time, too.
    it("getStatus", async () => {
      const result = await gone.session.getStatus();
      if (kind === "deleted" || kind === "released") {
        expect(result).toMatchObject({ success: true, status: "FINISH", httpStatusCode: 200 });
      } else {
        expect(result).toEqual({
          requestId: last()?.requestId,
          httpStatusCode: 400,
          code: "InvalidMcpSession.NotFound",
          success: false,
          status: "",
          errorMessage: MCP_NOT_FOUND,
        });
      }
    });

    it.each(sessionCalls)("%s", async (_, call) => {
      const result = await call(gone);
      expect(result).toEqual({ requestId: last()?.requestId, success: false, errorMessage: MCP_NOT_FOUND });
      expect(result.requestId).toMatch(/./);
      for (const [name, value] of Object.entries(details)) expect(result).toHaveProperty(name, value);
    });

    it("agb.get and agb.getSession", async () => {
      const id = gone.session.getSessionId();
      expect(await gone.agb.get(id)).toEqual({
        requestId: last()?.requestId,
        success: false,
        errorMessage: `Failed to get session ${id}: ${MCP_NOT_FOUND}`,
        session: null,
      });
      expect(await gone.agb.getSession(id)).toEqual({
        requestId: last()?.requestId,
        httpStatusCode: 400,
        code: "InvalidMcpSession.NotFound",
        success: false,
        errorMessage: MCP_NOT_FOUND,
      });
    });

    it.each(toolCalls)("%s on the API route", async (_, call) => {
      const { linkUrl } = gone.session;
      gone.session.linkUrl = "";
      try {
        const result = await call(gone);
        expect(result).toMatchObject({ requestId: last()?.requestId, success: false });
        expect(result.errorMessage).toContain(TOOL_NOT_FOUND);
        expect(last()).toMatchObject({ path: "/mcp", status: 200, code: "InvalidSession.NotFound" });
        expect(result.code).toBe("InvalidSession.NotFound");
      } finally {
        gone.session.linkUrl = linkUrl;
      }
    });

    it.each(toolCalls)("%s on the link route", async (_, call) => {
      const result = await call(gone);
      expect(result).toMatchObject({ requestId: last()?.requestId, success: false });
      expect(last()?.path).toMatch(/\/callTool$/);
      expect(result.errorMessage).toMatch(/session/i);
      expect(result.errorMessage).toMatch(/expired|invalid/i);
    });

    it.each(otherCalls)("%s", async (name, call) => {
      const outcome = await call(gone).catch((error) => error);
      if (name in wordless) {
        expect(outcome).toBe(wordless[name]);
      } else if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(AGBError);
        expect(outcome.message).toMatch(/\w{3}/);
      } else {
        expect(outcome).toMatchObject({ success: false, errorMessage: expect.stringMatching(/\w{3}/) });
      }
    });

    it("delete comes back, and says it if it fails", async () => {
      const result = await gone.agb.delete(gone.session);
      expect(result.requestId).toMatch(/./);
      if (!result.success) expect(result.errorMessage).toBe(`[InvalidMcpSession.NotFound] ${MCP_NOT_FOUND}`);
    });

    it("agb.list does not show it; listMcpTools asks for an image and works", async () => {
      expect(await gone.agb.list()).toMatchObject({ success: true });
      expect((await gone.agb.list()).sessionIds).not.toContain(gone.session.getSessionId());
      expect(await gone.session.listMcpTools(CODE_IMAGE)).toMatchObject({ success: true });
    });
  });
});
