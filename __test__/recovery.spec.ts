// @one-isolation: what is tested is the client.

/** Sessions that are replaced when they are lost. */

import { type OpenOptions, type RecreatedEvent, type Session, SessionError } from "agbcloud-native";
import { CODE_IMAGE, clientOf, IMAGE_WITHOUT_LINK, sessionOf, useEmulator } from "./support/emulator";
import { must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();

interface Opened {
  session: Session;
  events: RecreatedEvent[];
}

/** A session that is replaced when it is lost; its image has no link, so that losses are told by the envelope. */
async function open(options: OpenOptions = {}, params: object = {}): Promise<Opened> {
  const events: RecreatedEvent[] = [];
  const session = await spec.agb.open(
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

function livingIds(): string[] {
  return spec.emulator
    .sessions()
    .filter(({ wireStatus }) => wireStatus === "RUNNING")
    .map(({ id }) => id);
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

  it("is replaced at the end of its longest life, and not before", async () => {
    const { session, events } = await open({}, { autoKeepAlive: true });
    await spec.emulator.advance(1_790_000);
    must(await session.command.execute("true", 20_000));
    expect(events).toEqual([]);
    await spec.emulator.advance(20_000);
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

  it("bad options are refused before a session is made", async () => {
    const before = livingIds();
    const bad = { recreate: true, restore: "x" } as never;
    await expect(spec.agb.open({ imageId: CODE_IMAGE }, bad)).rejects.toThrow(/restore must be a function/);
    await expect(spec.agb.open({ imageId: CODE_IMAGE }, { recreate: 1 } as never)).rejects.toThrow(/must be a boolean/);
    expect(livingIds()).toEqual(before);
  });
});
