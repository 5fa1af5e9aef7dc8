// @one-isolation: what is tested is the client.

/** The low-level client: each endpoint from its request class over the wire to its answer, and each way it fails. */

import { inspect } from "node:util";
import {
  AGB,
  CallMcpToolRequest,
  ClearContextRequest,
  Client,
  CreateMcpSessionRequestPersistenceDataList,
  CreateSessionRequest,
  DeleteContextFileRequest,
  DeleteContextRequest,
  DeleteSessionAsyncRequest,
  DescribeContextFilesRequest,
  GetAndLoadInternalContextRequest,
  GetCdpLinkRequest,
  GetContextFileDownloadUrlRequest,
  GetContextFileUploadUrlRequest,
  GetContextInfoRequest,
  GetContextRequest,
  GetLabelRequest,
  GetLinkRequest,
  GetMcpResourceRequest,
  GetSessionDetailRequest,
  GetSessionRequest,
  InitBrowserRequest,
  ListContextsRequest,
  ListMcpToolsRequest,
  ListSessionRequest,
  ModifyContextRequest,
  RefreshSessionIdleTimeRequest,
  ReleaseSessionRequest,
  SetLabelRequest,
  SyncContextRequest,
} from "agbcloud-native";
import { CLOSED_ADDRESS, ok, reply, type SeenRequest, withServer } from "./support/answers";
import { CODE_IMAGE, IMAGE_WITHOUT_LINK, useEmulator } from "./support/emulator";
import { withoutAgbVariables } from "./support/environment";
import { needs, noChromium } from "./support/needs";
import { until } from "./support/wait";

const spec = useEmulator();

const KEY = "Bearer ako-spec-secret";

/** What every answer can tell. */
interface AnyResponse {
  requestId: string;
  statusCode: number;
  code?: string;
  isSuccessful(): boolean;
  getErrorMessage(): string | undefined;
}

/** How an endpoint is called, and what must be on the wire then. */
interface Endpoint {
  send: (client: Client, authorization: string) => Promise<AnyResponse>;
  wire: string;
  query: Record<string, string>;
  /** Absent: a body of no bytes. */
  body?: unknown;
}

const ids = { contextId: "c-1", filePath: "/a b/ü" };
const sessionId = "s-1";
/** A port inside a session, where the service lets links lead. */
const port = 30_100;

/** Every method with a request in which nothing is left out. */
const ENDPOINTS: Record<Exclude<keyof Client, "close">, Endpoint> = {
  createMcpSession: {
    send: (client, authorization) =>
      client.createMcpSession(
        new CreateSessionRequest({
          authorization,
          imageId: CODE_IMAGE,
          sessionId,
          contextId: "c-1",
          labels: '{"z":"1","a":"2"}',
          mcpPolicyId: "p",
          persistenceDataList: [
            new CreateMcpSessionRequestPersistenceDataList({ contextId: "c", path: "/p", policy: "{}" }),
            new CreateMcpSessionRequestPersistenceDataList(),
          ],
          sdkStats: { source: "sdk" },
          timeout: 0,
        }),
      ),
    wire: "POST /mcp/createSession",
    query: { imageId: CODE_IMAGE, sdkStats: '{"source":"sdk"}' },
    body: {
      sessionId,
      persistenceDataList: [
        { contextId: "c", path: "/p", policy: "{}" },
        { contextId: "", path: "", policy: "" },
      ],
      contextId: "c-1",
      labels: '{"z":"1","a":"2"}',
      mcpPolicyId: "p",
      timeout: 0,
    },
  },
  getMcpSession: {
    send: (client, authorization) => client.getMcpSession(new GetSessionRequest({ authorization, sessionId })),
    wire: "POST /mcp/getSession",
    query: {},
    body: { sessionId },
  },
  getSessionDetail: {
    send: (client, authorization) => client.getSessionDetail(new GetSessionDetailRequest({ authorization, sessionId })),
    wire: "POST /mcp/getSessionInfo",
    query: {},
    body: { sessionId },
  },
  releaseMcpSession: {
    send: (client, authorization) => client.releaseMcpSession(new ReleaseSessionRequest({ authorization, sessionId })),
    wire: "POST /mcp/releaseSession",
    query: {},
    body: { sessionId },
  },
  deleteSessionAsync: {
    send: (client, authorization) =>
      client.deleteSessionAsync(new DeleteSessionAsyncRequest({ authorization, sessionId })),
    wire: "POST /mcp/releaseSessionAsync",
    query: {},
    body: { sessionId },
  },
  refreshSessionIdleTime: {
    send: (client, authorization) =>
      client.refreshSessionIdleTime(new RefreshSessionIdleTimeRequest({ authorization, sessionId })),
    wire: "POST /mcp/refreshSessionIdleTime",
    query: { sessionId },
    body: {},
  },
  listSessions: {
    send: (client, authorization) =>
      client.listSessions(
        new ListSessionRequest({ authorization, maxResults: 2, nextToken: "t", labels: "{}", isAll: false }),
      ),
    wire: "GET /sdk/ListSession",
    query: { maxResults: "2", nextToken: "t", labels: "{}", isAll: "false" },
  },
  setLabel: {
    send: (client, authorization) =>
      client.setLabel(new SetLabelRequest({ authorization, sessionId, labels: '{"a":"ü b"}' })),
    wire: "POST /sdk/SetLabel",
    query: { sessionId, Labels: '{"a":"ü b"}' },
  },
  getLabel: {
    send: (client, authorization) =>
      client.getLabel(new GetLabelRequest({ authorization, sessionId, maxResults: 3, nextToken: "t" })),
    wire: "GET /sdk/GetLabel",
    query: { sessionId, maxResults: "3", nextToken: "t" },
  },
  getMcpResource: {
    send: (client, authorization) => client.getMcpResource(new GetMcpResourceRequest({ authorization, sessionId })),
    wire: "POST /mcp/getMcpResource",
    query: {},
    body: { sessionId },
  },
  getLink: {
    send: (client, authorization) =>
      client.getLink(new GetLinkRequest({ authorization, sessionId, protocolType: "https", port })),
    wire: "GET /internet/getLink",
    query: { sessionId, protocolType: "https", port: "30100" },
  },
  getCdpLink: {
    send: (client, authorization) => client.getCdpLink(new GetCdpLinkRequest({ authorization, sessionId })),
    wire: "POST /internet/getCdpLink",
    query: { sessionId },
    body: {},
  },
  initBrowser: {
    send: (client, authorization) =>
      client.initBrowser(
        new InitBrowserRequest({ authorization, sessionId, persistentPath: "/d", browserOption: { useStealth: true } }),
      ),
    wire: "POST /browser/init",
    query: { sessionId, persistentPath: "/d", browserOption: '{"useStealth":true}' },
    body: {},
  },
  callMcpTool: {
    send: (client, authorization) =>
      client.callMcpTool(
        new CallMcpToolRequest({ authorization, sessionId, name: "shell", args: { b: 1, a: "ü" }, server: "v" }),
      ),
    wire: "POST /mcp",
    query: { autoGenSession: "false" },
    body: { args: '{"b":1,"a":"ü"}', sessionId, name: "shell", server: "v" },
  },
  listMcpTools: {
    send: (client, authorization) => client.listMcpTools(new ListMcpToolsRequest({ authorization, imageId: "" })),
    wire: "POST /mcp/listTools",
    query: { imageId: "" },
    body: {},
  },
  listContexts: {
    send: (client, authorization) =>
      client.listContexts(new ListContextsRequest({ authorization, maxResults: 5, nextToken: "t" })),
    wire: "GET /sdk/ListContexts",
    query: { maxResults: "5", nextToken: "t" },
  },
  getContext: {
    send: (client, authorization) =>
      client.getContext(
        new GetContextRequest({ authorization, id: "c-1", name: "n", loginRegionId: "r", allowCreate: true }),
      ),
    wire: "GET /sdk/GetContext",
    query: { id: "c-1", name: "n", loginRegionId: "r", allowCreate: "true" },
  },
  modifyContext: {
    send: (client, authorization) =>
      client.modifyContext(new ModifyContextRequest({ authorization, id: "c-1", name: "" })),
    wire: "POST /sdk/ModifyContext",
    query: { id: "c-1", name: "" },
  },
  deleteContext: {
    send: (client, authorization) => client.deleteContext(new DeleteContextRequest({ authorization, id: "c-1" })),
    wire: "POST /sdk/DeleteContext",
    query: { id: "c-1" },
  },
  clearContext: {
    send: (client, authorization) => client.clearContext(new ClearContextRequest({ authorization, id: "" })),
    wire: "POST /sdk/ClearContext",
    query: { id: "" },
  },
  syncContext: {
    send: (client, authorization) =>
      client.syncContext(
        new SyncContextRequest({ authorization, sessionId, contextId: "c-1", path: "/p", mode: "upload" }),
      ),
    wire: "POST /sdk/SyncContext",
    query: { sessionId, contextId: "c-1", path: "/p", mode: "upload" },
  },
  getContextInfo: {
    send: (client, authorization) =>
      client.getContextInfo(
        new GetContextInfoRequest({ authorization, sessionId, contextId: "c-1", path: "/p", taskType: "upload" }),
      ),
    wire: "GET /sdk/GetContextInfo",
    query: { sessionId, contextId: "c-1", path: "/p", taskType: "upload" },
  },
  getContextFileDownloadUrl: {
    send: (client, authorization) =>
      client.getContextFileDownloadUrl(new GetContextFileDownloadUrlRequest({ authorization, ...ids })),
    wire: "POST /sdk/GetContextFileDownloadUrl",
    query: ids,
  },
  getContextFileUploadUrl: {
    send: (client, authorization) =>
      client.getContextFileUploadUrl(new GetContextFileUploadUrlRequest({ authorization, ...ids })),
    wire: "POST /sdk/GetContextFileUploadUrl",
    query: ids,
  },
  deleteContextFile: {
    send: (client, authorization) => client.deleteContextFile(new DeleteContextFileRequest({ authorization, ...ids })),
    wire: "POST /sdk/DeleteContextFile",
    query: ids,
  },
  describeContextFiles: {
    send: (client, authorization) =>
      client.describeContextFiles(
        new DescribeContextFilesRequest({
          authorization,
          contextId: "c-1",
          parentFolderPath: "",
          pageNumber: 1,
          pageSize: 50,
        }),
      ),
    wire: "POST /sdk/DescribeContextFiles",
    query: { contextId: "c-1", parentFolderPath: "", pageNumber: "1", pageSize: "50" },
  },
  getAndLoadInternalContext: {
    send: (client, authorization) =>
      client.getAndLoadInternalContext(
        new GetAndLoadInternalContextRequest({ authorization, sessionId, contextTypes: ["file_transfer"] }),
      ),
    wire: "POST /sdk/GetAndLoadInternalContext",
    query: { sessionId, contextTypes: '["file_transfer"]' },
  },
};

const METHODS = Object.entries(ENDPOINTS);

/** A client of its own, and of no `AGB`. */
function clientAt(endpoint: string, timeoutMs = 60_000): Client {
  return new Client({ endpoint, timeoutMs });
}

/** The client and the key for the emulator of this file. */
function emulated(): { client: Client; authorization: string } {
  return { client: spec.agb.client, authorization: `Bearer ${spec.emulator.apiKey}` };
}

/** What an endpoint's answer class makes of an answer. */
async function readAs<Name extends keyof typeof ENDPOINTS>(name: Name, status: number, body: unknown) {
  const response: unknown = await withServer(
    (_, response) => reply(response, status, body),
    ({ url }) => ENDPOINTS[name].send(clientAt(url), KEY),
  );
  return response as Awaited<ReturnType<Client[Name]>>;
}

it("there is a test for every method", () => {
  const names = Object.getOwnPropertyNames(Client.prototype).filter((name) => !["constructor", "close"].includes(name));
  expect(METHODS.map(([name]) => name).sort()).toEqual(names.sort());
  expect(names).toHaveLength(27);
});

describe("on the wire", () => {
  it.each(METHODS)("%s sends what its request says", async (_, { send, wire, query, body }) => {
    await withServer(
      (_, response) => reply(response, 200, ok({})),
      async ({ url, requests }) => {
        const response = await send(clientAt(url), KEY);
        expect(response).toMatchObject({ requestId: "r-ok", statusCode: 200, code: "ok", httpStatusCode: 200 });
        expect(response.isSuccessful()).toBe(true);

        expect(requests).toHaveLength(1);
        const [request] = requests as [SeenRequest];
        expect(`${request.method} ${request.path}`).toBe(wire);
        expect([...request.query]).toEqual(Object.entries(query));
        expect(request.body).toBe(body === undefined ? "" : JSON.stringify(body));
        expect(request.headers).toMatchObject({ authorization: KEY, "content-type": "application/json" });
        if (request.method === "POST") {
          expect(request.headers["content-length"]).toBe(String(Buffer.byteLength(request.body)));
        }
      },
    );
  });

  it("what is not given is left out", async () => {
    const seen = await withServer(
      (_, response) => reply(response, 200, ok({})),
      async ({ url, requests }) => {
        const client = clientAt(url);
        const authorization = KEY;
        await client.createMcpSession(new CreateSessionRequest({ authorization, imageId: "" }));
        await client.getMcpSession(new GetSessionRequest({ authorization }));
        await client.listSessions(new ListSessionRequest({ authorization, nextToken: "" }));
        await client.callMcpTool(new CallMcpToolRequest({ authorization }));
        await client.getContext(new GetContextRequest({ authorization, name: "", allowCreate: false }));
        await client.syncContext(new SyncContextRequest({ authorization, sessionId: "", mode: "" }));
        await client.initBrowser(
          new InitBrowserRequest({ authorization, sessionId: "s", persistentPath: "", browserOption: {} }),
        );
        await client.getAndLoadInternalContext(
          new GetAndLoadInternalContextRequest({ authorization, sessionId: "", contextTypes: [] }),
        );
        return requests;
      },
    );
    expect(seen.map(({ query, body }) => [query.toString(), body])).toEqual([
      ["", "{}"],
      ["", "{}"],
      ["", ""],
      ["autoGenSession=false", "{}"],
      ["allowCreate=false", ""],
      ["", ""],
      ["sessionId=s&persistentPath=", "{}"],
      ["", ""],
    ]);
  });

  it("arguments may be their JSON text, and any object with the members of a request will do", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok({})),
      async ({ url, requests }) => {
        const args = '{"a": 1}';
        await clientAt(url).callMcpTool(new CallMcpToolRequest({ authorization: "ako-bare", name: "t", args }));
        const plain = { authorization: KEY, getBody: () => ({ mine: 1 }), getParams: () => ({ n: 1, no: null }) };
        await clientAt(url).getMcpSession(plain);
        expect(requests.map(({ body, query }) => [body, query.toString()])).toEqual([
          ['{"args":"{\\"a\\": 1}","name":"t"}', "autoGenSession=false"],
          ['{"mine":1}', "n=1"],
        ]);
        expect(requests[0]?.headers.authorization).toBe("Bearer ako-bare");
      },
    );
  });
});

describe("every method", () => {
  it.each(METHODS)("%s without authorization rejects, and nothing is sent", async (_, { send }) => {
    const requests = await spec.requestsOf(async () => {
      await expect(send(spec.agb.client, "")).rejects.toMatchObject({
        name: "AGBError",
        message: "authorization is required",
        extra: { kind: "InvalidArgument" },
      });
    });
    expect(requests).toEqual([]);
  });

  it.each(METHODS)("%s with a wrong key is a failure that says so, and shows no key", async (_, { send }) => {
    const requests = await spec.requestsOf(async () => {
      const response = await send(spec.agb.client, KEY);
      expect(response.isSuccessful()).toBe(false);
      expect(response).toMatchObject({ statusCode: 401, code: "AccessDenied", requestId: expect.stringMatching(/./) });
      expect(response.getErrorMessage()).toMatch(/denied|key/i);
      expect(`${response.getErrorMessage()} ${inspect(response, { depth: 9 })}`).not.toContain("spec-secret");
    });
    expect(requests).toHaveLength(1);
  });

  it("where nobody listens is a failure that names the host", async () => {
    const url = CLOSED_ADDRESS;
    await Promise.all(
      METHODS.map(async ([name, { send }]) => {
        const response = await send(clientAt(url, 20_000), KEY);
        expect([name, response.isSuccessful(), response.statusCode, response.requestId]).toEqual([name, false, 0, ""]);
        expect([name, response.getErrorMessage()]).toEqual([name, expect.stringMatching(/connect/)]);
        expect(response.getErrorMessage()).toContain(new URL(url).host);
      }),
    );
  });

  it("an error page is a failure that shows its beginning, or on a list its status", async () => {
    const page = `<html>${"x".repeat(5000)}</html>`;
    await withServer(
      (_, response) => reply(response, 404, page),
      async ({ url }) => {
        for (const [name, { send }] of METHODS) {
          const response = await send(clientAt(url), KEY);
          const isList = ["listSessions", "listContexts", "describeContextFiles"].includes(name);
          expect([name, response.isSuccessful(), response.statusCode]).toEqual([name, false, 404]);
          expect([name, response.getErrorMessage()]).toEqual([
            name,
            isList ? "HTTP 404 error" : `${page.slice(0, 200)}…`,
          ]);
        }
      },
    );
  });

  it("is sent again only where that is safe", async () => {
    await withServer(
      (_, response) => reply(response, 503, { success: false, message: "busy" }, { "Retry-After": "0" }),
      async ({ url, requests }) => {
        await Promise.all(METHODS.map(([, { send }]) => send(clientAt(url), KEY)));
        const count = (wire: string) => requests.filter(({ method, path }) => `${method} ${path}` === wire).length;
        const once = METHODS.filter(([, { wire }]) => count(wire) === 1).map(([name]) => name);
        expect(once.sort()).toEqual([
          "callMcpTool",
          "createMcpSession",
          "deleteContext",
          "deleteContextFile",
          "initBrowser",
        ]);
        for (const [name, { wire }] of METHODS) {
          expect([name, count(wire)]).toEqual([name, once.includes(name) ? 1 : 4]);
        }
      },
    );
  });
});

it.each([
  "releaseMcpSession",
  "deleteSessionAsync",
  "refreshSessionIdleTime",
  "getMcpResource",
  "getLink",
  "getCdpLink",
] as const)("%s without a session id rejects, and nothing is sent", async (name) => {
  const { client, authorization } = emulated();
  const method = client[name].bind(client) as (request: object) => Promise<AnyResponse>;
  const requests = await spec.requestsOf(async () => {
    for (const missing of [undefined, null, ""]) {
      const request = new GetLinkRequest({ authorization, sessionId: missing as never });
      await expect(method(request)).rejects.toMatchObject({ name: "AGBError", message: "session_id is required" });
      const both = new GetLinkRequest({ sessionId: missing as never });
      await expect(method(both)).rejects.toThrow("authorization is required");
    }
    await expect(method(undefined as never)).rejects.toThrow("authorization is required");
  });
  expect(requests).toEqual([]);
});

describe("sessions", () => {
  it("are created, found, listed and released", async () => {
    const { client, authorization } = emulated();
    const created = await client.createMcpSession(
      new CreateSessionRequest({ authorization, imageId: CODE_IMAGE, labels: '{"low":"level"}', timeout: 120 }),
    );
    expect(created.isSuccessful()).toBe(true);
    const sessionId = created.getSessionId() ?? "";
    expect(created.getData()).toMatchObject({ success: true, sessionId, appInstanceId: expect.stringMatching(/./) });
    expect(JSON.parse(created.getData()?.toolList ?? "")).toBeInstanceOf(Array);
    expect(created.getResourceUrl()).toMatch(/resourceId=/);
    expect(spec.view(sessionId)).toMatchObject({ idleReleaseTimeout: 120, labels: { low: "level" } });

    const found = await client.getMcpSession(new GetSessionRequest({ authorization, sessionId }));
    expect(found.isSuccessful()).toBe(true);
    expect([found.getSessionId(), found.getData()?.status]).toEqual([sessionId, "RUNNING"]);
    expect(found.getData()?.linkUrl).toBe(created.getData()?.linkUrl);
    expect(found.getResourceUrl()).toMatch(/resourceId=/);

    const listed = await client.listSessions(new ListSessionRequest({ authorization, labels: '{"low":"level"}' }));
    expect(listed.getSessionData()).toEqual([{ sessionId, sessionStatus: expect.stringMatching(/./) }]);
    expect([listed.getCount(), listed.getNextToken()]).toEqual([1, ""]);
    expect(listed.getMaxResults()).toBeGreaterThan(0);

    const released = await client.releaseMcpSession(new ReleaseSessionRequest({ authorization, sessionId }));
    expect([released.isSuccessful(), released.requestId]).toEqual([true, expect.stringMatching(/./)]);
    await until("the session is released", () => ["releasing", "released"].includes(spec.view(sessionId).state));
  });

  it("tell their status and are kept alive until their release begins", async () => {
    const { client, authorization } = emulated();
    const sessionId = (await spec.create()).getSessionId();
    const status = () => client.getSessionDetail(new GetSessionDetailRequest({ authorization, sessionId }));
    expect((await status()).getStatus()).toBe("RUNNING");

    const [request] = await spec.requestsOf(async () => {
      const kept = await client.refreshSessionIdleTime(new RefreshSessionIdleTimeRequest({ authorization, sessionId }));
      expect([kept.isSuccessful(), kept.getData() ?? null]).toEqual([true, null]);
    });
    expect(request?.resetsIdleTimer).toBe(true);

    const release = new DeleteSessionAsyncRequest({ authorization, sessionId });
    expect((await client.deleteSessionAsync(release)).isSuccessful()).toBe(true);
    await until("the release begins", async () => (await status()).getStatus() !== "RUNNING");
  });

  it("have labels, a page and links", async () => {
    const { client, authorization } = emulated();
    const sessionId = (await spec.create()).getSessionId();
    const labels = '{"z":"ü b","a":"2"}';
    expect((await client.setLabel(new SetLabelRequest({ authorization, sessionId, labels }))).isSuccessful()).toBe(
      true,
    );
    const read = await client.getLabel(new GetLabelRequest({ authorization, sessionId }));
    expect([read.isSuccessful(), read.getLabelsData()]).toEqual([true, labels]);

    const resource = await client.getMcpResource(new GetMcpResourceRequest({ authorization, sessionId }));
    expect(resource.getResourceData()).toMatchObject({ sessionId, desktopInfo: expect.anything() });
    expect(resource.getResourceUrl()).toBe(resource.getResourceData()?.resourceUrl);

    const link = new GetLinkRequest({ authorization, sessionId, protocolType: "https", port });
    expect((await client.getLink(link)).getUrl()).toMatch(/^https?:.*30100/);
  });

  it("that are unknown are failures with the service's code", async () => {
    const { client, authorization } = emulated();
    const sessionId = "s-unknown";
    const responses = await Promise.all([
      client.getMcpSession(new GetSessionRequest({ authorization, sessionId })),
      client.getSessionDetail(new GetSessionDetailRequest({ authorization, sessionId })),
      client.refreshSessionIdleTime(new RefreshSessionIdleTimeRequest({ authorization, sessionId })),
      client.releaseMcpSession(new ReleaseSessionRequest({ authorization, sessionId })),
      client.deleteSessionAsync(new DeleteSessionAsyncRequest({ authorization, sessionId })),
      client.setLabel(new SetLabelRequest({ authorization, sessionId, labels: "{}" })),
      client.getLabel(new GetLabelRequest({ authorization, sessionId })),
      client.getMcpResource(new GetMcpResourceRequest({ authorization, sessionId })),
      client.getLink(new GetLinkRequest({ authorization, sessionId })),
      client.getCdpLink(new GetCdpLinkRequest({ authorization, sessionId })),
      client.initBrowser(new InitBrowserRequest({ authorization, sessionId, persistentPath: "/d" })),
      client.syncContext(new SyncContextRequest({ authorization, sessionId })),
      client.getContextInfo(new GetContextInfoRequest({ authorization, sessionId })),
      client.getAndLoadInternalContext(
        new GetAndLoadInternalContextRequest({ authorization, sessionId, contextTypes: ["file_transfer"] }),
      ),
    ]);
    for (const response of responses) {
      expect([response.constructor.name, response.isSuccessful()]).toEqual([response.constructor.name, false]);
      expect(response).toMatchObject({ statusCode: 400, code: "InvalidMcpSession.NotFound", httpStatusCode: 400 });
      expect(response.getErrorMessage()).toMatch(/not found/);
    }
  });
});

describe("tools", () => {
  it("are listed by image, and called", async () => {
    const { client, authorization } = emulated();
    const listed = await client.listMcpTools(new ListMcpToolsRequest({ authorization, imageId: CODE_IMAGE }));
    expect(listed.isSuccessful()).toBe(true);
    expect(listed.getErrorMessage()).toBeUndefined();
    const tools = JSON.parse(listed.getToolsList() ?? "") as { name: string }[];
    expect(tools.map(({ name }) => name)).toContain("shell");

    const sessionId = (await spec.create({ imageId: IMAGE_WITHOUT_LINK })).getSessionId();
    const args = { command: "echo here", timeout_ms: 20_000 };
    const call = (request: object) =>
      client.callMcpTool(new CallMcpToolRequest({ authorization, sessionId, name: "shell", args, ...request }));
    const done = await call({});
    expect([done.isSuccessful(), done.getErrorMessage()]).toEqual([true, undefined]);
    expect(done.getToolResult()).toContain("here");

    const failed = await call({ name: "no_such_tool" });
    expect([failed.isSuccessful(), failed.getErrorMessage()]).toEqual([false, expect.stringMatching(/no_such_tool/)]);
    const gone = await call({ sessionId: "s-unknown" });
    expect([gone.isSuccessful(), gone.code]).toEqual([false, "InvalidSession.NotFound"]);
    const nowhere = await client.listMcpTools(new ListMcpToolsRequest({ authorization, imageId: "no-image" }));
    expect([nowhere.isSuccessful(), nowhere.getErrorMessage()]).toEqual([false, expect.stringMatching(/no-image/)]);
  });

  it("end when their time is over", async () => {
    await withServer(
      () => undefined,
      async ({ url }) => {
        const request = new CallMcpToolRequest({ authorization: KEY, sessionId: "s", name: "t", args: {} });
        const response = await clientAt(url, 60_000).callMcpTool(request, 200, 100);
        expect([response.isSuccessful(), response.statusCode]).toEqual([false, 0]);
        expect(response.getErrorMessage()).toMatch(/timeout of 200ms/);
      },
    );
  });

  it("give all their texts, else their first other content", async () => {
    const text = (text: string) => ({ type: "text", text });
    const read = async (data: unknown) => (await readAs("callMcpTool", 200, ok(data))).getToolResult();
    expect(await read({ content: [text("a"), { type: "image", data: "x" }, text("b")] })).toBe("a\nb");
    expect(await read({ content: [{ type: "image", data: "x" }] })).toBe("x");
    expect(await read({ content: [{ type: "resource", blob: "y", data: "x" }] })).toBe("y");
    for (const nothing of [{ content: [] }, { content: [null] }, {}, null, "text"]) {
      expect(await read(nothing)).toBeUndefined();
    }
  });

  it("that failed say it themselves", async () => {
    const failed = { isError: true, content: [{ type: "text", text: "boom" }] };
    const read = async (status: number, body: unknown) => {
      const response = await readAs("callMcpTool", status, body);
      return [response.isSuccessful(), response.getErrorMessage()];
    };
    expect(await read(200, { ...ok(failed), message: "ok" })).toEqual([false, "boom"]);
    expect(await read(200, { ...ok({ isError: true }), message: "m" })).toEqual([false, "m"]);
    expect(await read(200, ok({ isError: true }))).toEqual([false, undefined]);
    expect(await read(200, { success: false, message: "no", data: null })).toEqual([false, "no"]);
    expect(await read(201, ok({}))).toEqual([false, undefined]);
    expect(await read(200, "7")).toEqual([false, undefined]);
    expect(await read(200, ok())).toEqual([true, undefined]);
  });

  it("lists that failed say why", async () => {
    const read = async (body: unknown) => (await readAs("listMcpTools", 200, body)).getErrorMessage();
    expect(await read({ success: false })).toBe("API request failed");
    expect(await read({ success: false, message: "m" })).toBe("m");
    expect(await read(ok({ isError: true }))).toBe("Tool execution failed");
    expect(await read(ok({ isError: true, errMsg: "e" }))).toBe("e");
    expect((await readAs("listMcpTools", 200, ok([]))).getToolsList()).toBeUndefined();
  });
});

describe("contexts", () => {
  /** A new context by that name. */
  async function make(name: string) {
    const { client, authorization } = emulated();
    const response = await client.getContext(new GetContextRequest({ authorization, name, allowCreate: true }));
    expect(response.isSuccessful()).toBe(true);
    return { client, authorization, id: response.getContextData()?.id ?? "", data: response.getContextData() };
  }

  it("are made, found, listed, renamed, cleared and deleted", async () => {
    const { client, authorization, id, data } = await make("low-1");
    expect(data).toMatchObject({ name: "low-1", state: "available", createTime: expect.stringMatching(/T/) });
    const find = () => client.getContext(new GetContextRequest({ authorization, id, allowCreate: false }));

    expect(
      (await client.modifyContext(new ModifyContextRequest({ authorization, id, name: "low-2" }))).isSuccessful(),
    ).toBe(true);
    expect((await find()).getContextData()?.name).toBe("low-2");

    const listed = await client.listContexts(new ListContextsRequest({ authorization, maxResults: 1 }));
    expect(listed.getContextsData()).toEqual([
      { id, name: "low-2", createTime: data?.createTime, lastUsedTime: expect.stringMatching(/T/) },
    ]);
    expect([listed.getMaxResults(), listed.getTotalCount()]).toEqual([1, expect.any(Number)]);
    expect(listed.getNextToken()).toEqual(expect.any(String));

    expect((await client.clearContext(new ClearContextRequest({ authorization, id }))).isSuccessful()).toBe(true);
    await until("the context is clear", async () => (await find()).getContextData()?.state === "available");

    expect((await client.deleteContext(new DeleteContextRequest({ authorization, id }))).isSuccessful()).toBe(true);
    const gone = await find();
    expect([gone.isSuccessful(), gone.getContextData()]).toEqual([false, undefined]);
  });

  it("have files, with URLs that grant access", async () => {
    const { client, authorization, id: contextId } = await make("low-files");
    const filePath = "/dir/a b.txt";
    const file = { authorization, contextId, filePath };
    const upload = await client.getContextFileUploadUrl(new GetContextFileUploadUrlRequest(file));
    const uploadUrl = upload.getUploadUrl() ?? "";
    expect(upload.getUploadUrlData()).toEqual({ url: uploadUrl, expireTime: upload.getExpireTime() });
    expect(upload.getExpireTime()).toMatch(/./);
    expect((await fetch(uploadUrl, { method: "PUT", body: "content" })).status).toBe(200);

    const folder = { authorization, contextId, parentFolderPath: "/dir", pageNumber: 1, pageSize: 10 };
    const list = () => client.describeContextFiles(new DescribeContextFilesRequest(folder));
    const listed = await list();
    expect(listed.getFilesData()).toMatchObject([{ fileName: "a b.txt", filePath, size: 7 }]);
    expect([listed.getCount(), listed.getMaxResults()]).toEqual([1, expect.any(Number)]);
    expect(listed.getNextToken() ?? "").toBe("");

    const download = await client.getContextFileDownloadUrl(new GetContextFileDownloadUrlRequest(file));
    expect(download.getExpireTime()).toMatch(/./);
    expect(await (await fetch(download.getDownloadUrl() ?? "")).text()).toBe("content");

    expect((await client.deleteContextFile(new DeleteContextFileRequest(file))).isSuccessful()).toBe(true);
    expect((await list()).getFilesData()).toEqual([]);
  });

  it("are mounted and synchronised", async () => {
    const { client, authorization, id: contextId } = await make("low-mount");
    const path = `/tmp/agb-client-spec-${process.pid}-${Math.random().toString(36).slice(2)}`;
    const created = await client.createMcpSession(
      new CreateSessionRequest({
        authorization,
        imageId: CODE_IMAGE,
        persistenceDataList: [
          new CreateMcpSessionRequestPersistenceDataList({ contextId, path, policy: '{"uploadPolicy":{}}' }),
        ],
      }),
    );
    const sessionId = created.getSessionId() ?? "";
    const statuses = async () => {
      const info = await client.getContextInfo(
        new GetContextInfoRequest({ authorization, sessionId, contextId, path }),
      );
      expect(info.isSuccessful()).toBe(true);
      return JSON.parse(String(info.getContextStatus())) as object[];
    };
    expect(JSON.stringify(await statuses())).toContain(contextId);
    const sync = new SyncContextRequest({ authorization, sessionId, contextId, path, mode: "upload" });
    expect((await client.syncContext(sync)).isSuccessful()).toBe(true);
    await until("the upload is seen", async () => /upload/.test(JSON.stringify(await statuses())));

    const internal = await client.getAndLoadInternalContext(
      new GetAndLoadInternalContextRequest({ authorization, sessionId, contextTypes: ["file_transfer"] }),
    );
    expect(internal.getContextList()).toEqual([
      {
        contextId: expect.stringMatching(/./),
        contextType: "file_transfer",
        contextPath: expect.stringMatching(/^\//),
      },
    ]);
    await client.deleteSessionAsync(new DeleteSessionAsyncRequest({ authorization, sessionId }));
  });

  it("that are unknown are failures", async () => {
    const { client, authorization } = emulated();
    const file = { authorization, contextId: "c-unknown", filePath: "/x" };
    const folder = { authorization, contextId: "c-unknown", parentFolderPath: "/", pageNumber: 1, pageSize: 10 };
    const id = "c-unknown";
    const responses = await Promise.all([
      client.getContext(new GetContextRequest({ authorization, id, allowCreate: false })),
      client.modifyContext(new ModifyContextRequest({ authorization, id, name: "n" })),
      client.deleteContext(new DeleteContextRequest({ authorization, id })),
      client.clearContext(new ClearContextRequest({ authorization, id })),
      client.getContextFileDownloadUrl(new GetContextFileDownloadUrlRequest(file)),
      client.getContextFileUploadUrl(new GetContextFileUploadUrlRequest(file)),
      client.deleteContextFile(new DeleteContextFileRequest(file)),
      client.describeContextFiles(new DescribeContextFilesRequest(folder)),
    ]);
    for (const response of responses) {
      expect([response.constructor.name, response.isSuccessful()]).toEqual([response.constructor.name, false]);
      expect(response.getErrorMessage()).toMatch(/not found/i);
      expect(response.getRequestId()).toMatch(/./);
    }
    const list = await client.listContexts(new ListContextsRequest({ authorization, nextToken: "no-token" }));
    expect([list.isSuccessful(), list.getContextsData()]).toEqual([false, []]);
    expect(list.getErrorMessage()).toMatch(/no-token/);
  });
});

describe("the browser", () => {
  const it = needs(noChromium).it;

  it("is started, and tells where it is driven", async () => {
    const { client, authorization } = emulated();
    const session = await spec.create({ imageId: "agb-browser-use-1" });
    const sessionId = session.getSessionId();
    const started = await client.initBrowser(
      new InitBrowserRequest({
        authorization,
        sessionId,
        persistentPath: "/tmp/agb_browser_data",
        browserOption: { useStealth: false },
      }),
    );
    expect([started.isSuccessful(), started.getPort()]).toEqual([true, expect.any(Number)]);
    const link = await client.getCdpLink(new GetCdpLinkRequest({ authorization, sessionId }));
    expect([link.isSuccessful(), link.getUrl()]).toEqual([true, expect.stringMatching(/^ws/)]);
    await session.delete();
  });
});

describe("answers", () => {
  it("differ in what is a success: any status below 400, or 200 alone", async () => {
    for (const [name] of METHODS) {
      const method = name as keyof typeof ENDPOINTS;
      const strict = [
        ...["releaseMcpSession", "deleteSessionAsync", "refreshSessionIdleTime", "listSessions", "getLink"],
        ...["getCdpLink", "initBrowser", "callMcpTool", "listMcpTools", "listContexts", "describeContextFiles"],
      ].includes(name);
      const created = await readAs(method, 201, ok({}));
      expect([name, created.isSuccessful()]).toEqual([name, !strict]);
      const vague = await readAs(method, 200, { ...ok({}), success: "true" });
      expect([name, vague.isSuccessful()]).toEqual([name, false]);
    }
  });

  it("without a word are named", async () => {
    const silent = async (name: keyof typeof ENDPOINTS) => (await readAs(name, 500, {})).getErrorMessage();
    expect(await silent("getLabel")).toBe("Unknown error");
    expect(await silent("getCdpLink")).toBe("Unknown error");
    expect(await silent("createMcpSession")).toBe("Unknown error");
    expect(await silent("listSessions")).toBe("HTTP 500 error");
    expect(await silent("listMcpTools")).toBe("API request failed");
    expect(await silent("callMcpTool")).toBeUndefined();
  });

  it("explain a refused creation by its data", async () => {
    const response = await readAs("createMcpSession", 400, { message: "m", data: { errMsg: "quota exceeded" } });
    expect([response.isSuccessful(), response.getErrorMessage()]).toEqual([false, "quota exceeded"]);
  });

  it("may spell their members with a capital, or wrap them in a body", async () => {
    const pascal = { Success: true, Code: "c", Message: "m", HttpStatusCode: 207, RequestId: "r", Data: { a: 1 } };
    for (const body of [pascal, { body: pascal }]) {
      const kept = await readAs("refreshSessionIdleTime", 200, body);
      expect([kept.isSuccessful(), kept.getErrorMessage(), kept.getData()]).toEqual([true, "m", { a: 1 }]);
      expect(kept).toMatchObject({ requestId: "r", statusCode: 200, code: "c", httpStatusCode: 207 });
      expect((await readAs("deleteSessionAsync", 200, body)).isSuccessful()).toBe(true);
    }
    expect((await readAs("getSessionDetail", 200, ok({ Status: "FINISH" }))).getStatus()).toBe("FINISH");
  });

  it("of any shape are read without harm", async () => {
    const session = await readAs("getMcpSession", 200, ok({ sessionId: "s", status: 7, toolList: [{ name: "t" }] }));
    expect(session.getData()).toEqual({ sessionId: "s", status: "7", toolList: '[{"name":"t"}]' });
    expect((await readAs("listSessions", 200, ok([null, 1, { sessionId: "s" }]))).getSessionData()).toEqual([
      { sessionId: "s" },
    ]);
    for (const data of [null, [], "text", 7, undefined]) {
      expect((await readAs("getMcpSession", 200, ok(data))).getData()).toBeUndefined();
      expect((await readAs("createMcpSession", 200, ok(data))).getSessionId()).toBeUndefined();
      expect((await readAs("getMcpResource", 200, ok(data))).getResourceData()).toBeUndefined();
      expect((await readAs("getSessionDetail", 200, ok(data))).getStatus()).toBe("");
      expect((await readAs("getLabel", 200, ok(data))).getLabelsData()).toBeUndefined();
      expect((await readAs("initBrowser", 200, ok(data))).getPort()).toBeUndefined();
      expect((await readAs("getAndLoadInternalContext", 200, ok(data))).getContextList()).toEqual([]);
    }
    const paged = await readAs("getLabel", 200, ok({ labels: "{}", count: 1, maxResults: "2", nextToken: "t" }));
    expect([paged.getCount(), paged.getMaxResults(), paged.getNextToken()]).toEqual([1, 2, "t"]);
  });
});

describe("the client", () => {
  withoutAgbVariables();

  it("takes its configuration from the environment where none is given", async () => {
    process.env.AGB_ENDPOINT = spec.emulator.url;
    const authorization = `Bearer ${spec.emulator.apiKey}`;
    const listed = await new Client().listSessions(new ListSessionRequest({ authorization }));
    expect(listed.isSuccessful()).toBe(true);
  });

  it("follows a changed configuration of its AGB, and goes on after close()", async () => {
    const agb = new AGB({ apiKey: "any", config: { endpoint: "http://127.0.0.1:1" } });
    agb.config.endpoint = spec.emulator.url;
    const { authorization } = emulated();
    agb.client.close();
    for (let turn = 0; turn < 2; turn += 1) {
      const listed = await agb.client.listSessions(new ListSessionRequest({ authorization }));
      expect(listed.isSuccessful()).toBe(true);
    }
  });

  it("with an endpoint that is none rejects", async () => {
    const client = new Client({ endpoint: "ftp://x", timeoutMs: 1 });
    const request = new ListSessionRequest({ authorization: KEY });
    await expect(client.listSessions(request)).rejects.toMatchObject({ extra: { kind: "Config" } });
  });

  it("shows no key, and neither do its requests", () => {
    const request = new CallMcpToolRequest({ authorization: KEY, name: "t", args: { a: 1 } });
    expect(inspect(request)).toBe("CallMcpToolRequest { authorization: '****', name: 't', args: { a: 1 } }");
    expect(inspect([spec.agb.client, emulated().client], { depth: 9 })).not.toContain(spec.emulator.apiKey);
  });
});
