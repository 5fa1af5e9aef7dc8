// @one-isolation: what is tested is the client.

/** Pools of sessions, at the emulator: what is handed out works, and there are never more sessions than allowed. */

import {
  AGBError,
  APIError,
  CreateSessionParams,
  type EmulatorOptions,
  type Session,
  SessionError,
  SessionPool,
  type SessionPoolOptions,
} from "agbcloud-native";
import { CODE_IMAGE, clientOf, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { runModule, start } from "./support/processes";
import { rejectionOf } from "./support/rejection";
import { must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();

/** Runs `work` with a pool and an emulator of its own, and sees to it that nothing is left over. */
async function withPool(
  options: Partial<SessionPoolOptions>,
  work: (pool: SessionPool, emulator: EmulatorOf) => Promise<void>,
  emulatorOptions: EmulatorOptions = {},
): Promise<void> {
  await withEmulator(emulatorOptions, async (emulator, agb) => {
    const pool = new SessionPool(agb, { params: { imageId: CODE_IMAGE }, ...options });
    const alive = () => emulator.sessions().filter(({ wireStatus }) => wireStatus === "RUNNING");
    await work(pool, { emulator, agb, alive });
    await pool.drain();
    expect(pool.stats).toEqual({ idle: 0, lent: 0, creating: 0, waiting: 0 });
    emulator.expectNoLiveSessions();
  });
}

type Work = Parameters<Parameters<typeof withEmulator>[1]>;
interface EmulatorOf {
  emulator: Work[0];
  agb: Work[1];
  alive: () => ReturnType<Work[0]["sessions"]>;
}

const giveBack = (session: Session) => session[Symbol.asyncDispose]();

/** How many sessions existed at once, by the journal: from the answer of a creation to that of a release. */
function mostAtOnce(emulator: EmulatorOf["emulator"]): number {
  let [now, most] = [0, 0];
  for (const { operation, success } of emulator.journal()) {
    if (operation === "createSession" && success) now += 1;
    if (operation === "releaseSessionAsync" && success) now -= 1;
    most = Math.max(most, now);
  }
  return most;
}

describe("a pool", () => {
  it("lends sessions that work, and lends them again", async () => {
    await withPool({ max: 2 }, async (pool) => {
      const session = await pool.acquire();
      expect(pool.stats).toEqual({ idle: 0, lent: 1, creating: 0, waiting: 0 });
      expect((await session.command.execute("echo lent", 20_000)).stdout).toBe("lent\n");
      must(await session.setLabels({ borrower: "first" }));
      await giveBack(session);
      expect(pool.stats).toEqual({ idle: 1, lent: 0, creating: 0, waiting: 0 });

      const again = await pool.acquire();
      expect(again).not.toBe(session);
      expect(again.getSessionId()).toBe(session.getSessionId());
      expect((await again.getLabels()).data).toEqual({ borrower: "first" });
      // The first one has given it back once, and can neither do so again nor use it.
      await giveBack(session);
      expect(pool.stats.lent).toBe(1);
      expect(await rejectionOf(session.command.execute("true"))).toBeInstanceOf(SessionError);
      expect(() => session.lifecycle).toThrow(/was given back to its pool/);
      await giveBack(again);
    });
  });

  it("has never more than max sessions, whatever happens to them", async () => {
    await withPool({ min: 1, max: 3, maxUses: 4, acquireTimeoutMs: 120_000 }, async (pool, { emulator, agb }) => {
      const borrow = async (number: number) => {
        const session = await pool.acquire();
        must(await session.keepAlive());
        if (number % 4 === 0) return pool.discard(session);
        if (number % 4 === 1) must(await agb.delete(sessionOf(await agb.get(session.getSessionId()))));
        return giveBack(session);
      };
      await Promise.all(Array.from({ length: 40 }, (_, number) => borrow(number)));
      const most = mostAtOnce(emulator);
      expect(most).toBeGreaterThanOrEqual(2);
      expect(most).toBeLessThanOrEqual(3);
    });
  });

  it("serves those first who asked first", async () => {
    await withPool({ max: 2 }, async (pool) => {
      const served: number[] = [];
      const held = await Promise.all([pool.acquire(), pool.acquire()]);
      const uses = Array.from({ length: 8 }, (_, number) => pool.use(() => served.push(number)));
      await until("all wait", () => pool.stats.waiting === 8);
      // One after the other, through the same session.
      await giveBack(held[0]);
      await Promise.all(uses);
      expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      await giveBack(held[1]);
    });
  });

  it("keeps what waits for use alive, and what is lent", async () => {
    const params = new CreateSessionParams({ imageId: CODE_IMAGE, idleReleaseTimeout: 60 });
    await withPool({ params, min: 2, max: 2 }, async (pool, { emulator, alive }) => {
      await until("both are ready", () => pool.stats.idle === 2);
      const ids = alive().map(({ id }) => id);
      const session = await pool.acquire();
      await emulator.advance(1_200_000);
      expect(alive().map(({ id }) => id)).toEqual(ids);
      const other = await pool.acquire();
      expect([session.getSessionId(), other.getSessionId()].sort()).toEqual(ids.sort());
      await Promise.all([giveBack(session), giveBack(other)]);
    });
  });

  it("replaces a session that is gone before anybody gets it", async () => {
    await withPool({ min: 1, max: 1 }, async (pool, { emulator, alive }) => {
      await until("one is ready", () => pool.stats.idle === 1);
      const lost = alive()[0]?.id ?? "";
      // By a client that has nothing to do with the pool's.
      must(await sessionOf(await clientOf(emulator).get(lost)).delete());
      await pool.use(async (session) => {
        expect(session.getSessionId()).not.toBe(lost);
        must(await session.keepAlive());
      });
    });
  });

  it("replaces sessions two minutes before the end of their maximum lifetime", async () => {
    await withPool({ min: 2, max: 3 }, async (pool, { emulator, alive }) => {
      await until("both are ready", () => pool.stats.idle === 2);
      const old = alive().map(({ id }) => id);
      const session = await pool.acquire();
      await emulator.advance(1_600_000);
      expect(alive().map(({ id }) => id)).toEqual(old);
      await emulator.advance(90_000);
      await until("the idle one is replaced", () => alive().filter(({ id }) => !old.includes(id)).length === 1);
      expect(alive().some(({ id }) => id === session.getSessionId())).toBe(true);
      await giveBack(session);
      await until("so is the other", () => pool.stats.idle === 2 && alive().every(({ id }) => !old.includes(id)));
      expect(mostAtOnce(emulator)).toBeLessThanOrEqual(3);
    });
  });

  it("lends a session maxUses times", async () => {
    await withPool({ max: 1, maxUses: 2 }, async (pool) => {
      const ids: string[] = [];
      for (let round = 0; round < 4; round++) await pool.use((session) => ids.push(session.getSessionId()));
      expect(ids[1]).toBe(ids[0]);
      expect(ids[2]).not.toBe(ids[0]);
      expect(ids[3]).toBe(ids[2]);
    });
  });

  it("goes on filling up when creations fail", async () => {
    await withPool(
      { min: 2, max: 2 },
      async (pool, { emulator, alive }) => {
        const refused = () =>
          emulator.journal().filter(({ operation, success }) => operation === "createSession" && !success);
        await until("a creation is refused, and another one after a pause", () => refused().length >= 2);
        const [first] = alive();
        expect(alive()).toHaveLength(1);
        const session = await pool.acquire();
        expect(session.getSessionId()).toBe(first?.id);
        expect(await rejectionOf(pool.acquire())).toBeInstanceOf(APIError);
        expect(pool.stats).toMatchObject({ lent: 1, idle: 0 });
        // What is deleted makes room at the service.
        must(await session.delete());
        await until("another one could be made", () => pool.stats.idle === 1, 60_000);
        await giveBack(session);
      },
      { maxSessions: 1 },
    );
  });
});

describe("pool.acquire", () => {
  it("gives up after acquireTimeoutMs, and says who has what", async () => {
    await withPool({ min: 1, max: 1, acquireTimeoutMs: 5_000 }, async (pool, { emulator }) => {
      await until("it is ready", () => pool.stats.idle === 1);
      const session = await pool.acquire();
      const error = await rejectionOf(pool.acquire());
      expect(error).toBeInstanceOf(APIError);
      expect(error).toMatchObject({ extra: { kind: "Timeout", retryable: true } });
      expect(error.message).toMatch(/^no session of the pool was free within 5000 ms: 1 of at most 1 are lent/);
      expect(error.stack).toContain("session-pool.spec.ts");
      await giveBack(session);
      await pool.use(({ getSessionId }) => getSessionId);
      expect(emulator.sessions()).toHaveLength(1);
    });
  });

  it("gives up with the reason of its signal, and neither a session nor a place is lost", async () => {
    await withPool({ max: 1 }, async (pool, { emulator }) => {
      const early = AbortSignal.abort(new Error("too early"));
      expect(await rejectionOf(pool.acquire({ signal: early }))).toBe(early.reason);

      // While its session is being created.
      const creating = new AbortController();
      const first = rejectionOf(pool.acquire({ signal: creating.signal }));
      creating.abort(new Error("changed my mind"));
      expect(await first).toBe(creating.signal.reason);

      // While others wait before and behind it.
      const session = await pool.acquire();
      const waiting = new AbortController();
      const order: string[] = [];
      const before = pool.use(() => order.push("before"));
      const between = rejectionOf(pool.acquire({ signal: waiting.signal }));
      const behind = pool.use(() => order.push("behind"));
      await until("three wait", () => pool.stats.waiting === 3);
      waiting.abort("a text");
      expect(await between).toBe("a text");
      await until("two wait", () => pool.stats.waiting === 2);
      await giveBack(session);
      await Promise.all([before, behind]);
      expect(order).toEqual(["before", "behind"]);
      expect(emulator.sessions()).toHaveLength(1);
      expect(pool.stats).toEqual({ idle: 1, lent: 0, creating: 0, waiting: 0 });
    });
  });

  it("says what the service said when no session can be made", async () => {
    const pool = new SessionPool(spec.agb, { params: { imageId: "no-such-image" } });
    expect((await rejectionOf(pool.acquire())).message).toContain("no-such-image");
    const signal = rejectionOf(pool.acquire({ signal: 1 as never }));
    expect((await signal).message).toMatch(/signal must be an AbortSignal/);
    await pool.drain();
  });
});

describe("giving back", () => {
  it("happens on every way out of pool.use", async () => {
    await withPool({ max: 1 }, async (pool, { emulator }) => {
      expect(await pool.use(async () => 42)).toBe(42);
      const reason = new Error("of the body");
      const rejections = [
        pool.use(() => {
          throw reason;
        }),
        pool.use(() => Promise.reject(reason)),
      ];
      for (const rejection of rejections) expect(await rejectionOf(rejection)).toBe(reason);
      expect(reason).not.toHaveProperty("suppressed");
      expect((await rejectionOf(pool.use("body" as never))).message).toMatch(/body must be a function, got string/);
      expect(pool.stats).toEqual({ idle: 1, lent: 0, creating: 0, waiting: 0 });
      expect(emulator.sessions()).toHaveLength(1);
    });
  });

  it("with pool.discard deletes the session before another one is made", async () => {
    await withPool({ max: 1 }, async (pool, { emulator, alive }) => {
      const session = await pool.acquire();
      await pool.discard(session);
      await pool.discard(session);
      await giveBack(session);
      await pool.use((next) => expect(next.getSessionId()).not.toBe(session.getSessionId()));
      expect(alive()).toHaveLength(1);
      expect(mostAtOnce(emulator)).toBe(1);
      const stranger = await clientOf(emulator).open({ imageId: CODE_IMAGE });
      expect((await rejectionOf(pool.discard(stranger))).message).toMatch(/is not of this pool/);
      expect((await rejectionOf(pool.discard(null as never))).message).toMatch(/is not of this pool/);
      await giveBack(stranger);
    });
  });

  it("takes the borrower's listeners away, and does not lend on what still runs", async () => {
    await withPool({ max: 1 }, async (pool, { emulator }) => {
      const session = await pool.acquire();
      const heard: string[] = [];
      session.on("idle", () => heard.push("idle"));
      must(await session.keepAlive());
      await until("it was heard", () => heard.length === 1);
      await giveBack(session);
      const next = await pool.acquire();
      expect(next.getSessionId()).toBe(session.getSessionId());
      must(await next.keepAlive());
      const call = next.command.execute("sleep 300", 400_000);
      await until("the call is under way", () => next.lifecycle.state === "active");
      await giveBack(next);
      await pool.use((another) => expect(another.getSessionId()).not.toBe(next.getSessionId()));
      expect(await call).toMatchObject({ success: false });
      expect(heard).toEqual(["idle"]);
      expect(mostAtOnce(emulator)).toBe(1);
    });
  });
});

describe("pool.drain", () => {
  it("rejects those who wait, deletes what is idle, and what is lent when it comes back", async () => {
    await withPool({ min: 1, max: 2 }, async (pool, { alive }) => {
      const [first, second] = [await pool.acquire(), await pool.acquire()];
      const waiting = rejectionOf(pool.acquire());
      await until("one waits", () => pool.stats.waiting === 1);
      let isOver = false;
      const drained = Promise.all([pool.drain(), pool.drain()]).then(() => {
        isOver = true;
      });
      const refusal = await waiting;
      expect(refusal).toBeInstanceOf(SessionError);
      expect(refusal).toMatchObject({ message: expect.stringMatching(/is drained/), extra: { kind: "Drained" } });
      await giveBack(first);
      await until("it is deleted", () => alive().length === 1);
      must(await second.keepAlive());
      expect(isOver).toBe(false);
      await giveBack(second);
      await drained;
      expect(alive()).toEqual([]);
      expect((await rejectionOf(pool.acquire())).message).toMatch(/is drained/);
    });
  });

  it("names what it could not delete", async () => {
    const rejection = withEmulator({}, async (emulator, agb) => {
      const pool = new SessionPool(agb, { params: { imageId: CODE_IMAGE }, min: 1 });
      await until("one is ready", () => pool.stats.idle === 1);
      const [{ id } = { id: "none" }] = emulator.sessions();
      await emulator.close();
      const error = await rejectionOf(pool.drain());
      expect(error.message).toContain(id);
      throw error;
    });
    expect(await rejectionOf(rejection)).toBeInstanceOf(APIError);
  });

  it("is what the end of an await using block does", async () => {
    const pool = new SessionPool(spec.agb, { params: { imageId: CODE_IMAGE } });
    const id = await pool.use((session) => session.getSessionId());
    await pool[Symbol.asyncDispose]();
    expect(spec.view(id).wireStatus).not.toBe("RUNNING");
    expect(JSON.parse(JSON.stringify(pool))).toEqual({ idle: 0, lent: 0, creating: 0, waiting: 0 });
  });
});

it("refuses options that make no sense, and sends nothing", async () => {
  const params = { imageId: CODE_IMAGE };
  const bad: [unknown, RegExp][] = [
    [undefined, /options are required/],
    [{}, /params is required/],
    [{ params: {} }, /imageId is required/],
    [{ params, min: 3, max: 2 }, /min must not be more than max, got 3 and 2/],
    [{ params, min: -1 }, /min must be a whole number from 0/],
    [{ params, max: 1.5 }, /max must be a whole number from 1/],
    [{ params, max: "2" }, /max must be a finite number, got string/],
    [{ params, maxUses: 0 }, /maxUses must be a whole number from 1/],
    [{ params, acquireTimeoutMs: Number.NaN }, /acquireTimeoutMs must be a finite number, got NaN/],
    [{ params: { ...params, autoKeepAlive: { at: 2 } } }, /between 0 and 1/],
    [{ params: { ...params, labels: { "agbn.x": "1" } }, min: 1 }, /"agbn.x" is reserved/],
  ];
  const sent = await spec.requestsOf(async () => {
    for (const [options, message] of bad) {
      const make = () => new SessionPool(spec.agb, options as never);
      expect(make).toThrow(AGBError);
      expect(make).toThrow(message);
    }
    expect(() => new SessionPool({} as never, { params })).toThrow(/agb must be an AGB/);
  });
  expect(sent).toEqual([]);
});

it("keeps no program running", async () => {
  const { code, stdout, stderr } = await runModule(
    `import { AGB, SessionPool } from "agbcloud-native";
     const pool = new SessionPool(new AGB(), { params: { imageId: "${CODE_IMAGE}" }, min: 2, max: 3 });
     const session = await pool.acquire();
     const { stdout } = await session.command.execute("echo lent", 20_000);
     process.stdout.write(stdout);`,
    spec.emulator.env,
  );
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "lent\n", stderr: "" });
  await spec.agb.deleteAll({});
});

it("takes back what nobody holds any more, and ends with its last holder", async () => {
  const source = `
    import { AGB, SessionPool } from "agbcloud-native";
    const agb = new AGB();
    const collected = async (isOver) => {
      const end = Date.now() + 30_000;
      while (!(await isOver()) && Date.now() < end) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return isOver();
    };
    const borrow = async (pool) => (await pool.acquire()).getSessionId();
    let pool = new SessionPool(agb, { params: { imageId: "${CODE_IMAGE}" }, max: 1 });
    await borrow(pool);
    console.log(await collected(() => pool.stats.idle === 1));
    pool = undefined;
    console.log(await collected(async () => (await agb.list()).totalCount === 0));`;
  const args = ["--expose-gc", "--input-type=module", "-"];
  await withEmulator({}, async (emulator) => {
    const { code, stdout, stderr } = await start(process.execPath, args, emulator.env, source).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "true\ntrue\n", stderr: "" });
  });
});
