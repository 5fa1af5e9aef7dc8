/** Browser extensions, stored in a context; `browser-context.spec.ts` brings them to sessions. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  AGB,
  AGBError,
  type ContextService,
  type EmulatorFault,
  Extension,
  ExtensionOption,
  ExtensionsService,
} from "agbcloud-native";
import { CLOSED_ADDRESS, ok, reply, type SeenRequest, withServer } from "./support/answers";
import { useEmulator } from "./support/emulator";
import { runModule } from "./support/processes";
import { must } from "./support/session";
import { until } from "./support/wait";
import { zipOf } from "./support/zip";

const FOLDER = "/tmp/extensions";

const spec = useEmulator();
let last = 0;
/** A fresh directory of this machine for each test. */
let here: string;

beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), "agb-extension-"));
});
afterEach(() => rmSync(here, { recursive: true, force: true }));

const freshName = () => `extensions-spec-${++last}`;
const freshService = () => new ExtensionsService(spec.agb, freshName());

/** A local file with this content. */
function file(name: string, content: Buffer | string): string {
  const path = join(here, name);
  writeFileSync(path, content);
  return path;
}

function zipFile(name = "one.zip", files: Record<string, string> = { "manifest.json": "{}" }): string {
  return file(name, zipOf(files));
}

/** What the context holds under an extension's id. */
async function stored(contextId: string, id: string): Promise<Buffer> {
  const { url } = must(await spec.agb.context.getFileDownloadUrl(contextId, `${FOLDER}/${id}`));
  return Buffer.from(await (await fetch(url ?? "")).arrayBuffer());
}

describe("the data classes", () => {
  it("an extension has what it was made with", () => {
    expect({ ...new Extension("ext_1.zip", "one.zip", "today") }).toEqual({
      id: "ext_1.zip",
      name: "one.zip",
      createdAt: "today",
    });
    expect(JSON.stringify(new Extension("i", "n"))).toBe('{"id":"i","name":"n"}');
  });

  it("an option describes itself", () => {
    const option = new ExtensionOption("c-1", ["a.zip", "b.zip"]);
    expect({ ...option }).toEqual({ contextId: "c-1", extensionIds: ["a.zip", "b.zip"] });
    expect(String(option)).toBe(`ExtensionOption(contextId='c-1', extensionIds=["a.zip","b.zip"])`);
    expect(option.toDisplayString()).toBe("Extension Config: 2 extension(s) in context 'c-1'");
  });

  it.each<[unknown, unknown, string]>([
    ["", ["a"], "contextId cannot be empty"],
    ["  ", ["a"], "contextId cannot be empty"],
    [undefined, ["a"], "contextId cannot be empty"],
    ["c", [], "extensionIds cannot be empty"],
    ["c", null, "extensionIds cannot be empty"],
    ["c", "a", "extensionIds cannot be empty"],
  ])("an option of %p and %p is refused", (contextId, extensionIds, message) => {
    expect(() => new ExtensionOption(contextId as string, extensionIds as string[])).toThrow(new Error(message));
  });

  it("an option that was changed tells whether it is still valid", () => {
    const option = new ExtensionOption("c", ["a"]);
    expect(option.validate()).toBe(true);
    const changes: Partial<ExtensionOption>[] = [
      { contextId: " " },
      { extensionIds: [] },
      { extensionIds: ["a", " "] },
    ];
    for (const change of changes) {
      expect(Object.assign(new ExtensionOption("c", ["a"]), change).validate()).toBe(false);
    }
    option.extensionIds = [1] as unknown as string[];
    expect(option.validate()).toBe(false);
  });
});

describe("a service", () => {
  it.each<[unknown, string]>([
    [undefined, "AGB instance is required"],
    [null, "AGB instance is required"],
    [{ apiKey: "k" }, "AGB instance must have a context service"],
    [{ apiKey: "k", context: {} }, "AGB instance must have a context service"],
  ])("can't be made with %p", (agb, message) => {
    expect(() => new ExtensionsService(agb as AGB)).toThrow(new AGBError(message));
  });

  it("refuses a name that is no text, and takes null for none", async () => {
    expect(() => new ExtensionsService(spec.agb, 7 as unknown as string)).toThrow("contextId must be a string");
    const service = new ExtensionsService(spec.agb, null as unknown as string);
    expect(await service.list()).toEqual([]);
    expect(await service.cleanup()).toBe(true);
  });

  it("looks for its context at once and by itself, and then has its id", async () => {
    // However busy this process is, the answer is not there yet.
    spec.emulator.faults.add({ operation: "GetContext", kind: "delay", ms: 2_000 });
    const service = freshService();
    expect(service.contextId).toBe("");
    expect(() => service.createExtensionOption(["a"])).toThrow(
      new Error("Service not initialized. Please call an async method first or ensure context is created."),
    );
    await until("the context is there", () => service.contextId !== "");

    const { context } = must(await spec.agb.context.get(`extensions-spec-${last}`));
    expect(service.contextId).toBe(context?.id);
    const option = service.createExtensionOption(["ext_1.zip"]);
    expect(option).toBeInstanceOf(ExtensionOption);
    expect({ ...option }).toEqual({ contextId: context?.id, extensionIds: ["ext_1.zip"] });
    expect(() => service.createExtensionOption([])).toThrow(new Error("extensionIds cannot be empty"));
    expect(() => service.createExtensionOption("a" as unknown as string[])).toThrow("extensionIds must be an array");
    await service.cleanup();
  });

  it("without a name takes one of the time", async () => {
    const before = Math.floor(Date.now() / 1000);
    const service = new ExtensionsService(spec.agb, "  ");
    await service.list();
    const { contexts } = must(await spec.agb.context.list({ maxResults: 50 }));
    const name = contexts.find(({ id }) => id === service.contextId)?.name ?? "";
    expect(name).toMatch(/^extensions-\d+$/);
    expect(Number(name.slice("extensions-".length))).toBeGreaterThanOrEqual(before);
    await service.cleanup();
  });

  it("stores, lists, replaces and deletes extensions", async () => {
    const service = freshService();
    const [one, two] = [zipFile("one.zip"), zipFile("Two.ZIP", { "manifest.json": '{"name":"two"}' })];
    const first = await service.create(one);
    expect(first).toBeInstanceOf(Extension);
    expect({ ...first }).toEqual({ id: expect.stringMatching(/^ext_[0-9a-f]{32}\.zip$/), name: "one.zip" });
    const second = await service.create(two);
    expect(second).toMatchObject({ name: "Two.ZIP" });
    expect(second.id).not.toBe(first.id);

    const listed = await service.list();
    expect(listed.map(({ id }) => id).sort()).toEqual([first.id, second.id].sort());
    expect(listed.every(({ id, name, createdAt }) => name === id && createdAt?.includes("T"))).toBe(true);
    expect(await stored(service.contextId, first.id)).toEqual(zipOf({ "manifest.json": "{}" }));

    const updated = await service.update(first.id, two);
    expect({ ...updated }).toEqual({ id: first.id, name: "Two.ZIP" });
    expect(await stored(service.contextId, first.id)).toEqual(zipOf({ "manifest.json": '{"name":"two"}' }));
    expect(await service.list()).toHaveLength(2);

    expect(await service.delete(first.id)).toBe(true);
    expect(await service.delete(first.id)).toBe(false);
    expect((await service.list()).map(({ id }) => id)).toEqual([second.id]);
    await service.cleanup();
  });

  it("lists more than a page of extensions, and replaces one beyond the first page", async () => {
    const service = freshService();
    await service.list();
    const put = async (number: number) => {
      const { url } = must(await spec.agb.context.getFileUploadUrl(service.contextId, `${FOLDER}/ext_${number}.zip`));
      await fetch(url ?? "", { method: "PUT", body: "x" });
    };
    await Promise.all(Array.from({ length: 205 }, (_, number) => put(1000 + number)));
    expect(await service.list()).toHaveLength(205);
    expect((await service.update("ext_1204.zip", zipFile())).id).toBe("ext_1204.zip");
    await service.cleanup();
  });

  it("deletes the context that it made, once, and none that was there before", async () => {
    const maker = freshService();
    await maker.list();
    const finder = new ExtensionsService(spec.agb, `extensions-spec-${last}`);
    await finder.list();
    expect(finder.contextId).toBe(maker.contextId);

    const requests = await spec.requestsOf(async () => {
      expect(await finder.cleanup()).toBe(true);
      expect(must(await spec.agb.context.get(`extensions-spec-${last}`)).context?.id).toBe(maker.contextId);
      expect([await maker.cleanup(), await maker.cleanup()]).toEqual([true, true]);
    });
    expect(requests.map(({ operation }) => operation)).toEqual(["GetContext", "DeleteContext"]);
    await expect(maker.list()).rejects.toThrow("Failed to list extensions: Context file listing failed.");
  });

  it("sends a file in constant memory", async () => {
    const source = `
      import { AGB, ExtensionsService } from "agbcloud-native";
      import { truncateSync, writeFileSync } from "node:fs";
      const [path, endpoint, apiKey] = JSON.parse(process.env.SPEC);
      writeFileSync(path, "PK");
      truncateSync(path, 300 << 20);
      const service = new ExtensionsService(new AGB({ apiKey, config: { endpoint } }), "large");
      await service.list();
      const before = process.memoryUsage.rss();
      let most = 0;
      const timer = setInterval(() => { most = Math.max(most, process.memoryUsage.rss() - before) }, 20);
      await service.create(path);
      clearInterval(timer);
      await service.cleanup();
      console.log(Math.round(most / 1024 / 1024));`;
    const SPEC = JSON.stringify([join(here, "large.zip"), spec.emulator.url, spec.emulator.apiKey]);
    const { code, stdout, stderr } = await runModule(source, { SPEC });
    expect([code, stderr]).toEqual([0, ""]);
    expect(Number(stdout)).toBeLessThan(100);
  }, 180_000);
});

describe("what goes wrong", () => {
  const CONTEXT = { id: "c-1", name: "n" };

  /** A service whose answers differ in one path. */
  function withService<T>(
    path: string,
    answer: (request: SeenRequest, response: Parameters<typeof reply>[0], nth: number) => void,
    work: (service: ExtensionsService, requests: SeenRequest[], agb: AGB) => Promise<T>,
    timeoutMs = 20_000,
  ): Promise<T> {
    let nth = 0;
    let address = "";
    return withServer(
      (request, response) => {
        if (request.path === path) return answer(request, response, nth++);
        const data: Record<string, unknown> = {
          "/sdk/GetContext": CONTEXT,
          "/sdk/DescribeContextFiles": [{ fileName: "ext_1.zip", filePath: `${FOLDER}/ext_1.zip` }],
          "/sdk/GetContextFileUploadUrl": { url: `${address}/store?sign=secret-sign` },
        };
        reply(response, 200, ok(data[request.path]));
      },
      async ({ url, requests }) => {
        address = url;
        const agb = new AGB({ apiKey: "any", config: { endpoint: url, timeoutMs } });
        return work(new ExtensionsService(agb, "n"), requests, agb);
      },
    );
  }
  const refusal = (message: string) => ({ ...ok(), success: false, code: "No", message });

  it("a context that can't be had rejects every method, and is looked for again", async () => {
    await withService(
      "/sdk/GetContext",
      (_, response, nth) =>
        reply(response, nth < 12 ? 400 : 200, nth < 12 ? refusal("too many contexts") : ok(CONTEXT)),
      async (service, requests) => {
        const path = zipFile();
        await until("the background has failed", () => requests.length >= 2);
        for (const call of [
          () => service.list(),
          () => service.create(path),
          () => service.update("ext_1.zip", path),
          () => service.delete("ext_1.zip"),
          () => service.cleanup(),
        ]) {
          const error = await call().then(
            () => undefined,
            (reason) => reason,
          );
          expect(error).toBeInstanceOf(AGBError);
          expect(error).toMatchObject({
            message: "Failed to create extension repository context: n",
            cause: { message: "too many contexts" },
            extra: { requestId: "r-ok", code: "No" },
          });
        }
        expect(service.contextId).toBe("");
        await expect(service.list()).resolves.toHaveLength(1);
        expect(service.contextId).toBe("c-1");
      },
    );
  });

  it("a list that is refused says so, with the reason as cause", async () => {
    await withService(
      "/sdk/DescribeContextFiles",
      (_, response) => reply(response, 400, refusal("not today")),
      async (service) => {
        await expect(service.list()).rejects.toMatchObject({
          message: "Failed to list extensions: Context file listing failed.",
          cause: { message: "not today" },
        });
        await expect(service.update("ext_1.zip", zipFile())).rejects.toThrow("Failed to list extensions");
      },
    );
  });

  it("local files that can't be extensions are refused, and nothing is sent but the look for the context", async () => {
    const service = freshService();
    await service.list();
    const missing = join(here, "none.zip");
    const crx = file("a.CRX", "");
    const requests = await spec.requestsOf(async () => {
      await expect(service.create(missing)).rejects.toThrow(`The specified local file was not found: ${missing}`);
      await expect(service.update("x", missing)).rejects.toThrow(
        `The specified new local file was not found: ${missing}`,
      );
      for (const call of [service.create(crx), service.update("x", crx)]) {
        await expect(call).rejects.toThrow("Unsupported plugin format '.crx'. Only ZIP format (.zip) is supported.");
      }
      await expect(service.create(file("none", ""))).rejects.toThrow("Unsupported plugin format ''.");
      await expect(service.create(here)).rejects.toThrow(`File system error: ${here}: not a regular file`);
      await expect(service.create(undefined as unknown as string)).rejects.toThrow("localPath must be a string");
      await expect(service.update(1 as unknown as string, crx)).rejects.toThrow("extensionId must be a string");
      await expect(service.delete(null as unknown as string)).rejects.toThrow("extensionId must be a string");
      expect(await service.delete("../other/file")).toBe(false);
      expect(await service.delete(" ")).toBe(false);
    });
    expect(requests).toEqual([]);
    await service.cleanup();
  });

  it("an update needs an extension that is there", async () => {
    const service = freshService();
    await expect(service.update("ext_0.zip", zipFile())).rejects.toThrow(
      "Browser extension with ID 'ext_0.zip' not found in the context. Cannot update.",
    );
    expect(await service.list()).toEqual([]);
    await service.cleanup();
  });

  it.each<[string, number, unknown, string]>([
    ["a refusal", 400, refusal("not today"), "Failed to get upload URL: not today"],
    ["an answer without one", 200, ok({}), "Failed to get upload URL: No URL returned"],
    ["one that is none", 200, ok({ url: "no url" }), "An error occurred while uploading the file: "],
  ])("instead of an address, %s", async (_, status, body, message) => {
    await withService(
      "/sdk/GetContextFileUploadUrl",
      (_request, response) => reply(response, status, body),
      (service) => expect(service.create(zipFile())).rejects.toThrow(message),
    );
  });

  it.each([
    [
      403,
      "<Error><Code>Denied</Code><Key>secret-sign</Key></Error>",
      "HTTP error uploading file: 403 Forbidden Denied ****",
    ],
    [500, "", "HTTP error uploading file: 500 Internal Server Error"],
  ])("a store that answers %i", async (status, body, message) => {
    await withService(
      "/store",
      (_, response) => reply(response, status, body),
      async (service) => {
        const error = await service.create(zipFile()).catch((reason) => reason);
        expect(error).toMatchObject({ message, name: "APIError", statusCode: status });
      },
    );
  });

  it("a store that can't be reached, and one that stands still, are network errors", async () => {
    const address = CLOSED_ADDRESS;
    await withService(
      "/sdk/GetContextFileUploadUrl",
      (_, response) => reply(response, 200, ok({ url: address })),
      (service) => expect(service.create(zipFile())).rejects.toThrow(/^Network error during file upload: /),
    );
    // It takes the file, and never answers.
    await withService(
      "/store",
      () => undefined,
      (service) =>
        expect(service.create(zipFile())).rejects.toThrow(/^Network error during file upload: nothing has moved/),
      2_000,
    );
  });

  it.each<[string, EmulatorFault]>([
    ["answers with a failure", { operation: "putObject", kind: "status", status: 500, when: "after", count: 10 }],
    ["breaks the connection", { operation: "putObject", kind: "reset", when: "after", count: 10 }],
  ])("a store that %s after its work leaves no extension that nobody knows of", async (_name, fault) => {
    const extensions = freshService();
    const old = await extensions.create(zipFile("old.zip"));
    spec.emulator.faults.add(fault);
    await expect(extensions.create(zipFile("new.zip"))).rejects.toThrow(AGBError);
    // It may be the new file or still the old one: what is there is not taken away.
    await expect(extensions.update(old.id, zipFile("newer.zip"))).rejects.toThrow(AGBError);
    spec.emulator.faults.clear();
    expect((await extensions.list()).map(({ id }) => id)).toEqual([old.id]);
    await extensions.cleanup();
  });

  it("a store that is busy is asked again, with the whole file", async () => {
    const bodies: string[] = [];
    await withService(
      "/store",
      ({ body, method, headers }, response, nth) => {
        bodies.push(body);
        expect([method, headers["content-type"], headers.authorization]).toEqual(["PUT", undefined, undefined]);
        reply(response, nth === 0 ? 503 : 200, "");
      },
      async (service) => {
        await service.create(file("a.zip", "content"));
        expect(bodies).toEqual(["content", "content"]);
      },
    );
  });

  it("deletions that are refused are false", async () => {
    await withService(
      "/sdk/DeleteContextFile",
      (_, response) => reply(response, 400, refusal("not there")),
      async (service) => expect(await service.delete("ext_1.zip")).toBe(false),
    );
    await withServer(
      ({ path, query }, response) => {
        const isThere = path === "/sdk/GetContext" && query.get("allowCreate") === "true";
        reply(response, isThere ? 200 : 400, isThere ? ok(CONTEXT) : refusal("no"));
      },
      async ({ url }) => {
        const service = new ExtensionsService(new AGB({ apiKey: "any", config: { endpoint: url } }), "n");
        expect(await service.cleanup()).toBe(false);
      },
    );
  });

  it("a failure in the background is no unhandled rejection, and keeps no program alive", async () => {
    const source = `
      import { AGB, ExtensionsService } from "agbcloud-native";
      process.on("unhandledRejection", () => console.log("unhandled"));
      const agb = new AGB({ apiKey: "any", config: { endpoint: process.env.SPEC, timeoutMs: 1000 } });
      const service = new ExtensionsService(agb, "n");
      process.on("exit", () => console.log(service.contextId === "" ? "none" : "some"));`;
    const { code, stdout, stderr } = await runModule(source, { SPEC: CLOSED_ADDRESS });
    expect([code, stdout, stderr]).toEqual([0, "none\n", ""]);
  });

  it("an AGB by its fields is enough, but not a context service of somebody else", async () => {
    const service = new ExtensionsService({ apiKey: spec.agb.apiKey, context: spec.agb.context }, freshName());
    expect(await service.list()).toEqual([]);
    await service.cleanup();
    const context = { list: async () => [] } as unknown as ContextService;
    expect(() => new ExtensionsService({ apiKey: "k", context })).toThrow("AGB instance must have a context service");
  });
});
