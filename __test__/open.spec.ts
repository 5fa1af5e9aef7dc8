// @one-isolation: what is tested is the client.

/** Sessions that are released on every way out, and operations on all of them. */

import { AGB, AGBError, AuthenticationError, type Session, SessionError } from "agbcloud-native";
import { CODE_IMAGE, clientOf, useEmulator, withEmulator } from "./support/emulator";
import { withHeldCreations } from "./support/gate";
import { rejectionOf } from "./support/rejection";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();
const livingIds = () => spec.livingIds();

async function idsOf(sessions: AsyncIterable<Session>): Promise<string[]> {
  const ids: string[] = [];
  for await (const session of sessions) ids.push(session.getSessionId());
  return ids;
}

describe("agb.open", () => {
  it("gives a session that works, with the label of its creation that users neither see nor lose", async () => {
    const [session, ...requests] = await opened({ imageId: CODE_IMAGE, labels: { team: "a" }, idleReleaseTimeout: 60 });
    expect(requests.map(({ operation }) => operation)).toEqual(["createSession"]);
    expect(session.lifecycle).toMatchObject({ state: "created", idleReleaseTimeout: 60 });
    expect((await session.command.execute("echo open", 20_000)).stdout).toBe("open\n");
    const key = spec.view(session).labels["agbn.create"];
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect((await session.getLabels()).data).toEqual({ team: "a" });
    must(await session.setLabels({ team: "b" }));
    expect(spec.view(session).labels).toEqual({ team: "b", "agbn.create": key });
    expect((await session.getLabels()).data).toEqual({ team: "b" });
    must(await session.delete());
  });

  async function opened(params: Parameters<AGB["open"]>[0]) {
    let session: Session | undefined;
    const requests = await spec.requestsOf(async () => {
      session = await spec.agb.open(params);
    });
    return [session as Session, ...requests] as const;
  }

  it("throws errors that say what is wrong, and sends nothing for bad parameters", async () => {
    const bad: [unknown, RegExp][] = [
      [undefined, /params is required/],
      [{}, /imageId is required/],
      [{ imageId: CODE_IMAGE, labels: [] }, /labels must be an object/],
      [{ imageId: CODE_IMAGE, autoKeepAlive: { at: 2 } }, /between 0 and 1/],
      [{ imageId: CODE_IMAGE, labels: { "agbn.x": "1" } }, /"agbn.x" is reserved/],
    ];
    const sent = await spec.requestsOf(async () => {
      for (const [params, message] of bad) {
        const error = await rejectionOf(spec.agb.open(params as never));
        expect(error).toBeInstanceOf(AGBError);
        expect(error.message).toMatch(message);
        expect(error.stack).toContain("open.spec.ts");
      }
    });
    expect(sent).toEqual([]);
    const stranger = new AGB({ apiKey: "wrong", config: { endpoint: spec.emulator.url } });
    expect(await rejectionOf(stranger.open({ imageId: CODE_IMAGE }))).toBeInstanceOf(AuthenticationError);
    expect((await rejectionOf(spec.agb.open({ imageId: "no-such-image" }))).message).toContain("no-such-image");
  });

  it("gives up with the reason of its signal, and what the service makes all the same is released", async () => {
    const early = AbortSignal.abort(new Error("too early"));
    expect(await rejectionOf(spec.agb.open({ imageId: CODE_IMAGE }, { signal: early }))).toBe(early.reason);

    const before = livingIds();
    const giveUp = () =>
      withHeldCreations(spec.emulator, async (agb, hold) => {
        // The session is there, and its answer on the way, when the creation is given up.
        const creation = hold("after");
        const controller = new AbortController();
        const opening = rejectionOf(agb.open({ imageId: CODE_IMAGE }, { signal: controller.signal }));
        await creation.reached;
        expect(livingIds()).toHaveLength(before.length + 1);
        const reason = new Error("changed my mind");
        controller.abort(reason);
        expect(await opening).toBe(reason);
        creation.letGo();
        await until("nothing is left", () => livingIds().length === before.length);
      });
    const requests = await spec.requestsOf(giveUp);
    expect(requests.filter(({ operation }) => operation === "createSession")).toHaveLength(1);
    const notSignal = rejectionOf(spec.agb.open({ imageId: CODE_IMAGE }, { signal: "x" as never }));
    expect((await notSignal).message).toMatch(/signal must be an AbortSignal/);
  });
});

describe("a creation whose answer gets lost", () => {
  const lost = (description: object) =>
    spec.emulator.faults.add({ operation: "createSession", ...description } as Parameters<
      typeof spec.emulator.faults.add
    >[0]);

  it.each([
    ["a connection that breaks", { kind: "reset", when: "after" }],
    ["an answer that breaks off", { kind: "truncate", bytes: 20 }],
    ["an answer that can't be read", { kind: "garbage" }],
    ["an error of a gateway", { kind: "status", status: 502, when: "after" }],
  ])("is found again after %s, and is as good as any", async (_what, description) => {
    const before = livingIds();
    const fault = lost(description);
    const session = await spec.agb.open({
      imageId: CODE_IMAGE,
      idleReleaseTimeout: 60,
      labels: { job: "1" },
      autoKeepAlive: true,
    });
    expect(fault.hits).toBe(1);
    expect(livingIds()).toEqual([...before, session.getSessionId()]);
    expect((await session.command.execute("echo found", 20_000)).stdout).toBe("found\n");
    expect(session).toMatchObject({ imageId: CODE_IMAGE });
    expect(session.lifecycle).toMatchObject({ idleReleaseTimeout: 60, lifetimeRemainingMs: expect.any(Number) });
    expect((await session.getLabels()).data).toEqual({ job: "1" });
    await spec.emulator.advance(120_000);
    must(await session.delete());
    expect(livingIds()).toEqual(before);
  });

  it("is found again after the time-out of its creation", async () => {
    const before = livingIds();
    const fault = lost({ kind: "halfOpen", when: "after" });
    const session = await impatient(8_000).open({ imageId: CODE_IMAGE });
    expect(fault.hits).toBe(1);
    expect(livingIds()).toEqual([...before, session.getSessionId()]);
    must(await session.delete());
  });

  it("is released when the creation was given up before, at the next attempt if need be", async () => {
    const before = livingIds();
    lost({ kind: "halfOpen", when: "after" });
    const refused = spec.emulator.faults.add({ operation: "releaseSessionAsync", kind: "status", status: 400 });
    const controller = new AbortController();
    const params = { imageId: CODE_IMAGE, autoKeepAlive: true };
    const opening = rejectionOf(impatient(5_000).open(params, { signal: controller.signal }));
    await until("the session is there", () => livingIds().length > before.length);
    controller.abort(new Error("changed my mind"));
    expect(await opening).toBe(controller.signal.reason);
    expect(refused.hits).toBe(0);
    await until("it was found and released", () => livingIds().length === before.length, 45_000);
    expect(refused.hits).toBe(1);
  });

  it("is given up soon where the service answers nothing any more", async () => {
    // An emulator of its own: the session is looked for within that minute, also while other tests count requests.
    await withEmulator({}, async (emulator) => {
      const silent = emulator.faults.add({
        operation: ["createSession", "ListSession"],
        kind: "halfOpen",
        count: "always",
      });
      const error = await rejectionOf(impatient(1_000, emulator).open({ imageId: CODE_IMAGE }));
      // The creation, and what looks for its session within the time-out of one request.
      expect(silent.hits).toBeLessThan(4);
      expect(error.message).toMatch(/is released when it turns up within a minute/);
    });
  });

  const impatient = (timeoutMs: number, { apiKey, url } = spec.emulator) =>
    new AGB({ apiKey, config: { endpoint: url, timeoutMs } });

  it("is the plain failure where nothing was made", async () => {
    const before = livingIds();
    lost({ kind: "status", status: 400 });
    await expect(spec.agb.open({ imageId: CODE_IMAGE })).rejects.toThrow(AGBError);
    expect(livingIds()).toEqual(before);
  });

  it("rejects in the end where it can't be found, and releases what turns up later", async () => {
    const before = livingIds();
    lost({ kind: "reset", when: "after" });
    const blind = spec.emulator.faults.add({ operation: "ListSession", kind: "status", status: 400, count: "always" });
    const error = await rejectionOf(spec.agb.open({ imageId: CODE_IMAGE }));
    expect(error.message).toMatch(/is released when it turns up within a minute/);
    expect(blind.hits).toBeGreaterThanOrEqual(5);
    expect(livingIds()).toHaveLength(before.length + 1);
    blind.remove();
    await until("the session was found and released", () => livingIds().length === before.length, 40_000);
  });

  it("is not searched for by a plain create, unless it is asked for", async () => {
    lost({ kind: "reset", when: "after" });
    const sent = await spec.requestsOf(async () => {
      expect(await spec.agb.create({ imageId: CODE_IMAGE })).toMatchObject({ success: false });
    });
    expect(sent.map(({ operation }) => operation)).not.toContain("ListSession");
    lost({ kind: "reset", when: "after" });
    expect(await spec.agb.create({ imageId: CODE_IMAGE, recoverCreate: true })).toMatchObject({ success: true });
    await spec.agb.deleteAll({});
  });
});

describe("await using", () => {
  it("deletes the session at the end of the block, and one that is gone already is no failure", async () => {
    const session = await spec.agb.open({ imageId: CODE_IMAGE });
    await session[Symbol.asyncDispose]();
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
    const sent = await spec.requestsOf(() => session[Symbol.asyncDispose]());
    expect(sent).toEqual([]);

    const other = await spec.agb.open({ imageId: CODE_IMAGE });
    must(
      await clientOf(spec.emulator).delete(
        (await clientOf(spec.emulator).get(other.getSessionId())).session as Session,
      ),
    );
    await other[Symbol.asyncDispose]();
  });

  it("keeps a session that could not be deleted alive no longer", async () => {
    const session = await spec.agb.open({ imageId: CODE_IMAGE, idleReleaseTimeout: 60, autoKeepAlive: true });
    spec.emulator.faults.add({ operation: "releaseSessionAsync", kind: "status", status: 400 });
    expect(await rejectionOf(session[Symbol.asyncDispose]())).toBeInstanceOf(SessionError);
    expect(session.keepAliveStatus()).toMatchObject({ running: false });
    await spec.emulator.advance(70_000);
    expect(spec.view(session).wireStatus).not.toBe("RUNNING");
  });

  it("throws when the session could not be deleted, and tells it", async () => {
    const told: unknown[] = [];
    const session = await withEmulator({}, async (_emulator, agb) => {
      const opened = await agb.open({ imageId: CODE_IMAGE });
      return opened.on("releaseFailed", (error) => told.push(error));
    });
    const error = await rejectionOf(session[Symbol.asyncDispose]());
    expect(error).toBeInstanceOf(SessionError);
    expect(told).toEqual([error]);
  });
});

describe("agb.withSession", () => {
  it("gives the value of its body, and deletes the session", async () => {
    let used: Session | undefined;
    const value = await spec.agb.withSession({ imageId: CODE_IMAGE }, async (session) => {
      used = session;
      return (await session.code.run("print(6 * 7)", "python")).logs.stdout.join("");
    });
    expect(value.trim()).toBe("42");
    expect(spec.view(used as Session).wireStatus).not.toBe("RUNNING");
  });

  it("rejects with the error of its body, whatever becomes of the deletion", async () => {
    const reason = new Error("of the body");
    const error = await rejectionOf(
      spec.agb.withSession({ imageId: CODE_IMAGE }, () => {
        throw reason;
      }),
    );
    expect(error).toBe(reason);
    expect(error).not.toHaveProperty("suppressed");

    const both = new Error("of the body, too");
    const rejection = withEmulator({}, async (emulator, agb) => {
      await agb.withSession({ imageId: CODE_IMAGE }, async () => {
        await emulator.close();
        throw both;
      });
    });
    expect(await rejectionOf(rejection)).toBe(both);
    expect((both as { suppressed?: unknown }).suppressed).toBeInstanceOf(SessionError);
    expect(Object.keys(both)).toEqual([]);
  });

  it.each<[string, (error: Error) => unknown]>([
    ["is frozen", (error) => Object.freeze(error)],
    ["has one", (error) => Object.assign(error, { suppressed: "its own" })],
    ["has a fixed one", (error) => Object.defineProperty(error, "suppressed", { value: "its own" })],
    [
      "refuses it",
      (error) =>
        new Proxy(error, {
          defineProperty: () => {
            throw new Error("of the trap");
          },
        }),
    ],
  ])("leaves an error alone that %s, and tells the failure of the deletion by its event", async (_, made) => {
    const thrown = made(new Error("of the body"));
    const suppressed = Object.getOwnPropertyDescriptor(thrown, "suppressed");
    const told: Error[] = [];
    const rejection = withEmulator({}, async (emulator, agb) => {
      await agb.withSession({ imageId: CODE_IMAGE }, async (session) => {
        session.on("releaseFailed", (error) => told.push(error));
        await emulator.close();
        throw thrown;
      });
    });
    expect(await rejectionOf(rejection)).toBe(thrown);
    expect(Object.getOwnPropertyDescriptor(thrown, "suppressed")).toEqual(suppressed);
    expect(told).toEqual([expect.any(SessionError)]);
  });

  it("lets go of what throws no object, and refuses what is no function", async () => {
    const thrown = spec.agb.withSession({ imageId: CODE_IMAGE }, () => Promise.reject("a text"));
    expect(await rejectionOf(thrown)).toBe("a text");
    const sent = await spec.requestsOf(async () => {
      const error = await rejectionOf(spec.agb.withSession({ imageId: CODE_IMAGE }, "body" as never));
      expect(error.message).toMatch(/body must be a function, got string/);
    });
    expect(sent).toEqual([]);
  });
});

describe("all sessions", () => {
  it("listAll gives each once over all pages, by label, and asks nothing of them", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const ids: string[] = [];
      for (let index = 0; index < 55; index++) {
        const labels = { parity: index % 2 === 0 ? "even" : "odd" };
        ids.push((await createSession(agb, { labels })).getSessionId());
      }
      emulator.clearJournal();
      expect((await idsOf(agb.listAll())).sort()).toEqual(ids.sort());
      expect(emulator.journal().map(({ operation }) => operation)).toEqual(["ListSession", "ListSession"]);

      const even: Session[] = [];
      for await (const session of agb.listAll({ parity: "even" })) even.push(session);
      expect(even).toHaveLength(28);
      expect((await even[0]?.command.execute("echo usable", 20_000))?.stdout).toBe("usable\n");

      const deletions = await agb.deleteAll({ parity: "odd" }, { concurrency: 4 });
      expect(deletions).toHaveLength(27);
      expect(deletions.every(({ success, requestId }) => success && requestId)).toBe(true);
      expect(await idsOf(agb.listAll({ parity: "odd" }))).toEqual([]);
      expect(await agb.deleteAll({ parity: "odd" })).toEqual([]);
      expect(await agb.deleteAll({ parity: "odd" }, null as never)).toEqual([]);
      expect(await agb.deleteAll({})).toHaveLength(28);
    });
  });

  it("deleteAll wants labels, and listAll says what went wrong", async () => {
    for (const labels of [undefined, null, [], "all"]) {
      const error = await rejectionOf(spec.agb.deleteAll(labels as never));
      expect(error.message).toMatch(/labels must be an object: give the labels/);
    }
    expect((await rejectionOf(spec.agb.deleteAll({}, { concurrency: 0 }))).message).toMatch(/concurrency/);
    const stranger = new AGB({ apiKey: "wrong", config: { endpoint: spec.emulator.url } });
    expect(await rejectionOf(stranger.listAll().next())).toBeInstanceOf(AuthenticationError);
    expect(await rejectionOf(stranger.deleteAll({}))).toBeInstanceOf(AuthenticationError);
  });

  it("deleteAll tells of each session what went wrong with it", async () => {
    const session = await spec.create({ labels: { fate: "unkind" } });
    const [deletion, ...others] = await spec.agb.deleteAll({ fate: "unkind" });
    expect(deletion).toMatchObject({ sessionId: session.getSessionId(), success: true });
    expect(others).toEqual([]);
    expect(session.lifecycle).toMatchObject({ state: "released", releaseReason: "deleted" });
  });
});
