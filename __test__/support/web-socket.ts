/**
 * A service whose sessions' WebSocket says what a test says, for frames that the emulator never sends.
 */

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { AGB, type Session } from "agbcloud-native";
import { ok, reply, sessionData } from "./answers";
import { createSession } from "./session";

/** One WebSocket, as the service sees it. */
export interface ServedSocket {
  /** The next frame of the client. */
  frame(): Promise<{ invocationId: string; data: Record<string, unknown> }>;
  /** Sends a frame of a stream. */
  say(invocationId: string, data: unknown): void;
  /** Sends any text. */
  text(text: string): void;
  /** Ends the connection without a word. */
  drop(): void;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Runs `work` with a session whose every WebSocket follows `script`; `sockets` counts them. */
export async function withWebSocket<T>(
  script: (socket: ServedSocket, index: number) => unknown,
  work: (session: Session, sockets: () => number) => Promise<T>,
): Promise<T> {
  const open = new Set<Socket>();
  let count = 0;
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const isCreation = request.url?.startsWith("/mcp/createSession");
    const data = { ...sessionData(), wsUrl: `ws://127.0.0.1:${port}/ws`, token: "tk-test" };
    reply(response, 200, ok(isCreation ? data : { status: "FINISH" }));
  });
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
  });
  server.on("upgrade", (request, socket: Socket) => {
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
    const headers = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join("\r\n")}\r\n\r\n`);
    count += 1;
    script(serve(socket), count - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const session = await createSession(new AGB({ apiKey: "any", config: { endpoint: `http://127.0.0.1:${port}` } }));
    return await work(session, () => count);
  } finally {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

function serve(socket: Socket): ServedSocket {
  const frames: string[] = [];
  let wake = () => {};
  let pending = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    for (let read = readFrame(pending); read; read = readFrame(pending)) {
      pending = pending.subarray(read.length);
      if (read.text !== undefined) frames.push(read.text);
    }
    wake();
  });
  const text = (content: string) => {
    const payload = Buffer.from(content);
    const head = payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 255];
    socket.write(Buffer.concat([Buffer.from(head), payload]));
  };
  return {
    async frame() {
      while (frames.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return JSON.parse(frames.shift() as string);
    },
    say: (invocationId, data) => text(JSON.stringify({ invocationId, source: "server", target: "SDK", data })),
    text,
    drop: () => socket.destroy(),
  };
}

/** The first whole frame of a client, whose payload is always masked. */
function readFrame(bytes: Buffer): { text?: string; length: number } | undefined {
  if (bytes.length < 6) return undefined;
  const short = bytes.readUInt8(1) & 127;
  const start = short === 126 ? 8 : 6;
  if (bytes.length < start) return undefined;
  const size = short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < start + size) return undefined;
  const mask = bytes.subarray(start - 4, start);
  const payload = Buffer.from(bytes.subarray(start, start + size)).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  const isText = (bytes.readUInt8(0) & 15) === 1;
  return { ...(isText && { text: Buffer.from(payload).toString() }), length: start + size };
}
