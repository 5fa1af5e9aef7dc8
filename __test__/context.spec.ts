/** Contexts: storage that outlives sessions, its files, and its synchronisation with sessions. */

import {
  AGB,
  AGBError,
  ClearanceTimeoutError,
  Context,
  type ContextData,
  type ContextListResult,
  ContextManager,
  type ContextStatusData,
  ContextSync,
  Lifecycle,
  newDownloadPolicy,
  newExtractPolicy,
  newRecyclePolicy,
  newSyncPolicy,
  newUploadPolicy,
  type Session,
  type SyncPolicy,
  UploadMode,
} from "agbcloud-native";
import { ok, reply, withServer } from "./support/answers";
import { CODE_IMAGE, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { must } from "./support/session";

const spec = useEmulator();

let last = 0;

/** A path that no other test uses; with plain isolation it is this machine's. */
function freshPath(): string {
  last += 1;
  return `/tmp/agb-context-spec-${process.pid}-${last}-${Math.random().toString(36).slice(2)}`;
}

async function freshContext(): Promise<ContextData> {
  last += 1;
  const { context } = must(await spec.agb.context.create(`context-${last}`));
  if (!context) throw new Error("no context");
  return context;
}

/** A session that has a context mounted. */
function sessionWith(contextId: string, path: string, policy?: SyncPolicy): Promise<Session> {
  return spec.create({ contextSync: [new ContextSync(contextId, path, policy)] });
}

async function run(session: Session, command: string): Promise<string> {
  return must(await session.command.execute(command, 60_000)).stdout ?? "";
}

async function names(contextId: string, folder: string): Promise<string[]> {
  return must(await spec.agb.context.listFiles(contextId, folder)).files.map(({ name }) => name);
}

describe("contexts", () => {
  it("are made once for each name, and found by name and id", async () => {
    const { context } = must(await spec.agb.context.create("  once "));
    expect(context).toEqual({
      id: expect.stringMatching(/./),
      name: "once",
      createdAt: expect.stringMatching(/T/),
      lastUsedAt: expect.stringMatching(/T/),
    });
    for (const result of [
      await spec.agb.context.create("once"),
      await spec.agb.context.get("once", true),
      await spec.agb.context.get("once"),
      await spec.agb.context.get(undefined, false, undefined, context?.id),
    ]) {
      expect(result).toEqual({ requestId: expect.stringMatching(/./), success: true, context });
    }
    const elsewhere = must(await spec.agb.context.get("once", true, "elsewhere"));
    expect(elsewhere.context?.id).not.toBe(context?.id);
    expect(await spec.agb.context.get("never")).toMatchObject({
      success: false,
      errorMessage: expect.stringMatching(/not found/i),
    });
  });

  it("are listed newest first, page by page", async () => {
    await withEmulator({}, async (_, agb) => {
      for (let number = 0; number < 25; number += 1) must(await agb.context.create(`c${number}`));
      const first = must(await agb.context.list());
      expect(Object.keys(first)).toEqual(["requestId", "success", "contexts"]);
      expect(first.contexts.map(({ name }) => name)[0]).toBe("c24");
      expect(first).toMatchObject({ maxResults: 10, totalCount: 25 });
      const seen: string[] = [];
      let nextToken: string | undefined = "";
      do {
        const page: ContextListResult = must(await agb.context.list({ maxResults: 7, nextToken }));
        expect(page.contexts.length).toBeLessThanOrEqual(7);
        seen.push(...page.contexts.map(({ name }) => name));
        nextToken = page.nextToken;
      } while (nextToken);
      expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `c${24 - index}`));
      expect(await agb.context.list({ nextToken: "made-up" })).toMatchObject({ success: false, contexts: [] });
    });
  });

  it("can be renamed and deleted", async () => {
    const { id } = await freshContext();
    const renamed = await spec.agb.context.update(new Context(` ${id}`, "renamed "));
    expect(renamed).toEqual({ requestId: expect.stringMatching(/./), success: true, data: { context_id: id } });
    expect(must(await spec.agb.context.get("renamed")).context?.id).toBe(id);
    const context = new Context(id, "renamed");
    expect(await spec.agb.context.delete(context)).toMatchObject({ success: true, data: { context_id: id } });
    const again = await spec.agb.context.delete(context);
    expect(again).toMatchObject({ success: false, code: "InvalidContext.NotFound", httpStatusCode: 400 });
    expect(again.requestId).not.toBe("");
  });

  it("what cannot be is refused in the reference's words, and nothing is sent", async () => {
    const { context } = spec.agb;
    const requests = await spec.requestsOf(async () => {
      for (const [result, errorMessage] of [
        [await context.create("  "), "name cannot be empty or None"],
        [await context.get(), "Either context_id or name must be provided (cannot both be empty)"],
        [
          await context.get("n", true, undefined, "c"),
          "context_id cannot be provided when create=True (only name is allowed when creating)",
        ],
        [await context.update(null as never), "context cannot be None"],
        [await context.update(new Context("", "n")), "context.id cannot be empty or None"],
        [await context.update(new Context("c", " ")), "context.name cannot be empty or None"],
        [await context.delete(null as never), "context cannot be None"],
        [await context.delete(new Context(" ", "n")), "context.id cannot be empty or None"],
        [await context.getFileUploadUrl("", "/a"), "context_id cannot be empty or None"],
        [await context.getFileDownloadUrl("c", " "), "file_path cannot be empty or None"],
        [await context.deleteFile("c", ""), "file_path cannot be empty or None"],
        [await context.listFiles(" "), "context_id cannot be empty or None"],
      ] as const) {
        expect(result).toMatchObject({ requestId: "", success: false, errorMessage });
      }
      expect(await context.create(7 as never)).toMatchObject({ errorMessage: "name must be a string, got number" });
      expect(await context.list({ maxResults: Number.NaN })).toMatchObject({ success: false, contexts: [] });
    });
    expect(requests).toEqual([]);
  });

  it("the service shows no key", () => {
    expect(JSON.stringify(spec.agb.context)).toBe('{"type":"ContextService"}');
    expect(Object.keys(spec.agb.context)).toEqual([]);
  });
});

describe("files of a context", () => {
  it("go in with PUT and out with GET, whole or in part", async () => {
    const { id } = await freshContext();
    const body = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    const put = must(await spec.agb.context.getFileUploadUrl(id, " /tmp/ü x/data.bin "));
    expect(Object.keys(put)).toEqual(["requestId", "success", "url"]);
    expect(put.expireTime).toBeGreaterThan(Date.now() / 1000);
    const stored = await fetch(put.url ?? "", { method: "PUT", body });
    expect(stored.status).toBe(200);
    const tag = stored.headers.get("etag");
    expect(tag).toMatch(/^"\w+"$/);

    const { url = "" } = must(await spec.agb.context.getFileDownloadUrl(id, "/tmp/ü x/data.bin"));
    const whole = await fetch(url);
    expect(whole.headers.get("content-length")).toBe("300000");
    expect(whole.headers.get("etag")).toBe(tag);
    expect(Buffer.from(await whole.arrayBuffer()).equals(body)).toBe(true);
    const part = await fetch(url, { headers: { Range: "bytes=1000-1999" } });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe("bytes 1000-1999/300000");
    expect(Buffer.from(await part.arrayBuffer()).equals(body.subarray(1000, 2000))).toBe(true);
    expect((await fetch(url, { headers: { Range: "bytes=300000-" } })).status).toBe(416);

    const listed = must(await spec.agb.context.listFiles(id, "/tmp/ü x"));
    expect(listed).toMatchObject({ count: 1 });
    expect(listed.files).toEqual([
      {
        fileId: expect.any(String),
        name: "data.bin",
        path: "/tmp/ü x/data.bin",
        type: "FILE",
        createdTime: expect.any(String),
        modifiedTime: expect.any(String),
        size: 300_000,
        status: expect.any(String),
      },
    ]);
    expect(await spec.agb.context.deleteFile(id, "/tmp/ü x/data.bin")).toMatchObject({ success: true, data: true });
    expect(await spec.agb.context.deleteFile(id, "/tmp/ü x/data.bin")).toMatchObject({ success: false, data: false });
    expect((await fetch(url)).status).toBe(404);
    expect(await names(id, "/tmp/ü x")).toEqual([]);
  });

  it("are listed page by page", async () => {
    const { id } = await freshContext();
    for (const name of ["a", "b", "c"]) {
      const { url = "" } = must(await spec.agb.context.getFileUploadUrl(id, `/d/${name}`));
      await fetch(url, { method: "PUT", body: name });
    }
    const page = must(await spec.agb.context.listFiles(id, "/d", 2, 2));
    expect(page.files.map(({ name }) => name)).toEqual(["c"]);
    expect(page.count).toBe(3);
    expect(await names(id, "")).toEqual(["d"]);
  });

  it("a URL is good for what it was made for, and ends by the emulator's clock", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const id = must(await agb.context.create("a")).context?.id ?? "";
      const { url: put = "" } = must(await agb.context.getFileUploadUrl(id, "/a"));
      expect((await fetch(put)).status).toBe(403);
      expect((await fetch(put.replace("/a?", "/b?"), { method: "PUT", body: "x" })).status).toBe(403);
      expect((await fetch(put, { method: "PUT", body: "x" })).status).toBe(200);
      const { url: get = "" } = must(await agb.context.getFileDownloadUrl(id, "/a"));
      await emulator.advance(3_500_000);
      expect((await fetch(get)).status).toBe(200);
      await emulator.advance(101_000);
      expect((await fetch(get)).status).toBe(403);
      expect((await fetch(put, { method: "PUT", body: "y" })).status).toBe(403);
      expect(JSON.stringify(emulator.journal())).not.toContain(new URL(get).searchParams.get("token"));
    });
  });
});

describe("clearing", () => {
  it("empties a context, which stays the same and can be used again", async () => {
    const { id } = await freshContext();
    const { url = "" } = must(await spec.agb.context.getFileUploadUrl(id, "/a"));
    await fetch(url, { method: "PUT", body: "x" });
    const cleared = await spec.agb.context.clear(id);
    expect(cleared).toEqual({ requestId: expect.stringMatching(/./), success: true, state: "available" });
    expect(await names(id, "/")).toEqual([]);
    expect((await fetch(url, { method: "PUT", body: "y" })).status).toBe(200);
    expect(await names(id, "/")).toEqual(["a"]);
  });

  it("shows its states when it is only started", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const id = must(await agb.context.create("a")).context?.id ?? "";
      expect(await agb.context.clearAsync(id)).toMatchObject({ success: true, state: "clearing" });
      expect(await agb.context.clearAsync(id)).toMatchObject({ success: true, state: "clearing" });
      await emulator.advance(1_000);
      expect(await agb.context.getClearStatus(id)).toMatchObject({ success: true, state: "available" });
    });
  });

  it("an unknown context is a failed result", async () => {
    for (const result of [
      await spec.agb.context.clearAsync("none"),
      await spec.agb.context.getClearStatus("none"),
      await spec.agb.context.clear("none"),
    ]) {
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/not found/i) });
    }
  });

  it("that takes too long throws its own error, also without an interval", async () => {
    await withServer(
      (_, response) => reply(response, 200, ok({ state: "clearing" })),
      async ({ url, requests }) => {
        const { context } = new AGB({ apiKey: "any", config: { endpoint: url } });
        const error = await context.clear("c", 0.1, 0).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(ClearanceTimeoutError);
        expect(error).toBeInstanceOf(AGBError);
        expect((error as Error).message).toMatch(/^Context clearing timed out after \d+\.\d\d seconds$/);
        const before = requests.length;
        await expect(context.clear("c", 1, 2)).rejects.toThrow(ClearanceTimeoutError);
        expect(requests.slice(before).map(({ path }) => path)).toEqual(["/sdk/ClearContext"]);
      },
    );
  });
});

describe("a mounted context", () => {
  it.each([
    ["file by file", UploadMode.FILE],
    ["as one archive", UploadMode.ARCHIVE],
  ])("stored %s is there for the next session, and for no other context", async (_, uploadMode) => {
    const [{ id }, other] = [await freshContext(), await freshContext()];
    const path = freshPath();
    const policy = newSyncPolicy({ uploadPolicy: newUploadPolicy({ uploadMode }) });

    const first = await sessionWith(id, path, policy);
    must(await first.file.write(`${path}/note.txt`, "läuft"));
    await run(first, `mkdir ${path}/bin && printf '#!/bin/sh\\necho hi' > ${path}/bin/hi && chmod +x ${path}/bin/hi`);
    expect(await first.delete(true)).toMatchObject({ success: true });
    expect((await names(id, path)).length).toBe(uploadMode === UploadMode.ARCHIVE ? 1 : 2);

    const second = await sessionWith(id, path, policy);
    expect(must(await second.file.read(`${path}/note.txt`)).content).toBe("läuft");
    expect(await run(second, `${path}/bin/hi`)).toBe("hi\n");
    const seen = must(await second.code.run(`import os; print(sorted(os.listdir(${JSON.stringify(path)})))`, "python"));
    expect(seen.logs?.stdout.join("")).toBe("['bin', 'note.txt']\n");
    must(await second.delete());

    const third = await sessionWith(other.id, path);
    expect(await run(third, `ls -A ${path}`)).toBe("");
    must(await third.delete());
  });

  it.each([
    ["file by file", UploadMode.FILE],
    ["as one archive", UploadMode.ARCHIVE],
  ])("stored %s is not touched by a session that has not changed it", async (_, uploadMode) => {
    const { id } = await freshContext();
    const [path, elsewhere] = [freshPath(), freshPath()];
    const uploadPolicy = newUploadPolicy({ uploadMode });
    const policy = newSyncPolicy({ uploadPolicy });
    const first = await sessionWith(id, path, policy);
    await run(first, `cd ${path} && echo old > x && echo old > y`);
    must(await first.delete());

    const reader = await sessionWith(id, path, policy);
    const writer = await sessionWith(id, elsewhere, newSyncPolicy({ uploadPolicy, mappingPolicy: { path } }));
    await run(writer, `cd ${elsewhere} && echo new > x && rm y`);
    must(await writer.delete());
    expect(await run(reader, `cd ${path} && cat x y && echo 1 > own`)).toBe("old\nold\n");
    must(await reader.delete(true));

    const last = await sessionWith(id, path, policy);
    expect(await run(last, `cd ${path} && cat x && ls | xargs`)).toBe("new\nown x\n");
    must(await last.delete());
  });

  it("stored as one archive keeps what a session was not given", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const uploadPolicy = newUploadPolicy({ uploadMode: UploadMode.ARCHIVE });
    const first = await sessionWith(id, path, newSyncPolicy({ uploadPolicy }));
    await run(first, `cd ${path} && mkdir a b && echo 1 > a/x && echo 1 > b/y`);
    must(await first.delete());

    const sessions: [Partial<SyncPolicy>, string][] = [
      [{ extractPolicy: newExtractPolicy({ extract: false }) }, "echo 2 > packed"],
      [{ downloadPolicy: newDownloadPolicy({ autoDownload: false }) }, "echo 2 > without"],
      [{ bwList: { whiteLists: [{ path: "/a", excludePaths: [] }] } }, "rm a/x && echo 2 > a/z"],
    ];
    for (const [policy, command] of sessions) {
      const session = await sessionWith(id, path, newSyncPolicy({ uploadPolicy, ...policy }));
      await run(session, `cd ${path} && ${command}`);
      must(await session.delete(true));
    }
    const session = await sessionWith(id, path, newSyncPolicy({ uploadPolicy }));
    const { url = "" } = must(await spec.agb.context.getFileUploadUrl(id, `${path}/late`));
    await fetch(url, { method: "PUT", body: "2" });
    await run(session, `echo 3 > ${path}/packed`);
    must(await session.delete(true));

    const last = await sessionWith(id, path, newSyncPolicy({ uploadPolicy }));
    const found = await run(last, `cd ${path} && find . -type f | sort | xargs && cat packed`);
    expect(found).toBe("./a/z ./b/y ./late ./packed ./without\n3\n");
    must(await last.delete());
  });

  it("is kept for the time of its lifecycle after it was last written, whoever mounts it", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const id = must(await agb.context.create("a")).context?.id ?? "";
      const path = freshPath();
      const recyclePolicy = newRecyclePolicy({ lifecycle: Lifecycle.LIFECYCLE_1DAY });
      const contextSync = [new ContextSync(id, path, newSyncPolicy({ recyclePolicy }))];
      for (const command of [`cd ${path} && touch x y`, `echo again > ${path}/y`]) {
        const session = sessionOf(await agb.create({ imageId: CODE_IMAGE, contextSync }));
        must(await session.command.execute(command));
        must(await session.delete());
        await emulator.advance(20 * 3_600_000);
      }
      expect(must(await agb.context.listFiles(id, path)).files.map(({ name }) => name)).toEqual(["y"]);
    });
  });

  it("is stored when an idle session is released", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const session = await spec.create({ idleReleaseTimeout: 60, contextSync: [new ContextSync(id, path)] });
    await run(session, `echo kept > ${path}/a`);
    await spec.emulator.advance(70_000);
    expect(spec.view(session)).toMatchObject({ state: "released" });
    expect(await names(id, path)).toEqual(["a"]);
  });

  it("comes with a report that is no member of the result's keys", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const result = await spec.agb.create({ imageId: CODE_IMAGE, contextSync: [new ContextSync(id, path)] });
    expect(Object.keys(result)).toEqual(["requestId", "success", "session"]);
    expect(result.mounts).toMatchObject({
      finished: true,
      items: [{ contextId: id, path, status: "Success", taskType: "download", errorMessage: "" }],
    });
    expect(result.mounts?.errorMessage).toBeUndefined();
    must(await sessionOf(result).delete());
  });

  it("that does not exist is a failed creation, and leaves no session", async () => {
    await withEmulator({}, async (emulator, agb) => {
      const contextSync = [new ContextSync("none", freshPath())];
      expect(await agb.create({ imageId: CODE_IMAGE, contextSync })).toMatchObject({
        success: false,
        errorMessage: expect.stringMatching(/Context not found/),
      });
      emulator.expectNoLiveSessions();
    });
  });

  it("with plain isolation is refused outside /tmp, with the reason", async () => {
    await withEmulator({ isolation: "plain" }, async (emulator, agb) => {
      const id = must(await agb.context.create("a")).context?.id ?? "";
      const result = await agb.create({ imageId: CODE_IMAGE, contextSync: [new ContextSync(id, "/home/x/data")] });
      expect(result).toMatchObject({
        success: false,
        errorMessage: expect.stringMatching(/plain isolation.*\/tmp only/),
      });
      emulator.expectNoLiveSessions();
    });
  });
});

describe("session.context", () => {
  it("info tells what became of the synchronisations, by context, path and type", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const session = await sessionWith(id, path);
    must(await session.context.sync());
    const all = await session.context.info();
    expect(all).toEqual({ requestId: expect.stringMatching(/./), success: true, items: expect.any(Array) });
    const types = ({ items }: { items: ContextStatusData[] }) => items.map(({ taskType }) => taskType).sort();
    expect(types(all)).toEqual(["download", "upload"]);
    expect(types(await session.context.info(id, path, "upload"))).toEqual(["upload"]);
    expect(types(await session.context.info("other"))).toEqual([]);
    for (const item of all.items) {
      expect(item).toMatchObject({ contextId: id, path, status: "Success" });
      expect(item.finishTime).toBeGreaterThanOrEqual(item.startTime);
    }
    must(await session.delete());
  });

  it("sync waits until everything is stored, and brings it back", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const session = await sessionWith(id, path);
    await run(session, `echo 1 > ${path}/a`);
    const requests = await spec.requestsOf(async () => {
      expect(await session.context.sync(id, path, "upload")).toEqual({
        requestId: expect.stringMatching(/./),
        success: true,
      });
    });
    const [look, start, ...looks] = requests;
    expect(look).toMatchObject({ path: "/sdk/GetContextInfo" });
    expect(start).toMatchObject({ path: "/sdk/SyncContext", query: { contextId: id, path, mode: "upload" } });
    expect(new Set(looks.map((request) => request.path))).toEqual(new Set(["/sdk/GetContextInfo"]));
    expect(await names(id, path)).toEqual(["a"]);
    await run(session, `echo 2 > ${path}/a`);
    must(await session.context.sync(id, path, "download"));
    expect(await run(session, `cat ${path}/a`)).toBe("1\n");
    must(await session.delete());
  });

  it("sync with a callback resolves at once and calls back once, when it is done", async () => {
    const { id } = await freshContext();
    const path = freshPath();
    const session = await sessionWith(id, path);
    await run(session, `echo 1 > ${path}/a`);
    const told = new Promise<boolean>((resolve) => {
      void session.context.sync(id, path, "upload", 150, 1500, resolve).then((result) => {
        expect(result).toMatchObject({ success: true });
      });
    });
    expect(await told).toBe(true);
    expect(await names(id, path)).toEqual(["a"]);
    must(await session.delete());
  });

  it("a failed sync is a failure with its reason, in both modes; and so is deleting with it, which deletes all the same", async () => {
    const context = await freshContext();
    const path = freshPath();
    const session = await sessionWith(context.id, path);
    must(await spec.agb.context.delete(new Context(context.id, context.name)));
    expect(await session.context.sync()).toMatchObject({
      requestId: expect.stringMatching(/./),
      success: false,
      errorMessage: expect.stringMatching(/synchronisation failed.*Context not found/),
    });
    const told = new Promise<boolean>((resolve) => {
      void session.context.sync(undefined, undefined, undefined, 150, 1500, resolve);
    });
    expect(await told).toBe(false);
    expect(await session.delete(true)).toMatchObject({
      requestId: expect.stringMatching(/./),
      success: false,
      errorMessage: expect.stringMatching(/was released, but its contexts were not synchronised.*Context not found/),
    });
    expect(spec.view(session)).toMatchObject({ state: "released" });
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("on purpose");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("on purpose");
      },
    ],
  ])("a callback that %s is called once and harms nothing", async (_, misbehave) => {
    const session = await spec.create();
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const told: boolean[] = [];
      await new Promise<void>((resolve) => {
        const callback = (success: boolean) => {
          told.push(success);
          setImmediate(resolve);
          return misbehave() as never;
        };
        void session.context.sync(undefined, undefined, undefined, 150, 1500, callback);
      });
      // A second call, or an unhandled rejection, would come with the next answer at the latest.
      must(await session.context.info());
      expect(told).toEqual([true]);
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
    must(await session.delete());
  });

  it("a context goes with its path: one alone is refused, nothing is sent and nothing called back", async () => {
    const session = await spec.create();
    const callback = jest.fn();
    const requests = await spec.requestsOf(async () => {
      for (const [contextId, path] of [
        ["c", ""],
        [undefined, "/p"],
        ["c", " "],
      ]) {
        expect(await session.context.sync(contextId, path, undefined, 150, 1500, callback)).toMatchObject({
          requestId: "",
          success: false,
          errorMessage: expect.stringMatching(/^context_id and path must be provided together or both omitted\./),
        });
      }
      expect(await session.context.sync("c", "/p", "upload", Number.NaN)).toMatchObject({ success: false });
    });
    expect(requests).toEqual([]);
    expect(callback).not.toHaveBeenCalled();
    must(await session.delete());
  });

  it("a look that fails is no success, and the time that was allowed is kept", async () => {
    await withServer(
      ({ path }, response) => {
        if (path === "/sdk/SyncContext") reply(response, 200, ok());
        else reply(response, 400, { success: false, code: "X", message: "not now", requestId: "r" });
      },
      async ({ url }) => {
        const agb = new AGB({ apiKey: "any", config: { endpoint: url } });
        const manager = new ContextManager({
          getApiKey: () => agb.apiKey,
          getSessionId: () => "s-1",
          getClient: () => agb.client,
        });
        expect(await manager.sync(undefined, undefined, undefined, 10, 100)).toMatchObject({
          success: false,
          errorMessage: expect.stringMatching(/not finished within 1 s.*not now/),
        });
        expect(await manager.info()).toMatchObject({ success: false, items: [], errorMessage: "not now" });
      },
    );
  });

  it("of a session that is gone fails", async () => {
    const session = await spec.create();
    must(await session.delete());
    expect(await session.context.info()).toMatchObject({ success: false, items: [] });
    expect(await session.context.sync()).toMatchObject({ success: false, code: "InvalidMcpSession.NotFound" });
  });
});
