// @one-isolation: what is tested is the client.

/** What is known of a session's life without asking, what keeps it alive, and who hears of it. */

import {
  AGB,
  type ExpiringEvent,
  type KeepAliveFailedEvent,
  type KeepAliveOptions,
  type ReleasedEvent,
  type Session,
} from "agbcloud-native";
import { CODE_IMAGE, clientOf, sessionOf, useEmulator } from "./support/emulator";
import { start } from "./support/processes";
import { must } from "./support/session";
import { blockEventLoop, until } from "./support/wait";

const spec = useEmulator();

/** The keep-alives that the service got for a session. */
function beatsOf(session: Session): number {
  return spec.emulator
    .journal()
    .filter(({ path, query }) => path === "/mcp/refreshSessionIdleTime" && query.sessionId === session.getSessionId())
    .length;
}

describe("session.lifecycle", () => {
  it("agrees with the emulator to a second, from creation to release", async () => {
    // The service counts from somewhere within a call, so that a slow one leaves more open.
    let slowestMs = 0;
    const timed = async <T>(call: () => Promise<T>): Promise<T> => {
      const began = performance.now();
      const result = await call();
      slowestMs = Math.max(slowestMs, performance.now() - began);
      return result;
    };
    const session = await timed(() => spec.create({ idleReleaseTimeout: 60 }));
    const agree = () => {
      const { timeLeft, lifetimeLeft, createdAt, state } = spec.view(session);
      const life = session.lifecycle;
      expect(life).toMatchObject({ state, idleReleaseTimeout: 60 });
      const apart = [
        (life.idleRemainingMs ?? Number.NaN) - timeLeft * 1000,
        (life.lifetimeRemainingMs ?? Number.NaN) - lifetimeLeft * 1000,
        Number(life.createdAt) - Date.parse(createdAt),
      ];
      expect(Math.max(...apart.map(Math.abs))).toBeLessThan(1000 + slowestMs);
      return life;
    };
    expect(agree()).toMatchObject({ state: "created", lastActivityAt: null });
    await spec.emulator.advance(20_000);
    agree();
    must(await timed(() => session.command.execute("true", 20_000)));
    expect(agree().lastActivityAt).toBeInstanceOf(Date);
    await spec.emulator.advance(30_000);
    expect(agree()).toMatchObject({ state: "idle" });
    must(await timed(() => session.keepAlive()));
    agree();
    // Just over: what the emulator does at the release takes real time as well.
    await spec.emulator.advance(60_001);
    expect(session.lifecycle).toMatchObject({ state: "idle", idleRemainingMs: 0 });
    expect(session.lifecycle).not.toHaveProperty("releaseReason");
    await spec.emulator.advance(7_000);
    expect(session.lifecycle).toMatchObject({ state: "released", releaseReason: "idleTimeout", confirmed: false });
    expect(await session.getStatus()).toMatchObject({ status: "FINISH" });
    expect(session.lifecycle).toMatchObject({ releaseReason: "idleTimeout", confirmed: true });
  });

  it("is active while a call runs, and idle afterwards", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const call = session.command.execute("while [ ! -e go ]; do sleep 0.02; done", 60_000);
    await until("the call is under way", () => session.lifecycle.state === "active");
    await until("the emulator has it", () => spec.view(session).state === "active");
    await spec.emulator.advance(600_000);
    expect(session.lifecycle).toMatchObject({ state: "active", idleRemainingMs: 60_000 });
    must(await session.file.writeFile("go", "now"));
    must(await call);
    expect(session.lifecycle.state).toBe("idle");
  });

  it("knows of a found session what this process has seen of it", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const other = new AGB({ apiKey: spec.emulator.apiKey, config: { endpoint: spec.emulator.url, timeoutMs: 20_000 } });
    const found = sessionOf(await other.get(session.getSessionId()));
    const unknown = { idleReleaseTimeout: null, idleRemainingMs: null, lifetimeRemainingMs: null, createdAt: null };
    expect(found.lifecycle).toMatchObject({ state: "idle", ...unknown });
    // In the same client it is the same life.
    expect(sessionOf(await spec.agb.get(session.getSessionId())).lifecycle).toMatchObject({ idleReleaseTimeout: 60 });
    must(await session.delete());
    expect(session.lifecycle).toMatchObject({ state: "released", releaseReason: "deleted", confirmed: true });
    expect(await found.keepAlive()).toMatchObject({ success: false });
    expect(found.lifecycle).toMatchObject({ state: "released", releaseReason: "unknown", confirmed: true });
  });

  it("counts a session as alive whose call got no answer: the service held the timer while it ran there", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const ends: ReleasedEvent[] = [];
    session.on("released", (event) => ends.push(event));
    const sessionId = session.getSessionId();
    spec.emulator.faults.add({ operation: "callTool", tool: "shell", sessionId, kind: "reset", when: "after" });
    const call = session.command.execute("while [ ! -e go ]; do sleep 0.02; done", 60_000);
    await until("the emulator has it", () => spec.view(session).state === "active");
    await spec.emulator.advance(300_000);
    const other = sessionOf(await clientOf(spec.emulator).get(sessionId));
    must(await other.file.writeFile("go", "now"));
    expect(await call).toMatchObject({ success: false });
    expect(session.lifecycle).toMatchObject({ idleRemainingMs: 0 });
    expect(session.lifecycle.state).not.toBe("released");
    must(await session.keepAlive());
    expect(session.lifecycle.idleRemainingMs).toBeGreaterThan(50_000);
    expect(ends).toEqual([]);
  });

  it("sends nothing", async () => {
    const session = await spec.create({});
    const sent = await spec.requestsOf(async () => {
      expect(session.lifecycle.idleReleaseTimeout).toBe(300);
      expect(session.keepAliveStatus()).toBeNull();
    });
    expect(sent).toEqual([]);
  });
});

describe("the automatic keep-alive", () => {
  it("keeps a session alive that nobody uses, up to the maximum lifetime, and no other", async () => {
    const kept = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    const left = await spec.create({ idleReleaseTimeout: 60 });
    await spec.emulator.advance(1_700_000);
    expect(spec.view(kept).wireStatus).toBe("RUNNING");
    expect(spec.view(left).wireStatus).not.toBe("RUNNING");
    const status = kept.keepAliveStatus();
    expect(status).toMatchObject({ running: true, mode: "always", at: 0.6, idleReleaseTimeout: 60, failures: 0 });
    // 1,700 s at 30 to 42 s each.
    expect(status?.beats).toBeGreaterThanOrEqual(40);
    expect(status?.beats).toBeLessThanOrEqual(57);
    expect(beatsOf(kept)).toBe(status?.beats);
    expect(status?.lastBeatAt).toBeInstanceOf(Date);
    expect(status?.nextBeatInMs).toBeGreaterThan(0);
    expect(kept.lifecycle.idleRemainingMs).toBeGreaterThan(15_000);

    await spec.emulator.advance(120_000);
    expect(kept.keepAliveStatus()).toMatchObject({ running: false, stopReason: "lifetimeCap", nextBeatInMs: null });
    expect(kept.lifecycle).toMatchObject({ state: "released", releaseReason: "lifetimeCap" });
  });

  it("leaves out the beats that calls make superfluous", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    for (let round = 0; round < 10; round++) {
      await spec.emulator.advance(15_000);
      must(await session.getLabels());
    }
    expect(session.keepAliveStatus()?.beats).toBe(0);
  });

  it("starts and stops when it is told, also for a session that was found", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const other = new AGB({ apiKey: spec.emulator.apiKey, config: { endpoint: spec.emulator.url, timeoutMs: 20_000 } });
    const found = sessionOf(await other.get(session.getSessionId()));
    expect(() => found.startKeepAlive()).toThrow(/idleReleaseTimeout/);
    found.startKeepAlive({ idleReleaseTimeout: 60, at: 0.5 });
    await spec.emulator.advance(300_000);
    expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    found.stopKeepAlive();
    expect(found.keepAliveStatus()).toMatchObject({ running: false, stopReason: "stopped" });
    await spec.emulator.advance(62_000);
    expect((await session.getStatus()).status).not.toBe("RUNNING");
    expect(await found.keepAlive()).toMatchObject({ success: false });
    expect(() => found.startKeepAlive({ idleReleaseTimeout: 60 })).toThrow(/released/);
  });

  it("ends after maxDurationS", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: { maxDurationS: 120 } });
    // The last beat came after 78 s at the earliest, and after 120 s at the latest.
    await spec.emulator.advance(125_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "maxDuration" });
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    await spec.emulator.advance(62_000);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("beats only while something holds the session, in the mode whileHeld", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: { mode: "whileHeld" } });
    const hold = session.hold("a question to a model");
    expect(hold.reason).toBe("a question to a model");
    await spec.emulator.advance(300_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    {
      const another = session.hold();
      hold.release();
      hold.release();
      await spec.emulator.advance(120_000);
      expect(spec.view(session).wireStatus).toBe("RUNNING");
      another[Symbol.dispose]();
    }
    await spec.emulator.advance(62_000);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("comes from a thread that a blocked event loop does not stop", async () => {
    const session = await spec.create({ idleReleaseTimeout: 20, autoKeepAlive: { at: 0.05 } });
    blockEventLoop(6_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    // One comes after 1 to 3 s.
    expect(session.keepAliveStatus()?.beats).toBeGreaterThanOrEqual(1);
    session.stopKeepAlive();
  });

  it("ends when the event loop has not run for stopIfLoopStalledS", async () => {
    const session = await spec.create({ idleReleaseTimeout: 20, autoKeepAlive: { at: 0.05, stopIfLoopStalledS: 5 } });
    await until("a beat", () => (session.keepAliveStatus()?.beats ?? 0) >= 1, 60_000);
    // A beat is wanted every 1 to 3 s.
    blockEventLoop(10_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "loopStalled" });
  }, 90_000);

  it("refuses bad options before a session is made", async () => {
    const before = spec.emulator.sessions().length;
    const create = (autoKeepAlive: unknown) =>
      spec.agb.create({ imageId: CODE_IMAGE, autoKeepAlive } as Parameters<typeof spec.agb.create>[0]);
    const faults: [unknown, RegExp][] = [
      ["yes", /autoKeepAlive must be true or an object, got string/],
      [{ mode: "sometimes" }, /mode must be 'always' or 'whileHeld', got 'sometimes'/],
      [{ mode: 1 }, /mode must be a string/],
      [{ at: 1.5 }, /between 0 and 1/],
      [{ at: "0.5" }, /at must be a finite number/],
      [{ maxDurationS: -1 }, /maxDurationS must be a number of seconds more than 0/],
      [{ stopIfLoopStalledS: Number.NaN }, /stopIfLoopStalledS must be a finite number/],
    ];
    for (const [given, errorMessage] of faults) {
      expect(await create(given)).toMatchObject({ success: false, errorMessage: expect.stringMatching(errorMessage) });
    }
    expect(spec.emulator.sessions().length).toBe(before);
    expect(await create(null)).toMatchObject({ success: true });
    expect(await create(false)).toMatchObject({ success: true });
  });
});

describe("session.on", () => {
  it("tells of calls, of times that run out, and of the end", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60 });
    const heard: unknown[] = [];
    session
      .on("active", () => heard.push("active"))
      .on("idle", () => heard.push("idle"))
      .on("expiring", ({ what, remainingMs }: ExpiringEvent) => heard.push([what, remainingMs <= 12_000]))
      .on("released", (event: ReleasedEvent) => heard.push(event));
    must(await session.keepAlive());
    await until("a call was heard of", () => heard.length === 2);
    await spec.emulator.advance(50_000);
    await until("the notice", () => heard.length === 3);
    await spec.emulator.advance(20_000);
    await until("the end", () => heard.length === 4);
    expect(heard).toEqual(["active", "idle", ["idle", true], { reason: "idleTimeout", confirmed: false }]);
  });

  it("tells a deletion, once and off as they should, and of nothing to those who left", async () => {
    const session = await spec.create({});
    const calls: string[] = [];
    const left = () => calls.push("left");
    session.once("idle", () => calls.push("once"));
    session.on("idle", left).off("idle", left).off("idle", left);
    session.on("released", ({ reason }) => calls.push(reason));
    must(await session.keepAlive());
    must(await session.keepAlive());
    must(await session.delete());
    await until("the deletion", () => calls.includes("deleted"));
    expect(calls).toEqual(["once", "deleted"]);
  });

  it("calls the others when a listener throws or rejects", async () => {
    const session = await spec.create({});
    let called = 0;
    session.on("idle", () => {
      throw new Error("on purpose");
    });
    session.on("idle", async () => {
      throw new Error("on purpose, too");
    });
    session.on("idle", () => called++);
    must(await session.keepAlive());
    await until("the third listener", () => called === 1);
  });

  it("tells that the maximum lifetime runs out", async () => {
    const session = await spec.create({ idleReleaseTimeout: 3_600 });
    const heard: ExpiringEvent[] = [];
    session.on("expiring", (event) => heard.push(event));
    await spec.emulator.advance(1_640_000);
    expect(heard).toEqual([]);
    await spec.emulator.advance(45_000);
    await until("the notice", () => heard.length === 1);
    expect(heard).toEqual([{ what: "lifetime", remainingMs: expect.any(Number) }]);
    expect(heard[0]?.remainingMs).toBeLessThanOrEqual(120_000);
    expect(heard[0]?.remainingMs).toBeGreaterThan(75_000);
  });
});

describe("a session that somebody listens to and nobody holds", () => {
  const COLLECTS = `
    import { AGB, Emulator } from "agbcloud-native";
    const emulator = await Emulator.start({ isolation: "plain" });
    const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
    const isTrueInTime = async (condition) => {
      const end = Date.now() + 30_000;
      while (!condition() && Date.now() < end) {
        // A later job: in this one it would be kept for having been looked at.
        await new Promise((resolve) => setTimeout(resolve, 20));
        globalThis.gc();
      }
      return condition();
    };
    const create = async () => (await agb.create({ imageId: "${CODE_IMAGE}", idleReleaseTimeout: 60 })).session;`;

  async function expectTrue(source: string): Promise<void> {
    const args = ["--expose-gc", "--input-type=module", "-"];
    const { code, stdout, stderr } = await start(process.execPath, args, {}, COLLECTS + source).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "true\ntrue\n", stderr: "" });
  }

  it("is forgotten after its end, also when they came after it", () =>
    expectTrue(`
      const ends = {
        deleted: (session) => session.delete(),
        reckoned: () => emulator.advance(70_000),
      };
      for (const end of Object.values(ends)) {
        const refs = [];
        for (const isEarly of [true, false]) {
          const session = await create();
          let released = !isEarly;
          if (isEarly) session.on("released", () => { released = true; });
          await end(session);
          await isTrueInTime(() => released && session.lifecycle.state === "released");
          session.on("idle", () => undefined);
          refs.push(new WeakRef(session));
        }
        console.log(await isTrueInTime(() => refs.every((ref) => ref.deref() === undefined)));
      }
      await emulator.close();`));

  it("is kept until they have heard its end", () =>
    expectTrue(`
      let released = false;
      const ref = await (async () => {
        const session = await create();
        session.on("released", () => { released = true; });
        return new WeakRef(session);
      })();
      for (let round = 0; round < 20; round += 1) {
        globalThis.gc();
        await new Promise(setImmediate);
      }
      await emulator.advance(70_000);
      console.log(await isTrueInTime(() => released));
      console.log(await isTrueInTime(() => ref.deref() === undefined));
      await emulator.close();`));
});

describe("a keep-alive that meets faults", () => {
  /** A session that is kept alive, what went wrong with that, and how it ended. */
  async function watched(idleReleaseTimeout: number, autoKeepAlive: KeepAliveOptions | boolean = true) {
    const session = await spec.create({ idleReleaseTimeout, autoKeepAlive });
    const failures: KeepAliveFailedEvent[] = [];
    const ends: ReleasedEvent[] = [];
    session.on("keepAliveFailed", (event) => failures.push(event)).on("released", (event) => ends.push(event));
    return { session, failures, ends };
  }

  /** A fault of this session's keep-alives. */
  function strike(session: Session, fault: object) {
    const description = { operation: "refreshSessionIdleTime", sessionId: session.getSessionId(), ...fault };
    return spec.emulator.faults.add(description as Parameters<typeof spec.emulator.faults.add>[0]);
  }

  it("is repeated within what is left of the idle timeout, and tells each failure", async () => {
    const { session, failures, ends } = await watched(60);
    strike(session, { kind: "status", status: 500, message: "not now", count: 3 });
    await spec.emulator.advance(60_000);
    await until("three failures were told", () => failures.length === 3);
    expect(failures.map(({ attempt, willRetry }) => [attempt, willRetry])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    for (const { idleRemainingMs, message } of failures) {
      expect(idleRemainingMs).toBeGreaterThan(5_000);
      expect(message).toContain("not now");
    }
    expect(session.keepAliveStatus()).toMatchObject({ running: true, failures: 3 });
    expect(session.keepAliveStatus()?.beats).toBeGreaterThanOrEqual(1);
    expect(session.keepAliveStatus()).not.toHaveProperty("lastError");
    await spec.emulator.advance(60_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    expect(ends).toEqual([]);
  });

  it.each([
    ["breaks its connection", { kind: "reset" }, /connection/],
    ["breaks its connection when the work is done", { kind: "reset", when: "after" }, /connection/],
    ["answers garbage", { kind: "garbage" }, /not JSON/],
    ["refuses", { kind: "status", status: 503, message: "not now" }, /not now/],
  ] as const)("survives a service that %s", async (_what, fault, message) => {
    const { session, failures, ends } = await watched(60);
    const struck = strike(session, fault);
    await spec.emulator.advance(45_000);
    await until("the failure was told", () => failures.length === 1);
    expect(struck.hits).toBe(1);
    expect(failures).toEqual([
      { message: expect.stringMatching(message), attempt: 1, idleRemainingMs: expect.any(Number), willRetry: true },
    ]);
    // It came after 30 to 42 of 60 seconds.
    expect(failures[0]?.idleRemainingMs).toBeGreaterThan(10_000);
    expect(failures[0]?.idleRemainingMs).toBeLessThanOrEqual(30_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: true, failures: 1, beats: 1 });
    expect(session.lifecycle.state).toBe("idle");
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    expect(ends).toEqual([]);
    session.stopKeepAlive();
  });

  it("survives a service that hangs, or takes longer than a beat may: it is given up in time for another", async () => {
    const survives = async (fault: object) => {
      const { session, failures, ends } = await watched(20, { at: 0.1 });
      const struck = strike(session, fault);
      const cameThrough = () => struck.hits === 1 && (session.keepAliveStatus()?.beats ?? 0) >= 1;
      await until("the fault struck and a beat came through", cameThrough, 60_000);
      await until("the failure was told", () => failures.length >= 1);
      const message = expect.stringMatching(/timeout of \d+ms exceeded/);
      expect(failures[0]).toEqual({ message, attempt: 1, idleRemainingMs: expect.any(Number), willRetry: true });
      expect(failures[0]?.idleRemainingMs).toBeGreaterThan(0);
      expect(failures[0]?.idleRemainingMs).toBeLessThan(15_000);
      expect(spec.view(session).wireStatus).toBe("RUNNING");
      expect(ends).toEqual([]);
      session.stopKeepAlive();
    };
    await Promise.all([survives({ kind: "halfOpen" }), survives({ kind: "delay", ms: 40_000 })]);
  }, 90_000);

  it("is only late where the service is slow", async () => {
    const { session, failures, ends } = await watched(60);
    strike(session, { kind: "delay", ms: 200, count: "always" });
    await spec.emulator.advance(130_000);
    expect(session.keepAliveStatus()?.beats).toBeGreaterThanOrEqual(3);
    expect([failures, ends]).toEqual([[], []]);
    session.stopKeepAlive();
  });

  it.each([
    ["hangs", { kind: "halfOpen" }, 4],
    ["breaks its connections", { kind: "reset" }, 60],
  ] as const)(
    "tells of a service that %s for good until the end is reckoned",
    async (_what, fault, idleReleaseTimeout) => {
      const { session, failures, ends } = await watched(idleReleaseTimeout, false);
      strike(session, { ...fault, count: "always" });
      session.startKeepAlive();
      await spec.emulator.advance(idleReleaseTimeout * 1_000 + 10_000);
      await until("the end was told", () => ends.length === 1);
      expect(ends).toEqual([{ reason: "idleTimeout", confirmed: false }]);
      expect(failures.length).toBeGreaterThanOrEqual(2);
      expect(failures.map(({ attempt }) => attempt)).toEqual(failures.map((_, index) => index + 1));
      const left = failures.map(({ idleRemainingMs }) => idleRemainingMs);
      expect(left).toEqual([...left].sort((one, other) => other - one));
      // Five seconds after the end, once a second.
      expect(left.filter((ms) => ms === 0).length).toBeLessThanOrEqual(6);
      expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "released", beats: 0 });
      expect(session.lifecycle).toMatchObject({ state: "released", releaseReason: "idleTimeout", confirmed: false });
      expect(spec.view(session).wireStatus).not.toBe("RUNNING");
    },
    60_000,
  );

  it("gives up when the time is over, and says that the end is only reckoned", async () => {
    const { session, failures, ends } = await watched(60);
    const broken = strike(session, { kind: "status", status: 500, count: "always" });
    await spec.emulator.advance(70_000);
    await until("the end was told", () => ends.length === 1);
    expect(ends).toEqual([{ reason: "idleTimeout", confirmed: false }]);
    expect(failures.length).toBeGreaterThanOrEqual(4);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "released", beats: 0 });
    expect(session.lifecycle).toMatchObject({ state: "released", confirmed: false });
    broken.remove();
    expect(await session.keepAlive()).toMatchObject({ success: false });
    expect(session.lifecycle).toMatchObject({ state: "released", releaseReason: "idleTimeout", confirmed: true });
  });

  it("goes on after an end that was only reckoned also where nobody listens", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    const mute = strike(session, { kind: "status", status: 500, when: "after", count: "always" });
    await spec.emulator.advance(70_000);
    expect(session.keepAliveStatus()).toMatchObject({ running: false, stopReason: "released" });
    mute.remove();
    must(await session.command.execute("true", 20_000));
    await spec.emulator.advance(120_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    session.stopKeepAlive();
  });

  it("goes on after an end that was only reckoned when getStatus finds the session alive", async () => {
    const session = await spec.create({ idleReleaseTimeout: 60, autoKeepAlive: true });
    const mute = strike(session, { kind: "status", status: 500, when: "after", count: "always" });
    await spec.emulator.advance(70_000);
    expect(session.lifecycle).toMatchObject({ state: "released", confirmed: false });
    mute.remove();
    expect(await session.getStatus()).toMatchObject({ status: "RUNNING" });
    expect(session.lifecycle.state).not.toBe("released");
    expect(session.keepAliveStatus()).toMatchObject({ running: true });
    await spec.emulator.advance(120_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    session.stopKeepAlive();
  });

  it("goes on when the service was only thought to have released the session", async () => {
    const { session, ends } = await watched(60);
    // The service counts a beat whose answer is lost; the client can't know.
    const mute = strike(session, { kind: "status", status: 500, when: "after", count: "always" });
    await spec.emulator.advance(70_000);
    await until("the end was told", () => ends.length === 1);
    mute.remove();
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    must(await session.command.execute("true", 20_000));
    expect(session.lifecycle).toMatchObject({ state: "idle" });
    expect(session.keepAliveStatus()).toMatchObject({ running: true });
    await spec.emulator.advance(120_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
  });
});

describe("session.on, wrongly used", () => {
  it("refuses what is no event and what is no function", async () => {
    const session = await spec.create({});
    const on = session.on.bind(session) as (event: unknown, listener: unknown) => void;
    expect(() => on("born", () => {})).toThrow(/has no event 'born', only active, idle/);
    expect(() => on("idle", "listener")).toThrow(/listener must be a function, got string/);
  });
});
