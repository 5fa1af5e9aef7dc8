/** Uploads and downloads: files, buffers and streams, into a session and out of it, and what stays when they fail. */

import { createHash, randomBytes } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { AGB, type DownloadResult, type Session, type UploadResult } from "agbcloud-native";
import { ok, reply, sessionData } from "./support/answers";
import { useEmulator } from "./support/emulator";
import { runModule } from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const spec = useEmulator();
const MIB = 1 << 20;

let session: Session;
/** The session's directory for transfers. */
let there: string;
/** A fresh directory of this machine for each test. */
let here: string;

beforeAll(async () => {
  session = await spec.create();
  there = (await session.file.transferPath()) ?? "";
});
beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), "agb-transfer-"));
});
afterEach(() => rmSync(here, { recursive: true, force: true }));

const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");

/** What the session's own shell says of a file. */
async function sumThere(path: string): Promise<string> {
  return must(await session.command.execute(`sha256sum < '${path}'`, 30_000)).stdout.slice(0, 64);
}

/** What the store has at a path of file transfers. */
async function storedFor(path: string): Promise<string[]> {
  const removals = spec.emulator.journal().filter(({ operation }) => operation === "DeleteContextFile");
  const contextId = String(removals.at(-1)?.query.contextId);
  const { files } = must(await spec.agb.context.listFiles(contextId, dirname(path)));
  return files.map((file) => file.path).filter((stored) => stored === path);
}

/** The operations of the emulator while `work` ran, without the looks at a task. */
async function operations(work: () => Promise<unknown>): Promise<string[]> {
  const requests = await spec.requestsOf(work);
  return requests.map(({ operation }) => operation).filter((operation) => operation !== "GetContextInfo");
}

/** Collects what is written to it. */
class Collector extends Writable {
  readonly chunks: Buffer[] = [];
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk);
    done();
  }
  get content(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

it("transferPath is a directory of the session, asked for once", async () => {
  expect(there).toMatch(/^\//);
  expect(must(await session.command.execute(`test -d '${there}' && test -w '${there}'`, 30_000)).exitCode ?? 0).toBe(0);
  const requests = await spec.requestsOf(() => session.file.transferPath());
  expect(requests).toEqual([]);
});

describe("a local file", () => {
  it.each([0, 1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 5 * MIB + 7])(
    "of %i bytes comes into the session and back as it is",
    async (size) => {
      const content = randomBytes(size);
      writeFileSync(join(here, "in"), content);
      const remote = `${there}/file-${size}`;

      const up = await session.file.upload(join(here, "in"), remote);
      expect(up).toEqual({
        success: true,
        requestIdUploadUrl: expect.stringMatching(/./),
        requestIdSync: expect.stringMatching(/./),
        httpStatus: 200,
        etag: expect.stringMatching(/^".+"$/),
        bytesSent: size,
        path: remote,
      });
      expect(await sumThere(remote)).toBe(sha256(content));

      const local = join(here, "deep", "er", "out");
      const down = await session.file.download(remote, local);
      expect(down).toEqual({
        success: true,
        requestIdDownloadUrl: expect.stringMatching(/./),
        requestIdSync: expect.stringMatching(/./),
        httpStatus: 200,
        bytesReceived: size,
        path: remote,
        localPath: local,
      });
      expect(sha256(readFileSync(local))).toBe(sha256(content));
      expect(readdirSync(join(here, "deep", "er"))).toEqual(["out"]);
    },
    120_000,
  );

  it("of the session's own making is downloaded, from a directory outside the transfer directory too", async () => {
    const path = `/tmp/made-there-${process.pid}.bin`;
    must(await session.command.execute(`printf 'a\\0b' > ${path}`, 30_000));
    must(await session.file.download(path, join(here, "out")));
    expect(readFileSync(join(here, "out"))).toEqual(Buffer.from("a\0b"));
  });

  it("goes to a path outside the transfer directory", async () => {
    const path = `/tmp/from-outside-${process.pid}.txt`;
    writeFileSync(join(here, "in"), "outside");
    must(await session.file.upload(join(here, "in"), path));
    expect(must(await session.file.readFile(path)).content).toBe("outside");
  });

  it("takes the steps of the protocol, and removes the copy in the store at the end", async () => {
    writeFileSync(join(here, "in"), "steps");
    const remote = `${there}/steps`;
    expect(await operations(() => session.file.upload(join(here, "in"), remote))).toEqual([
      "GetContextFileUploadUrl",
      "putObject",
      "SyncContext",
      "DeleteContextFile",
    ]);
    expect(await operations(() => session.file.download(remote, join(here, "out")))).toEqual([
      "SyncContext",
      "GetContextFileDownloadUrl",
      "getObject",
      "DeleteContextFile",
    ]);
    // The file in the session stays.
    expect(must(await session.file.readFile(remote)).content).toBe("steps");
  });

  it("is replaced twice in a row: an old completion is not taken for a new one", async () => {
    const remote = `${there}/again`;
    for (let round = 0; round < 5; round += 1) {
      writeFileSync(join(here, "in"), `round ${round}`);
      must(await session.file.upload(join(here, "in"), remote));
      expect(must(await session.file.readFile(remote)).content).toBe(`round ${round}`);
    }
  });

  it("is one of many that are transferred at the same time, within a directory and across several", async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${index}`);
    for (const name of names) writeFileSync(join(here, name), name.repeat(1_000));
    const ups = names.map((name) => session.file.upload(join(here, name), `${there}/${name}`));
    for (const result of await Promise.all(ups)) must(result);
    for (const name of names) {
      const move = `mkdir '${there}/in-${name}' && mv '${there}/${name}' '${there}/in-${name}'`;
      must(await session.command.execute(move, 30_000));
    }
    const downs = names.map((name) => session.file.download(`${there}/in-${name}/${name}`, join(here, `${name}-back`)));
    for (const result of await Promise.all(downs)) must(result);
    for (const name of names) expect(readFileSync(join(here, `${name}-back`), "utf8")).toBe(name.repeat(1_000));
  }, 120_000);

  it("comes and goes several times at once, and its copy in the store is removed with the last of them", async () => {
    const remote = `${there}/at-once`;
    const rounds = [1, 2, 3, 4, 5];
    const ups = rounds.map((round) => session.file.upload(Buffer.from(`round ${round}`), remote));
    for (const result of await Promise.all(ups)) must(result);
    expect(must(await session.file.readFile(remote)).content).toMatch(/^round [1-5]$/);

    const downs = rounds.map((round) => session.file.download(remote, join(here, `${round}`)));
    for (const result of await Promise.all(downs)) must(result);
    const contents = rounds.map((round) => readFileSync(join(here, `${round}`), "utf8"));
    expect(new Set(contents).size).toBe(1);
    expect(await storedFor(remote)).toEqual([]);
  }, 120_000);

  it("is sent and received in constant memory", async () => {
    const source = `
      import { AGB } from "agbcloud-native";
      import { truncateSync, writeFileSync } from "node:fs";
      const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
      const remote = (await session.file.transferPath()) + "/large";
      const path = process.env.SPEC;
      writeFileSync(path, "large");
      truncateSync(path, 200 << 20);
      const options = { waitTimeout: 120_000 };
      const before = process.memoryUsage.rss();
      let most = 0;
      const timer = setInterval(() => { most = Math.max(most, process.memoryUsage.rss() - before) }, 20);
      const results = [];
      for (const work of [
        () => session.file.upload(path, remote, options),
        () => session.file.download(remote, path + "-back", options),
      ]) {
        most = 0;
        const { success, errorMessage, bytesSent, bytesReceived } = await work();
        results.push({ success, errorMessage, bytes: bytesSent ?? bytesReceived, most: Math.round(most / 1024 / 1024) });
      }
      clearInterval(timer);
      console.log(JSON.stringify(results));`;
    const env = { ...spec.emulator.env, SPEC: join(here, "large") };
    const { code, stdout, stderr } = await runModule(source, env);
    expect([code, stderr]).toEqual([0, ""]);
    for (const result of JSON.parse(stdout)) {
      expect(result).toEqual({ success: true, bytes: 200 * MIB, most: expect.any(Number) });
      expect(result.most).toBeLessThan(100);
    }
  }, 300_000);
});

describe("options", () => {
  it("progressCallback is told of bytes that grow up to the size, and last of the size", async () => {
    const size = 3 * MIB;
    writeFileSync(join(here, "in"), randomBytes(size));
    for (const transfer of [
      (progressCallback: (bytes: number) => void) =>
        session.file.upload(join(here, "in"), `${there}/progress`, { progressCallback }),
      (progressCallback: (bytes: number) => void) =>
        session.file.download(`${there}/progress`, join(here, "out"), { progressCallback }),
    ]) {
      const told: number[] = [];
      must(await transfer((bytes) => told.push(bytes)));
      expect(told.length).toBeGreaterThan(0);
      expect(told.at(-1)).toBe(size);
      expect(told).toEqual([...told].sort((a, b) => a - b));
    }
  });

  it("progressCallback may throw", async () => {
    const written = jest.spyOn(process.stderr, "write").mockImplementation(() => true);
    const result = await session.file.upload(Buffer.from("x"), `${there}/thrown`, {
      progressCallback: () => {
        throw new Error("thrown by the test");
      },
    });
    const lines = written.mock.calls.map(([line]) => String(line)).join("");
    written.mockRestore();
    must(result);
    expect(lines).toContain("thrown by the test");
  });

  it("wait: false asks for the task and does not look at it", async () => {
    const requests = await spec.requestsOf(async () => {
      must(await session.file.upload(Buffer.from("x"), `${there}/no-wait`, { wait: false }));
    });
    expect(requests.map(({ operation }) => operation)).toEqual(["GetContextFileUploadUrl", "putObject", "SyncContext"]);
  });

  it("keepObject leaves the copy in the store", async () => {
    const done = await operations(() => session.file.upload(Buffer.from("x"), `${there}/kept`, { keepObject: true }));
    expect(done).not.toContain("DeleteContextFile");
  });

  it("overwrite: false is looked at before anything is sent", async () => {
    const local = join(here, "mine");
    writeFileSync(local, "mine");
    const requests = await spec.requestsOf(async () => {
      expect(await session.file.download(`${there}/x`, local, { overwrite: false })).toEqual({
        success: false,
        bytesReceived: 0,
        path: `${there}/x`,
        localPath: local,
        errorMessage: `Destination exists and overwrite=false: ${local}`,
      });
    });
    expect(requests).toEqual([]);
    expect(readFileSync(local, "utf8")).toBe("mine");
  });

  it("null means not given", async () => {
    const none = null as unknown as undefined;
    const options = { wait: none, waitTimeout: none, pollInterval: none, progressCallback: none, signal: none };
    must(await session.file.upload(Buffer.from("x"), `${there}/null`, { ...options, contentType: none, size: none }));
    must(await session.file.download(`${there}/null`, join(here, "out"), { ...options, overwrite: none }));
  });
});

describe("bytes and streams", () => {
  it("a Buffer, a view of it and an empty one come into the session", async () => {
    const bytes = randomBytes(MIB + 3);
    for (const source of [bytes, new Uint8Array(bytes.buffer, bytes.byteOffset + 5, 300_000), Buffer.alloc(0)]) {
      const result = must(await session.file.upload(source, `${there}/bytes`));
      expect(result.bytesSent).toBe(source.byteLength);
      expect(await sumThere(`${there}/bytes`)).toBe(sha256(Buffer.from(source)));
    }
  });

  it("a Buffer is sent again where the store was busy; a stream can't be", async () => {
    const bytes = randomBytes(MIB);
    const busy = { operation: "putObject", kind: "status", status: 503, count: 1 } as const;
    spec.emulator.faults.add(busy);
    must(await session.file.upload(bytes, `${there}/busy`));
    expect(await sumThere(`${there}/busy`)).toBe(sha256(bytes));
    spec.emulator.faults.add(busy);
    expect(await session.file.upload(Readable.from([bytes]), `${there}/busy`)).toMatchObject({ httpStatus: 503 });
  });

  it("a Readable comes into the session, with its size or without", async () => {
    const content = randomBytes(2 * MIB + 11);
    writeFileSync(join(here, "in"), content);
    for (const size of [undefined, content.length]) {
      const source = createReadStream(join(here, "in"));
      const result = must(await session.file.upload(source, `${there}/stream`, { size }));
      expect(result.bytesSent).toBe(content.length);
      expect(source.destroyed).toBe(true);
      expect(await sumThere(`${there}/stream`)).toBe(sha256(content));
    }
    must(await session.file.upload(Readable.from(["é", "ü"]), `${there}/text`));
    expect(must(await session.file.readFile(`${there}/text`)).content).toBe("éü");
  });

  it("a Writable gets the content and is ended", async () => {
    const content = randomBytes(2 * MIB + 11);
    must(await session.file.upload(content, `${there}/out`));
    const target = createWriteStream(join(here, "out"));
    const result = must(await session.file.download(`${there}/out`, target));
    expect(result).toMatchObject({ bytesReceived: content.length, localPath: "", httpStatus: 200 });
    expect(target.writableFinished).toBe(true);
    expect(sha256(readFileSync(join(here, "out")))).toBe(sha256(content));

    must(await session.file.upload(Buffer.alloc(0), `${there}/empty`));
    const collector = new Collector();
    must(await session.file.download(`${there}/empty`, collector));
    expect(collector.writableFinished).toBe(true);
    expect(collector.content.length).toBe(0);
  });

  it("a stream serves one transfer at a time: a second one is refused, and nothing of it is sent", async () => {
    const content = randomBytes(3 * MIB);
    const source = Readable.from([content.subarray(0, MIB), content.subarray(MIB)]);
    const [first, second] = await Promise.all(
      ["one", "two"].map((name) => session.file.upload(source, `${there}/${name}`)),
    );
    expect(must(first as UploadResult).bytesSent).toBe(content.length);
    expect(second).toEqual({
      success: false,
      bytesSent: 0,
      path: `${there}/two`,
      errorMessage: "another upload is reading the source",
    });
    expect(await sumThere(`${there}/one`)).toBe(sha256(content));
    expect((await session.file.getFileInfo(`${there}/two`)).success).toBe(false);

    const target = new Collector();
    const [got, refused] = await Promise.all([1, 2].map(() => session.file.download(`${there}/one`, target)));
    must(got as DownloadResult);
    expect(refused).toMatchObject({ success: false, errorMessage: "another download is writing to the target" });
    expect(sha256(target.content)).toBe(sha256(content));
  });

  it("a Writable that a failed download has left alone serves the next one", async () => {
    must(await session.file.upload(Buffer.from("there"), `${there}/next`));
    const target = new Collector();
    expect((await session.file.download(`${there}/not-yet`, target)).success).toBe(false);
    must(await session.file.download(`${there}/next`, target));
    expect(target.content.toString()).toBe("there");
  });

  it("a stream may be the target of a download and the source of an upload", async () => {
    const content = randomBytes(2 * MIB);
    must(await session.file.upload(content, `${there}/original`));
    const between = new PassThrough();
    const [down, up] = await Promise.all([
      session.file.download(`${there}/original`, between),
      session.file.upload(between, `${there}/copy`),
    ]);
    must(down);
    must(up);
    expect(await sumThere(`${there}/copy`)).toBe(sha256(content));
  });

  it("a source that fails leaves no object, and the file in the session stays", async () => {
    const remote = `${there}/fails`;
    must(await session.file.upload(Buffer.from("old"), remote));
    async function* failing() {
      yield randomBytes(MIB);
      throw new Error("the disk broke");
    }
    for (const size of [undefined, 2 * MIB]) {
      const done = await operations(async () => {
        expect(await session.file.upload(Readable.from(failing()), remote, { size })).toEqual({
          success: false,
          requestIdUploadUrl: expect.stringMatching(/./),
          bytesSent: 0,
          path: remote,
          errorMessage: "Upload exception: the disk broke",
        });
      });
      expect(done).not.toContain("SyncContext");
    }
    expect(must(await session.file.readFile(remote)).content).toBe("old");
  });

  it("a source of another size than was said never becomes a file", async () => {
    for (const size of [2, 4]) {
      const result = await session.file.upload(Readable.from([Buffer.from("abc")]), `${there}/size`, { size });
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringContaining("size") });
    }
    expect((await session.file.getFileInfo(`${there}/size`)).success).toBe(false);
  });

  it("a source that gives no bytes is refused by what it gave", async () => {
    const result = await session.file.upload(Readable.from([{ a: 1 }]), `${there}/objects`);
    expect(result.errorMessage).toBe("Upload exception: the source gave object, not bytes");
  });

  it("a target that fails makes the download fail", async () => {
    must(await session.file.upload(randomBytes(3 * MIB), `${there}/big`));
    const target = new Writable({ write: (_chunk, _encoding, done) => done(new Error("the disk is full")) });
    const result = await session.file.download(`${there}/big`, target);
    expect(result).toMatchObject({ success: false, errorMessage: "Download exception: the disk is full" });
    expect(target.destroyed).toBe(true);
  });

  it("a target is left alone when there is nothing for it", async () => {
    const target = new Collector();
    const result = await session.file.download(`${there}/nowhere`, target);
    expect(result.success).toBe(false);
    expect(result.errorMessage).not.toBe("");
    expect(target.destroyed || target.writableEnded).toBe(false);
  });

  it("less than 1 MiB is on the way when the store takes nothing, and an abort leaves no object", async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 65_536;
        yield Buffer.alloc(65_536);
      }
    }
    await withService(
      () => undefined,
      async (silent, seen) => {
        const abort = new AbortController();
        const source = Readable.from(endless());
        let sent = 0;
        const uploading = silent.file.upload(source, "/tmp/t/endless", {
          signal: abort.signal,
          progressCallback: (bytes) => {
            sent = bytes;
          },
        });
        await settled(() => given);
        expect(given).toBeGreaterThan(0);
        expect(given - sent).toBeLessThan(MIB);
        abort.abort(new Error("enough"));
        await expect(uploading).rejects.toThrow("enough");
        expect(source.destroyed).toBe(true);
        expect(seen).toContain("POST /sdk/DeleteContextFile");
        expect(seen).not.toContain("POST /sdk/SyncContext");
      },
    );
  });

  it("less than 1 MiB is on the way when the target takes nothing, and an abort destroys it", async () => {
    must(await session.file.upload(Buffer.alloc(16 * MIB), `${there}/stuck`));
    const target = new Writable({ write: () => undefined });
    const abort = new AbortController();
    let received = 0;
    const downloading = session.file.download(`${there}/stuck`, target, {
      signal: abort.signal,
      progressCallback: (bytes) => {
        received = bytes;
      },
    });
    await until("something has come", () => target.writableLength > 0);
    await settled(() => received);
    expect(received).toBeLessThan(MIB);
    abort.abort(new Error("enough"));
    await expect(downloading).rejects.toThrow("enough");
    expect(target.destroyed).toBe(true);
  });
});

describe("an abort", () => {
  it("before the call sends nothing and rejects with the signal's reason", async () => {
    const reason = new Error("not now");
    const signal = AbortSignal.abort(reason);
    const requests = await spec.requestsOf(async () => {
      await expect(session.file.upload(Buffer.from("x"), `${there}/x`, { signal })).rejects.toBe(reason);
      await expect(session.file.download(`${there}/x`, join(here, "x"), { signal })).rejects.toBe(reason);
    });
    expect(requests).toEqual([]);
    expect(readdirSync(here)).toEqual([]);
  });

  it("of an upload leaves no object at whatever moment it comes, and nothing of it reaches the session", async () => {
    const directory = `${there}/aborted`;
    const bytes = randomBytes(200_000);
    const sources = [() => bytes, () => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)])];
    let aborted = 0;
    for (let round = 0; round < 60; round += 1) {
      const abort = new AbortController();
      const source = (sources[round % 2] ?? sources[0])?.() ?? bytes;
      const uploading = session.file.upload(source, `${directory}/${round}`, { signal: abort.signal });
      // Any moment will do: what is expected holds for each.
      setTimeout(() => abort.abort(new Error("enough")), round % 11);
      const outcome = await uploading.catch((reason: Error) => reason);
      if (!(outcome instanceof Error)) continue;
      aborted += 1;
      expect(outcome.message).toBe("enough");
      expect(await storedFor(`${directory}/${round}`)).toEqual([]);
    }
    expect(aborted).toBeGreaterThan(0);
    // What the session was on its way to fetch may have come to it.
    await until("nothing is under way", async () =>
      must(await session.context.info()).items.every(({ status }) => status !== "InProgress"),
    );
    must(await session.command.execute(`rm -rf '${directory}'`, 30_000));
    must(await session.file.upload(Buffer.from("x"), `${directory}/sibling`));
    expect(must(await session.command.execute(`ls '${directory}'`, 30_000)).stdout).toBe("sibling\n");
  }, 180_000);

  it("of an upload whose content is complete waits for the store, and only then removes the object", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    let before: string[] = [];
    await withService(
      (request, response, seen) => {
        request.resume().on("end", () => {
          abort.abort(reason);
          // Long enough for a removal that does not wait to be seen.
          setTimeout(() => {
            before = [...seen];
            reply(response, 200, "");
          }, 200);
        });
      },
      async (slow, seen) => {
        await expect(slow.file.upload(Buffer.from("x"), "/tmp/t/a", { signal: abort.signal })).rejects.toBe(reason);
        expect(before.at(-1)).toBe("PUT /store");
        expect(seen.at(-1)).toBe("POST /sdk/DeleteContextFile");
        expect(seen).not.toContain("POST /sdk/SyncContext");
      },
    );
  });

  it("of a download leaves the old file and nothing beside it", async () => {
    const local = join(here, "mine");
    writeFileSync(local, "mine");
    const abort = new AbortController();
    await withService(
      (_request, response) => {
        response.writeHead(200, { "Content-Length": 100 });
        response.write("half");
      },
      async (slow) => {
        const reason = new Error("enough");
        const progressCallback = () => abort.abort(reason);
        const downloading = slow.file.download("/tmp/t/a", local, { signal: abort.signal, progressCallback });
        await expect(downloading).rejects.toBe(reason);
      },
    );
    expect(readFileSync(local, "utf8")).toBe("mine");
    expect(readdirSync(here)).toEqual(["mine"]);
  });

  it("after the end changes nothing, and no listener stays", async () => {
    const abort = new AbortController();
    const added = jest.spyOn(abort.signal, "addEventListener");
    const removed = jest.spyOn(abort.signal, "removeEventListener");
    must(await session.file.upload(Buffer.from("x"), `${there}/after`, { signal: abort.signal }));
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed).toHaveBeenCalledTimes(1);
    abort.abort();
    expect(must(await session.file.readFile(`${there}/after`)).content).toBe("x");
  });
});

describe("failures", () => {
  it.each([
    ["a missing file", "/nowhere/at-all"],
    ["a directory", tmpdir()],
  ])("%s is refused before anything is sent", async (_, local) => {
    const requests = await spec.requestsOf(async () => {
      const result = await session.file.upload(local, `${there}/x`);
      expect(result).toEqual({
        success: false,
        bytesSent: 0,
        path: `${there}/x`,
        errorMessage: `Local file not found: ${local}`,
      });
      expect(Object.keys(result)).not.toContain("code");
      expect((result as { attempts?: number }).attempts).toBe(0);
    });
    expect(requests).toEqual([]);
  });

  it("a remote path without a directory is refused before anything is sent", async () => {
    const requests = await spec.requestsOf(async () => {
      for (const path of ["a.txt", "", "./a.txt"]) {
        expect(await session.file.upload(Buffer.from("x"), path)).toMatchObject({
          success: false,
          errorMessage: expect.stringContaining("must name a directory"),
        });
        expect((await session.file.download(path, join(here, "x"))).success).toBe(false);
      }
    });
    expect(requests).toEqual([]);
  });

  it("a remote path that names no file is refused before anything is sent", async () => {
    const requests = await spec.requestsOf(async () => {
      for (const path of [`${there}/`, `${there}/.`, "/"]) {
        const errorMessage = expect.stringContaining("must name a file");
        expect(await session.file.upload(Buffer.from("x"), path)).toMatchObject({ success: false, errorMessage });
        const downloaded = await session.file.download(path, join(here, "x"));
        expect(downloaded).toMatchObject({ success: false, errorMessage });
      }
    });
    expect(requests).toEqual([]);
  });

  it("a store that fails after its work leaves no object", async () => {
    spec.emulator.faults.add({ operation: "putObject", kind: "status", status: 500, when: "after", count: 10 });
    const result = await session.file.upload(Readable.from(["x"]), `${there}/stored/a`);
    spec.emulator.faults.clear();
    expect(result).toMatchObject({ success: false, httpStatus: 500 });
    expect(await storedFor(`${there}/stored/a`)).toEqual([]);
  });

  it("a source that never gives anything ends with the session", async () => {
    const short = await createSession(spec.agb);
    const source = new Readable({ read: () => undefined });
    const uploading = short.file.upload(source, "/tmp/t/silent");
    await until("the upload has begun", () =>
      spec.emulator
        .journal()
        .some(({ operation, query }) => operation === "GetContextFileUploadUrl" && query.filePath === "/tmp/t/silent"),
    );
    must(await short.delete());
    expect(await uploading).toMatchObject({
      success: false,
      errorMessage: expect.stringContaining("the session was released while the transfer was under way"),
    });
    expect(source.destroyed).toBe(true);
  });

  it("a file that is not there is named by its status, and no local file comes about", async () => {
    const result = await session.file.download(`${there}/not-there`, join(here, "d", "x"));
    expect(result).toMatchObject({ success: false, bytesReceived: 0, localPath: join(here, "d", "x") });
    expect(result.errorMessage).not.toBe("");
    expect(readdirSync(here)).toEqual([]);
  });

  it("a refusal of the store has its status, and what was sent", async () => {
    await withService(
      (request, response) => {
        request.resume().on("end", () => reply(response, 403, "<Error/>", { ETag: '"t"' }));
      },
      async (refused) => {
        expect(await refused.file.upload(Buffer.from("abc"), "/tmp/t/a")).toEqual({
          success: false,
          requestIdUploadUrl: "r-ok",
          httpStatus: 403,
          etag: '"t"',
          bytesSent: 3,
          path: "/tmp/t/a",
          errorMessage: "Upload failed with HTTP 403",
        });
        expect(await refused.file.download("/tmp/t/a", join(here, "a"))).toEqual({
          success: false,
          requestIdDownloadUrl: "r-ok",
          requestIdSync: "r-ok",
          httpStatus: 403,
          bytesReceived: 0,
          path: "/tmp/t/a",
          localPath: join(here, "a"),
          errorMessage: "Download failed with HTTP 403",
        });
      },
    );
    expect(readdirSync(here)).toEqual([]);
  });

  it("a body that is cut off leaves the old file", async () => {
    const local = join(here, "mine");
    writeFileSync(local, "mine");
    const remote = `${there}/cut`;
    must(await session.command.execute(`head -c 100000 /dev/zero > '${remote}'`, 30_000));
    spec.emulator.faults.add({ operation: "getObject", kind: "truncate" });
    const result = await session.file.download(remote, local);
    expect(result).toMatchObject({ success: false, httpStatus: 200, bytesReceived: 0 });
    expect(result.errorMessage).toMatch(/^Download exception: /);
    expect(readFileSync(local, "utf8")).toBe("mine");
    expect(readdirSync(here)).toEqual(["mine"]);
  });

  it("a released session is named", async () => {
    const short = await createSession(spec.agb);
    must(await spec.agb.delete(short));
    const result = await short.file.upload(Buffer.from("x"), "/tmp/t/x");
    expect(result).toMatchObject({ success: false, bytesSent: 0, errorMessage: expect.stringMatching(/session/i) });
    expect(await short.file.transferPath()).toBeUndefined();
  });

  it.each([
    ["upload", [7, "/tmp/x"], "the source must be a path, a Buffer, a Uint8Array or a Readable, got number"],
    ["upload", ["/x", null], "remotePath must be a string, got null"],
    ["upload", ["/x", "/tmp/x", { wait: "no" }], "wait must be a boolean, got string"],
    ["upload", ["/x", "/tmp/x", { waitTimeout: Number.NaN }], "waitTimeout must be a finite number, got NaN"],
    ["upload", ["/x", "/tmp/x", { size: -1 }], "size must be a number of bytes, got -1"],
    ["upload", ["/x", "/tmp/x", { progressCallback: 7 }], "progressCallback must be a function, got number"],
    ["upload", ["/x", "/tmp/x", { signal: {} }], "signal must be an AbortSignal, got object"],
    ["upload", ["/x", "/tmp/x", { contentType: 7 }], "contentType must be a string, got number"],
    ["download", ["/tmp/x", undefined], "the target must be a path or a Writable, got undefined"],
    ["download", ["/tmp/x", "/x", { overwrite: 1 }], "overwrite must be a boolean, got number"],
  ])("%s refuses %j by name, and sends nothing", async (name, args, message) => {
    const requests = await spec.requestsOf(async () => {
      const file = session.file as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      expect(await file[name]?.(...args)).toMatchObject({ success: false, errorMessage: message });
    });
    expect(requests).toEqual([]);
  });

  it("a target that takes nothing any more is refused before anything is sent", async () => {
    const ended = new Collector();
    ended.end();
    const destroyed = new Collector().destroy();
    const broken = new Collector().on("error", () => {});
    broken.destroy(new Error("the disk broke"));
    await until("it is broken", () => broken.errored !== null);
    const requests = await spec.requestsOf(async () => {
      for (const [target, errorMessage] of [
        [ended, "the target has been ended already, or closed"],
        [destroyed, "the target has been ended already, or closed"],
        [broken, "the target has failed: the disk broke"],
      ] as const) {
        expect(await session.file.download(`${there}/x`, target)).toMatchObject({ success: false, errorMessage });
      }
    });
    expect(requests).toEqual([]);
  });

  it("a stream that was read already is refused", async () => {
    const spent = Readable.from(["x"]);
    for await (const _ of spent);
    const result = await session.file.upload(spent, `${there}/spent`);
    expect(result.errorMessage).toBe("the source has been read already, or closed");
  });
});

it("a program ends by itself after transfers of each kind", async () => {
  const { code, stdout, stderr } = await runModule(
    `import { Readable, Writable } from "node:stream";
     import { AGB } from "agbcloud-native";
     const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
     const there = await session.file.transferPath();
     const results = [
       await session.file.upload(Buffer.from("abc"), there + "/a"),
       await session.file.upload(Readable.from(["abc"]), there + "/b", { progressCallback: () => {} }),
       await session.file.download(there + "/a", new Writable({ write: (c, e, done) => done() })),
     ];
     console.log(results.map(({ success, errorMessage }) => errorMessage ?? success).join());`,
    spec.emulator.env,
  );
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "true,true,true\n", stderr: "" });
});

it("a program ends by itself after a download whose session could not be restored", async () => {
  const { code, stdout } = await runModule(
    `import { Writable } from "node:stream";
     import { AGB } from "agbcloud-native";
     const restore = () => { throw new Error("not restored"); };
     const session = await new AGB().open({ imageId: "agb-code-space-1" }, { recreate: true, restore });
     const { session: other } = await new AGB().get(session.getSessionId());
     await other.delete();
     // The first call finds the loss; then none begins before the session is restored.
     await session.keepAlive().catch(() => {});
     const target = new Writable({ write: () => undefined });
     await session.file.download("/tmp/a", target).catch(({ message }) => console.log(message));
     console.log(target.destroyed);`,
    spec.emulator.env,
  );
  const told = expect.stringMatching(/deleted as it could not be restored: not restored\nfalse\n$/);
  expect({ code, stdout }).toEqual({ code: 0, stdout: told });
});

/** Waits until a number stands still for a while. */
async function settled(value: () => number): Promise<void> {
  let last = -1;
  await until("it stands still", async () => {
    const before = last;
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return last > 0 && before === value();
  });
}

/** Runs `work` with a session of a service whose store answers as `store` says; every task is done at once. */
async function withService(
  store: (request: IncomingMessage, response: ServerResponse, seen: string[]) => void,
  work: (session: Session, seen: string[]) => Promise<void>,
): Promise<void> {
  const seen: string[] = [];
  let started = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    seen.push(`${request.method} ${pathname}`);
    if (pathname === "/store") return store(request, response, seen);
    request.resume();
    const task = () => {
      const item = {
        contextId: "ft-1",
        path: searchParams.get("path"),
        taskType: searchParams.get("taskType"),
        status: "Success",
        startTime: started,
      };
      return { contextStatus: JSON.stringify([{ type: "data", data: JSON.stringify(started ? [item] : []) }]) };
    };
    const answers: Record<string, () => unknown> = {
      "/mcp/createSession": () => sessionData(),
      "/sdk/GetAndLoadInternalContext": () => [
        { contextId: "ft-1", contextType: "file_transfer", contextPath: "/tmp/t" },
      ],
      "/sdk/GetContextFileUploadUrl": () => ({ url: `http://${request.headers.host}/store` }),
      "/sdk/GetContextFileDownloadUrl": () => ({ url: `http://${request.headers.host}/store` }),
      "/sdk/SyncContext": () => {
        started += 1;
        return undefined;
      },
      "/sdk/GetContextInfo": task,
      "/sdk/DeleteContextFile": () => undefined,
    };
    reply(response, 200, ok(answers[pathname]?.()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const agb = new AGB({ apiKey: "any", config: { endpoint: `http://127.0.0.1:${port}` } });
    await work(await createSession(agb), seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
