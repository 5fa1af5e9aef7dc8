/** One session: its fields, its life, its labels, its links and its tools on both routes. */

import {
  AGB,
  BaseService,
  Client,
  Code,
  Command,
  FileSystem,
  type McpTool,
  Session,
  type SessionLike,
} from "agbcloud-native";
import { CLOSED_ADDRESS, ok, reply, withServer } from "./support/answers";
import { CODE_IMAGE, IMAGE_WITHOUT_LINK, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { withoutAgbVariables } from "./support/environment";

const spec = useEmulator();

/** The id of the request that was answered last. */
function lastRequestId(): string {
  const id = spec.emulator.journal().at(-1)?.requestId;
  if (!id) throw new Error("no request yet");
  return id;
}

/** A session whose service answers everything with `answer`. */
function withAnswer<T>(answer: unknown, work: (session: Session) => Promise<T>, status = 200): Promise<T> {
  return withServer(
    (_, response) => reply(response, status, answer),
    ({ url }) => work(new Session(new AGB({ apiKey: "k", config: { endpoint: url } }), "s-1")),
  );
}

describe("a session's fields", () => {
  it("are what the service said", async () => {
    const session = await spec.create();
    const id = session.getSessionId();
    expect(spec.view(session).id).toBe(id);
    expect(session).toMatchObject({
      imageId: CODE_IMAGE,
      appInstanceId: expect.stringMatching(/./),
      resourceId: expect.stringMatching(/./),
      token: expect.stringMatching(/./),
      linkUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\//),
      wsUrl: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:\d+\//),
    });
    expect(session.resourceUrl).toContain(`resourceId=${session.resourceId}`);
  });

  it("tools are the parsed tool list, each complete", async () => {
    const session = await spec.create();
    const listed = JSON.parse(session.toolList) as McpTool[];
    expect(session.mcpTools.map(({ name, server }) => [name, server])).toEqual(
      listed.map(({ name, server }) => [name, server]),
    );
    for (const tool of session.mcpTools) {
      expect(Object.keys(tool).sort()).toEqual(["description", "inputSchema", "name", "server", "tool"]);
      expect(tool.description).not.toBe("");
      expect(tool.inputSchema).toMatchObject({ type: "object" });
    }
    const servers = Object.fromEntries(session.mcpTools.map(({ name, server }) => [name, server]));
    expect(servers).toMatchObject({
      shell: "wuying_shell",
      run_code: "wuying_codespace",
      read_file: "wuying_filesystem",
      write_file: "wuying_filesystem",
      get_file_change: "wuying_filesystem",
      get_metrics: "wuying_system",
    });
  });

  it("an image without link URLs gives none", async () => {
    const session = await spec.create({ imageId: IMAGE_WITHOUT_LINK });
    expect(session.linkUrl).toBe("");
    expect(session.token).not.toBe("");
  });

  it("modules are made once and keep their class", async () => {
    const session = await spec.create();
    expect(session.code).toBe(session.code);
    expect(session.command).toBe(session.command);
    expect(session.file).toBe(session.file);
    expect(session.code).toBeInstanceOf(Code);
    expect(session.command).toBeInstanceOf(Command);
    expect(session.file).toBeInstanceOf(FileSystem);
    for (const module of [session.code, session.command, session.file]) {
      expect(module).toBeInstanceOf(BaseService);
      expect(module.toJSON()).toEqual({ sessionId: session.getSessionId() });
    }
    expect(session.computer.toJSON()).toEqual({ type: "Computer" });
    expect(session.context.toJSON()).toEqual({ sessionId: session.getSessionId() });
  });

  it("the accessors lead back to the AGB", async () => {
    const session = await spec.create();
    expect(session.getApiKey()).toBe(spec.emulator.apiKey);
    expect(session.getAgb()).toBe(spec.agb);
    expect(session.getClient()).toBe(spec.agb.client);
    expect(session.getClient()).toBeInstanceOf(Client);
  });

  it("toJSON gives five members", async () => {
    const session = await spec.create();
    const { resourceUrl, imageId, appInstanceId, resourceId } = session;
    const shown = { sessionId: session.getSessionId(), resourceUrl, imageId, appInstanceId, resourceId };
    expect(session.toJSON()).toEqual(shown);
    expect(JSON.parse(JSON.stringify(session))).toEqual(shown);
  });

  it("a session made from an id speaks to that session", async () => {
    const created = await spec.create({ labels: { by: "id" } });
    const session = new Session(spec.agb, created.getSessionId());
    expect(session).toMatchObject({ imageId: "", linkUrl: "", token: "", toolList: "", mcpTools: [] });
    expect(await session.getLabels()).toMatchObject({ success: true, data: { by: "id" } });
    expect((await session.command.execute("echo hi", 20_000)).stdout).toBe("hi\n");
  });
});

describe("keepAlive, getStatus and info", () => {
  it("keepAlive gives a request id and success, and no more", async () => {
    const session = await spec.create();
    const [request] = await spec.requestsOf(async () => {
      const result = await session.keepAlive();
      expect(result).toEqual({ requestId: lastRequestId(), success: true });
      expect(Object.keys(result).sort()).toEqual(["requestId", "success"]);
    });
    expect(request).toMatchObject({
      method: "POST",
      path: "/mcp/refreshSessionIdleTime",
      query: { sessionId: session.getSessionId() },
    });
  });

  it("keepAlive understands answers in capitals and in a body", async () => {
    await withAnswer({ body: { Success: true, Code: "ok", RequestId: "r-b" } }, async (session) => {
      expect(await session.keepAlive()).toEqual({ requestId: "r-b", success: true });
    });
    await withAnswer({ Success: false, Code: "X", Message: "no", RequestId: "r-c" }, async (session) => {
      expect(await session.keepAlive()).toEqual({ requestId: "r-c", success: false, errorMessage: "no" });
    });
  });

  it("getStatus tells RUNNING while the session lives", async () => {
    const session = await spec.create();
    const result = await session.getStatus();
    expect(result).toEqual({
      requestId: lastRequestId(),
      httpStatusCode: 200,
      code: expect.stringMatching(/^(ok)?$/),
      success: true,
      status: "RUNNING",
    });
    expect(result).not.toHaveProperty("errorMessage");
  });

  it("getStatus gives the status of the HTTP answer, and reads Status too", async () => {
    await withAnswer({ success: true, code: "ok", requestId: "r", data: { Status: "FINISH" } }, async (session) => {
      expect(await session.getStatus()).toEqual({
        requestId: "r",
        httpStatusCode: 200,
        code: "ok",
        success: true,
        status: "FINISH",
      });
    });
    await withAnswer({ success: true, requestId: "r", data: "odd" }, async (session) => {
      expect(await session.getStatus()).toMatchObject({ success: true, code: "", status: "" });
    });
  });

  it("info gives the page and what a viewer needs, the page anew each time", async () => {
    const session = await spec.create();
    const result = await session.info();
    expect(result).toEqual({
      requestId: lastRequestId(),
      success: true,
      data: expect.objectContaining({
        sessionId: session.getSessionId(),
        resourceUrl: expect.stringContaining(`resourceId=${session.resourceId}`),
        appId: expect.any(String),
        authCode: expect.any(String),
        connectionProperties: expect.any(String),
        resourceId: session.resourceId,
        resourceType: "AIAgent",
        ticket: expect.any(String),
      }),
    });
    const again = await session.info();
    expect(again.data).not.toEqual(result.data);
  });

  it("info without desktopInfo, and without data", async () => {
    await withAnswer(ok({ sessionId: "s-1", resourceUrl: "u" }), async (session) => {
      expect(await session.info()).toEqual({
        requestId: "r-ok",
        success: true,
        data: { sessionId: "s-1", resourceUrl: "u" },
      });
    });
    await withAnswer(ok(), async (session) => {
      expect(await session.info()).toEqual({
        requestId: "r-ok",
        success: false,
        errorMessage: "No resource data found in response",
      });
    });
  });
});

describe("labels", () => {
  it("are an empty set when none were set", async () => {
    const session = await spec.create();
    expect(await session.getLabels()).toEqual({ requestId: lastRequestId(), success: true, data: {} });
  });

  it("set replaces the whole set and keeps the order", async () => {
    const session = await spec.create({ labels: { old: "1", kept: "2" } });
    const [request] = await spec.requestsOf(async () => {
      const result = await session.setLabels({ z: "1", a: "zwei ü 你 & = +", kept: "3" });
      expect(result).toEqual({ requestId: lastRequestId(), success: true });
    });
    expect(request).toMatchObject({
      method: "POST",
      path: "/sdk/SetLabel",
      query: { sessionId: session.getSessionId() },
    });
    expect(request?.query).toHaveProperty("Labels");
    const { data } = await session.getLabels();
    expect(data).toEqual({ z: "1", a: "zwei ü 你 & = +", kept: "3" });
    expect(Object.keys(data as object)).toEqual(["z", "a", "kept"]);
    expect(spec.view(session).labels).toEqual(data);
  });

  const INVALID = "Labels cannot be null, undefined, or invalid type. Please provide a valid labels object.";
  const ARRAY = "Labels cannot be an array. Please provide a valid labels object.";
  const EMPTY = "Labels cannot be empty. Please provide at least one label.";
  const KEY = "Label keys cannot be empty. Please provide valid keys.";
  const VALUE = "Label values cannot be empty. Please provide valid values.";

  it.each([
    [undefined, INVALID],
    [null, INVALID],
    ["a=b", INVALID],
    [7, INVALID],
    [[], ARRAY],
    [["a"], ARRAY],
    [{}, EMPTY],
    [{ "": "a" }, KEY],
    [{ " \t": "a" }, KEY],
    [{ a: "" }, VALUE],
    [{ a: " \n" }, VALUE],
    [{ a: null }, VALUE],
    [{ a: undefined }, VALUE],
    [{ "": "" }, KEY],
    [{ a: "", "": "b" }, VALUE],
    [{ a: "b", " ": "c" }, KEY],
  ])("setLabels refuses %p", async (labels, errorMessage) => {
    const session = await spec.create({ labels: { old: "1" } });
    const requests = await spec.requestsOf(async () => {
      const result = await session.setLabels(labels as never);
      expect(result).toEqual({ success: false, errorMessage });
      expect(Object.keys(result)).not.toContain("requestId");
    });
    expect(requests).toEqual([]);
    expect(await session.getLabels()).toMatchObject({ data: { old: "1" } });
  });

  it("values that are no texts are the service's business", async () => {
    const session = await spec.create();
    const requests = await spec.requestsOf(() => session.setLabels({ a: 1, b: false } as never));
    expect(requests.map(({ path }) => path)).toEqual(["/sdk/SetLabel"]);
  });

  it.each([
    ["not JSON", { labels: "{oops" }],
    ["JSON but no object", { labels: "[1]" }],
  ])("labels that are %s are a failure", async (_, data) => {
    await withAnswer(ok(data), async (session) => {
      const result = await session.getLabels();
      expect(result).toMatchObject({
        success: false,
        requestId: "r-ok",
        errorMessage: expect.stringMatching(/label/i),
      });
    });
  });

  it.each([{}, { labels: "" }, { labels: null }, undefined])(
    "no labels in the answer (%p) are an empty set",
    async (data) => {
      await withAnswer(ok(data), async (session) => {
        expect(await session.getLabels()).toEqual({ requestId: "r-ok", success: true, data: {} });
      });
    },
  );
});

describe("getLink", () => {
  // The emulator has no TLS: its links are the plain twins of what was asked for.
  it.each([
    ["https", 30_100, "http://127.0.0.1:30100/"],
    ["wss", 30_199, "ws://127.0.0.1:30199/"],
  ])("gives an address for %s and port %p", async (protocol, port, url) => {
    const session = await spec.create();
    const [request] = await spec.requestsOf(async () => {
      const result = await session.getLink(protocol, port);
      expect(result).toEqual({ requestId: lastRequestId(), success: true, data: url });
    });
    expect(request).toMatchObject({
      method: "GET",
      path: "/internet/getLink",
      query: { sessionId: session.getSessionId(), protocolType: protocol, port: String(port) },
    });
  });

  it.each([
    ["https", 80],
    ["https", 30_200],
    ["ftp", 30_150],
    [undefined, undefined],
  ])("of %p and port %p is refused by the service with a reason", async (protocol, port) => {
    const session = await spec.create();
    const result = await session.getLink(protocol, port);
    expect(result).toEqual({
      requestId: lastRequestId(),
      success: false,
      errorMessage: expect.stringMatching(/port|protocol|browser/i),
    });
  });

  it("without arguments asks for the link to a browser image's browser, which must run", async () => {
    const session = await spec.create({ imageId: "agb-browser-use-1" });
    const [request] = await spec.requestsOf(async () => {
      const result = await session.getLink();
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/browser is not running/) });
    });
    expect(request?.query).toEqual({ sessionId: session.getSessionId() });
  });

  it.each([Number.NaN, -1, 1.5, "80"])("never sends a port that is none (%p)", async (port) => {
    const session = await spec.create();
    const result = await session.getLink("https", port as number);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/port/i) });
  });

  it.each([{}, { url: "" }, undefined])("an answer without an address (%p) is a failure", async (data) => {
    await withAnswer(ok(data), async (session) => {
      expect(await session.getLink("https", 30_100)).toEqual({
        requestId: "r-ok",
        success: false,
        errorMessage: "No URL found in response",
      });
    });
  });
});

describe("callMcpTool", () => {
  it("takes the link route when link URL, token and server are known", async () => {
    const session = await spec.create();
    const [request] = await spec.requestsOf(async () => {
      const result = await session.callMcpTool("shell", { command: "echo link", timeout_ms: 20_000 });
      expect(result).toEqual({ requestId: lastRequestId(), success: true, data: expect.any(String) });
      expect(JSON.parse(result.data ?? "")).toMatchObject({ stdout: "link\n", exit_code: 0 });
    });
    expect(request?.path).toMatch(/\/callTool$/);
    expect(request).toMatchObject({ operation: "callTool", tool: "shell", sessionId: session.getSessionId() });
  });

  it.each(["linkUrl", "token"] as const)("takes the API route once %s is assigned an empty text", async (field) => {
    const session = await spec.create();
    session[field] = "";
    const [request] = await spec.requestsOf(async () => {
      const result = await session.callMcpTool("shell", { command: "echo api", timeout_ms: 20_000 });
      expect(result).toEqual({ requestId: lastRequestId(), success: true, data: expect.any(String) });
      expect(JSON.parse(result.data ?? "")).toMatchObject({ stdout: "api\n", exit_code: 0 });
    });
    expect(request).toMatchObject({
      path: "/mcp",
      query: { autoGenSession: "false" },
      operation: "callTool",
      tool: "shell",
    });
    const { args, ...rest } = (request?.body ?? {}) as { args: string };
    expect(rest).toEqual({ sessionId: session.getSessionId(), name: "shell" });
    expect(JSON.parse(args)).toEqual({ command: "echo api", timeout_ms: 20_000 });
  });

  it("takes the link route again once the link URL is back, also with a slash at its end", async () => {
    const session = await spec.create();
    const { linkUrl } = session;
    const route = async (value: string) => {
      session.linkUrl = value;
      const [request] = await spec.requestsOf(() => session.callMcpTool("get_metrics", {}));
      return request?.path;
    };
    expect(await route("")).toBe("/mcp");
    expect(await route(linkUrl)).toMatch(/[^/]\/callTool$/);
    expect(await route(`${linkUrl}/`)).toMatch(/[^/]\/callTool$/);
  });

  it("finds a tool's server in mcpTools, else in toolList", async () => {
    const session = await spec.create();
    const route = async () => (await spec.requestsOf(() => session.callMcpTool("get_metrics", {})))[0]?.path;
    const { mcpTools, toolList } = session;

    session.mcpTools = [];
    expect(await route()).toMatch(/\/callTool$/);
    session.toolList = "";
    expect(await route()).toBe("/mcp");
    session.toolList = "not json";
    expect(await route()).toBe("/mcp");
    session.mcpTools = mcpTools;
    expect(await route()).toMatch(/\/callTool$/);
    // The first entry of that name decides, even when it names no server.
    session.mcpTools = [{ name: "get_metrics", description: "", inputSchema: {}, server: "", tool: "" }, ...mcpTools];
    session.toolList = toolList;
    expect(await route()).toBe("/mcp");
  });

  it("every module follows the assigned fields", async () => {
    const session = await spec.create();
    const calls = () => [
      () => session.command.execute("true", 20_000),
      () => session.file.writeFile("/tmp/route.txt", "x"),
      () => session.code.run("1", "python"),
      () => session.getMetrics(),
    ];
    for (const call of calls()) expect((await spec.requestsOf(call))[0]?.path).toMatch(/\/callTool$/);
    session.linkUrl = "";
    for (const call of calls()) expect((await spec.requestsOf(call))[0]?.path).toBe("/mcp");
  });

  it("both routes see the same session", async () => {
    const session = await spec.create();
    const { linkUrl } = session;
    await session.code.run("shared = 41", "python");
    session.linkUrl = "";
    const { results } = await session.code.run("shared + 1", "python");
    expect(results.find(({ isMainResult }) => isMainResult)?.text).toBe("42");
    session.linkUrl = linkUrl;
    expect((await session.code.run("print(shared)", "python")).logs.stdout.join("")).toBe("41\n");
  });

  it.each([true, false])("a tool that does not exist fails with its name (link route: %p)", async (link) => {
    const session = await spec.create();
    if (!link) session.linkUrl = "";
    const result = await session.callMcpTool("non_existent_tool_12345", {});
    expect(result).toEqual({
      requestId: lastRequestId(),
      success: false,
      errorMessage: expect.stringContaining("non_existent_tool_12345"),
    });
  });

  it.each([true, false])("a tool's own failure is the message (link route: %p)", async (link) => {
    const session = await spec.create();
    if (!link) session.linkUrl = "";
    const result = await session.callMcpTool("read_file", { path: "/tmp/absent-file.txt" });
    expect(result).toMatchObject({
      success: false,
      errorMessage: expect.stringContaining("No such file or directory"),
    });
    expect(result.errorMessage).toMatch(/not found/i);
  });

  it.each([true, false])("arguments that do not fit fail with a reason (link route: %p)", async (link) => {
    const session = await spec.create();
    if (!link) session.linkUrl = "";
    for (const args of [{}, { path: 7 }, { path: null }]) {
      const result = await session.callMcpTool("read_file", args);
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/path/) });
    }
  });

  it("takes absent arguments for none", async () => {
    const session = await spec.create();
    expect(await session.callMcpTool("get_metrics", undefined as never)).toMatchObject({ success: true });
    expect(await session.callMcpTool("get_metrics", null as never)).toMatchObject({ success: true });
  });

  it.each([undefined, null, 7])("refuses the tool name %p before anything is sent", async (name) => {
    const session = await spec.create();
    const requests = await spec.requestsOf(async () => {
      const result = await session.callMcpTool(name as never, {});
      expect(result).toMatchObject({ success: false, requestId: "", errorMessage: expect.stringMatching(/name/) });
    });
    expect(requests).toEqual([]);
  });

  it("keeps large and odd texts as they are on both routes", async () => {
    const session = await spec.create();
    const text = `"quoted" \\ \t ü 你好 🦀 \u2028 ${"x".repeat(100_000)}`;
    for (const linkUrl of [session.linkUrl, ""]) {
      session.linkUrl = linkUrl;
      await session.callMcpTool("write_file", { path: "/tmp/odd.txt", content: text, mode: "overwrite" });
      expect((await session.callMcpTool("read_file", { path: "/tmp/odd.txt" })).data).toBe(text);
    }
  });

  it("sends what the link route wants", async () => {
    await withServer(
      (_, response) =>
        reply(response, 200, {
          code: 0,
          data: { result: { isError: false, content: [{ type: "text", text: "hi" }] } },
        }),
      async ({ url, requests }) => {
        const session = linked(spec.agb, `${url}/x/`);
        const result = await session.callMcpTool("shell", { command: "echo" });
        expect(result).toEqual({ requestId: expect.stringMatching(/^link-\d{13}-\d{9}$/), success: true, data: "hi" });
        const [request] = requests;
        expect(request).toMatchObject({ method: "POST", path: "/x/callTool" });
        expect(request?.headers["x-access-token"]).toBe("tk");
        expect(request?.headers).not.toHaveProperty("authorization");
        expect(JSON.parse(request?.body ?? "")).toEqual({
          args: { command: "echo" },
          server: "srv",
          requestId: result.requestId,
          tool: "shell",
          token: "tk",
        });
      },
    );
  });

  it.each([
    [
      "text items joined",
      [
        { type: "text", text: "a" },
        { type: "image", data: "i" },
        { type: "text", text: "b" },
      ],
      "a\nb",
    ],
    ["an image's data", [{ type: "image", data: "aGk=" }], "aGk="],
    ["a resource's blob", [{ type: "resource", blob: "YmxvYg==" }], "YmxvYg=="],
    ["a bare text", ["plain"], "plain"],
  ])("reads %s alike on both routes", async (_, content, text) => {
    await withAnswer(ok({ isError: false, content }), async (session) => {
      expect(await session.callMcpTool("any", {})).toEqual({ requestId: "r-ok", success: true, data: text });
    });
    for (const data of [{ result: { content } }, JSON.stringify({ result: { content } })]) {
      await withServer(
        (_request, response) => reply(response, 200, { code: 0, data }),
        async ({ url }) => {
          expect(await linked(spec.agb, url).callMcpTool("shell", {})).toMatchObject({ success: true, data: text });
        },
      );
    }
  });

  it("prefers the tool's own text to the envelope's message when the tool failed", async () => {
    const data = { isError: true, content: [{ type: "text", text: "disk is full" }] };
    await withAnswer({ ...ok(data), message: "success" }, async (session) => {
      expect(await session.callMcpTool("any", {})).toEqual({
        requestId: "r-ok",
        success: false,
        errorMessage: "disk is full",
      });
    });
    await withAnswer(ok({ isError: true, content: [] }), async (session) => {
      expect(await session.callMcpTool("any", {})).toMatchObject({
        success: false,
        errorMessage: "Tool execution failed",
      });
    });
  });

  it("a failed tool has no error code when the service answered that all went well", async () => {
    const failed = ok({ isError: true, content: [{ type: "text", text: "disk is full" }] });
    await withAnswer({ ...failed, code: "ok" }, async (session) => {
      const { success, code, httpStatusCode } = await session.callMcpTool("any", {});
      expect({ success, code, httpStatusCode }).toEqual({ success: false, code: "", httpStatusCode: 200 });
    });
    await withAnswer({ ...failed, success: false, code: "Tool.Failed" }, async (session) => {
      expect((await session.callMcpTool("any", {})).code).toBe("Tool.Failed");
    });
  });

  it("keeps the service's message when data is null", async () => {
    const answer = { success: false, code: "Some.Code", message: "the reason", requestId: "r-1", data: null };
    await withAnswer(answer, async (session) => {
      const result = await session.callMcpTool("any", {});
      expect(result).toEqual({ requestId: "r-1", success: false, errorMessage: "the reason" });
      expect(result.code).toBe("Some.Code");
    });
  });

  it.each([
    ["a status that is no success", 502, "<html>bad gateway</html>", /HTTP request failed with code: 502/],
    ["no JSON", 200, "oops", /HTTP request failed: /],
    ["no data", 200, { code: 0 }, /No data field in LinkUrl response/],
    ["data that is null", 200, { data: null }, /No data field in LinkUrl response/],
    ["data that is a number", 200, { data: 7 }, /Invalid data field type in LinkUrl response/],
    ["data that is a broken text", 200, { data: "{oops" }, /HTTP request failed: /],
    ["data without a result", 200, { data: {} }, /No result field in LinkUrl response data/],
    ["a result that is no object", 200, { data: { result: "x" } }, /No result field in LinkUrl response data/],
  ])("says what is wrong with %s on the link route", async (_, status, answer, message) => {
    await withServer(
      (_request, response) => reply(response, status as number, answer),
      async ({ url, requests }) => {
        const result = await linked(spec.agb, url).callMcpTool("shell", {});
        expect(result).toEqual({
          requestId: expect.stringMatching(/^link-/),
          success: false,
          errorMessage: expect.stringMatching(message),
        });
        expect(result.errorMessage).not.toContain("tk");
        expect(requests).toHaveLength(1);
      },
    );
  });

  it("keeps what the service says of a refusal on the link route", async () => {
    await withServer(
      (_, response) => reply(response, 403, { code: "AccessDenied", message: "token is old", requestId: "r-link" }),
      async ({ url }) => {
        const result = await linked(spec.agb, url).callMcpTool("shell", {});
        expect(result).toMatchObject({ success: false, requestId: "r-link" });
        expect(result.errorMessage).toContain("token is old");
        expect(result.httpStatusCode).toBe(403);
      },
    );
  });

  it("takes the API route when nobody answers at the link's address", async () => {
    const session = await spec.create();
    session.linkUrl = CLOSED_ADDRESS;
    const [request] = await spec.requestsOf(async () => {
      expect((await session.command.execute("echo fallback", 20_000)).stdout).toBe("fallback\n");
    });
    expect(request?.path).toBe("/mcp");
  });

  it("never calls a tool again that may have run: the connection broke", async () => {
    const session = await spec.create();
    const fault = spec.emulator.faults.add({ operation: "callTool", kind: "reset", when: "after", count: Infinity });
    try {
      const requests = await spec.requestsOf(async () => {
        const result = await session.callMcpTool("shell", { command: "echo" });
        expect(result).toMatchObject({
          success: false,
          errorMessage: expect.stringContaining("may have been executed"),
        });
      });
      expect(requests.map(({ path }) => path)).toEqual([expect.stringMatching(/^\/link\//)]);
    } finally {
      fault.remove();
    }
  });
});

describe("listMcpTools", () => {
  it("lists the tools of the session's image", async () => {
    const session = await spec.create();
    const [request] = await spec.requestsOf(async () => {
      const result = await session.listMcpTools();
      expect(result).toEqual({ requestId: lastRequestId(), success: true, tools: session.mcpTools });
    });
    expect(request).toMatchObject({ method: "POST", path: "/mcp/listTools", query: { imageId: CODE_IMAGE } });
  });

  it.each([undefined, null, ""])("takes %p for the session's image", async (imageId) => {
    const session = await spec.create();
    const [request] = await spec.requestsOf(() => session.listMcpTools(imageId as never));
    expect(request?.query).toEqual({ imageId: CODE_IMAGE });
  });

  it("lists the tools of another image", async () => {
    const session = await spec.create();
    const result = await session.listMcpTools("agb-browser-use-1");
    expect(result.success).toBe(true);
    const names = result.tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["shell", "read_file", "write_file"]));
    expect(names).not.toContain("run_code");
  });

  it("throws when no image is known", async () => {
    const found = sessionOf(await spec.agb.get((await spec.create()).getSessionId()));
    const text = "imageId is required. Provide it as a parameter or set it on the session.";
    await expect(found.listMcpTools()).rejects.toThrow(text);
    await expect(found.listMcpTools("")).rejects.toThrow(text);
    expect(await found.listMcpTools(CODE_IMAGE)).toMatchObject({ success: true });
  });

  it.each([
    ["gaps", JSON.stringify([{ name: "a" }, {}]), true],
    ["no array", "{}", true],
    ["nothing", "", true],
    ["broken JSON", "[oops", false],
    ["null entries", "[null]", false],
  ])("reads a list with %s", async (_, data, success) => {
    await withAnswer(ok(data), async (session) => {
      const result = await session.listMcpTools("image");
      expect(result).toMatchObject({ success, requestId: "r-ok" });
      if (!success)
        expect(result).toMatchObject({
          tools: [],
          errorMessage: expect.stringMatching(/^Failed to parse tools list: /),
        });
      const empty = { description: "", inputSchema: {}, server: "", tool: "" };
      const complete = data.includes('"a"')
        ? [
            { name: "a", ...empty },
            { name: "", ...empty },
          ]
        : [];
      expect(result.tools).toEqual(complete);
    });
  });

  it("a failure has no tools", async () => {
    await withAnswer(
      { success: false, code: "X", message: "no such image", requestId: "r-1" },
      async (session) => {
        expect(await session.listMcpTools("image")).toEqual({
          requestId: "r-1",
          success: false,
          tools: [],
          errorMessage: "no such image",
        });
      },
      400,
    );
  });
});

describe("getMetrics", () => {
  it.each([true, false])("tells load and traffic (link route: %p)", async (link) => {
    const session = await spec.create();
    if (!link) session.linkUrl = "";
    const result = await session.getMetrics();
    expect(result).toMatchObject({ requestId: lastRequestId(), success: true });
    const metrics = result.metrics;
    if (!metrics) throw new Error("no metrics");
    expect(metrics.cpuCount).toBeGreaterThanOrEqual(1);
    expect(metrics.cpuUsedPct).toBeGreaterThanOrEqual(0);
    expect(metrics.cpuUsedPct).toBeLessThanOrEqual(100);
    expect(metrics.memTotal).toBeGreaterThan(metrics.memUsed);
    expect(metrics.diskTotal).toBeGreaterThanOrEqual(metrics.diskUsed);
    expect(metrics.diskTotal).toBeGreaterThan(0);
    expect(Number.isNaN(Date.parse(metrics.timestamp))).toBe(false);
    for (const name of ["rxRateKbytePerS", "txRateKbytePerS", "rxUsedKbyte", "txUsedKbyte"] as const) {
      expect(metrics[name]).toBeGreaterThanOrEqual(0);
    }
    expect(result.raw).toMatchObject({ cpu_count: metrics.cpuCount, mem_total: metrics.memTotal });
  });

  it("reads older spellings, numbers in texts, and gives 0 for what is missing", async () => {
    const text = JSON.stringify({ cpu_count: "4", rx_rate_kbps: "1.5", tx_used_KB: 7, extra: { a: [1] } });
    await withAnswer(ok({ content: [{ type: "text", text }] }), async (session) => {
      expect(await session.getMetrics()).toEqual({
        requestId: "r-ok",
        success: true,
        metrics: {
          cpuCount: 4,
          cpuUsedPct: 0,
          diskTotal: 0,
          diskUsed: 0,
          memTotal: 0,
          memUsed: 0,
          rxRateKbytePerS: 1.5,
          txRateKbytePerS: 0,
          rxUsedKbyte: 0,
          txUsedKbyte: 7,
          timestamp: "",
        },
        raw: JSON.parse(text),
      });
    });
  });

  it.each([
    ["not JSON", "oops"],
    ["an array", "[]"],
    ["a number", "7"],
    ["nothing", undefined],
  ])("an answer that is %s is a failure, not zeros", async (_, text) => {
    const content = text === undefined ? [] : [{ type: "text", text }];
    await withAnswer(ok({ content }), async (session) => {
      const result = await session.getMetrics();
      expect(result).toMatchObject({
        requestId: "r-ok",
        success: false,
        errorMessage: expect.stringMatching(/^Failed to parse get_metrics response: ./),
        raw: {},
      });
      expect(result.metrics).toBeUndefined();
    });
  });
});

describe("objects of the user's own in place of a Session", () => {
  withoutAgbVariables();

  it("take the API route without a link", async () => {
    const id = (await spec.create()).getSessionId();
    const like: SessionLike = {
      getApiKey: () => spec.emulator.apiKey,
      getSessionId: () => id,
      getClient: () => spec.agb.client,
    };
    const [request] = await spec.requestsOf(async () => {
      expect((await new Command(like).execute("echo like", 20_000)).stdout).toBe("like\n");
    });
    expect(request).toMatchObject({ path: "/mcp", sessionId: id });
    expect((await new Code(like).run("print(1)", "python")).logs.stdout).toEqual(["1\n"]);
    const file = new FileSystem(like);
    expect(await file.writeFile("/tmp/like.txt", "like")).toMatchObject({ success: true });
    expect(await file.readFile("/tmp/like.txt")).toMatchObject({ content: "like" });
    expect(await new BaseService(like).callMcpTool("get_metrics", {})).toMatchObject({ success: true });
    expect(JSON.stringify(file)).toBe(JSON.stringify({ sessionId: id }));
  });

  it("take the link route when their fields say so, read at the time of the call", async () => {
    const { linkUrl, token, mcpTools, toolList } = await spec.create();
    const first = await spec.create();
    const second = await spec.create();
    let current = first;
    const like: SessionLike = {
      getApiKey: () => spec.emulator.apiKey,
      getSessionId: () => current.getSessionId(),
      getClient: () => spec.agb.client,
    };
    const command = new Command(like);
    const request = async () => (await spec.requestsOf(() => command.execute("true", 20_000)))[0];
    expect(await request()).toMatchObject({ path: "/mcp", sessionId: first.getSessionId() });
    current = second;
    expect(await request()).toMatchObject({ path: "/mcp", sessionId: second.getSessionId() });
    Object.assign(like, { linkUrl, token, mcpTools });
    expect((await request())?.path).toMatch(/\/callTool$/);
    Object.assign(like, { mcpTools: undefined, toolList });
    expect((await request())?.path).toMatch(/\/callTool$/);
    Object.assign(like, { token: undefined });
    expect((await request())?.path).toBe("/mcp");
  });

  it("with a client of their own go where the environment says", async () => {
    const id = (await spec.create()).getSessionId();
    process.env.AGB_ENDPOINT = spec.emulator.url;
    const like = { getApiKey: () => spec.emulator.apiKey, getSessionId: () => id, getClient: () => ({}) };
    expect((await new Command(like).execute("echo env", 20_000)).stdout).toBe("env\n");
  });
});

it("a changed key and configuration of an AGB hold from the next call on", async () => {
  await withEmulator({ apiKey: "other" }, async (other) => {
    const agb = new AGB({ apiKey: spec.emulator.apiKey, config: { endpoint: spec.emulator.url } });
    const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
    agb.apiKey = "wrong";
    expect(await session.keepAlive()).toMatchObject({ success: false });
    agb.apiKey = spec.emulator.apiKey;
    expect(await session.keepAlive()).toMatchObject({ success: true });
    agb.config.endpoint = other.url;
    agb.apiKey = other.apiKey;
    expect(await agb.list()).toMatchObject({ success: true, totalCount: 0 });
    expect(await session.keepAlive()).toMatchObject({
      success: false,
      errorMessage: "Resource [McpSession] is not found",
    });
  });
});

/** A session whose tool `shell` is called at `linkUrl`. */
function linked(agb: AGB, linkUrl: string): Session {
  const session = new Session(agb, "s-link");
  session.linkUrl = linkUrl;
  session.token = "tk";
  session.mcpTools = [{ name: "shell", description: "", inputSchema: {}, server: "srv", tool: "" }];
  return session;
}
