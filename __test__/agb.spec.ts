// @one-isolation: what is tested is the client.

/** The way in: making an `AGB`, and creating, finding, listing and deleting sessions with it. */

import { inspect } from "node:util";
import { AGB, AGBError, AuthenticationError, CreateSessionParams, Session, VERSION } from "agbcloud-native";
import { ok, reply, sessionData, withServer } from "./support/answers";
import { CODE_IMAGE, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { inDirectory, withoutAgbVariables } from "./support/environment";

const NO_KEY = "API key is required. Provide it as a parameter or set the AGB_API_KEY environment variable";

describe("new AGB", () => {
  withoutAgbVariables();

  it("takes the key as a string", () => {
    const agb = new AGB("ako-1");
    expect(agb.apiKey).toBe("ako-1");
    expect(agb.config).toEqual({ endpoint: "sdk-api.agb.cloud", timeoutMs: 60_000 });
  });

  it("takes key and configuration as options", () => {
    const agb = new AGB({ apiKey: "ako-1", config: { endpoint: "http://127.0.0.1:1", timeoutMs: 1234 } });
    expect(agb.apiKey).toBe("ako-1");
    expect(agb.config).toEqual({ endpoint: "http://127.0.0.1:1", timeoutMs: 1234 });
  });

  it("takes what the options leave out from the environment of that moment", () => {
    Object.assign(process.env, { AGB_API_KEY: "env-key", AGB_ENDPOINT: "env.example", AGB_TIMEOUT_MS: "2500" });
    const agb = new AGB();
    expect(agb.apiKey).toBe("env-key");
    expect(agb.config).toEqual({ endpoint: "env.example", timeoutMs: 2500 });
  });

  it.each([undefined, {}, { apiKey: "" }, "", { config: {} }])("throws without a key anywhere (%p)", (options) => {
    inDirectory({}, () => {
      const make = () => new AGB(options);
      expect(make).toThrow(AuthenticationError);
      expect(make).toThrow(NO_KEY);
    });
  });

  it("throws an AuthenticationError that is an AGBError and an Error, with a stack that leads to the caller", () => {
    inDirectory({}, () => {
      const error = thrownBy(() => new AGB()) as AGBError;
      expect(error).toBeInstanceOf(AGBError);
      expect(error).toBeInstanceOf(Error);
      expect(error.name).toBe("AuthenticationError");
      expect(error.stack).toContain("agb.spec");
    });
  });

  it("reads key, endpoint and time-out from .env of the current directory, and nothing else of it", () => {
    const env = [
      "# a comment",
      "",
      'AGB_API_KEY="dot env key"',
      "AGB_ENDPOINT='dot.example'",
      "AGB_TIMEOUT_MS=3000 # three seconds",
      "SPEC_OTHER=1",
    ];
    inDirectory({ ".env": env.join("\n") }, () => {
      const agb = new AGB();
      expect(agb.apiKey).toBe("dot env key");
      expect(agb.config).toEqual({ endpoint: "dot.example", timeoutMs: 3000 });
    });
    expect(process.env).not.toHaveProperty("AGB_API_KEY");
    expect(process.env).not.toHaveProperty("SPEC_OTHER");
  });

  it("reads a .env with a byte order mark and Windows line ends", () => {
    inDirectory({ ".env": "\uFEFFAGB_API_KEY=key\r\nAGB_ENDPOINT=dot.example\r\n" }, () => {
      const agb = new AGB();
      expect(agb.apiKey).toBe("key");
      expect(agb.config.endpoint).toBe("dot.example");
    });
  });

  it("does not search parent directories for .env", () => {
    inDirectory({ ".env": "AGB_API_KEY=parent", "below/file": "" }, (directory) => {
      process.chdir(`${directory}/below`);
      expect(() => new AGB()).toThrow(NO_KEY);
    });
  });

  it("reads envFile instead of .env", () => {
    inDirectory({ ".env": "AGB_API_KEY=dot", "my.env": "AGB_ENDPOINT=mine.example\nAGB_API_KEY=mine" }, (directory) => {
      expect(new AGB({ envFile: `${directory}/my.env` }).apiKey).toBe("mine");
      expect(new AGB({ envFile: "my.env" }).config.endpoint).toBe("mine.example");
    });
  });

  it("names an envFile that can't be read", () => {
    inDirectory({ ".env": "AGB_API_KEY=dot" }, () => {
      const make = () => new AGB({ envFile: "absent.env" });
      expect(make).toThrow(AGBError);
      expect(make).toThrow(/absent\.env/);
    });
  });

  it("prefers code to environment to .env to the default, member by member", () => {
    const dotEnv = "AGB_API_KEY=dot\nAGB_ENDPOINT=dot.example\nAGB_TIMEOUT_MS=1000";
    inDirectory({ ".env": dotEnv }, () => {
      expect(pick(new AGB())).toEqual(["dot", "dot.example", 1000]);
      process.env.AGB_ENDPOINT = "env.example";
      expect(pick(new AGB())).toEqual(["dot", "env.example", 1000]);
      process.env.AGB_API_KEY = "env";
      process.env.AGB_TIMEOUT_MS = "2000";
      expect(pick(new AGB())).toEqual(["env", "env.example", 2000]);
      expect(pick(new AGB({ config: { endpoint: "code.example" } }))).toEqual(["env", "code.example", 2000]);
      expect(pick(new AGB({ apiKey: "code", config: { timeoutMs: 3000 } }))).toEqual(["code", "env.example", 3000]);
    });
  });

  it("takes an empty text for not given", () => {
    inDirectory({ ".env": "AGB_API_KEY=dot\nAGB_ENDPOINT=dot.example" }, () => {
      Object.assign(process.env, { AGB_API_KEY: "", AGB_ENDPOINT: "", AGB_TIMEOUT_MS: "" });
      expect(pick(new AGB({ apiKey: "", config: { endpoint: "" } }))).toEqual(["dot", "dot.example", 60_000]);
    });
  });

  it.each(["soon", "-5", "0", "1.5e999", "12s"])("refuses AGB_TIMEOUT_MS=%s and names it", (text) => {
    process.env.AGB_TIMEOUT_MS = text;
    expect(() => new AGB("key")).toThrow(AGBError);
    expect(() => new AGB("key")).toThrow(text);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses timeoutMs %p and names it", (timeoutMs) => {
    const make = () => new AGB({ apiKey: "key", config: { timeoutMs } });
    expect(make).toThrow(AGBError);
    expect(make).toThrow(/timeout/i);
  });

  it.each([
    [{ apiKey: 5 }, "apiKey must be a string, got number"],
    [{ apiKey: "k", config: { timeoutMs: "5" } }, "config.timeoutMs must be a number, got string"],
    [{ apiKey: "k", config: { endpoint: 5 } }, "config.endpoint must be a string, got number"],
    [{ apiKey: "k", config: 5 }, "config must be an object, got number"],
    [{ apiKey: "k", envFile: 5 }, "envFile must be a string, got number"],
    [5, "expected the API key or the options, got number"],
  ])("refuses %j and says what it takes", (options, message) => {
    const error = thrownBy(() => new AGB(options as never)) as AGBError;
    expect(error).toBeInstanceOf(AGBError);
    expect(error.message).toBe(message);
  });

  it("takes null options for not given, as callers without types write them", () => {
    const options = { apiKey: "key", config: { endpoint: null, timeoutMs: null }, envFile: null };
    expect(pick(new AGB(options as never))).toEqual(["key", "sdk-api.agb.cloud", 60_000]);
    expect(pick(new AGB({ apiKey: "key", config: null } as never))).toEqual(["key", "sdk-api.agb.cloud", 60_000]);
    inDirectory({}, () => expect(() => new AGB(null as never)).toThrow(NO_KEY));
  });

  it.each(["bad\nkey", "bad\rkey\u0000"])("never echoes a key that no header can carry", (apiKey) => {
    const attempt = () => new AGB(apiKey);
    const error = thrownBy(attempt) as AGBError;
    expect(error).toBeInstanceOf(AGBError);
    expect(error.message).not.toContain(apiKey);
  });
});

describe("agb.create", () => {
  const spec = useEmulator();

  it("resolves with a session and nothing else", async () => {
    const result = await spec.agb.create(new CreateSessionParams({ imageId: CODE_IMAGE }));
    expect(Object.keys(result).sort()).toEqual(["requestId", "session", "success"]);
    expect(result.success).toBe(true);
    expect(result.requestId).toBe(spec.emulator.journal().at(-1)?.requestId);
    expect(result.session).toBeInstanceOf(Session);
    const session = sessionOf(result);
    expect(session.imageId).toBe(CODE_IMAGE);
    expect(spec.view(session).state).toBe("created");
  });

  it("sends every parameter where the service reads it", async () => {
    const params = new CreateSessionParams({
      imageId: CODE_IMAGE,
      labels: { team: "ü a", "2": "b", "1": "c" },
      policyId: "policy-1",
      idleReleaseTimeout: 77,
    });
    const [request] = await spec.requestsOf(() => spec.agb.create(params));
    expect(request).toMatchObject({
      method: "POST",
      path: "/mcp/createSession",
      query: { imageId: CODE_IMAGE },
      body: { labels: JSON.stringify({ team: "ü a", "2": "b", "1": "c" }), mcpPolicyId: "policy-1", timeout: 77 },
    });
    expect(stats(request?.query)).toEqual({
      source: "sdk",
      sdk_language: "typescript",
      sdk_version: VERSION,
      is_release: expect.any(Boolean),
    });
  });

  it("leaves out what was not given", async () => {
    const [request] = await spec.requestsOf(() => spec.agb.create({ imageId: CODE_IMAGE }));
    expect(request?.body ?? {}).toEqual({});
  });

  it("sends an empty set of labels as one", async () => {
    const [request] = await spec.requestsOf(() => spec.agb.create({ imageId: CODE_IMAGE, labels: {} }));
    expect(request?.body).toEqual({ labels: "{}" });
  });

  it("takes mcpPolicyId, and policyId before it", async () => {
    const alone = await spec.requestsOf(() => spec.agb.create({ imageId: CODE_IMAGE, mcpPolicyId: "mcp" }));
    expect(alone[0]?.body).toEqual({ mcpPolicyId: "mcp" });
    const both = await spec.requestsOf(() =>
      spec.agb.create({ imageId: CODE_IMAGE, mcpPolicyId: "mcp", policyId: "p" }),
    );
    expect(both[0]?.body).toEqual({ mcpPolicyId: "p" });
  });

  it("keeps labels and the idle time-out with the session", async () => {
    const session = await spec.create({ labels: { team: "a" }, idleReleaseTimeout: 77 });
    expect(spec.view(session)).toMatchObject({ labels: { team: "a" }, idleReleaseTimeout: 77, imageId: CODE_IMAGE });
  });

  it.each([undefined, null, 0])("gives 300 seconds for an idle time-out of %p", async (idleReleaseTimeout) => {
    const session = await spec.create({ idleReleaseTimeout: idleReleaseTimeout as number | undefined });
    expect(spec.view(session).idleReleaseTimeout).toBe(300);
  });

  it.each([Number.NaN, "60", Number.POSITIVE_INFINITY, {}])("refuses an idle time-out of %p by name", async (value) => {
    let result: unknown;
    const requests = await spec.requestsOf(async () => {
      result = await spec.agb.create({ imageId: CODE_IMAGE, idleReleaseTimeout: value as number });
    });
    expect(result).toMatchObject({
      success: false,
      requestId: "",
      errorMessage: expect.stringMatching(/idleReleaseTimeout/),
    });
    expect(requests).toEqual([]);
  });

  it.each([
    [undefined, "params is required and cannot be null"],
    [null, "params is required and cannot be null"],
    [{}, "imageId is required and cannot be empty or null"],
    [{ imageId: "" }, "imageId is required and cannot be empty or null"],
    [{ imageId: " \t" }, "imageId is required and cannot be empty or null"],
    [{ imageId: null }, "imageId is required and cannot be empty or null"],
    [new CreateSessionParams(), "imageId is required and cannot be empty or null"],
  ])("refuses %p before anything is sent", async (params, errorMessage) => {
    let result: unknown;
    const requests = await spec.requestsOf(async () => {
      result = await spec.agb.create(params as never);
    });
    expect(result).toEqual({ requestId: "", success: false, errorMessage });
    expect(requests).toEqual([]);
  });

  it("reports a refusal of the service with its text and request id, without a session", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok({ success: false, errMsg: "account status is invalid: CEASED" })),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).create({ imageId: CODE_IMAGE });
        expect(result).toEqual({
          requestId: "r-ok",
          success: false,
          errorMessage: "account status is invalid: CEASED",
        });
        expect(result).not.toHaveProperty("session");
      },
    );
  });

  it("names the id of a session that a refused creation left behind", async () => {
    await withServer(
      (_, response) =>
        reply(response, 200, ok(sessionData({ success: false, errMsg: "half done", sessionId: "s-left" }))),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).create({ imageId: CODE_IMAGE });
        expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/half done.*s-left/s) });
      },
    );
  });

  it("says when the answer holds no session id", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok({ success: true, sessionId: "" })),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).create({ imageId: CODE_IMAGE });
        expect(result.success).toBe(false);
        expect(result.requestId).toBe("r-ok");
        expect(result.errorMessage).toMatch(/session ?id/i);
      },
    );
  });

  it("sends the key unchanged, JSON content types and one request for one call", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok(sessionData())),
      async ({ url, requests }) => {
        await new AGB({ apiKey: "ako-Key/1=", config: { endpoint: `${url}/pre/` } }).create({ imageId: "a b+ü" });
        expect(requests).toHaveLength(1);
        const [request] = requests;
        expect(request?.path).toBe("/pre/mcp/createSession");
        expect(request?.headers.authorization).toBe("Bearer ako-Key/1=");
        expect(request?.headers["content-type"]).toBe("application/json");
        expect(request?.query.get("imageId")).toBe("a b+ü");
        expect(JSON.parse(request?.body ?? "")).toEqual({});
      },
    );
  });

  it.each([
    [
      "JSON text",
      JSON.stringify([{ Name: "a", serverName: "x" }, "junk", { name: "b", Server: "y", inputSchema: [] }]),
    ],
    ["an array", [{ Name: "a", serverName: "x" }, null, { name: "b", Server: "y", inputSchema: [] }]],
  ])("understands a tool list that is %s", async (_, toolList) => {
    await withServer(
      (_request, response) => reply(response, 200, ok(sessionData({ toolList }))),
      async ({ url }) => {
        const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
        const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
        expect(session.mcpTools).toEqual([
          { name: "a", description: "", inputSchema: {}, server: "x", tool: "" },
          { name: "b", description: "", inputSchema: {}, server: "y", tool: "" },
        ]);
      },
    );
  });

  it.each(["not json", "", null, 7])("takes a tool list of %p for none", async (toolList) => {
    await withServer(
      (_, response) => reply(response, 200, ok(sessionData({ toolList }))),
      async ({ url }) => {
        const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
        expect(sessionOf(await agb.create({ imageId: CODE_IMAGE })).mcpTools).toEqual([]);
      },
    );
  });
});

describe("agb.get and agb.getSession", () => {
  const spec = useEmulator();

  it("get finds a session that works like the created one", async () => {
    const created = await spec.create({ labels: { team: "a" } });
    const result = await spec.agb.get(created.getSessionId());
    expect(Object.keys(result).sort()).toEqual(["requestId", "session", "success"]);
    const found = sessionOf(result);
    expect(found).toBeInstanceOf(Session);
    expect(found.getSessionId()).toBe(created.getSessionId());
    expect(found.imageId).toBe("");
    expect(found).toMatchObject({
      appInstanceId: created.appInstanceId,
      resourceId: created.resourceId,
      linkUrl: created.linkUrl,
      token: created.token,
      wsUrl: created.wsUrl,
      mcpTools: created.mcpTools,
    });
    expect(await found.getLabels()).toMatchObject({ success: true, data: { team: "a" } });
    expect((await found.command.execute("echo found", 20_000)).stdout).toBe("found\n");
  });

  it("the resource URL gets a new access code each time", async () => {
    const created = await spec.create();
    const found = sessionOf(await spec.agb.get(created.getSessionId()));
    expect(found.resourceUrl).toContain("resourceId=");
    expect(found.resourceUrl).not.toBe(created.resourceUrl);
  });

  it.each(["", "  ", undefined, null, 7])("get refuses the id %p before anything is sent", async (id) => {
    let result: unknown;
    const requests = await spec.requestsOf(async () => {
      result = await spec.agb.get(id as string);
    });
    expect(result).toEqual({ requestId: "", success: false, errorMessage: "sessionId is required", session: null });
    expect(requests).toEqual([]);
  });

  it("get says which session is not there", async () => {
    const result = await spec.agb.get("session-unknown");
    expect(result).toEqual({
      requestId: spec.emulator.journal().at(-1)?.requestId,
      success: false,
      errorMessage: "Failed to get session session-unknown: Resource [McpSession] is not found",
      session: null,
    });
    expect(result.code).toBe("InvalidMcpSession.NotFound");
  });

  it("getSession tells what the service says", async () => {
    const created = await spec.create();
    const result = await spec.agb.getSession(created.getSessionId());
    expect(result).toEqual({
      requestId: spec.emulator.journal().at(-1)?.requestId,
      httpStatusCode: 200,
      code: expect.stringMatching(/^(ok)?$/),
      success: true,
      data: {
        appInstanceId: created.appInstanceId,
        resourceId: created.resourceId,
        sessionId: created.getSessionId(),
        success: true,
        resourceUrl: expect.stringContaining("resourceId="),
        status: "RUNNING",
        linkUrl: created.linkUrl,
        wsUrl: created.wsUrl,
        token: created.token,
        toolList: created.toolList,
      },
    });
  });

  it("getSession of an unknown session gives status, code and request id", async () => {
    const result = await spec.agb.getSession("session-unknown");
    expect(result).toEqual({
      requestId: spec.emulator.journal().at(-1)?.requestId,
      httpStatusCode: 400,
      code: "InvalidMcpSession.NotFound",
      success: false,
      errorMessage: "Resource [McpSession] is not found",
    });
  });

  it("getSession fills in what the service left out, and reads capital spellings", async () => {
    await withServer(
      (_, response) =>
        reply(response, 200, { ...ok({ LinkUrl: "l", WsUrl: "w", Token: "t", ToolList: "[]" }), code: undefined }),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).getSession("s-7");
        expect(result).toMatchObject({ success: true, code: "", httpStatusCode: 200 });
        expect(result.data).toEqual({
          appInstanceId: "",
          resourceId: "",
          sessionId: "s-7",
          success: true,
          resourceUrl: "",
          status: "",
          linkUrl: "l",
          wsUrl: "w",
          token: "t",
          toolList: "[]",
        });
      },
    );
  });

  it("getSession without data is a success without data", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok()),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).getSession("s-7");
        expect(result.success).toBe(true);
        expect(result.data).toBeUndefined();
      },
    );
  });
});

describe("agb.list", () => {
  const spec = useEmulator();
  /** Newest first. */
  const ids: string[] = [];

  beforeAll(async () => {
    for (let index = 0; index < 25; index++) {
      const labels = { group: index % 5 === 0 ? "five" : "other", index: String(index) };
      const session = await spec.create({ labels, idleReleaseTimeout: 1800 });
      ids.unshift(session.getSessionId());
    }
  }, 60_000);

  it("shows ten sessions a page, newest first, with the total over all pages", async () => {
    const first = await spec.agb.list();
    expect(first).toEqual({
      requestId: spec.emulator.journal().at(-1)?.requestId,
      success: true,
      sessionIds: ids.slice(0, 10),
      nextToken: expect.stringMatching(/./),
      maxResults: 10,
      totalCount: 25,
    });
    const second = await spec.agb.list({}, 2);
    expect(second).toMatchObject({ success: true, sessionIds: ids.slice(10, 20), totalCount: 25 });
    const third = await spec.agb.list(undefined, 3);
    expect(third).toMatchObject({ success: true, sessionIds: ids.slice(20), nextToken: "", totalCount: 25 });
  });

  it.each([1, 7, 24, 25, 26, 100])("walks all pages of %p", async (limit) => {
    const seen: string[] = [];
    for (let page = 1; page <= Math.ceil(25 / limit); page++) {
      const result = await spec.agb.list({}, page, limit);
      expect(result).toMatchObject({ success: true, maxResults: limit, totalCount: 25 });
      seen.push(...result.sessionIds);
    }
    expect(seen).toEqual(ids);
  });

  it("sends one request a page that lies before", async () => {
    const requests = await spec.requestsOf(() => spec.agb.list({}, 3, 5));
    expect(requests.map(({ path }) => path)).toEqual(Array(3).fill("/sdk/ListSession"));
    expect(requests[0]?.query).toMatchObject({ maxResults: "5", labels: "{}" });
    expect(requests[0]?.query).not.toHaveProperty("nextToken");
    expect(requests[2]?.query).toHaveProperty("nextToken");
  });

  it.each([0, -1, -100])("refuses page %p before anything is sent", async (page) => {
    let result: unknown;
    const requests = await spec.requestsOf(async () => {
      result = await spec.agb.list({}, page, 7);
    });
    expect(result).toEqual({
      requestId: "",
      success: false,
      errorMessage: `Cannot reach page ${page}: Page number must be >= 1`,
      sessionIds: [],
      nextToken: "",
      maxResults: 7,
      totalCount: 0,
    });
    expect(requests).toEqual([]);
  });

  it.each([4, 5, 9])("says that there is no page %p", async (page) => {
    const result = await spec.agb.list({}, page);
    expect(result).toEqual({
      requestId: spec.emulator.journal().at(-1)?.requestId,
      success: false,
      errorMessage: `Cannot reach page ${page}: No more pages available`,
      sessionIds: [],
      nextToken: "",
      maxResults: 10,
      totalCount: 25,
    });
  });

  it.each([Number.NaN, "2"])("refuses page %p by name", async (page) => {
    const result = await spec.agb.list({}, page as number);
    expect(result).toMatchObject({ success: false, sessionIds: [], errorMessage: expect.stringMatching(/page/i) });
  });

  it.each([Number.NaN, -1, 0, 1.5])("refuses a limit of %p by name", async (limit) => {
    const result = await spec.agb.list({}, 1, limit);
    expect(result).toMatchObject({
      success: false,
      sessionIds: [],
      errorMessage: expect.stringMatching(/limit|maxResults/i),
    });
  });

  it("filters by labels, all of which must match exactly", async () => {
    const five = await spec.agb.list({ group: "five" });
    expect(five).toMatchObject({ success: true, totalCount: 5, nextToken: "" });
    expect(five.sessionIds).toEqual(ids.filter((_, index) => (24 - index) % 5 === 0));
    const both = await spec.agb.list({ index: "5", group: "five" });
    expect(both.sessionIds).toEqual([ids[24 - 5]]);
    const none: Record<string, string>[] = [
      { group: "five", index: "6" },
      { group: "fiv" },
      { Group: "five" },
      { absent: "x" },
    ];
    for (const labels of none) {
      expect(await spec.agb.list(labels)).toMatchObject({
        success: true,
        sessionIds: [],
        totalCount: 0,
        nextToken: "",
      });
    }
  });

  it("filters and pages together", async () => {
    const others = ids.filter((_, index) => (24 - index) % 5 !== 0);
    const second = await spec.agb.list({ group: "other" }, 2, 8);
    expect(second).toMatchObject({ success: true, sessionIds: others.slice(8, 16), totalCount: 20 });
  });

  it("takes null for labels, page and limit that were not given", async () => {
    const result = await spec.agb.list(null as never, null as never, null as never);
    expect(result).toMatchObject({ success: true, sessionIds: ids.slice(0, 10), maxResults: 10 });
  });

  it("shows a new session at once and a deleted one no more", async () => {
    const session = await spec.create();
    expect((await spec.agb.list()).sessionIds[0]).toBe(session.getSessionId());
    expect(await session.delete()).toMatchObject({ success: true });
    expect(await spec.agb.list()).toMatchObject({ sessionIds: ids.slice(0, 10), totalCount: 25 });
  });

  it("leaves out entries of the answer that are no sessions", async () => {
    await withServer(
      (_, response) =>
        reply(response, 200, {
          ...ok([{ sessionId: "s-1" }, null, { sessionId: "" }, {}, 3, { sessionId: "s-2" }]),
          count: 2,
        }),
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).list();
        expect(result).toEqual({
          requestId: "r-ok",
          success: true,
          sessionIds: ["s-1", "s-2"],
          nextToken: "",
          maxResults: 10,
          totalCount: 2,
        });
      },
    );
  });

  it("keeps what the service says when a page on the way fails", async () => {
    await withServer(
      (_, response, index) => {
        if (index === 0) reply(response, 200, { ...ok([{ sessionId: "s-1" }]), nextToken: "n-2", count: 9 });
        else reply(response, 400, { success: false, code: "Bad.Token", message: "token is bad", requestId: "r-bad" });
      },
      async ({ url }) => {
        const result = await new AGB({ apiKey: "k", config: { endpoint: url } }).list({}, 3);
        expect(result).toEqual({
          requestId: "r-bad",
          success: false,
          errorMessage: "Cannot reach page 3: token is bad",
          sessionIds: [],
          nextToken: "",
          maxResults: 10,
          totalCount: 0,
        });
      },
    );
  });
});

describe("agb.delete", () => {
  const spec = useEmulator();

  it("deletes, waits until the session is gone, and gives the request id of the release", async () => {
    const session = await spec.create();
    let result: unknown;
    const requests = await spec.requestsOf(async () => {
      result = await spec.agb.delete(session);
    });
    expect(requests[0]?.path).toBe("/mcp/releaseSessionAsync");
    expect(requests.slice(1).length).toBeGreaterThan(0);
    expect(new Set(requests.slice(1).map(({ path }) => path))).toEqual(new Set(["/mcp/getSessionInfo"]));
    expect(result).toEqual({ requestId: requests[0]?.requestId, success: true });
    expect(spec.view(session)).toMatchObject({ state: "released", timeLeft: 0, lifetimeLeft: 0 });
    spec.emulator.expectNoLiveSessions();
  });

  it("with syncContext and no mounts is a plain delete", async () => {
    const session = await spec.create();
    const requests = await spec.requestsOf(async () => {
      expect(await spec.agb.delete(session, true)).toMatchObject({ success: true });
    });
    expect(requests[0]?.path).toBe("/mcp/releaseSessionAsync");
    const other = await spec.create();
    expect(await other.delete(true)).toMatchObject({ success: true });
    spec.emulator.expectNoLiveSessions();
  });

  it("deleted twice: the second time gives a request id and never throws", async () => {
    const session = await spec.create();
    expect(await spec.agb.delete(session)).toMatchObject({ success: true });
    const second = await spec.agb.delete(session);
    expect(second.requestId).not.toBe("");
    if (!second.success) {
      expect(second.errorMessage).toBe("[InvalidMcpSession.NotFound] Resource [McpSession] is not found");
    }
  });

  it("deleted twice at once: both come back", async () => {
    const session = await spec.create();
    const results = await Promise.all([session.delete(), session.delete()]);
    expect(results.some(({ success }) => success)).toBe(true);
    for (const { requestId } of results) expect(requestId).not.toBe("");
  });

  it.each([undefined, null, {}, "session-1"])("refuses %p", async (session) => {
    const result = await spec.agb.delete(session as never);
    expect(result).toEqual({
      requestId: "",
      success: false,
      errorMessage: expect.stringMatching(/^Failed to delete session: /),
    });
  });

  it("says code and message of a refused release", async () => {
    await withServer(
      (_, response) =>
        reply(response, 403, { Success: false, Code: "AccessDenied", Message: "not yours", RequestId: "r-9" }),
      async ({ url }) => {
        const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
        const result = await agb.delete(new Session(agb, "s-1"));
        expect(result).toEqual({ requestId: "r-9", success: false, errorMessage: "[AccessDenied] not yours" });
      },
    );
  });

  it("stands in for what a refused release does not say", async () => {
    await withServer(
      (_, response) => reply(response, 400, { success: false, requestId: "r-9" }),
      async ({ url }) => {
        const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
        const result = await new Session(agb, "s-1").delete();
        expect(result).toEqual({
          requestId: "r-9",
          success: false,
          errorMessage: "[Unknown] Failed to delete session",
        });
      },
    );
  });

  it.each(["FINISH", "DELETED"])(
    "takes the status %s for gone, after DELETING, and capital or nested answers",
    async (last) => {
      await withServer(
        ({ path }, response, index) => {
          if (path === "/mcp/releaseSessionAsync")
            reply(response, 200, { body: { Success: true, Code: "ok", RequestId: "r-body" } });
          else reply(response, 200, ok({ Status: index < 3 ? "DELETING" : last }));
        },
        async ({ url, requests }) => {
          const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
          expect(await new Session(agb, "s-1").delete()).toEqual({ requestId: "r-body", success: true });
          expect(requests).toHaveLength(4);
          expect(requests.map(({ body }) => JSON.parse(body))).toEqual(Array(4).fill({ sessionId: "s-1" }));
        },
      );
    },
  );

  it("does not take a stranger's page that says 'not found' for the end of a session", async () => {
    await withServer(
      ({ path }, response, index) => {
        if (path === "/mcp/releaseSessionAsync") reply(response, 200, ok());
        else if (index === 1) reply(response, 404, "<html>404 not found</html>", { "Content-Type": "text/html" });
        else reply(response, 200, ok({ status: "FINISH" }));
      },
      async ({ url, requests }) => {
        const agb = new AGB({ apiKey: "k", config: { endpoint: url } });
        expect(await new Session(agb, "s-1").delete()).toEqual({ requestId: "r-ok", success: true });
        expect(requests).toHaveLength(3);
      },
    );
  });
});

describe("what an AGB shows of itself", () => {
  const spec = useEmulator();

  it("toJSON gives endpoint and time-out", () => {
    expect(spec.agb.toJSON()).toEqual({ endpoint: spec.emulator.url, timeoutMs: 60_000 });
    expect(JSON.parse(JSON.stringify(spec.agb))).toEqual({ endpoint: spec.emulator.url, timeoutMs: 60_000 });
  });

  it("no printed form holds the key, a token or a link", async () => {
    const session = await spec.create();
    const secrets = [spec.emulator.apiKey, session.token, session.linkUrl, session.wsUrl];
    for (const secret of secrets) expect(secret).not.toBe("");
    const { agb, emulator } = spec;
    const shown = {
      agb,
      emulator,
      session,
      client: agb.client,
      context: agb.context,
      nested: { list: [session, agb] },
    };
    const modules = [session.code, session.command, session.file, session.browser, session.computer, session.context];
    const printed = [
      inspect(shown, { depth: 20 }),
      inspect(shown, { depth: 20, showHidden: true }),
      inspect(modules, { depth: 20, showHidden: true }),
      ...modules.map((module) => JSON.stringify(module)),
      JSON.stringify(shown),
      `${agb} ${session} ${emulator}`,
    ];
    for (const text of printed) {
      for (const secret of secrets) expect(text).not.toContain(secret);
    }
  });
});

it("two AGBs with different keys and endpoints do not mix", async () => {
  await withEmulator({ apiKey: "first" }, async (one, agb) => {
    await withEmulator({ apiKey: "second" }, async (two, other) => {
      const session = sessionOf(await agb.create({ imageId: CODE_IMAGE }));
      expect(await session.keepAlive()).toMatchObject({ success: true });
      expect(await other.list()).toMatchObject({ success: true, totalCount: 0 });
      expect(two.sessions()).toEqual([]);
      expect(one.sessions()).toHaveLength(1);
    });
  });
});

function pick(agb: AGB): unknown[] {
  return [agb.apiKey, agb.config.endpoint, agb.config.timeoutMs];
}

function stats(query: Record<string, unknown> | undefined): unknown {
  return JSON.parse(String(query?.sdkStats));
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
