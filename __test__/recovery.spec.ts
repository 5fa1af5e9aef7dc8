// @one-isolation: what is tested is the client.

/** Sessions that are replaced when they are lost. */

import {
  AGB,
  type KeepAliveOptions,
  type OpenOptions,
  type RecreatedEvent,
  type Session,
  SessionError,
} from "agbcloud-native";
import { ok, reply, withServer } from "./support/answers";
import { CODE_IMAGE, clientOf, IMAGE_WITHOUT_LINK, sessionOf, useEmulator } from "./support/emulator";
import { gate, withHeldCreations } from "./support/gate";
import { must } from "./support/session";
import { blockEventLoop, until } from "./support/wait";

const spec = useEmulator();
const livingIds = () => spec.livingIds();

interface Opened {
  session: Session;
  events: RecreatedEvent[];
}

/** A session that is replaced when it is lost; its image has no link, so that losses are told by the envelope. */
async function open(options: OpenOptions = {}, params: object = {}, agb = spec.agb): Promise<Opened> {
  const events: RecreatedEvent[] = [];
  const session = await agb.open(
    { imageId: IMAGE_WITHOUT_LINK, idleReleaseTimeout: 60, ...params },
    { recreate: true, ...options },
  );
  session.on("recreated", (event) => events.push(event));
  return { session, events };
}

/** Has another program delete the session, of which this one hears nothing. */
async function deleteElsewhere(session: Session): Promise<void> {
  must(await sessionOf(await clientOf(spec.emulator).get(session.getSessionId())).delete());
}

/** Lets what can go on do so, on a clock that stands still. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** All but `setTimeout`, which the facade waits with. */
const NOT_FAKED = [
  "Date",
  "hrtime",
  "nextTick",
  "performance",
  "queueMicrotask",
  "setImmediate",
  "clearImmediate",
  "setInterval",
  "clearInterval",
] as const satisfies readonly string[];

/** Waits until somebody waits for a faked timer. */
async function untilTimerSet(): Promise<void> {
  const end = Date.now() + 40_000;
  while (jest.getTimerCount() === 0) {
    if (Date.now() > end) throw new Error("waited in vain: no timer is set");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a session that was idle for too long", () => {
  it.each([CODE_IMAGE, IMAGE_WITHOUT_LINK])(
    "is replaced before the next call on image %s, which runs once",
    async (imageId) => {
      const restored: string[] = [];
      const restore = async (session: Session) => {
        restored.push(session.getSessionId());
        must(await session.file.writeFile("state.txt", "restored"));
      };
      const { session, events } = await open({ restore }, { imageId, labels: { job: "7" } });
      const oldId = session.getSessionId();
      await spec.emulator.advance(70_000);
      expect(session.lifecycle.state).toBe("released");

      const result = must(await session.command.execute("cat state.txt", 20_000));
      expect(result.stdout).toBe("restored");
      const newId = session.getSessionId();
      expect(newId).not.toBe(oldId);
      expect(restored).toEqual([newId]);
      expect(events).toEqual([{ oldId, newId }]);
      expect(session.lifecycle).toMatchObject({ state: "idle", idleReleaseTimeout: 60 });
      expect(spec.view(session)).toMatchObject({ imageId, idleReleaseTimeout: 60, labels: { job: "7" } });
      must(await session.delete());
    },
  );

  it("is replaced at the end of its maximum lifetime, and not before", async () => {
    const { session, events } = await open({}, { autoKeepAlive: true });
    await spec.emulator.advance(1_700_000);
    must(await session.command.execute("true", 20_000));
    expect(events).toEqual([]);
    await spec.emulator.advance(110_000);
    must(await session.command.execute("true", 20_000));
    expect(events).toHaveLength(1);
    // The keep-alive has gone over.
    await spec.emulator.advance(300_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    must(await session.delete());
  });

  it("is not replaced without the option, and never after a deletion", async () => {
    const plain = await spec.agb.open({ imageId: CODE_IMAGE, idleReleaseTimeout: 60 });
    await spec.emulator.advance(70_000);
    expect(await plain.keepAlive()).toMatchObject({ success: false });

    const { session, events } = await open();
    must(await session.delete());
    const before = livingIds();
    expect(await session.keepAlive()).toMatchObject({ success: false });
    expect(await session.command.execute("true", 20_000)).toMatchObject({ success: false });
    expect([events, livingIds()]).toEqual([[], before]);
  });
});

describe("a session that somebody else deleted", () => {
  it("is replaced when a call finds it, and the call that never ran is made again", async () => {
    const { session, events } = await open();
    await deleteElsewhere(session);
    expect(must(await session.command.execute("echo again", 20_000)).stdout).toBe("again\n");
    expect(events).toHaveLength(1);
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(events).toHaveLength(2);
    must(await session.delete());
  });

  it("shares one replacement among the calls that meet the loss together", async () => {
    let restores = 0;
    const { session, events } = await open({ restore: () => restores++ });
    await deleteElsewhere(session);
    const results = await Promise.all([
      session.command.execute("echo 1", 20_000),
      session.command.execute("echo 2", 20_000),
      session.getLabels(),
      session.keepAlive(),
    ]);
    expect(results.map(({ success }) => success)).toEqual([true, true, true, true]);
    expect([events.length, restores]).toEqual([1, 1]);
    must(await session.delete());
  });

  it("does not repeat a call on the link route, which tells not whether it ran", async () => {
    const { session, events } = await open({}, { imageId: CODE_IMAGE });
    await deleteElsewhere(session);
    const oldId = events[0]?.oldId ?? session.getSessionId();
    const result = await session.command.execute("echo once", 20_000);
    expect(result).toMatchObject({ success: false, code: "SessionRecreated" });
    expect(result.errorMessage).toContain(`${oldId} was lost while the call was under way`);
    expect(result.errorMessage).toContain(session.getSessionId());
    expect(must(await session.command.execute("echo next", 20_000)).stdout).toBe("next\n");
    expect(events).toHaveLength(1);
    must(await session.delete());
  });

  it("is not replaced by getStatus, which says what is", async () => {
    const { session, events } = await open();
    await deleteElsewhere(session);
    expect((await session.getStatus()).status).toBe("FINISH");
    expect(events).toEqual([]);
    await session.delete();
  });
});

describe("calls that meet the loss at different times", () => {
  it("are told of the session that they were made for, also when it has been replaced meanwhile", async () => {
    const { session, events } = await open({}, { imageId: CODE_IMAGE });
    const oldId = session.getSessionId();
    await deleteElsewhere(session);
    // Its answer, that the session is gone, comes when another call has found out.
    const late = spec.emulator.faults.add({ operation: "callTool", kind: "delay", ms: 3_000, when: "after" });
    const first = session.command.execute("echo late", 20_000);
    await until("the call has met the loss", () => late.hits === 1);
    must(await session.keepAlive());
    expect(events).toEqual([{ oldId, newId: session.getSessionId() }]);
    const result = await first;
    expect(result).toMatchObject({ success: false, code: "SessionRecreated" });
    expect(result.errorMessage).toContain(`${oldId} was lost while the call was under way`);
    expect(result.errorMessage).toContain(`${session.getSessionId()} has taken its place`);
    expect(events).toHaveLength(1);
    must(await session.delete());
  });

  it("are not repeated where they stream, and the next ones find a new session", async () => {
    const { session, events } = await open();
    const oldId = session.getSessionId();
    const chunks: string[] = [];
    let deletion: Promise<void> | undefined;
    const onStdout = (chunk: string) => {
      chunks.push(chunk);
      deletion ??= deleteElsewhere(session);
    };
    const code = "import time; print('on'); time.sleep(300)";
    const result = await session.code.run(code, "python", 60, { streamBeta: true, onStdout });
    await deletion;
    expect(result).toMatchObject({ success: false, code: "SessionRecreated", logs: { stdout: ["on\n"] } });
    expect(result.errorMessage).toContain(`${oldId} was lost while the call was under way`);
    expect(chunks).toEqual(["on\n"]);
    expect(events).toEqual([{ oldId, newId: session.getSessionId() }]);
    must(await session.delete());
  });

  it("say so also where they give what they have done until then", async () => {
    const { session } = await open();
    for (let round = 1; round <= 3; round++) {
      await deleteElsewhere(session);
      must(await session.keepAlive());
    }
    await deleteElsewhere(session);
    await session.getLabels();
    const transfer = session.file.upload(Buffer.from("x"), "/tmp/x.txt");
    expect(await transfer).toMatchObject({
      success: false,
      errorMessage: expect.stringContaining("recreated 3 times"),
    });
    const streamed = await session.code.run("print(1)", "python", undefined, { streamBeta: true });
    expect(streamed).toMatchObject({ success: false, errorMessage: expect.stringContaining("recreated 3 times") });
  });
});

describe("a session that the program has done with", () => {
  it.each<[string, (session: Session) => Promise<unknown>]>([
    ["deleted", async (session) => must(await session.delete())],
    ["disposed of", (session) => session[Symbol.asyncDispose]()],
  ])("is not left over when it is %s while another one is being made", async (_how, end) => {
    await withHeldCreations(spec.emulator, async (agb, hold) => {
      const { session, events } = await open({}, {}, agb);
      const before = livingIds().filter((id) => id !== session.getSessionId());
      await deleteElsewhere(session);
      const another = hold("before");
      const call = session.keepAlive();
      await another.reached;
      // It waits for the other one, to release that, too.
      const ended = end(session);
      another.letGo();
      await ended;
      expect(await call).toMatchObject({
        success: false,
        errorMessage: expect.stringContaining("has deleted it meanwhile"),
      });
      expect([livingIds(), events]).toEqual([before, []]);
    });
  });

  it("is not left over when it is disposed of, or its block ends, while it is restored", async () => {
    const before = livingIds();
    for (const end of ["dispose", "block"]) {
      const restoring = gate();
      const restored = gate();
      const restore = async () => {
        restoring.open();
        await restored.passed;
      };
      let call: Promise<unknown> | undefined;
      const lose = async (session: Session) => {
        await deleteElsewhere(session);
        call = session.keepAlive();
        await restoring.passed;
      };
      if (end === "dispose") {
        const { session } = await open({ restore });
        await lose(session);
        await session[Symbol.asyncDispose]();
      } else {
        await spec.agb.withSession({ imageId: IMAGE_WITHOUT_LINK }, lose, { recreate: true, restore });
      }
      expect(livingIds()).toEqual(before);
      restored.open();
      expect(await call).toMatchObject({ success: false });
      expect(livingIds()).toEqual(before);
    }
  });

  it("is not replaced by a call that comes after its disposal, though it was lost before", async () => {
    const { session, events } = await open();
    await deleteElsewhere(session);
    await session.getStatus();
    await session[Symbol.asyncDispose]();
    const before = livingIds();
    expect(await session.keepAlive()).toMatchObject({ success: false });
    expect([livingIds(), events]).toEqual([before, []]);
  });
});

describe("what goes over to the new session", () => {
  it("listeners, holds and the keep-alive as it was set last", async () => {
    const { session, events } = await open({}, { autoKeepAlive: { mode: "whileHeld" } });
    const heard: string[] = [];
    session.on("released", ({ reason }) => heard.push(reason));
    const hold = session.hold("over the loss");
    session.startKeepAlive({ mode: "whileHeld", at: 0.5 });
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(events).toHaveLength(1);
    expect(session.keepAliveStatus()).toMatchObject({ running: true, mode: "whileHeld", at: 0.5 });
    await spec.emulator.advance(300_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    hold.release();
    await spec.emulator.advance(70_000);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
    await until("the second end was told", () => heard.length === 2);
    expect(heard).toEqual(["unknown", "idleTimeout"]);
    await session.delete();
  });

  it("the longest time of the keep-alive, which does not begin anew", async () => {
    const { session, events } = await open({}, { autoKeepAlive: { maxDurationS: 120 } });
    await spec.emulator.advance(80_000);
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(session.keepAliveStatus()).toMatchObject({ running: true });
    await spec.emulator.advance(45_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "maxDuration" });
    await spec.emulator.advance(70_000);
    must(await session.keepAlive());
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "maxDuration" });
    // What is set anew has a time of its own.
    session.startKeepAlive({ maxDurationS: 120 });
    await spec.emulator.advance(30_000);
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(events).toHaveLength(3);
    await spec.emulator.advance(30_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: true });
    await spec.emulator.advance(65_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "maxDuration" });
    must(await session.delete());
  });

  it.each([
    ["creation", (options: KeepAliveOptions) => open({}, { idleReleaseTimeout: 40, autoKeepAlive: options })],
    [
      "start",
      async (options: KeepAliveOptions) => {
        const opened = await open({}, { idleReleaseTimeout: 40 });
        opened.session.startKeepAlive(options);
        return opened;
      },
    ],
  ])(
    "the keep-alive of its %s that had ended as the event loop stood still, as it runs again",
    async (_of, begin) => {
      const { session } = await begin({ at: 0.05, stopIfLoopStalledS: 2 });
      // A beat is wanted every 2 to 6 s.
      const end = Date.now() + 40_000;
      while (session.keepAliveStatus()?.running && Date.now() < end) blockEventLoop(100);
      expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "loopStalled" });
      await deleteElsewhere(session);
      must(await session.keepAlive());
      await until(
        "a beat",
        () => session.keepAliveStatus()?.beats !== 0 || !session.keepAliveStatus()?.running,
        60_000,
      );
      expect(session.keepAliveStatus()).toMatchObject({ running: true });
      must(await session.delete());
    },
    120_000,
  );

  it("whether it ends with the program", async () => {
    const { apiKey, url } = spec.emulator;
    const agb = new AGB({ apiKey, config: { endpoint: url }, releaseOnExit: true });
    const session = await agb.open({ imageId: IMAGE_WITHOUT_LINK }, { recreate: true });
    const isLive = () => agb.liveSessions().some(({ sessionId }) => sessionId === session.getSessionId());
    session.detach();
    expect(isLive()).toBe(false);
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(isLive()).toBe(false);
    session.adopt();
    expect(isLive()).toBe(true);
    await deleteElsewhere(session);
    must(await session.keepAlive());
    expect(isLive()).toBe(true);
    must(await session.delete());

    const plain = await open();
    expect(() => plain.session.adopt()).toThrow(/needs an AGB with releaseOnExit/);
    must(await plain.session.delete());
  });

  it("not what was assigned to the fields of the lost one", async () => {
    const { session } = await open({}, { imageId: CODE_IMAGE });
    const link = session.linkUrl;
    session.linkUrl = "";
    await deleteElsewhere(session);
    expect(must(await session.command.execute("echo api", 20_000)).stdout).toBe("api\n");
    expect(session.linkUrl).not.toBe("");
    expect(session.linkUrl).not.toBe(link);
    must(await session.delete());
  });
});

describe("restore", () => {
  it("ends the call with its error as cause, and the new session with it; the next call tries again", async () => {
    const reason = new Error("no network drive");
    let isBroken = true;
    const { session, events } = await open({
      restore: () => {
        if (isBroken) throw reason;
      },
    });
    const before = livingIds().filter((id) => id !== session.getSessionId());
    await deleteElsewhere(session);
    const calls = [session.command.execute("true", 20_000), session.keepAlive()];
    for (const call of calls) {
      const error = await call.then(
        () => undefined,
        (rejection) => rejection,
      );
      expect(error).toBeInstanceOf(SessionError);
      expect(error.cause).toBe(reason);
      expect(error.message).toMatch(/deleted as it could not be restored: no network drive/);
    }
    expect(livingIds()).toEqual(before);
    expect(events).toEqual([]);
    isBroken = false;
    must(await session.command.execute("true", 20_000));
    expect(events).toHaveLength(1);
    must(await session.delete());
  });

  it("says when the new session could not be deleted, which is not kept alive then", async () => {
    const { session } = await open(
      {
        restore: () => {
          throw new Error("no network drive");
        },
      },
      { autoKeepAlive: true },
    );
    await deleteElsewhere(session);
    const stuck = spec.emulator.faults.add({
      operation: "releaseSessionAsync",
      kind: "status",
      status: 400,
      count: "always",
    });
    const error = await session.keepAlive().then(
      () => undefined,
      (rejection) => rejection,
    );
    stuck.remove();
    expect(error).toBeInstanceOf(SessionError);
    expect(error.message).toMatch(/could not be restored, nor deleted \(.+\): .+: no network drive/);
    expect(stuck.hits).toBe(3);
    expect(session.keepAliveStatus()).toMatchObject({ running: false });
    await spec.emulator.advance(70_000);
    expect(livingIds()).not.toContain(session.getSessionId());
    await session.delete();
  });

  it("has its calls to itself while it runs, and what it left behind is a call like any other", async () => {
    const restored = gate();
    const leftOver: Promise<{ success: boolean }>[] = [];
    const { session, events } = await open({
      restore: (fresh) => {
        leftOver.push(restored.passed.then(() => fresh.keepAlive()));
      },
    });
    await deleteElsewhere(session);
    must(await session.keepAlive());
    await deleteElsewhere(session);
    restored.open();
    must((await leftOver[0]) as { success: boolean });
    expect(events).toHaveLength(2);
    must(await session.delete());
  });

  it("may use another session that is restored by the use of this one", async () => {
    const inner = await open({ restore: async () => must(await outer.session.keepAlive()) });
    const outer: Opened = await open({ restore: async () => must(await inner.session.keepAlive()) });
    await deleteElsewhere(inner.session);
    await deleteElsewhere(outer.session);
    must(await outer.session.keepAlive());
    expect([inner.events.length, outer.events.length]).toEqual([1, 1]);
    must(await inner.session.delete());
    must(await outer.session.delete());
  });

  it("ends with the failure of a call that was made elsewhere and waits for it, though it waits for that call", async () => {
    const asked = gate();
    // Work that was begun elsewhere belongs to no restore.
    const elsewhere = asked.passed.then(() => session.keepAlive());
    const { session } = await open({
      restore: async () => {
        asked.open();
        must(await elsewhere);
      },
    });
    await deleteElsewhere(session);
    jest.useFakeTimers({ now: Date.now(), doNotFake: [...NOT_FAKED] });
    try {
      const call = session.keepAlive().catch((error) => error);
      await untilTimerSet();
      jest.advanceTimersByTime(120_000);
      expect(await elsewhere).toMatchObject({ success: false, code: "RestoreUnderWay", retryable: true });
      expect((await call).message).toMatch(/deleted as it could not be restored: .*Waited 120 s in vain until restore/);
    } finally {
      jest.useRealTimers();
    }
    await session.delete();
  });

  it("has two minutes from its beginning, however long the creation took", async () => {
    await withHeldCreations(spec.emulator, async (agb, hold) => {
      const { session, events } = await open({}, {}, agb);
      await deleteElsewhere(session);
      const another = hold("before");
      const first = session.keepAlive();
      await another.reached;
      jest.useFakeTimers({ now: Date.now(), doNotFake: [...NOT_FAKED] });
      try {
        const second = session.keepAlive();
        await someTurns();
        jest.advanceTimersByTime(1_000_000);
        another.letGo();
        must(await second);
        must(await first);
      } finally {
        jest.useRealTimers();
      }
      expect(events).toHaveLength(1);
      must(await session.delete());
    });
  });

  it("replaces nothing itself: a loss meanwhile fails its calls", async () => {
    const results: boolean[] = [];
    const { session } = await open({
      restore: async (fresh) => {
        results.push((await fresh.keepAlive()).success);
        await deleteElsewhere(fresh);
        results.push((await fresh.keepAlive()).success);
        results.push((await session.keepAlive()).success);
      },
    });
    await deleteElsewhere(session);
    const outcome = await session.keepAlive();
    expect(results).toEqual([true, false, false]);
    expect(outcome.success).toBe(false);
    await session.delete();
  });
});

describe("a call that is given up by its signal", () => {
  it("does not wait for the new session, which is made for the others", async () => {
    const [restoring, restored] = [gate(), gate()];
    const { session, events } = await open({
      restore: async () => {
        restoring.open();
        await restored.passed;
      },
    });
    await deleteElsewhere(session);
    const other = session.keepAlive();
    await restoring.passed;
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Promise.allSettled([
      session.code.run("print(1)", "python", 60, { signal }),
      session.code.run("print(1)", "python", 60, { signal, streamBeta: true }),
      session.file.upload(Buffer.from("x"), "/tmp/x.txt", { signal }),
    ]);
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await calls).toEqual(Array(3).fill({ status: "rejected", reason }));
    expect(events).toEqual([]);
    restored.open();
    must(await other);
    expect(events).toHaveLength(1);
    must(await session.delete());
  });

  it("is given up also when it has found the loss itself, and what becomes of the new session does not matter", async () => {
    const [restoring, restored] = [gate(), gate()];
    const { session } = await open({
      restore: async () => {
        restoring.open();
        await restored.passed;
        throw new Error("no network drive");
      },
    });
    await deleteElsewhere(session);
    const controller = new AbortController();
    const { signal } = controller;
    const run = session.code.run("print(1)", "python", 60, { signal }).catch((error) => error);
    await restoring.passed;
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await run).toBe(reason);
    const waiting = session.keepAlive();
    restored.open();
    await expect(waiting).rejects.toThrow(/could not be restored: no network drive/);
    await session.delete();
  });
});

describe("the browser of a lost session", () => {
  interface Service {
    session: Session;
    /** How often each session was asked to start its browser. */
    starts: Map<string, number>;
    /** From now on the session is gone. */
    lose: () => void;
    /** The next start is answered when this has passed. */
    delayStart: (passed: Promise<void>) => void;
  }

  /** Runs `work` with a session of a service that starts browsers without having any. */
  async function withBrowsers(options: OpenOptions, work: (service: Service) => Promise<void>): Promise<void> {
    const gone: string[] = [];
    const starts = new Map<string, number>();
    let made = 0;
    let delay: Promise<void> | undefined;
    await withServer(
      async ({ path, query, body }, response) => {
        const sessionId = query.get("sessionId") ?? "";
        if (gone.some((id) => `${query} ${body}`.includes(id))) {
          const said = { success: false, code: "InvalidMcpSession.NotFound", message: "not found", requestId: "r" };
          return reply(response, 400, said);
        }
        if (path === "/mcp/createSession") {
          made += 1;
          return reply(response, 200, ok({ sessionId: `session-${made}.`, success: true }));
        }
        if (path === "/browser/init") {
          starts.set(sessionId, (starts.get(sessionId) ?? 0) + 1);
          const passed = delay;
          delay = undefined;
          await passed;
        }
        return reply(response, 200, ok({ port: 7, url: `ws://${sessionId}` }));
      },
      async ({ url }) => {
        const agb = new AGB({ apiKey: "any", config: { endpoint: url } });
        const session = await agb.open({ imageId: "any" }, { recreate: true, ...options });
        const lose = () => gone.push(session.getSessionId());
        const delayStart = (passed: Promise<void>) => {
          delay = passed;
        };
        await work({ session, starts, lose, delayStart });
      },
    );
  }

  it("is gone with it: restore starts another one", async () => {
    const seen: boolean[] = [];
    const restore = async ({ browser }: Session) => {
      seen.push(browser.isInitialized(), await browser.initialize({}), browser.isInitialized());
    };
    await withBrowsers({ restore }, async ({ session, starts, lose }) => {
      const { browser } = session;
      expect(await browser.initialize({})).toBe(true);
      lose();
      expect(await browser.getEndpointUrl()).toBe("ws://session-2.");
      expect(seen).toEqual([false, true, true]);
      expect([...starts]).toEqual([
        ["session-1.", 1],
        ["session-2.", 1],
      ]);
    });
    await withBrowsers({}, async ({ session, lose }) => {
      const { browser } = session;
      await browser.initialize({});
      lose();
      must(await session.keepAlive());
      expect([browser.isInitialized(), browser.getOption()]).toEqual([false, null]);
      await expect(browser.getEndpointUrl()).rejects.toThrow("Browser is not initialized");
      expect(await browser.initialize({})).toBe(true);
      expect(await browser.getEndpointUrl()).toBe("ws://session-2.");
    });
  });

  it("does not hold restore up when it is its start that finds the loss", async () => {
    const restore = ({ browser }: Session) => browser.initialize({});
    await withBrowsers({ restore }, async ({ session, lose }) => {
      lose();
      expect(await session.browser.initialize({})).toBe(true);
      expect(session.browser.isInitialized()).toBe(true);
      expect(await session.browser.getEndpointUrl()).toBe("ws://session-2.");
    });
  });

  it("does not count as that of the new one when it starts after all", async () => {
    await withBrowsers({}, async ({ session, starts, lose, delayStart }) => {
      const late = gate();
      delayStart(late.passed);
      const start = session.browser.initialize({});
      await until("it starts", () => starts.size === 1);
      lose();
      must(await session.keepAlive());
      late.open();
      expect(await start).toBe(false);
      expect(session.browser.isInitialized()).toBe(false);
    });
  });
});

describe("limits", () => {
  it("three replacements within ten minutes are enough", async () => {
    const { session, events } = await open();
    for (let round = 1; round <= 3; round++) {
      await deleteElsewhere(session);
      must(await session.keepAlive());
      expect(events).toHaveLength(round);
    }
    await deleteElsewhere(session);
    const before = livingIds();
    expect(await session.keepAlive()).toMatchObject({
      success: false,
      code: "RecreationLimit",
      errorMessage: expect.stringContaining("recreated 3 times within 10 minutes"),
    });
    expect(livingIds()).toEqual(before);

    await spec.emulator.advance(600_000);
    must(await session.keepAlive());
    expect(events).toHaveLength(4);
    must(await session.delete());
  });

  it("says when another session can't be made, and tries again at the next call", async () => {
    const { session, events } = await open();
    await deleteElsewhere(session);
    spec.emulator.faults.add({ operation: "createSession", kind: "status", status: 400 });
    const first = await session.keepAlive();
    expect(first).toMatchObject({ success: false, errorMessage: expect.stringMatching(/creating another failed/) });
    must(await session.keepAlive());
    expect(events).toHaveLength(1);
    must(await session.delete());
  });

  it("gives a new session up that can't be used, as the program has changed the key", async () => {
    await withHeldCreations(spec.emulator, async (agb, hold) => {
      const { apiKey } = agb;
      const { session, events } = await open({}, {}, agb);
      const oldId = session.getSessionId();
      await deleteElsewhere(session);
      const before = livingIds();
      const another = hold("before");
      const call = session.keepAlive();
      await another.reached;
      agb.apiKey = "";
      another.letGo();
      expect(await call).toMatchObject({
        success: false,
        errorMessage: expect.stringMatching(/creating another failed/),
      });
      agb.apiKey = apiKey;
      expect([livingIds(), session.getSessionId(), events]).toEqual([before, oldId, []]);
      must(await session.keepAlive());
      expect(events).toEqual([{ oldId, newId: session.getSessionId() }]);
      must(await session.delete());
    });
  });

  it("bad options are refused before a session is made", async () => {
    const before = livingIds();
    const bad = { recreate: true, restore: "x" } as never;
    await expect(spec.agb.open({ imageId: CODE_IMAGE }, bad)).rejects.toThrow(/restore must be a function/);
    await expect(spec.agb.open({ imageId: CODE_IMAGE }, { recreate: 1 } as never)).rejects.toThrow(/must be a boolean/);
    expect(livingIds()).toEqual(before);
  });
});
