// @one-isolation: what is tested is the client.

/** What callers without types, or with old habits, may rely on: keys, null, missing arguments, odd numbers. */

import * as agbcloud from "agbcloud-native";
import {
  BrowserContext,
  ContextSync,
  CreateSessionParams,
  getSdkVersion,
  isReleaseVersion,
  VERSION,
} from "agbcloud-native";
import { CODE_IMAGE, useEmulator } from "./support/emulator";

const spec = useEmulator();
const { version } = jest.requireActual<{ version: string }>("../package.json");

describe("the exports", () => {
  it("are the names of this version, and no native class", () => {
    expect(Object.keys(agbcloud).sort()).toEqual([
      "AGB",
      "AGBError",
      "APIError",
      "ApplicationError",
      "ApplicationManager",
      "AuthenticationError",
      "BaseService",
      "Browser",
      "BrowserAgent",
      "BrowserContext",
      "BrowserError",
      "BrowserFingerprintContext",
      "BrowserFingerprintGenerator",
      "BrowserOptionClass",
      "BrowserProxyClass",
      "CallMcpToolRequest",
      "ClearContextRequest",
      "ClearanceTimeoutError",
      "Client",
      "Code",
      "Command",
      "CommandError",
      "Computer",
      "Context",
      "ContextManager",
      "ContextService",
      "ContextSync",
      "CreateMcpSessionRequestPersistenceDataList",
      "CreateSessionParams",
      "CreateSessionRequest",
      "DeleteContextFileRequest",
      "DeleteContextRequest",
      "DeleteSessionAsyncRequest",
      "DescribeContextFilesRequest",
      "DownloadStrategy",
      "Emulator",
      "Extension",
      "ExtensionOption",
      "ExtensionsService",
      "FileError",
      "FileSystem",
      "FingerprintFormat",
      "GetAndLoadInternalContextRequest",
      "GetCdpLinkRequest",
      "GetContextFileDownloadUrlRequest",
      "GetContextFileUploadUrlRequest",
      "GetContextInfoRequest",
      "GetContextRequest",
      "GetLabelRequest",
      "GetLinkRequest",
      "GetMcpResourceRequest",
      "GetSessionDetailRequest",
      "GetSessionRequest",
      "HTTPClient",
      "InitBrowserRequest",
      "KeyboardController",
      "Lifecycle",
      "ListContextsRequest",
      "ListMcpToolsRequest",
      "ListSessionRequest",
      "LogLevel",
      "ModifyContextRequest",
      "MouseButton",
      "MouseController",
      "PushListener",
      "RefreshSessionIdleTimeRequest",
      "ReleaseSessionRequest",
      "ScreenController",
      "ScreenError",
      "ScrollDirection",
      "Session",
      "SessionError",
      "SessionHold",
      "SessionPool",
      "SetLabelRequest",
      "SyncContextRequest",
      "UploadMode",
      "UploadStrategy",
      "VERSION",
      "WindowManager",
      "WsConnectionClosedError",
      "WsError",
      "WsHandshakeRejectedError",
      "WsProtocolError",
      "WsRemoteError",
      "defaultConfig",
      "getLogLevel",
      "getSdkVersion",
      "isReleaseVersion",
      "loadConfig",
      "logDebug",
      "logError",
      "logInfo",
      "logWarn",
      "newDeletePolicy",
      "newDownloadPolicy",
      "newExtractPolicy",
      "newRecyclePolicy",
      "newSyncPolicy",
      "newUploadPolicy",
      "setLogLevel",
      "syncPolicyToDict",
    ]);
  });

  it("the version is this package's own", () => {
    expect(VERSION).toBe(version);
    expect(getSdkVersion()).toBe(version);
    expect(typeof isReleaseVersion()).toBe("boolean");
  });
});

describe("CreateSessionParams", () => {
  const KEYS = ["imageId", "labels", "policyId", "mcpPolicyId", "contextSync", "browserContext", "idleReleaseTimeout"];

  it("has its keys whatever was given", () => {
    expect(Object.keys(new CreateSessionParams())).toEqual(KEYS);
    expect(Object.keys(new CreateSessionParams({}))).toEqual(KEYS);
    expect(Object.keys(new CreateSessionParams({ idleReleaseTimeout: 5, imageId: "a" }))).toEqual(KEYS);
  });

  it("keeps what was given, and has no mounts by default", () => {
    expect({ ...new CreateSessionParams() }).toEqual({ contextSync: [] });
    const options = {
      imageId: "a",
      labels: { z: "1", a: "2" },
      policyId: "p",
      mcpPolicyId: "m",
      contextSync: [new ContextSync("c", "/x")],
      browserContext: new BrowserContext("b"),
      idleReleaseTimeout: 60,
    };
    const params = new CreateSessionParams(options);
    expect({ ...params }).toEqual(options);
    expect(params.labels).toBe(options.labels);
    expect(JSON.parse(JSON.stringify(params)).labels).toEqual({ z: "1", a: "2" });
  });

  it("can be changed before it is used", async () => {
    const params = new CreateSessionParams();
    params.imageId = CODE_IMAGE;
    params.idleReleaseTimeout = 61;
    const [request] = await spec.requestsOf(() => spec.agb.create(params));
    expect(request).toMatchObject({ query: { imageId: CODE_IMAGE }, body: { timeout: 61 } });
  });
});

describe("odd arguments", () => {
  it("null for an option of create is not given", async () => {
    const params = {
      imageId: CODE_IMAGE,
      labels: null,
      policyId: null,
      mcpPolicyId: null,
      contextSync: null,
      browserContext: null,
    };
    const [request] = await spec.requestsOf(async () => {
      expect(await spec.agb.create(params as never)).toMatchObject({ success: true });
    });
    expect(request?.body).not.toHaveProperty("labels");
    expect(request?.body).not.toHaveProperty("mcpPolicyId");
  });

  it("an empty contextSync mounts nothing and is fine", async () => {
    expect(await spec.agb.create({ imageId: CODE_IMAGE, contextSync: [] })).toMatchObject({ success: true });
  });

  it.each([["a"], "a=b", 7])("labels %p of create are refused by name", async (labels) => {
    const requests = await spec.requestsOf(async () => {
      const result = await spec.agb.create({ imageId: CODE_IMAGE, labels: labels as never });
      expect(result).toMatchObject({ success: false, requestId: "", errorMessage: expect.stringMatching(/labels/) });
    });
    expect(requests).toEqual([]);
  });

  it.each([-1, 0, 0.4])("an idle time-out of %p is the service's business", async (idleReleaseTimeout) => {
    const [request] = await spec.requestsOf(() => spec.agb.create({ imageId: CODE_IMAGE, idleReleaseTimeout }));
    expect(request?.body).toEqual({ timeout: idleReleaseTimeout });
  });

  it("null for time-outs of a tool call is not given; zero, negative and odd ones are none", async () => {
    const session = await spec.create();
    for (const timeout of [null, undefined, 0, -1, Number.NaN, "5"]) {
      const result = await session.callMcpTool("get_metrics", {}, timeout as never, timeout as never);
      expect([timeout, result.success]).toEqual([timeout, true]);
      expect(await session.getMetrics(timeout as never, timeout as never)).toMatchObject({ success: true });
    }
  });

  it("missing arguments of every method resolve with a failure that names them, and send nothing", async () => {
    const session = await spec.create();
    const bare = (target: object, name: string): Promise<{ success: boolean; errorMessage?: string }> =>
      (target as Record<string, () => Promise<never>>)[name]?.call(target) as never;
    const missing: [object, string, RegExp][] = [
      [spec.agb, "create", /params/],
      [spec.agb, "get", /sessionId/],
      [spec.agb, "getSession", /sessionId/],
      [spec.agb, "delete", /Session/],
      [session, "setLabels", /Labels/],
      [session, "callMcpTool", /name/],
      [session.code, "run", /code/],
      [session.command, "execute", /command/],
      [session.command, "run", /command/],
      [session.command, "exec", /command/],
      [session.file, "createDirectory", /path/],
      [session.file, "deleteFile", /path/],
      [session.file, "editFile", /path/],
      [session.file, "getFileInfo", /path/],
      [session.file, "listDirectory", /path/],
      [session.file, "moveFile", /source/],
      [session.file, "readFile", /path/],
      [session.file, "readMultipleFiles", /paths/],
      [session.file, "searchFiles", /path/],
      [session.file, "writeFile", /path/],
      [session.file, "getFileChange", /path/],
    ];
    const requests = await spec.requestsOf(async () => {
      for (const [target, name, message] of missing) {
        const result = await bare(target, name);
        expect([name, result]).toEqual([name, expect.objectContaining({ success: false })]);
        expect([name, result.errorMessage]).toEqual([name, expect.stringMatching(message)]);
      }
    });
    expect(requests).toEqual([]);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, "60", {}])(
    "a time limit of %p is refused by name",
    async (limit) => {
      const session = await spec.create();
      const requests = await spec.requestsOf(async () => {
        const run = await session.code.run("1", "python", limit as number);
        expect(run).toMatchObject({ success: false, errorMessage: expect.stringMatching(/time/i) });
        const command = await session.command.execute("true", limit as number);
        expect(command).toMatchObject({ success: false, errorMessage: expect.stringMatching(/time/i) });
      });
      expect(requests).toEqual([]);
    },
  );

  it("null for a time limit is the default", async () => {
    const session = await spec.create();
    // What was sent, not what came of it: one second may be too short for a busy machine.
    const requests = await spec.requestsOf(async () => {
      await session.code.run("1", "python", null as never);
      await session.command.execute("true", null as never);
    });
    expect(requests.map(({ body }) => body)).toMatchObject([
      { args: { timeout_s: 60 } },
      { args: { timeout_ms: 1_000 } },
    ]);
  });

  it("arguments that JSON can't carry are refused or left out, never thrown out of a promise", async () => {
    const session = await spec.create();
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    const result = await session.callMcpTool("get_metrics", loop).catch((error: unknown) => error);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/circular|JSON|arg/i) });
    expect(await session.callMcpTool("get_metrics", { a: undefined, b: () => 1 })).toMatchObject({ success: true });
    for (const args of [[], "text", 7]) {
      expect(await session.callMcpTool("get_metrics", args as never)).toMatchObject({
        success: false,
        errorMessage: expect.stringMatching(/arg|object/i),
      });
    }
  });
});

describe("results", () => {
  it("leave out what is not there, as the reference does", async () => {
    const session = await spec.create();
    const done = await session.command.execute("true", 20_000);
    expect(Object.keys(done)).not.toContain("errorMessage");
    const kept = await session.keepAlive();
    expect(Object.keys(kept).sort()).toEqual(["requestId", "success"]);
    const status = await session.getStatus();
    expect(Object.keys(status).sort()).toEqual(["code", "httpStatusCode", "requestId", "status", "success"]);
    const run = await session.code.run("pass", "python");
    expect(Object.keys(run).sort()).toEqual(
      expect.arrayContaining(["errorMessage", "executionTime", "logs", "requestId", "results", "success"]),
    );
    expect(run.errorMessage).toBe("");
    expect(Object.keys(run)).not.toContain("error");
  });

  it("are plain objects and arrays of this realm", async () => {
    const session = await spec.create();
    const list = await spec.agb.list();
    expect(list.sessionIds).toBeInstanceOf(Array);
    expect(Object.getPrototypeOf(list)).toBe(Object.prototype);
    expect(session.mcpTools).toBeInstanceOf(Array);
    const run = await session.code.run("print(1); 2", "python");
    expect(run.logs.stdout).toBeInstanceOf(Array);
    expect(run.results).toBeInstanceOf(Array);
    expect(session.keepAlive()).toBeInstanceOf(Promise);
    expect(spec.emulator.sessions()).toBeInstanceOf(Array);
    expect(spec.emulator.journal()).toBeInstanceOf(Array);
  });

  it("keep the order of keys that the service sent", async () => {
    const session = await spec.create({ labels: { zebra: "1", ape: "2", "10": "3" } });
    const expected = Object.keys({ zebra: "1", ape: "2", "10": "3" });
    expect(Object.keys((await session.getLabels()).data as object)).toEqual(expected);
    expect(Object.keys(spec.emulator.sessions().at(-1)?.labels ?? {})).toEqual(expected);
  });
});
