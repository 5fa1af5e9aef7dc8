// @one-isolation: what is tested is the client.

/** Messages that the service pushes over a session's WebSocket. */

import {
  AGBError,
  AuthenticationError,
  type PushMessage,
  SessionError,
  SessionPool,
  WsError,
  WsHandshakeRejectedError,
} from "agbcloud-native";
import { CODE_IMAGE, clientOf, IMAGE_WITHOUT_LINK, sessionOf, useSession } from "./support/emulator";
import { runModule } from "./support/processes";
import { rejectionOf } from "./support/rejection";
import { must } from "./support/session";
import { until } from "./support/wait";
import { withWebSocket } from "./support/web-socket";

const spec = useSession();

/** Pushes from the emulator to the one client of the spec's session. */
function push(source: string, data: Record<string, unknown>): void {
  expect(spec.emulator.push(spec.session.getSessionId(), source, data)).toBe(1);
}

/** A callback, and what it was called with. */
function collector(): { messages: PushMessage[]; callback: (message: PushMessage) => void } {
  const messages: PushMessage[] = [];
  return { messages, callback: (message) => messages.push(message) };
}

describe("session.onPush", () => {
  it("hears what is pushed to its target, in order", async () => {
    const [one, two, other] = [collector(), collector(), collector()];
    const listeners = [
      await spec.session.onPush("news", one.callback),
      await spec.session.onPush("news", two.callback),
      await spec.session.onPush("weather", other.callback),
    ];
    expect(listeners.map(({ target }) => target)).toEqual(["news", "news", "weather"]);
    const data = { text: "größe 👋", list: [1, null], object: { b: 1, a: 2 } };
    push("news", data);
    push("nobody listens", {});
    push("news", { last: true });
    push("weather", {});
    await until("the last is heard", () => other.messages.length === 1);
    const requestId = expect.stringMatching(/./);
    const expected = [
      { requestId, target: "news", data },
      { requestId, target: "news", data: { last: true } },
    ];
    expect([one.messages, two.messages]).toEqual([expected, expected]);
    expect(Object.keys(one.messages[0]?.data.object as object)).toEqual(["b", "a"]);
    expect(other.messages).toEqual([{ requestId, target: "weather", data: {} }]);
  });

  it("hears nothing after close(), however it is closed", async () => {
    const [closed, disposed, open] = [collector(), collector(), collector()];
    const listener = await spec.session.onPush("news", closed.callback);
    const disposable = await spec.session.onPush("news", disposed.callback);
    await spec.session.onPush("news", open.callback);
    push("news", {});
    listener.close();
    listener.close();
    disposable[Symbol.dispose]();
    const before = [closed.messages.length, disposed.messages.length];
    push("news", {});
    await until("the open one has heard both", () => open.messages.length === 2);
    expect([closed.messages.length, disposed.messages.length]).toEqual(before);
  });

  it("survives callbacks that throw or reject, and logs each time", async () => {
    const log = jest.spyOn(process.stderr, "write").mockImplementation(() => true);
    const logged = (text: string) => log.mock.calls.filter(([line]) => String(line).includes(text)).length;
    try {
      const { messages, callback } = collector();
      await spec.session.onPush("news", () => {
        throw new Error("thrown by the test");
      });
      await spec.session.onPush("news", async () => {
        throw new Error("rejected by the test");
      });
      await spec.session.onPush("news", callback);
      push("news", {});
      push("news", {});
      await until("both are heard", () => messages.length === 2);
      for (const text of ["thrown by the test", "rejected by the test"]) {
        await until(`both are logged: ${text}`, () => logged(text) === 2);
      }
      expect(logged("A listener of pushes to 'news' failed:")).toBe(4);
    } finally {
      log.mockRestore();
    }
  });

  it("goes together with streams", async () => {
    const { messages, callback } = collector();
    const listener = await spec.session.onPush("news", callback);
    must(await spec.session.code.run("print(1)", "python", 60, { streamBeta: true }));
    push("news", {});
    await until("it is heard", () => messages.length === 1);
    listener.close();
  });

  it("refuses what is no target or no callback, and says what the session lacks", async () => {
    const { session } = spec;
    for (const target of ["", undefined, null, 7]) {
      const refused = session.onPush(target as string, () => {});
      await expect(refused).rejects.toThrow("target must be a non-empty string");
      await expect(refused).rejects.toBeInstanceOf(AGBError);
    }
    for (const callback of [undefined, null, "x"]) {
      await expect(session.onPush("t", callback as never)).rejects.toThrow("callback must be a function");
    }
    const { wsUrl, token } = session;
    session.wsUrl = "";
    await expect(session.onPush("t", () => {})).rejects.toThrow("wsUrl is not set on this session");
    Object.assign(session, { wsUrl, token: "wrong" });
    const refused = session.onPush("t", () => {});
    await expect(refused).rejects.toThrow(/^Unexpected server response: 401/);
    await expect(refused).rejects.toBeInstanceOf(WsHandshakeRejectedError);
    await expect(refused).rejects.toBeInstanceOf(WsError);
    session.token = token;
  });

  it("ends with the session", async () => {
    const listener = await spec.session.onPush("news", () => {});
    const id = spec.session.getSessionId();
    must(await spec.session.delete());
    expect(spec.emulator.push(id, "news", {})).toBe(0);
    listener.close();
    await expect(spec.session.onPush("news", () => {})).rejects.toBeInstanceOf(SessionError);
  });

  it("ends with the loan of a session of a pool, also when it is only beginning then", async () => {
    const pool = new SessionPool(spec.agb, { params: { imageId: CODE_IMAGE }, max: 1 });
    const { messages, callback } = collector();
    const lent = await pool.acquire();
    const id = lent.getSessionId();
    const listening = rejectionOf(lent.onPush("news", callback));
    await lent[Symbol.asyncDispose]();
    expect(await listening).toBeInstanceOf(SessionError);
    expect((await listening).message).toMatch(/was given back to its pool/);

    const next = await pool.acquire();
    expect(next.getSessionId()).toBe(id);
    const heard = collector();
    await next.onPush("news", heard.callback);
    spec.emulator.push(id, "news", {});
    await until("the next one hears it", () => heard.messages.length === 1);
    expect(messages).toEqual([]);
    await next[Symbol.asyncDispose]();
    await pool.drain();
  });

  it("fails as every call does where there is no API key", async () => {
    const session = sessionOf(await clientOf(spec.emulator).get(spec.session.getSessionId()));
    session.getAgb().apiKey = "";
    const error = await rejectionOf(session.onPush("news", () => {}));
    expect(error).toBeInstanceOf(AuthenticationError);
  });

  it("goes over to the session that takes the place of a lost one", async () => {
    const params = { imageId: IMAGE_WITHOUT_LINK };
    const session = await spec.agb.open(params, { recreate: true });
    const { messages, callback } = collector();
    const listener = await session.onPush("news", callback);
    must(await sessionOf(await clientOf(spec.emulator).get(session.getSessionId())).delete());
    must(await session.command.execute("echo 1", 20_000));
    await until("it listens again", () => spec.emulator.push(session.getSessionId(), "news", {}) === 1);
    await until("it is heard", () => messages.length > 0);
    listener.close();
    must(await session.delete());
  });

  it("hears what restore causes, also when the first handshake with the new session fails", async () => {
    const heardBy: number[] = [];
    const restore = (fresh: { getSessionId(): string }) => {
      heardBy.push(spec.emulator.push(fresh.getSessionId(), "news", { from: "restore" }));
    };
    const session = await spec.agb.open({ imageId: IMAGE_WITHOUT_LINK }, { recreate: true, restore });
    const { messages, callback } = collector();
    const listener = await session.onPush("news", callback);
    const lose = async () => {
      must(await sessionOf(await clientOf(spec.emulator).get(session.getSessionId())).delete());
      must(await session.keepAlive());
    };
    await lose();
    expect(heardBy).toEqual([1]);
    await until("it is heard", () => messages.length === 1);

    // All of them, as the lost session's address may be tried again, too, and the new one's before restore runs.
    const refused = spec.emulator.faults.add({ operation: "webSocket", kind: "status", status: 503, count: "always" });
    await lose();
    refused.remove();
    expect(refused.hits).toBeGreaterThan(0);
    expect(heardBy).toEqual([1, 0]);
    await until("it listens again", () => spec.emulator.push(session.getSessionId(), "news", {}) === 1);
    await until("it is heard", () => messages.length > 1);
    listener.close();
    must(await session.delete());
  });

  it("replaces a session that turns out to be lost", async () => {
    const session = await spec.agb.open({ imageId: IMAGE_WITHOUT_LINK }, { recreate: true });
    const oldId = session.getSessionId();
    must(await sessionOf(await clientOf(spec.emulator).get(oldId)).delete());
    const { messages, callback } = collector();
    await session.onPush("news", callback);
    expect(session.getSessionId()).not.toBe(oldId);
    expect(spec.emulator.push(session.getSessionId(), "news", {})).toBe(1);
    await until("it is heard", () => messages.length === 1);
    must(await session.delete());
  });

  it("is heard again after the connection broke", async () => {
    await withWebSocket(
      (socket, index) => {
        if (index === 0) return socket.drop();
        socket.text(JSON.stringify({ requestId: "p", target: "news", data: { connection: index } }));
      },
      async (session) => {
        const { messages, callback } = collector();
        const listener = await session.onPush("news", callback);
        await until("it is heard", () => messages.length === 1);
        expect(messages).toEqual([{ requestId: "p", target: "news", data: { connection: 1 } }]);
        listener.close();
      },
    );
  });

  it("does not keep a program running", async () => {
    const { code, stdout } = await runModule(
      `import { AGB } from "agbcloud-native";
       const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
       await session.onPush("news", () => {});
       console.log("main is over");`,
      spec.emulator.env,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "main is over\n" });
  });
});

describe("emulator.push", () => {
  it("tells how many clients a message went to", async () => {
    const id = spec.session.getSessionId();
    expect(spec.emulator.push(id, "news", {})).toBe(0);
    expect(spec.emulator.push("session-none", "news", {})).toBe(0);
    await spec.session.onPush("news", () => {});
    const again = sessionOf(await spec.agb.get(id));
    await again.onPush("news", () => {});
    expect(spec.emulator.push(id, "news", {})).toBe(2);
  });

  it("refuses what is no message", () => {
    const { emulator } = spec;
    expect(() => emulator.push(7 as never, "news", {})).toThrow("sessionId must be a string, got number");
    expect(() => emulator.push("s", undefined as never, {})).toThrow("source must be a string, got undefined");
    expect(() => emulator.push("s", "news", { count: 1n })).toThrow("data must be JSON");
    expect(() => emulator.push("s", "", {})).toThrow("source must not be empty: nobody can listen to that");
    for (const [data, got] of [
      [[], "an array"],
      ["x", "string"],
      [null, "null"],
      [undefined, "undefined"],
    ]) {
      expect(() => emulator.push("s", "news", data as never)).toThrow(`data must be an object, got ${got}`);
    }
    const refusal = expect.objectContaining({ extra: { kind: "InvalidArgument" } });
    expect(() => emulator.push("s", "", {})).toThrow(refusal);
  });
});
