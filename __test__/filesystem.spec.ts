import { createHash, randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AGB, Emulator, Session } from "agbcloud-native";
import { clientOf, sessionOf, startEmulator } from "./support/emulator";
import { createSession, must } from "./support/session";

const CHUNK = 51_200;
const LIMIT_MS = 30_000;

let emulator: Emulator;
let agb: AGB;
let session: Session;
/** The session's home. */
let home: string;
/** A fresh directory for each test. */
let dir: string;
let made = 0;

beforeAll(async () => {
  emulator = await startEmulator();
  agb = clientOf(emulator);
  session = await createSession(agb);
  home = (await sh("pwd")).trim();
});
afterAll(() => emulator?.close());
beforeEach(async () => {
  made += 1;
  dir = `${home}/test-${made}`;
  must(await session.file.createDirectory(dir));
});

/** What a command of the session prints. */
async function sh(command: string): Promise<string> {
  return must(await session.command.execute(command, LIMIT_MS)).stdout;
}

async function write(path: string, content: string): Promise<void> {
  must(await session.file.writeFile(path, content));
}

async function text(path: string): Promise<string> {
  return must(await session.file.readFile(path)).content;
}

const sha256 = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

const OK = { requestId: expect.stringMatching(/./), success: true, data: true };

describe("directories", () => {
  it("are created with their parents, and again without harm", async () => {
    expect(await session.file.createDirectory(`${dir}/a/b/c`)).toEqual(OK);
    expect(await session.file.mkdir(`${dir}/a/b/c`)).toEqual(OK);
    expect(await sh(`cd ${dir} && find . -type d | sort`)).toBe(".\n./a\n./a/b\n./a/b/c\n");
  });

  it("can't be created where a file is", async () => {
    await write(`${dir}/file`, "x");
    for (const path of [`${dir}/file`, `${dir}/file/below`]) {
      const result = await session.file.createDirectory(path);
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringContaining(path) });
    }
  });

  it("are listed with files and directories told apart", async () => {
    await sh(`cd ${dir} && mkdir sub ' x' && touch b.txt 'with space.txt' '世界.txt' .hidden`);
    const expected = [
      { type: "file", name: ".hidden" },
      { type: "file", name: "b.txt" },
      { type: "directory", name: "sub" },
      { type: "file", name: "with space.txt" },
      { type: "file", name: "世界.txt" },
    ];
    for (const list of [session.file.listDirectory, session.file.list, session.file.ls]) {
      const { success, entries } = await list.call(session.file, dir);
      expect(success).toBe(true);
      expect(entries).toEqual(expect.arrayContaining(expected));
      expect(entries).toHaveLength(6);
    }
  });

  it("may be empty", async () => {
    expect(await session.file.list(dir)).toEqual({ requestId: expect.any(String), success: true, entries: [] });
  });

  it("must exist and be directories to be listed", async () => {
    await write(`${dir}/file`, "x");
    for (const path of [`${dir}/missing`, `${dir}/file`]) {
      const result = await session.file.listDirectory(path);
      expect(result).toMatchObject({ success: false, entries: [], errorMessage: expect.stringContaining(path) });
    }
  });
});

describe("information", () => {
  it("is complete for a file, also with colons in its path", async () => {
    const path = `${dir}/a:b c.txt`;
    await write(path, "héllo");
    const { fileInfo } = must(await session.file.getFileInfo(path));
    expect(fileInfo).toMatchObject({ name: "a:b c.txt", path, size: 6, isDirectory: false });
    expect(fileInfo?.mode).not.toBe("");
    const changed = Number(await sh(`stat -c %Y '${path}'`));
    expect(Math.floor(Date.parse(fileInfo?.modTime ?? "") / 1_000)).toBe(changed);
  });

  it("tells directories", async () => {
    expect(must(await session.file.getFileInfo(dir)).fileInfo).toMatchObject({ isDirectory: true });
  });

  it("is a failure for what does not exist", async () => {
    const result = await session.file.getFileInfo(`${dir}/missing`);
    expect(result).toMatchObject({ success: false, requestId: expect.stringMatching(/./) });
    expect(result.errorMessage).toContain("not found");
    expect(result.errorMessage).toContain("No such file or directory");
    expect(result.errorMessage).toContain(`${dir}/missing`);
    expect(result).not.toHaveProperty("fileInfo");
  });
});

describe("writing and reading text", () => {
  it.each([
    ["nothing", ""],
    ["one byte", "x"],
    ["one line end", "\n"],
    ["no line end", "a\nb"],
    ["other line ends", "a\r\nb\rc\u2028d"],
    ["many scripts", "héllo wörld 世界 👋🏽 \u0000 \ufeff end"],
    ["JSON", '{"isError":true,"content":[]}'],
    ["a chunk less one", "a".repeat(CHUNK - 1)],
    ["a chunk", "a".repeat(CHUNK)],
    ["a chunk and one", "a".repeat(CHUNK + 1)],
    ["two-byte characters over an edge", `a${"é".repeat(CHUNK)}`],
    ["three-byte characters over two edges", `ab${"世".repeat(CHUNK)}`],
  ])("brings back %s", async (_, content) => {
    const path = `${dir}/file.txt`;
    expect(await session.file.writeFile(path, content)).toEqual(OK);
    expect(await session.file.readFile(path)).toEqual({
      requestId: expect.stringMatching(/./),
      success: true,
      content,
    });
    expect((await sh(`sha256sum < ${path}`)).split(" ")[0]).toBe(sha256(content));
  });

  it.each([1, 2, 3])("keeps 5 MB with a 4-byte character on every edge, shifted by %d", async (shift) => {
    const content = "a".repeat(shift) + "👋".repeat(1_310_720);
    const path = `${dir}/large.txt`;
    must(await session.file.write(path, content));
    expect((await sh(`sha256sum < ${path}`)).split(" ")[0]).toBe(sha256(content));
    const { content: back } = must(await session.file.read(path, { format: "text" }));
    // Not toBe: nobody wants 5 MB in a failure's message.
    expect(back.length).toBe(content.length);
    expect(back === content).toBe(true);
  });

  it("appends, and overwrites what was longer", async () => {
    const path = `${dir}/file.txt`;
    await write(path, "first and long");
    must(await session.file.writeFile(path, "short", "overwrite"));
    must(await session.file.writeFile(path, " + more 👋", "append"));
    expect(await text(path)).toBe("short + more 👋");
    must(await session.file.writeFile(`${dir}/new.txt`, "made by append", "append"));
    expect(await text(`${dir}/new.txt`)).toBe("made by append");
  });

  it("appends and creates more than a chunk", async () => {
    const path = `${dir}/file.txt`;
    const large = `x${"👋".repeat(CHUNK)}`;
    must(await session.file.writeFile(path, large, "create_new"));
    must(await session.file.writeFile(path, large, "append"));
    expect((await text(path)) === large + large).toBe(true);
  });

  it("creates only what is new with create_new", async () => {
    const path = `${dir}/file.txt`;
    expect(await session.file.writeFile(path, "first", "create_new")).toEqual(OK);
    for (const content of ["second", "long ".repeat(CHUNK)]) {
      const again = await session.file.writeFile(path, content, "create_new");
      expect(again).toMatchObject({ success: false, errorMessage: expect.stringMatching(/exists/i) });
    }
    expect(await text(path)).toBe("first");
    expect(must(await session.file.list(dir)).entries).toEqual([{ type: "file", name: "file.txt" }]);
  });

  it("refuses another mode and sends nothing", async () => {
    emulator.clearJournal();
    const result = await session.file.writeFile(`${dir}/x`, "x", "truncate" as "append");
    expect(result).toEqual({
      requestId: "",
      success: false,
      errorMessage: "Invalid write mode: truncate. Must be one of overwrite, append, create_new",
    });
    expect(emulator.journal()).toEqual([]);
  });

  it.each(["x", "large ".repeat(CHUNK)])("needs the parent directory", async (content) => {
    const result = await session.file.writeFile(`${dir}/missing/file`, content);
    expect(result).toMatchObject({
      success: false,
      errorMessage: expect.stringContaining("No such file or directory"),
    });
  });

  it("leaves nothing but the file behind, whatever its size", async () => {
    await write(`${dir}/large`, "large ".repeat(CHUNK));
    expect(await sh(`ls -A ${dir}`)).toBe("large\n");
  });

  it("is of one of several writers, whole, and nothing else is left", async () => {
    const path = `${dir}/large`;
    const contents = [1, 2, 3, 4, 5, 6].map((writer) => `${writer}`.repeat(3 * CHUNK));
    const again = sessionOf(await agb.get(session.getSessionId()));
    for (const round of ["a new file", "an old one"]) {
      const writes = contents.map((content, i) => (i % 2 ? session : again).file.writeFile(path, content));
      for (const result of await Promise.all(writes)) expect(result).toEqual(OK);
      const found = await text(path);
      expect([round, contents.some((content) => content === found)]).toEqual([round, true]);
      expect(await sh(`ls -A ${dir}`)).toBe("large\n");
    }
  });

  it.each([1, 3])("goes through a symbolic link, with %d chunks", async (chunks) => {
    await write(`${dir}/target`, "old");
    await sh(`ln -s target ${dir}/link`);
    const content = "n".repeat(chunks * CHUNK);
    await write(`${dir}/link`, content);
    expect(await sh(`cd ${dir} && test -L link && ls -A`)).toBe("link\ntarget\n");
    expect((await text(`${dir}/target`)) === content).toBe(true);
  });

  it("can't read what does not exist, or is a directory", async () => {
    const missing = await session.file.readFile(`${dir}/missing`);
    expect(missing).toMatchObject({ success: false, content: "", errorMessage: expect.stringContaining("not found") });
    expect(await session.file.readFile(dir)).toEqual({
      requestId: expect.any(String),
      success: false,
      content: "",
      errorMessage: `Path does not exist or is a directory: ${dir}`,
    });
  });

  it("can't write onto a directory", async () => {
    expect((await session.file.writeFile(dir, "x")).success).toBe(false);
  });
});

describe("reading bytes", () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * 1024 * 1024])("brings back %d bytes", async (size) => {
    const path = `${dir}/file.bin`;
    // Random bytes, with zeros among them for sure.
    await sh(
      `head -c ${size} /dev/urandom > ${path}; test ${size} -lt 10 || dd if=/dev/zero of=${path} bs=1 seek=3 count=4 conv=notrunc`,
    );
    for (const read of [session.file.readFile, session.file.read]) {
      const { content, ...rest } = must(await read.call(session.file, path, { format: "bytes" }));
      expect(rest).toEqual({ requestId: expect.stringMatching(/./), success: true, size });
      expect(Buffer.isBuffer(content)).toBe(true);
      expect(content.length).toBe(size);
      expect(sha256(content)).toBe((await sh(`sha256sum < ${path}`)).split(" ")[0]);
    }
  });

  it("brings back every byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await sh(`printf '%s' '${bytes.toString("base64")}' | base64 -d > ${dir}/bytes`);
    const { content } = must(await session.file.readFile(`${dir}/bytes`, { format: "bytes" }));
    expect(content.equals(bytes)).toBe(true);
  });

  it("fails with an empty buffer", async () => {
    const result = await session.file.readFile(`${dir}/missing`, { format: "bytes" });
    expect(result.success).toBe(false);
    expect(Buffer.isBuffer(result.content)).toBe(true);
    expect(result.content).toHaveLength(0);
    expect(result.errorMessage).toContain("not found");
  });
});

describe("several files", () => {
  it("are read exactly, whatever is in them", async () => {
    const contents = {
      [`${dir}/a.txt`]: "plain\n",
      [`${dir}/b.txt`]: "---\n  key: value\n---\n\n",
      [`${dir}/c:d.txt`]: "  blanks around  ",
      [`${dir}/empty.txt`]: "",
    };
    for (const [path, content] of Object.entries(contents)) await write(path, content);
    const { files } = must(await session.file.readMultipleFiles(Object.keys(contents)));
    expect(files).toEqual(contents);
    expect(Object.keys(files)).toEqual(Object.keys(contents));
  });

  it("fail as a whole when one is missing", async () => {
    await write(`${dir}/a.txt`, "a");
    const result = await session.file.readMultipleFiles([`${dir}/a.txt`, `${dir}/missing.txt`]);
    expect(result).toMatchObject({ success: false, files: {} });
    expect(result.errorMessage).toContain(`${dir}/missing.txt`);
  });

  it("may be none", async () => {
    expect(must(await session.file.readMultipleFiles([])).files).toEqual({});
  });
});

describe("editing", () => {
  beforeEach(() => write(`${dir}/file.txt`, "one two one\nthrée 👋\n"));

  it("replaces the first of each in order", async () => {
    const edits = [
      { oldText: "one", newText: "two" },
      { oldText: "two", newText: "2" },
      { oldText: "thrée 👋\n", newText: "" },
    ];
    expect(await session.file.editFile(`${dir}/file.txt`, edits)).toEqual(OK);
    expect(await text(`${dir}/file.txt`)).toBe("2 two one\n");
  });

  it("leaves the file when one text is not found", async () => {
    const edits = [
      { oldText: "one", newText: "1" },
      { oldText: "missing", newText: "x" },
    ];
    await session.file.editFile(`${dir}/file.txt`, edits);
    expect(await text(`${dir}/file.txt`)).toBe("one two one\nthrée 👋\n");
  });

  it("changes nothing when it is only tried", async () => {
    must(await session.file.editFile(`${dir}/file.txt`, [{ oldText: "one", newText: "1" }], true));
    expect(await text(`${dir}/file.txt`)).toBe("one two one\nthrée 👋\n");
  });

  it("takes the texts as they are", async () => {
    await write(`${dir}/odd.txt`, "a.*b $& \\n");
    must(await session.file.editFile(`${dir}/odd.txt`, [{ oldText: ".*", newText: "$&\\1" }]));
    expect(await text(`${dir}/odd.txt`)).toBe("a$&\\1b $& \\n");
  });

  it("keeps the file's mode", async () => {
    await sh(`chmod 750 ${dir}/file.txt`);
    must(await session.file.editFile(`${dir}/file.txt`, [{ oldText: "one", newText: "1" }]));
    expect(await sh(`stat -c %a ${dir}/file.txt`)).toBe("750\n");
  });

  it("needs a file", async () => {
    const result = await session.file.editFile(`${dir}/missing`, [{ oldText: "a", newText: "b" }]);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringContaining("not found") });
  });
});

describe("moving", () => {
  it("renames files and directories", async () => {
    await write(`${dir}/a.txt`, "content");
    expect(await session.file.moveFile(`${dir}/a.txt`, `${dir}/b.txt`)).toEqual(OK);
    expect((await session.file.readFile(`${dir}/a.txt`)).success).toBe(false);
    expect(await text(`${dir}/b.txt`)).toBe("content");
    await sh(`mkdir ${dir}/d && echo x > ${dir}/d/x`);
    must(await session.file.moveFile(`${dir}/d`, `${dir}/e`));
    expect(await text(`${dir}/e/x`)).toBe("x\n");
  });

  it("crosses from the home to /tmp", async () => {
    await write(`${dir}/a.bin`, "content");
    const target = `/tmp/moved-${process.pid}-${made}`;
    must(await session.file.moveFile(`${dir}/a.bin`, target));
    expect(await sh(`cat ${target} && rm ${target}`)).toBe("content");
  });

  it("never replaces anything", async () => {
    await sh(`cd ${dir} && echo a > a && echo b > b && mkdir d && echo x > d/x`);
    for (const target of ["b", "d"]) {
      const result = await session.file.moveFile(`${dir}/a`, `${dir}/${target}`);
      expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/exists/i) });
    }
    expect(await sh(`cd ${dir} && cat a b d/x`)).toBe("a\nb\nx\n");
  });

  it("needs a source", async () => {
    const result = await session.file.moveFile(`${dir}/missing`, `${dir}/b`);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringContaining(`${dir}/missing`) });
  });
});

describe("deleting", () => {
  it("removes a file, by each of its names", async () => {
    const { file } = session;
    for (const remove of [file.deleteFile, file.delete, file.remove, file.rm]) {
      await write(`${dir}/file`, "x");
      expect(await remove.call(file, `${dir}/file`)).toEqual(OK);
      expect((await file.getFileInfo(`${dir}/file`)).success).toBe(false);
      expect((await file.readFile(`${dir}/file`)).success).toBe(false);
    }
  });

  it("removes a link, not what it points to", async () => {
    await sh(`cd ${dir} && echo kept > target && ln -s target link`);
    must(await session.file.deleteFile(`${dir}/link`));
    expect(await sh(`cat ${dir}/target`)).toBe("kept\n");
  });

  it("refuses a directory", async () => {
    const result = await session.file.deleteFile(dir);
    expect(result).toMatchObject({ success: false, errorMessage: expect.stringMatching(/directory/i) });
    must(await session.file.list(dir));
  });

  it("says that there was nothing to delete", async () => {
    const result = await session.file.deleteFile(`${dir}/missing`);
    expect(result.requestId).not.toBe("");
    if (!result.success) expect(result.errorMessage).toContain("not found");
  });
});

describe("searching", () => {
  beforeEach(() =>
    sh(
      `cd ${dir} && mkdir -p sub/deep node_modules && touch a.txt sub/b.txt sub/deep/file1 sub/deep/file2.md node_modules/c.txt A.TXT`,
    ),
  );

  it.each([
    ["*.txt", ["a.txt", "node_modules/c.txt", "sub/b.txt"]],
    ["file*", ["sub/deep/file1", "sub/deep/file2.md"]],
    ["file?", ["sub/deep/file1"]],
    ["ile", ["sub/deep/file1", "sub/deep/file2.md"]],
    ["deep", ["sub/deep"]],
    ["nothing-like-it", []],
  ])("finds %s below the directory", async (pattern, expected) => {
    const { matches } = must(await session.file.searchFiles(dir, pattern));
    expect(matches).toEqual(expected.map((name) => `${dir}/${name}`));
  });

  it("leaves out what it is told to", async () => {
    const { matches } = must(await session.file.searchFiles(dir, "*.txt", ["node_modules", "b.*"]));
    expect(matches).toEqual([`${dir}/a.txt`]);
  });

  it("does not follow links", async () => {
    await sh(`cd ${dir} && ln -s .. loop && ln -s / sub/root`);
    const { matches } = must(await session.file.searchFiles(dir, "a.txt"));
    expect(matches).toEqual([`${dir}/a.txt`]);
  });

  it("needs a directory that exists", async () => {
    const result = await session.file.searchFiles(`${dir}/missing`, "*");
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain(`${dir}/missing`);
    expect(result).not.toHaveProperty("matches");
  });
});

describe("changes", () => {
  const changes = async () => must(await session.file.getFileChange(dir)).events;

  it("are none at the first look, though files are there", async () => {
    await write(`${dir}/there`, "x");
    expect(await session.file.getFileChange(dir)).toEqual({
      requestId: expect.stringMatching(/./),
      success: true,
      events: [],
      rawData: "[]",
    });
  });

  it("are what happened since the last look", async () => {
    await sh(`cd ${dir} && mkdir sub && echo 1 > old && echo 1 > sub/deep`);
    await changes();
    await sh(`cd ${dir} && echo 1 > new && mkdir more && rm old`);
    await write(`${dir}/sub/deep`, "2\n");
    expect(await changes()).toEqual(
      expect.arrayContaining([
        { eventType: "create", path: `${dir}/new`, pathType: "file" },
        { eventType: "create", path: `${dir}/more`, pathType: "directory" },
        { eventType: "delete", path: `${dir}/old`, pathType: "file" },
        { eventType: "modify", path: `${dir}/sub/deep`, pathType: "file" },
      ]),
    );
    expect(await changes()).toEqual([]);
  });

  it("are seen each time the same file is written, though its size stays", async () => {
    const path = `${dir}/config`;
    await write(path, "version 1");
    await changes();
    for (const content of ["version 2", "version 3"]) {
      await write(path, content);
      expect(await changes()).toContainEqual({ eventType: "modify", path, pathType: "file" });
    }
  });

  it("of a move are a deletion and a creation", async () => {
    await write(`${dir}/a`, "x");
    await changes();
    must(await session.file.moveFile(`${dir}/a`, `${dir}/b`));
    const events = await changes();
    expect(events).toContainEqual({ eventType: "delete", path: `${dir}/a`, pathType: "file" });
    expect(events).toContainEqual({ eventType: "create", path: `${dir}/b`, pathType: "file" });
  });

  it("need a directory that exists", async () => {
    const result = await session.file.getFileChange(`${dir}/missing`);
    expect(result).toMatchObject({ success: false, events: [], rawData: "" });
    expect(result.errorMessage).toBeTruthy();
  });
});

describe("one file system", () => {
  it("is seen by shell, code and file tools alike", async () => {
    await write(`${dir}/from-tools`, "tools wörld");
    expect(await sh(`cat ${dir}/from-tools`)).toBe("tools wörld");
    await sh(`echo from the shell > ${dir}/from-shell`);
    expect(await text(`${dir}/from-shell`)).toBe("from the shell\n");
    must(await session.code.run(`open("${dir}/from-python", "w").write(open("${dir}/from-shell").read())`, "python"));
    must(await session.code.run(`require("fs").copyFileSync("${dir}/from-python", "${dir}/from-js")`, "javascript"));
    expect(await text(`${dir}/from-js`)).toBe("from the shell\n");
  });

  it("is one under /tmp too", async () => {
    const path = `/tmp/one-${process.pid}-${made}`;
    await write(path, "tools");
    expect(await sh(`cat ${path}; printf shell > ${path}`)).toBe("tools");
    expect(must(await session.code.run(`print(open("${path}").read(), end="")`, "python")).logs.stdout).toEqual([
      "shell",
    ]);
    must(await session.file.deleteFile(path));
  });

  it("has files of the session's own user", async () => {
    await write(`${dir}/tools`, "x");
    must(await session.file.createDirectory(`${dir}/made`));
    await sh(`cd ${dir} && touch shell && echo more >> tools && touch made/below`);
    const [tools, shell, directory] = (await sh(`cd ${dir} && stat -c '%u %g' tools shell made`)).trim().split("\n");
    expect(tools).toBe(shell);
    expect(directory).toBe(shell);
  });

  it("takes relative paths from the home", async () => {
    await write(`test-${made}/relative`, "x");
    expect(await text(`${dir}/relative`)).toBe("x");
  });

  it("keeps modes as the shell's", async () => {
    await sh(`cd ${dir} && echo secret > locked && chmod 000 locked`);
    const shell = await session.command.execute(`cat ${dir}/locked`, LIMIT_MS);
    const tool = await session.file.readFile(`${dir}/locked`);
    expect(tool.success).toBe(shell.success);
  });
});

describe("paths that lead out", () => {
  const secret = randomBytes(12).toString("hex");
  const outside = `/var/tmp/agb-outside-${process.pid}`;
  beforeAll(() => writeFileSync(outside, secret, { mode: 0o644 }));
  afterAll(() => rmSync(outside, { force: true }));

  /** What the session's own shell sees at a path: the only thing that a file tool may see, too. */
  async function seenByShell(path: string): Promise<string | undefined> {
    const { success, stdout } = await session.command.execute(`cat '${path}'`, LIMIT_MS);
    return success ? stdout : undefined;
  }

  it.each([
    ["upwards", () => `${dir}/../../../../../../../..${outside}`],
    ["by /tmp", () => `/tmp/..${outside}`],
    ["directly", () => outside],
    ["by a link", () => `${dir}/link`],
    ["by a relative link", () => `${dir}/up-link`],
    ["by a link to the root", () => `${dir}/root${outside}`],
    ["by /proc", () => `/proc/1/root${outside}`],
  ])("lead no further than the shell's: %s", async (_, pathOf) => {
    await sh(`cd ${dir} && ln -sf ${outside} link && ln -sf ../../../../../..${outside} up-link && ln -sfn / root`);
    const path = pathOf();
    const read = await session.file.readFile(path);
    if (emulator.isolation === "plain") {
      expect(read.success).toBe(false);
      expect(read.errorMessage).toContain(home);
      expect(read.errorMessage).toContain("/tmp");
    } else {
      expect(read.content).not.toContain(secret);
      expect(read.success ? read.content : undefined).toBe(await seenByShell(path));
    }
    expect(JSON.stringify(read)).not.toContain(secret);
  });

  it("are not written, moved, deleted, searched or listed either", async () => {
    await sh(`cd ${dir} && ln -sfn /var/tmp out && echo x > x`);
    const name = outside.slice("/var/tmp/".length);
    const { file } = session;
    await file.writeFile(`${dir}/out/${name}`, "changed");
    await file.writeFile(`${dir}/out/${name}`, "changed", "append");
    await file.editFile(`${dir}/out/${name}`, [{ oldText: secret, newText: "changed" }]);
    await file.deleteFile(`${dir}/out/${name}`);
    await file.moveFile(`${dir}/out/${name}`, `${dir}/taken`);
    const listed = await file.listDirectory(`${dir}/out`);
    const found = await file.searchFiles(`${dir}/out`, name);
    expect(readFileSync(outside, "utf8")).toBe(secret);
    expect(listed.entries.map((entry) => entry.name)).not.toContain(name);
    expect(found.matches ?? []).toEqual([]);
    expect((await file.getFileInfo(`${dir}/taken`)).success).toBe(false);
  });

  it("do not lead to the emulator's own process", async () => {
    for (const path of [
      "/proc/self/environ",
      "/proc/thread-self/environ",
      "/proc/self/root/etc/passwd",
      "/proc/self/fd/1",
    ]) {
      const { content } = await session.file.readFile(path);
      expect(content).not.toContain("npm_");
      expect(content).not.toContain("JEST_WORKER_ID");
      if (emulator.isolation === "plain") expect(content).toBe("");
    }
  });

  it.each(["", "\0", "a\0b"])("are refused when they are none: %j", async (path) => {
    const result = await session.file.readFile(path);
    expect(result.success).toBe(false);
    expect(result.errorMessage).toBeTruthy();
  });
});

it("reads files whose size is not known", async () => {
  if (emulator.isolation === "plain") return;
  expect(await text("/proc/version")).toBe(await sh("cat /proc/version"));
});

it("works on many files at once", async () => {
  const paths = Array.from({ length: 50 }, (_, i) => `${dir}/${i}.txt`);
  await Promise.all(paths.map((path, i) => write(path, `${i}`.repeat(1_000))));
  const read = await Promise.all(paths.map(text));
  expect(read).toEqual(paths.map((_, i) => `${i}`.repeat(1_000)));
});

it("fails by every method on a deleted session, with a message and a request id", async () => {
  const gone = await createSession(agb);
  must(await gone.delete());
  const { file } = gone;
  const results = await Promise.all([
    file.createDirectory("/tmp/x"),
    file.deleteFile("/tmp/x"),
    file.editFile("/tmp/x", [{ oldText: "a", newText: "b" }]),
    file.getFileInfo("/tmp/x"),
    file.listDirectory("/tmp"),
    file.moveFile("/tmp/x", "/tmp/y"),
    file.readFile("/tmp/x"),
    file.readFile("/tmp/x", { format: "bytes" }),
    file.readMultipleFiles(["/tmp/x"]),
    file.searchFiles("/tmp", "*"),
    file.writeFile("/tmp/x", "x"),
    file.getFileChange("/tmp"),
  ]);
  for (const result of results) {
    expect(result.success).toBe(false);
    expect(result.errorMessage).toMatch(/session/i);
    expect(result.requestId).not.toBe("");
  }
});
