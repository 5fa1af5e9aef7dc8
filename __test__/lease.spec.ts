// @one-isolation: what is tested is the client.

/** Sessions that end soon after their process, and what finds those that ended processes have left. */

import { hostname } from "node:os";
import {
  AGB,
  AGBError,
  AuthenticationError,
  CreateSessionParams,
  type DeletedSession,
  SessionPool,
} from "agbcloud-native";
import { CODE_IMAGE, clientOf, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { type Running, start } from "./support/processes";
import { rejectionOf } from "./support/rejection";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();
const OWNER_LABELS = ["agbn.boot", "agbn.host", "agbn.pid", "agbn.pidns", "agbn.start"];

/** A process that opens sessions with a lease, says their ids, and stays. */
async function processWith(count: number, env: NodeJS.ProcessEnv): Promise<{ running: Running; ids: string[] }> {
  const source = `
    import { AGB } from "agbcloud-native";
    const agb = new AGB();
    const open = () => agb.open({ imageId: "${CODE_IMAGE}", lease: { ttlS: 300 } });
    const sessions = await Promise.all(Array.from({ length: ${count} }, open));
    console.log("ids " + sessions.map((session) => session.getSessionId()).join(" "));
    setInterval(() => {}, 60_000);`;
  const running = start(process.execPath, ["--input-type=module", "-"], env, source);
  const line = await running.line(/^ids /);
  return { running, ids: line.split(" ").slice(1) };
}

async function kill({ running }: { running: Running }): Promise<void> {
  running.child.kill("SIGKILL");
  expect(await running.ended).toMatchObject({ signal: "SIGKILL" });
}

const idsOf = (deletions: DeletedSession[]) => deletions.map(({ sessionId }) => sessionId).sort();

describe("a session with a lease", () => {
  it("has a short idle time-out, is kept alive, and names its process where only the service sees it", async () => {
    const params = new CreateSessionParams({ imageId: CODE_IMAGE, labels: { team: "a" }, lease: { ttlS: 40 } });
    const session = await spec.agb.open(params);
    expect(session.lifecycle.idleReleaseTimeout).toBe(40);
    expect(session.keepAliveStatus()).toMatchObject({ running: true, mode: "always", idleReleaseTimeout: 40 });
    const { labels, idleReleaseTimeout } = spec.view(session);
    expect(idleReleaseTimeout).toBe(40);
    expect(Object.keys(labels).sort()).toEqual([...OWNER_LABELS, "agbn.create", "team"].sort());
    expect(labels).toMatchObject({ "agbn.pid": String(process.pid), "agbn.host": hostname(), team: "a" });
    expect((await session.getLabels()).data).toEqual({ team: "a" });
    must(await session.setLabels({ team: "b" }));
    expect(spec.view(session).labels).toEqual({ ...labels, team: "b" });
    await spec.emulator.advance(300_000);
    expect(spec.view(session).wireStatus).toBe("RUNNING");
    must(await session.delete());
  });

  it("keeps its labels also when another program that has found it sets others", async () => {
    const session = await spec.agb.open({ imageId: CODE_IMAGE, labels: { team: "a" }, lease: {} });
    const { labels } = spec.view(session);
    const elsewhere = clientOf(spec.emulator);
    const found = sessionOf(await elsewhere.get(session.getSessionId()));
    const operations = async (work: () => Promise<unknown>) =>
      (await spec.requestsOf(work)).map(({ operation }) => operation).filter((name) => name.endsWith("Label"));
    const set = async () => must(await found.setLabels({ team: "b" }));
    expect(await operations(set)).toEqual(["GetLabel", "SetLabel"]);
    expect(await operations(set)).toEqual(["SetLabel"]);
    expect(spec.view(session).labels).toEqual({ ...labels, team: "b" });
    for await (const listed of elsewhere.listAll({ team: "b" })) must(await listed.setLabels({ team: "c" }));
    expect(spec.view(session).labels).toEqual({ ...labels, team: "c" });

    spec.emulator.faults.add({ operation: "GetLabel", kind: "status", status: 400 });
    const other = sessionOf(await elsewhere.get(session.getSessionId()));
    const refused = await other.setLabels({ team: "d" });
    expect(refused).toMatchObject({
      success: false,
      errorMessage: expect.stringMatching(/^The labels were not set, as/),
    });
    expect(spec.view(session).labels).toEqual({ ...labels, team: "c" });
    must(await session.delete());
  });

  it("comes from every way to make one, with keep-alive options of its own", async () => {
    const lease = { ttlS: 50 };
    const created = await spec.create({ lease, autoKeepAlive: { mode: "whileHeld", at: 0.5 } });
    expect(created.keepAliveStatus()).toMatchObject({ mode: "whileHeld", at: 0.5, idleReleaseTimeout: 50 });
    expect(Object.keys(spec.view(created).labels)).toEqual(expect.arrayContaining([...OWNER_LABELS, "agbn.create"]));
    must(await created.delete());

    const withDefault = (session: { getSessionId(): string }) => {
      expect(spec.view(session.getSessionId())).toMatchObject({ idleReleaseTimeout: 60 });
      expect(spec.view(session.getSessionId()).labels).toHaveProperty(["agbn.start"]);
    };
    await spec.agb.withSession({ imageId: CODE_IMAGE, lease: {} }, withDefault);
    const pool = new SessionPool(spec.agb, { params: { imageId: CODE_IMAGE, lease: {} } });
    await pool.use(withDefault);
    await pool.drain();
  });

  it("ends with its time-out when its process was killed", async () => {
    await withEmulator({}, async (emulator) => {
      const orphaned = await processWith(1, emulator.env);
      await kill(orphaned);
      await emulator.advance(200_000);
      expect(emulator.sessions()[0]).toMatchObject({ id: orphaned.ids[0], wireStatus: "RUNNING" });
      await emulator.advance(120_000);
      expect(emulator.sessions()[0]?.wireStatus).not.toBe("RUNNING");
    });
  });

  it("is refused where it contradicts other options", async () => {
    const params = { imageId: CODE_IMAGE };
    const bad: [unknown, RegExp][] = [
      [{ lease: 60 }, /lease must be an object, got number/],
      [{ lease: [] }, /lease must be an object, got an array/],
      [{ lease: { ttlS: "60" } }, /lease.ttlS must be a finite number, got string/],
      [{ lease: { ttlS: 0 } }, /lease.ttlS must be a number of seconds from 1 to 1800, got 0/],
      [{ lease: { ttlS: 60 }, idleReleaseTimeout: 60 }, /either lease or idleReleaseTimeout/],
      [{ lease: { ttlS: 60 }, autoKeepAlive: false }, /autoKeepAlive must not be false/],
    ];
    const sent = await spec.requestsOf(async () => {
      for (const [more, message] of bad) {
        const error = await rejectionOf(spec.agb.open({ ...params, ...(more as object) }));
        expect(error).toBeInstanceOf(AGBError);
        expect(error.message).toMatch(message);
      }
    });
    expect(sent).toEqual([]);
  });

  it("is not what others are: they send no label of it", async () => {
    const [{ body } = { body: undefined }] = await spec.requestsOf(() => spec.create({ idleReleaseTimeout: 60 }));
    expect(body).toEqual({ timeout: 60 });
    const opened = await spec.agb.open({ imageId: CODE_IMAGE, lease: undefined });
    expect(Object.keys(spec.view(opened).labels)).toEqual(["agbn.create"]);
    expect(Object.keys(new CreateSessionParams({ lease: undefined }))).not.toContain("lease");
    must(await opened.delete());
  });
});

describe("agb.reapOrphans", () => {
  it("deletes what ended processes of this machine have left, and nothing else", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const mine = await agb.open({ imageId: CODE_IMAGE, lease: { ttlS: 300 } });
      const plain = await createSession(agb, { labels: { team: "a" } });
      const [killed, alive] = await Promise.all([processWith(3, emulator.env), processWith(2, emulator.env)]);
      const orphan = emulator.sessions().find(({ id }) => id === killed.ids[0]);
      const owner = orphan?.labels ?? {};
      const strangers = await Promise.all(
        [
          { ...owner, "agbn.boot": "11111111-2222-3333-4444-555555555555" },
          { ...owner, "agbn.pidns": "4026530000" },
          { "agbn.boot": owner["agbn.boot"], "agbn.pidns": owner["agbn.pidns"], "agbn.pid": "many" },
          { "agbn.boot": owner["agbn.boot"], "agbn.pid": owner["agbn.pid"], "agbn.start": owner["agbn.start"] },
        ].map((labels) => rawSession(emulator, labels)),
      );
      // The pid was given again: its owner is another process than the one that has it now.
      const recycled = await rawSession(emulator, { ...owner, "agbn.pid": String(process.pid) });
      expect(await agb.reapOrphans().then(idsOf)).toEqual([recycled]);
      await kill(killed);

      emulator.clearJournal();
      const deletions = await agb.reapOrphans();
      expect(idsOf(deletions)).toEqual(killed.ids.sort());
      expect(deletions.every(({ success, requestId }) => success && requestId)).toBe(true);
      const living = emulator.sessions().filter(({ wireStatus }) => wireStatus === "RUNNING");
      const kept = [mine.getSessionId(), plain.getSessionId(), ...alive.ids, ...strangers];
      expect(living.map(({ id }) => id).sort()).toEqual(kept.sort());
      expect(await agb.reapOrphans()).toEqual([]);
      await kill(alive);
      expect(await clientOf(emulator).reapOrphans().then(idsOf)).toEqual(alive.ids.sort());
    });
  });

  it("asks one session of each owner that it does not know, once", async () => {
    await withEmulator({}, async (emulator, agb) => {
      await Promise.all([1, 2, 3].map(() => agb.open({ imageId: CODE_IMAGE, lease: {} })));
      const asked = async (reap: () => Promise<unknown>) => {
        emulator.clearJournal();
        await reap();
        const requests = emulator.journal();
        const uses = requests.filter(({ resetsIdleTimer }) => resetsIdleTimer).map(({ operation }) => operation);
        // Keep-alives come by themselves.
        expect(uses.filter((operation) => operation !== "GetLabel" && operation !== "refreshSessionIdleTime")).toEqual(
          [],
        );
        return requests.filter(({ operation }) => operation === "GetLabel").map(({ sessionId }) => sessionId);
      };
      // This process knows itself.
      expect(await asked(() => agb.reapOrphans())).toEqual([]);
      const other = await processWith(3, emulator.env);
      const [one, ...more] = await asked(() => agb.reapOrphans());
      expect(other.ids).toContain(one);
      expect(more).toEqual([]);
      expect(await asked(() => agb.reapOrphans())).toEqual([]);
      await kill(other);
      expect(await asked(() => agb.reapOrphans())).toEqual([]);
      await until("they are gone", () =>
        emulator.sessions().every(({ id, wireStatus }) => {
          return !other.ids.includes(id) || wireStatus !== "RUNNING";
        }),
      );
    });
  });

  it("finds them on many pages, and says what went wrong", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const mine = await agb.open({ imageId: CODE_IMAGE, lease: {} });
      const gone = { ...emulator.sessions()[0]?.labels, "agbn.start": "1" };
      const ids = await Promise.all(Array.from({ length: 60 }, () => rawSession(emulator, gone)));
      expect(await agb.reapOrphans().then(idsOf)).toEqual(ids.sort());
      must(await mine.keepAlive());
      const stranger = new AGB({ apiKey: "wrong", config: { endpoint: emulator.url } });
      expect(await rejectionOf(stranger.reapOrphans())).toBeInstanceOf(AuthenticationError);
      expect(sessionOf(await agb.get(mine.getSessionId())).getSessionId()).toBe(mine.getSessionId());
    });
  });

  /** A session with labels that users can't set. */
  async function rawSession(
    emulator: { url: string; apiKey: string },
    labels: Record<string, string | undefined>,
  ): Promise<string> {
    const answer = await fetch(`${emulator.url}/mcp/createSession?imageId=${CODE_IMAGE}`, {
      method: "POST",
      headers: { authorization: `Bearer ${emulator.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({ labels: JSON.stringify(labels) }),
    });
    const { data } = (await answer.json()) as { data: { sessionId: string } };
    return data.sessionId;
  }
});
