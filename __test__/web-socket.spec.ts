/** Streams over a WebSocket that misbehaves, which the emulator's never does. */

import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  AGBError,
  WsConnectionClosedError,
  WsError,
  WsHandshakeRejectedError,
  WsProtocolError,
  WsRemoteError,
} from "agbcloud-native";
import { eventsOf } from "./support/code-events";
import { rejectionOf } from "./support/rejection";
import { must } from "./support/session";
import { type ServedSocket, withWebSocket } from "./support/web-socket";

describe("a WebSocket that misbehaves", () => {
  const event = (eventType: string, more: object) => ({ phase: "event", eventType, ...more });

  it.each([
    ["is dropped", (socket: ServedSocket) => socket.drop(), /^connection closed: code=1006/, WsConnectionClosedError],
    [
      "sends half a frame",
      (socket: ServedSocket) => socket.text('{"invocationId":'),
      /^Invalid JSON message/,
      WsProtocolError,
    ],
    [
      "says that it failed",
      (socket: ServedSocket, id: string) => socket.say(id, { phase: "error", error: { code: "Busy" } }),
      /"code":"Busy"/,
      WsRemoteError,
    ],
  ])("fails the run when it %s, and keeps what came", async (_name, misbehave, message, ErrorClass) => {
    await withWebSocket(
      async (socket) => {
        const { invocationId } = await socket.frame();
        socket.say(invocationId, event("stdout", { chunk: "so far" }));
        misbehave(socket, invocationId);
      },
      async (session) => {
        const onError = jest.fn();
        const result = await session.code.run("1", "python", 60, { streamBeta: true, onError });
        expect(result).toMatchObject({
          requestId: "",
          success: false,
          executionTime: 0,
          logs: { stdout: ["so far"], stderr: [] },
          error: { name: "ExecutionError" },
          errorMessage: expect.stringMatching(message),
        });
        expect(onError).toHaveBeenCalledTimes(1);
        const stream = eventsOf(session.code.stream("1", "python"));
        await expect(stream).rejects.toThrow(message);
        for (const error of [onError.mock.calls[0]?.[0], await stream.catch((error) => error)]) {
          for (const Class of [ErrorClass, WsError, AGBError]) expect(error).toBeInstanceOf(Class);
          expect(error.name).toBe(ErrorClass.name);
        }
      },
    );
  });

  it("never makes a success of a gap", async () => {
    await withWebSocket(
      async (socket) => {
        const { invocationId } = await socket.frame();
        socket.say(invocationId, event("stdout", { chunk: "1", seq: 1 }));
        socket.say(invocationId, event("stdout", { chunk: "3", seq: 3 }));
        socket.say(invocationId, { phase: "end", status: "finished", seq: 4 });
      },
      async (session) => {
        const result = await session.code.run("1", "python", 60, { streamBeta: true });
        expect(result).toMatchObject({ success: false, logs: { stdout: ["1"] } });
        expect(result.errorMessage).toBe("the stream has a gap: frame 2 was expected, frame 3 came");
      },
    );
  });

  it("ends a stream that the service refuses, with the words of the service and no secret", async () => {
    await withWebSocket(
      async (socket) => {
        const { invocationId } = await socket.frame();
        socket.say(invocationId, { phase: "error", error: { code: "Busy", message: "try later", token: "SECRET" } });
      },
      async (session) => {
        const result = await session.code.run("1", "python", 60, { streamBeta: true });
        expect(result).toMatchObject({ success: false, code: "Busy" });
        expect(result.errorMessage).toContain("try later");
        expect(result.errorMessage).not.toContain("SECRET");
      },
    );
  });

  it("is not waited for longer than its stream may take, whether it never opens or says nothing", async () => {
    // Side by side: what a stream may take has 15 s for the way added.
    await Promise.all([neverOpening(), sayingNothing()]);
  });

  /** Counts as not opened. */
  async function neverOpening(): Promise<void> {
    const connections = new Set<Socket>();
    const silent = createServer((socket) => connections.add(socket.on("error", () => {})));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      await withWebSocket(
        () => {},
        async (session) => {
          session.wsUrl = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/ws`;
          const error = await rejectionOf(eventsOf(session.code.stream("1", "python", { timeoutS: 0.1 })));
          expect(error).toBeInstanceOf(WsHandshakeRejectedError);
          expect(error).toMatchObject({ extra: { kind: "Timeout" } });
        },
      );
    } finally {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  }

  /** The stream is settled by its deadline, and fresh ones use a fresh connection. */
  function sayingNothing(): Promise<void> {
    return withWebSocket(
      async (socket, index) => {
        const { invocationId } = await socket.frame();
        if (index === 0) return;
        socket.say(invocationId, { phase: "end", status: "finished", executionTime: 0.5 });
      },
      async (session, sockets) => {
        const onError = jest.fn();
        const silent = await session.code.run("1", "python", 0.1, { streamBeta: true, onError });
        expect(onError.mock.calls).toEqual([[expect.any(WsError)]]);
        expect(silent).toMatchObject({
          success: false,
          errorMessage: expect.stringMatching(/^timeout of 15100ms exceeded/),
        });
        expect(must(await session.code.run("1", "python", 60, { streamBeta: true })).executionTime).toBe(0.5);
        expect(sockets()).toBe(2);
      },
    );
  }
});
