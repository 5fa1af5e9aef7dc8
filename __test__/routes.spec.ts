import type { AGB, Emulator, Session } from "agbcloud-native";
import { clientOf, startEmulator } from "./support/emulator";
import { createSession } from "./support/session";

const LIMIT_MS = 30_000;

/** Everything that a session can do by tools, as steps of one story; each gives a result to compare. */
const STEPS: Record<string, (session: Session, dir: string) => Promise<object>> = {
  mkdir: ({ file }, dir) => file.createDirectory(dir),
  "mkdir on a file": ({ file }) => file.createDirectory("/dev/null/x"),
  write: ({ file }, dir) => file.writeFile(`${dir}/a.txt`, "héllo 👋\n---\nkey: value\n"),
  "write nothing": ({ file }, dir) => file.writeFile(`${dir}/empty.txt`, ""),
  "write much": ({ file }, dir) => file.writeFile(`${dir}/large.txt`, `a${"👋".repeat(60_000)}`),
  append: ({ file }, dir) => file.writeFile(`${dir}/a.txt`, "more", "append"),
  "create what exists": ({ file }, dir) => file.writeFile(`${dir}/a.txt`, "x", "create_new"),
  "write without a parent": ({ file }, dir) => file.writeFile(`${dir}/no/a.txt`, "x"),
  read: ({ file }, dir) => file.readFile(`${dir}/a.txt`),
  "read nothing": ({ file }, dir) => file.readFile(`${dir}/empty.txt`),
  "read much": ({ file }, dir) => file.readFile(`${dir}/large.txt`),
  "read bytes": ({ file }, dir) => file.readFile(`${dir}/large.txt`, { format: "bytes" }),
  "read what is missing": ({ file }, dir) => file.readFile(`${dir}/missing.txt`),
  "read a directory": ({ file }, dir) => file.readFile(dir),
  "read several": ({ file }, dir) => file.readMultipleFiles([`${dir}/a.txt`, `${dir}/empty.txt`]),
  "read several, one missing": ({ file }, dir) => file.readMultipleFiles([`${dir}/a.txt`, `${dir}/missing.txt`]),
  edit: ({ file }, dir) => file.editFile(`${dir}/a.txt`, [{ oldText: "more", newText: "less" }]),
  "edit what is not there": ({ file }, dir) => file.editFile(`${dir}/a.txt`, [{ oldText: "nowhere", newText: "x" }]),
  info: async ({ file }, dir) => {
    const { fileInfo, ...rest } = await file.getFileInfo(`${dir}/a.txt`);
    return { ...rest, fileInfo: { ...fileInfo, modTime: typeof fileInfo?.modTime } };
  },
  "info of what is missing": ({ file }, dir) => file.getFileInfo(`${dir}/missing.txt`),
  list: ({ file }, dir) => file.listDirectory(dir),
  "list a file": ({ file }, dir) => file.listDirectory(`${dir}/a.txt`),
  search: ({ file }, dir) => file.searchFiles(dir, "*.txt"),
  "search in vain": ({ file }, dir) => file.searchFiles(dir, "nothing-like-it"),
  "first look for changes": ({ file }, dir) => file.getFileChange(dir),
  move: ({ file }, dir) => file.moveFile(`${dir}/a.txt`, `${dir}/b.txt`),
  "move onto a file": ({ file }, dir) => file.moveFile(`${dir}/b.txt`, `${dir}/empty.txt`),
  "second look for changes": ({ file }, dir) => file.getFileChange(dir),
  delete: ({ file }, dir) => file.deleteFile(`${dir}/b.txt`),
  "delete a directory": ({ file }, dir) => file.deleteFile(dir),

  command: ({ command }) => command.execute("echo out; echo err >&2", LIMIT_MS),
  "command with all": ({ command }, dir) => command.execute('pwd; echo "$A"', LIMIT_MS, dir, { A: 'it\'s; "b"' }),
  "command that prints nothing": ({ command }) => command.execute("true", LIMIT_MS),
  "command that fails": ({ command }) => command.execute("echo out; echo err >&2; exit 3", LIMIT_MS),
  "command that fails silently": ({ command }) => command.execute("exit 4", LIMIT_MS),
  "command that is unknown": ({ command }) => command.execute("nonexistent_cmd_xyz", LIMIT_MS),
  "command that takes too long": ({ command }) => command.execute("sleep 100", 300),
  "command that prints JSON": ({ command }) => command.execute("echo 123", LIMIT_MS),

  python: ({ code }) => code.run("x = 41\nprint('out')\nx + 1", "python"),
  "python again": ({ code }) => code.run("x", "py"),
  "python displays": ({ code }) =>
    code.run(
      "class H:\n  def _repr_html_(self): return '<b>'\n  def __repr__(self): return 'H'\ndisplay(H())\nH()",
      "python",
    ),
  "python fails": ({ code }) => code.run("print('before')\n1 / 0", "python"),
  "python takes too long": ({ code }) => code.run("while True: pass", "python", 1),
  "no code": ({ code }) => code.run("", "python"),
  javascript: ({ code }) => code.run("console.log('out'); 6 * 7", "javascript"),
  "javascript fails": ({ code }) => code.run("undefinedName", "javascript"),

  "tool by name": (session) => session.callMcpTool("shell", { command: "echo tool", timeout_ms: LIMIT_MS }),
  "tool that does not exist": (session) => session.callMcpTool("no_such_tool", {}),
  "tool without its arguments": (session) => session.callMcpTool("write_file", { path: "/tmp/x" }),
  "tool with wrong arguments": (session) => session.callMcpTool("shell", { command: 7 }),
  metrics: async (session) => {
    const { success, metrics = {}, raw = {} } = await session.getMetrics();
    return { success, metrics: Object.keys(metrics), raw: Object.keys(raw) };
  },
};

let emulator: Emulator;
let agb: AGB;
/** What each step gave on each route. */
const results = { link: new Map<string, unknown>(), api: new Map<string, unknown>() };

/** Leaves out what no two calls have in common. */
function comparable(result: object, home: string): unknown {
  const { requestId, executionTime, traceId, ...rest } = result as Record<string, unknown>;
  const same = { ...rest, requestId: typeof requestId, executionTime: typeof executionTime, traceId: Boolean(traceId) };
  const text = JSON.stringify(same)
    .replaceAll(home, "<home>")
    .replaceAll(/\d+-session-\w+/g, "<session>");
  return JSON.parse(typeof traceId === "string" && traceId !== "" ? text.replaceAll(traceId, "<trace>") : text);
}

async function goThrough(route: "link" | "api"): Promise<void> {
  const session = await createSession(agb);
  expect(session.linkUrl).not.toBe("");
  if (route === "api") session.linkUrl = "";
  const home = (await session.command.execute("pwd", LIMIT_MS)).stdout.trim();
  for (const [name, step] of Object.entries(STEPS)) {
    results[route].set(name, comparable(await step(session, `${home}/story`), home));
  }
  expect((await session.delete()).success).toBe(true);
}

beforeAll(async () => {
  emulator = await startEmulator({ linkUrl: true });
  agb = clientOf(emulator);
  await goThrough("link");
  const byLink = toolPaths();
  emulator.clearJournal();
  await goThrough("api");
  const byApi = toolPaths();

  // Tools that the image does not have know no server, so they can't go by the link.
  const unknown = ["no_such_tool"];
  for (const { tool, path } of byLink) {
    expect([tool, path]).toEqual([tool, unknown.includes(tool ?? "") ? "/mcp" : expect.stringMatching(/\/callTool$/)]);
  }
  for (const { path } of byApi) expect(path).toBe("/mcp");
  // Several files are read at once, in any order.
  expect(byLink.map(({ tool }) => tool).sort()).toEqual(byApi.map(({ tool }) => tool).sort());
});
afterAll(() => emulator?.close());

function toolPaths() {
  return emulator.journal().filter(({ operation }) => operation === "callTool");
}

it.each(Object.keys(STEPS))("%s gives the same on both routes", (name) => {
  expect(results.link.get(name)).toBeDefined();
  expect(results.link.get(name)).toEqual(results.api.get(name));
});

it("of a released session fails on both, with a message", async () => {
  for (const route of ["link", "api"]) {
    const session = await createSession(agb);
    if (route === "api") session.linkUrl = "";
    await session.delete();
    const ran = await session.code.run("1", "python");
    const read = await session.file.readFile("/tmp/x");
    const executed = await session.command.execute("true");
    for (const { success, errorMessage, requestId } of [ran, read, executed]) {
      expect(success).toBe(false);
      expect(errorMessage).toMatch(/session/i);
      expect(requestId).not.toBe("");
    }
  }
});

it("images decide whether there is a link, unless the emulator is told", async () => {
  const session = await createSession(agb, { imageId: "agb-computer-use-1" });
  expect(session.linkUrl).not.toBe("");
  await session.delete();
});
