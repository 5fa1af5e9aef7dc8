/**
 * A small HTTP server that answers what a test says, for answers that the emulator never gives.
 */

import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A request that the server has seen. */
export interface SeenRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Answers one request; `index` counts from 0. */
export type Answer = (request: SeenRequest, response: ServerResponse, index: number) => void;

/** A server that runs. */
export interface AnsweringServer {
  readonly url: string;
  readonly requests: SeenRequest[];
}

/** Runs `work` with a server on any free port of this machine; it is gone afterwards, with all its connections. */
export async function withServer<T>(answer: Answer, work: (server: AnsweringServer) => Promise<T>): Promise<T> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
      const seen = {
        method: request.method ?? "",
        path: pathname,
        query: searchParams,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      requests.push(seen);
      answer(seen, response, requests.length - 1);
    });
  };
  const server = createServer(listener);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  try {
    const { port } = server.address() as AddressInfo;
    return await work({ url: `http://127.0.0.1:${port}`, requests });
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Answers with a status and a body; an object is sent as JSON. */
export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** The envelope of a success. */
export function ok(data?: unknown): Record<string, unknown> {
  return { success: true, code: "ok", message: "", httpStatusCode: 200, requestId: "r-ok", data };
}

/** The data of a created or found session. */
export function sessionData(members: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    success: true,
    sessionId: "s-1",
    appInstanceId: "ai-1",
    resourceId: "p-1",
    resourceUrl: "https://desk.example/?resourceId=p-1",
    linkUrl: "",
    wsUrl: "",
    token: "",
    toolList: "[]",
    ...members,
  };
}

/** An address of this machine where nobody listens: no other test is ever given this port. */
export const CLOSED_ADDRESS = "http://127.0.0.1:1";
