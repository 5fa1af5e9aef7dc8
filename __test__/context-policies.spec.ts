/** What is sent of a mount: policies, their builders and defaults, and the mounts of a browser. */

import {
  AGB,
  BrowserContext,
  BrowserFingerprintContext,
  ContextSync,
  CreateSessionParams,
  type CreateSessionParamsOptions,
  DownloadStrategy,
  Lifecycle,
  newDeletePolicy,
  newDownloadPolicy,
  newExtractPolicy,
  newRecyclePolicy,
  newSyncPolicy,
  newUploadPolicy,
  type SyncPolicy,
  syncPolicyToDict,
  UploadMode,
  UploadStrategy,
} from "agbcloud-native";
import { ok, reply, sessionData, withServer } from "./support/answers";
import { CODE_IMAGE } from "./support/emulator";

const DEFAULT_POLICY =
  '{"uploadPolicy":{"autoUpload":true,"uploadStrategy":"UploadBeforeResourceRelease","uploadMode":"File"},' +
  '"downloadPolicy":{"autoDownload":true,"downloadStrategy":"DownloadAsync"},' +
  '"deletePolicy":{"syncLocalFile":true},' +
  '"extractPolicy":{"extract":true,"deleteSrcFile":true,"extractToCurrentFolder":false},' +
  '"recyclePolicy":{"lifecycle":"Lifecycle_Forever","paths":[""]},' +
  '"bwList":{"whiteLists":[]}}';

const sent = (policy: SyncPolicy) => JSON.stringify(syncPolicyToDict(policy));

describe("the builders", () => {
  it("fill what is missing with the defaults", () => {
    expect(newUploadPolicy()).toEqual({
      autoUpload: true,
      uploadStrategy: UploadStrategy.UPLOAD_BEFORE_RESOURCE_RELEASE,
      uploadMode: UploadMode.FILE,
    });
    expect(newUploadPolicy({ uploadMode: UploadMode.ARCHIVE, autoUpload: false })).toEqual({
      autoUpload: false,
      uploadStrategy: "UploadBeforeResourceRelease",
      uploadMode: "Archive",
    });
    expect(newDownloadPolicy({ autoDownload: false })).toEqual({
      autoDownload: false,
      downloadStrategy: DownloadStrategy.DOWNLOAD_ASYNC,
    });
    expect(newDeletePolicy({})).toEqual({ syncLocalFile: true });
    expect(newExtractPolicy({ extractCurrentFolder: true })).toEqual({
      extract: true,
      deleteSrcFile: true,
      extractCurrentFolder: true,
    });
    expect(newRecyclePolicy({ lifecycle: Lifecycle.LIFECYCLE_30DAYS })).toEqual({
      lifecycle: "Lifecycle_30Days",
      paths: [""],
    });
  });

  it("newSyncPolicy leaves a policy that is given as it is, and has a mapping only when one is given", () => {
    const uploadPolicy = { autoUpload: false } as never;
    const policy = newSyncPolicy({ uploadPolicy });
    expect(policy.uploadPolicy).toBe(uploadPolicy);
    expect(Object.keys(policy)).toEqual([
      "uploadPolicy",
      "downloadPolicy",
      "deletePolicy",
      "extractPolicy",
      "recyclePolicy",
      "bwList",
    ]);
    expect(newSyncPolicy({ mappingPolicy: { path: "/home/old" } }).mappingPolicy).toEqual({ path: "/home/old" });
  });

  it.each(["*", "/a?", "[b", "c]"])("newRecyclePolicy refuses the wildcard in %p", (path) => {
    expect(() => newRecyclePolicy({ paths: ["/fine", path] })).toThrow(
      new Error(`Wildcard patterns are not supported in recycle policy paths. Got: ${path}`),
    );
  });

  it("a blank path is no wildcard", () => {
    expect(newRecyclePolicy({ paths: ["", "  ", "/a"] }).paths).toEqual(["", "  ", "/a"]);
  });

  it.each([
    [Lifecycle.LIFECYCLE_1DAY, "Lifecycle_1Day"],
    [Lifecycle.LIFECYCLE_3DAYS, "Lifecycle_3Days"],
    [Lifecycle.LIFECYCLE_5DAYS, "Lifecycle_5Days"],
    [Lifecycle.LIFECYCLE_10DAYS, "Lifecycle_10Days"],
    [Lifecycle.LIFECYCLE_15DAYS, "Lifecycle_15Days"],
    [Lifecycle.LIFECYCLE_30DAYS, "Lifecycle_30Days"],
    [Lifecycle.LIFECYCLE_90DAYS, "Lifecycle_90Days"],
    [Lifecycle.LIFECYCLE_180DAYS, "Lifecycle_180Days"],
    [Lifecycle.LIFECYCLE_360DAYS, "Lifecycle_360Days"],
    [Lifecycle.LIFECYCLE_FOREVER, "Lifecycle_Forever"],
  ])("the lifecycle %p is sent as %p", (lifecycle, word) => {
    expect(sent({ recyclePolicy: newRecyclePolicy({ lifecycle }) })).toBe(
      `{"recyclePolicy":{"lifecycle":"${word}","paths":[""]}}`,
    );
  });
});

describe("syncPolicyToDict", () => {
  it("gives the default policy under the wire's names and in its order", () => {
    expect(sent(newSyncPolicy())).toBe(DEFAULT_POLICY);
  });

  it("keeps the wire's order whatever order the policy has", () => {
    const { uploadPolicy, ...rest } = newSyncPolicy();
    expect(sent({ ...rest, uploadPolicy })).toBe(DEFAULT_POLICY);
    const upload = { uploadMode: UploadMode.FILE, uploadStrategy: "x" as never, autoUpload: false };
    expect(sent({ uploadPolicy: upload })).toBe(
      '{"uploadPolicy":{"autoUpload":false,"uploadStrategy":"x","uploadMode":"File"}}',
    );
  });

  it("leaves out what the policy leaves out", () => {
    expect(sent({})).toBe("{}");
    expect(sent({ deletePolicy: { syncLocalFile: false } })).toBe('{"deletePolicy":{"syncLocalFile":false}}');
    expect(sent({ bwList: { whiteLists: [{ path: "/a" } as never] } })).toBe(
      '{"bwList":{"whiteLists":[{"path":"/a"}]}}',
    );
  });

  it("sends white lists, archives and mappings", () => {
    const policy: SyncPolicy = {
      bwList: { whiteLists: [{ path: "/a", excludePaths: ["/b"] }] },
      mappingPolicy: { path: "/home/old" },
      extractPolicy: newExtractPolicy({ extractCurrentFolder: true, deleteSrcFile: false }),
    };
    expect(sent(policy)).toBe(
      '{"extractPolicy":{"extract":true,"deleteSrcFile":false,"extractToCurrentFolder":true},' +
        '"bwList":{"whiteLists":[{"path":"/a","excludePaths":["/b"]}]},"mappingPolicy":{"path":"/home/old"}}',
    );
  });
});

describe("ContextSync", () => {
  it("is made in two ways and takes a policy later", () => {
    const policy = newSyncPolicy();
    const sync = ContextSync.new("c", "/x");
    expect({ ...sync }).toEqual({ contextId: "c", path: "/x", policy: undefined });
    expect(sync.withPolicy(policy)).toBe(sync);
    expect(sync).toEqual(new ContextSync("c", "/x", policy));
  });
});

/** What `create` sends to mount, and what it resolves to. */
async function mountsSent(options: CreateSessionParamsOptions | CreateSessionParams) {
  return withServer(
    ({ path }, response) => {
      if (path === "/mcp/createSession") reply(response, 200, ok(sessionData()));
      else reply(response, 200, ok({ contextStatus: "[]" }));
    },
    async ({ url, requests }) => {
      const result = await new AGB({ apiKey: "any", config: { endpoint: url } }).create(options);
      const body = requests.length > 0 ? JSON.parse(requests[0]?.body ?? "{}") : undefined;
      return { result, paths: requests.map(({ path }) => path), mounts: body?.persistenceDataList };
    },
  );
}

describe("what a session's creation sends", () => {
  it("a mount without a policy gets the default one", async () => {
    const contextSync = [new ContextSync("c", "/home/x"), { contextId: "d", path: "/home/y" } as ContextSync];
    const { mounts, paths } = await mountsSent({ imageId: CODE_IMAGE, contextSync });
    expect(mounts).toEqual([
      { contextId: "c", path: "/home/x", policy: DEFAULT_POLICY },
      { contextId: "d", path: "/home/y", policy: DEFAULT_POLICY },
    ]);
    expect(paths).toEqual(["/mcp/createSession", "/sdk/GetContextInfo"]);
  });

  it("without mounts there is no list, and nothing to wait for", async () => {
    const { mounts, paths } = await mountsSent({ imageId: CODE_IMAGE, contextSync: [] });
    expect(mounts).toBeUndefined();
    expect(paths).toEqual(["/mcp/createSession"]);
  });

  const browserContext = new BrowserContext(
    "data",
    false,
    { contextId: "ext", extensionIds: ["a", "b"] },
    new BrowserFingerprintContext("fp"),
  );
  const caller = new ContextSync("own", "/home/x", {});
  const EXPECTED = [
    ["own", "/home/x", "{}"],
    [
      "ext",
      "/tmp/extensions/",
      DEFAULT_POLICY.replace('"autoUpload":true', '"autoUpload":false')
        .replace('"syncLocalFile":true', '"syncLocalFile":false')
        .replace('"whiteLists":[]', '"whiteLists":[{"path":"a","excludePaths":[]},{"path":"b","excludePaths":[]}]'),
    ],
    ["fp", "/tmp/agb_browser_fingerprint", DEFAULT_POLICY.replace('"autoUpload":true', '"autoUpload":false')],
    [
      "data",
      "/tmp/agb_browser_data",
      DEFAULT_POLICY.replace('"autoUpload":true', '"autoUpload":false').replace(
        '"whiteLists":[]',
        '"whiteLists":[{"path":"/Local State","excludePaths":[]},{"path":"/Default/Cookies","excludePaths":[]},' +
          '{"path":"/Default/Cookies-journal","excludePaths":[]}]',
      ),
    ],
  ].map(([contextId, path, policy]) => ({ contextId, path, policy }));

  it.each<[string, CreateSessionParamsOptions | CreateSessionParams]>([
    ["CreateSessionParams", new CreateSessionParams({ imageId: CODE_IMAGE, contextSync: [caller], browserContext })],
    ["a plain object", { imageId: CODE_IMAGE, contextSync: [caller], browserContext }],
    [
      "nothing but plain objects",
      {
        imageId: CODE_IMAGE,
        contextSync: [{ ...caller } as ContextSync],
        browserContext: {
          contextId: "data",
          autoUpload: false,
          extensionOption: { contextId: "ext", extensionIds: ["a", "b"] },
          fingerprintContext: { fingerprintContextId: "fp" },
        } as BrowserContext,
      },
    ],
  ])("a browser's mounts follow the caller's, once each, from %s", async (_, params) => {
    expect((await mountsSent(params)).mounts).toEqual(EXPECTED);
    // The same parameters may be used again.
    expect((await mountsSent(params)).mounts).toEqual(EXPECTED);
  });

  it("a browser without extensions and fingerprint mounts its data only, stored by default", async () => {
    const browser = new BrowserContext("data", undefined, { contextId: "ext", extensionIds: [] });
    expect(browser.getExtensionContextSyncs()).toEqual([]);
    expect(browser.getFingerprintContextSync()).toBeUndefined();
    const { mounts } = await mountsSent({ imageId: CODE_IMAGE, browserContext: browser });
    expect(mounts).toHaveLength(1);
    expect(JSON.parse(mounts[0].policy).uploadPolicy.autoUpload).toBe(true);
  });

  it("the parameters show the extension's and the fingerprint's mounts", () => {
    const params = new CreateSessionParams({ contextSync: [caller], browserContext });
    expect(params.contextSync.map(({ path }) => path)).toEqual([
      "/home/x",
      "/tmp/extensions/",
      "/tmp/agb_browser_fingerprint",
    ]);
    expect(browserContext.fingerprintContextId).toBe("fp");
    expect(browserContext.getFingerprintContextSync()).toBe(browserContext.fingerprintContextSync);
  });

  it.each(["", "  ", undefined])("a fingerprint context needs an id, not %p", (id) => {
    expect(() => new BrowserFingerprintContext(id as string)).toThrow(
      new Error("fingerprintContextId cannot be empty"),
    );
  });

  it.each([
    [{ contextSync: "c" }, /contextSync must be an array/],
    [{ contextSync: [null] }, /contextSync must hold objects/],
    [{ contextSync: [{ contextId: "c" }] }, /path must be a string/],
    [{ contextSync: [{ contextId: 7, path: "/x" }] }, /contextId must be a string/],
    [{ contextSync: [{ contextId: "c", path: "/x", policy: "File" }] }, /policy must be an object/],
  ])("%p is refused by name, and nothing is sent", async (options, text) => {
    const { result, paths } = await mountsSent({ imageId: CODE_IMAGE, ...options } as never);
    expect(result).toMatchObject({ success: false, requestId: "", errorMessage: expect.stringMatching(text) });
    expect(paths).toEqual([]);
  });
});
