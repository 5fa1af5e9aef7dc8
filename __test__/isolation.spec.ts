import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { AGB, Emulator, EmulatorIsolation, Session } from "agbcloud-native";
import { clientOf, startEmulator, withEmulator } from "./support/emulator";
import { type Absence, absenceOf, needs, which } from "./support/needs";
import {
  allGone,
  descendantsOf,
  processes,
  processesWith,
  type Running,
  sleepMark,
  startNode,
} from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

const LIMIT_MS = 30_000;

/** What keeps this machine from separating sessions by namespaces, tried as a sandbox would be made. */
function namespacesAbsent(): Absence | undefined {
  try {
    execFileSync(
      "unshare",
      [
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/tmp",
      ],
      { stdio: "pipe" },
    );
    return undefined;
  } catch (error) {
    return {
      need: "namespaces",
      reason:
        String((error as Error).message)
          .split("\n")
          .at(-2) ?? "unshare failed",
    };
  }
}

const namespaces = needs(namespacesAbsent());
const root = needs(absenceOf("root", process.getuid?.() === 0 ? "root" : undefined, "run as an ordinary user"));
const asRoot = process.getuid?.() === 0;

const sh = async (session: Session, command: string) => must(await session.command.execute(command, LIMIT_MS)).stdout;
const tryShell = (session: Session, command: string) => session.command.execute(command, LIMIT_MS);

/** Runs `body` for each mode that this machine has. */
function inEachMode(body: (isolation: EmulatorIsolation) => void): void {
  describe("plain", () => body("plain"));
  namespaces.describe("namespace", () => body("namespace"));
}

describe("the mode", () => {
  it("is chosen by what works, and can be read", async () => {
    await withEmulator({ isolation: undefined }, async (emulator) => {
      expect(["namespace", "plain"]).toContain(emulator.isolation);
      expect(emulator.summary).toContain(emulator.isolation);
    });
  });

  namespaces.it("is namespaces where they work", async () => {
    await withEmulator({ isolation: undefined }, async (emulator) => expect(emulator.isolation).toBe("namespace"));
  });

  it("is refused when it is unknown", async () => {
    await expect(startEmulator({ isolation: "docker" as "plain" })).rejects.toThrow(/isolation.*docker/);
  });
});

inEachMode((isolation) => {
  let emulator: Emulator;
  let agb: AGB;
  let session: Session;
  let other: Session;

  beforeAll(async () => {
    emulator = await startEmulator({ isolation });
    agb = clientOf(emulator);
    [session, other] = await Promise.all([createSession(agb), createSession(agb)]);
  });
  afterAll(() => emulator?.close());

  it("is what was asked for", () => {
    expect(emulator.isolation).toBe(isolation);
    expect(emulator.summary).toContain(isolation);
  });

  it("gives each session a home and a TMPDIR of its own", async () => {
    const look = 'printf "%s\\n" "$HOME" "$TMPDIR"; id -u';
    const [home, tmp] = (await sh(session, look)).split("\n");
    const [otherHome] = (await sh(other, look)).split("\n");
    await sh(session, `echo mine > "${home}/file" && echo mine > "${tmp}/file"`);
    expect(await sh(other, 'ls -A "$HOME"')).toBe("");
    expect((await tryShell(other, 'cat "$TMPDIR/file"')).success).toBe(false);
    if (isolation === "plain") expect(home).not.toBe(otherHome);
  });

  it("shows file tools what the shell of their session sees, and nothing else", async () => {
    const home = (await sh(session, "pwd")).trim();
    must(await session.file.writeFile(`${home}/tool`, "mine"));
    expect(await sh(session, "cat tool")).toBe("mine");
    expect((await other.file.readFile("tool")).success).toBe(false);
  });

  root.it("leaves the host's root nothing to root in a session", async () => {
    const directory = mkdtempSync("/var/tmp/agb-spec-");
    chmodSync(directory, 0o755);
    const secret = join(directory, "secret");
    writeFileSync(secret, "of root", { mode: 0o600 });
    try {
      for (const command of [
        `cat ${secret}`,
        `echo x > ${secret}`,
        `rm -f ${secret}`,
        `chmod 777 ${secret}`,
        `touch ${directory}/new`,
      ]) {
        await tryShell(session, command);
      }
      expect((await tryShell(session, `cat ${secret}`)).stdout).toBe("");
      for (const language of ["python", "javascript"]) {
        const code =
          language === "python" ? `open("${secret}").read()` : `require("fs").readFileSync("${secret}", "utf8")`;
        expect((await session.code.run(code, language)).success).toBe(false);
      }
      expect((await session.file.readFile(secret)).success).toBe(false);
      expect(readFileSync(secret, "utf8")).toBe("of root");
      expect(readdirSync(directory)).toEqual(["secret"]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  root.it("does not let a session touch the host's system or processes", async () => {
    expect((await tryShell(session, "cat /etc/shadow")).success).toBe(false);
    expect((await session.file.readFile("/etc/shadow")).success).toBe(false);
    const files = ["/etc", "/usr", "/root"].map((directory) => `${directory}/agb-spec-${process.pid}`);
    for (const file of files) {
      await tryShell(session, `touch ${file}`);
      await session.file.writeFile(file, "x");
    }
    expect(files.filter(existsSync)).toEqual([]);
    const pid = process.pid;
    await tryShell(session, `test "$(tr '\\0' ' ' < /proc/${pid}/cmdline)" && kill -STOP ${pid}`);
    const { state } = processState(pid);
    expect(state).not.toMatch(/^T/);
  });

  it("ends a session's processes with the session", async () => {
    const mine = await createSession(agb);
    const mark = await startProcesses(mine);
    must(await mine.delete());
    await allGone(mark);
  });

  it("ends a session's processes when it is released for being idle", async () => {
    const mine = await createSession(agb, { idleReleaseTimeout: 60 });
    const mark = await startProcesses(mine);
    await emulator.advance(66_000);
    await allGone(mark);
  });

  it("ends all processes, and removes all directories, when it is closed", async () => {
    const directory = mkdtempSync(join(tmpdir(), "agb-spec-"));
    chmodSync(directory, 0o755);
    const running = await startProgram(isolation, { TMPDIR: directory });
    try {
      const mine = await createSession(running.agb);
      const mark = await startProcesses(mine);
      expect(readdirSync(directory)).not.toEqual([]);
      running.program.child.kill("SIGTERM");
      expect((await running.program.ended).code).toBe(0);
      await allGone(mark);
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      running.program.child.kill("SIGKILL");
      await running.program.ended;
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("ends all processes even when it is killed, and the next one sweeps what is left", async () => {
    const directory = mkdtempSync(join(tmpdir(), "agb-spec-"));
    chmodSync(directory, 0o755);
    const killed = await startProgram(isolation, { TMPDIR: directory });
    try {
      const mine = await createSession(killed.agb);
      const mark = await startProcesses(mine);
      await sh(mine, "echo left > ~/left");
      const below = descendantsOf(killed.program.pid);
      expect(below.length).toBeGreaterThan(1);

      killed.program.child.kill("SIGKILL");
      await killed.program.ended;
      await allGone(mark);
      const pids = new Map(below.map(({ pid, command }) => [pid, command]));
      await until("the emulator's helpers are gone", () =>
        processes().every(({ pid, command }) => pids.get(pid) !== command),
      );
      const left = readdirSync(directory);
      expect(left).not.toEqual([]);

      const next = await startProgram(isolation, { TMPDIR: directory });
      expect(readdirSync(directory).filter((name) => left.includes(name))).toEqual([]);
      next.program.child.kill("SIGTERM");
      expect((await next.program.ended).code).toBe(0);
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      killed.program.child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("leaves the directories of an emulator that lives alone", async () => {
    const directory = mkdtempSync(join(tmpdir(), "agb-spec-"));
    chmodSync(directory, 0o755);
    const first = await startProgram(isolation, { TMPDIR: directory });
    const second = await startProgram(isolation, { TMPDIR: directory });
    try {
      const mine = await createSession(first.agb);
      await sh(mine, "echo kept > ~/kept");
      second.program.child.kill("SIGTERM");
      await second.program.ended;
      expect(await sh(mine, "cat ~/kept")).toBe("kept\n");
    } finally {
      for (const { program } of [first, second]) {
        program.child.kill("SIGTERM");
        await program.ended;
      }
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("plain mode", () => {
  it("takes file tools to the home, TMPDIR and /tmp only, and names these when it refuses", async () => {
    await withEmulator({ isolation: "plain" }, async (_, agb) => {
      const session = await createSession(agb);
      const [home = "", tmp = ""] = (await sh(session, 'printf "%s\\n" "$HOME" "$TMPDIR"')).split("\n");
      expect(tmp).not.toBe("");
      const { file } = session;
      for (const directory of [home, tmp, "/tmp"]) {
        const path = `${directory}/agb-allowed-${process.pid}`;
        must(await file.writeFile(path, "x"));
        must(await file.deleteFile(path));
      }
      must(await file.writeFile(`${home}/x`, "x"));
      const outside = `/var/tmp/agb-refused-${process.pid}`;
      const refused = [
        await file.readFile("/etc/hostname"),
        await file.writeFile(outside, "x"),
        await file.createDirectory(outside),
        await file.listDirectory("/"),
        await file.getFileInfo("/etc/passwd"),
        await file.deleteFile("/etc/passwd"),
        await file.searchFiles("/etc", "*"),
        await file.getFileChange("/etc"),
        await file.moveFile(`${home}/x`, outside),
        await file.editFile("/etc/passwd", [{ oldText: "root", newText: "root" }]),
        await file.readMultipleFiles(["/etc/passwd"]),
        await file.readFile(`${home}/../../../../../../etc/passwd`),
      ];
      for (const { success, errorMessage } of refused) {
        expect(success).toBe(false);
        expect(errorMessage).toContain(home);
        expect(errorMessage).toContain(tmp);
        expect(errorMessage).toMatch(/\/tmp\b/);
      }
      expect(existsSync(outside)).toBe(false);
    });
  });

  it("uses the host's paths in shell, code and file tools, and removes at the end what the latter made under /tmp", async () => {
    const path = (name: string) => `/tmp/agb-made-${process.pid}-${name}`;
    const kept = path("kept-by-the-host");
    writeFileSync(kept, "the host's", { mode: 0o666 });
    chmodSync(kept, 0o666);
    const byTools = ["written", "directory", "moved"];
    const byOthers = ["shell", "python", "javascript"];
    try {
      await withEmulator({ isolation: "plain" }, async (_, agb) => {
        const session = await createSession(agb);
        must(await session.file.writeFile(path("written"), "x"));
        must(await session.file.createDirectory(path("directory")));
        must(await session.file.writeFile(`${path("directory")}/below`, "x"));
        must(await session.file.writeFile(path("moving"), "x"));
        must(await session.file.moveFile(path("moving"), path("moved")));
        must(await session.file.writeFile(kept, "more", "append"));
        await sh(session, `echo x > ${path("shell")}; echo x > ${path("directory")}/shell`);
        must(await session.code.run(`open("${path("python")}", "w").write("x")`, "python"));
        must(await session.code.run(`require("fs").writeFileSync("${path("javascript")}", "x")`, "javascript"));
        for (const name of [...byTools, ...byOthers]) expect([name, existsSync(path(name))]).toEqual([name, true]);
        await sh(session, `rm ${byOthers.map(path).join(" ")}`);
        must(await session.delete());
        for (const name of byTools) expect([name, existsSync(path(name))]).toEqual([name, false]);
      });
      expect(readFileSync(kept, "utf8")).toBe("the host'smore");
    } finally {
      rmSync(kept);
    }
  });

  root.it("runs sessions as an ordinary user, and their interpreters still work", async () => {
    await withEmulator({ isolation: "plain" }, async (_, agb) => {
      const session = await createSession(agb);
      expect((await sh(session, "id -u")).trim()).not.toBe("0");
      const uid = must(await session.code.run("import os; print(os.getuid())", "python"))
        .logs.stdout.join("")
        .trim();
      expect(uid).toBe((await sh(session, "id -u")).trim());
      must(await session.code.run("process.getuid() === 0 ? (() => { throw new Error('root') })() : 1", "javascript"));
    });
  });
});

namespaces.describe("namespace mode", () => {
  it("gives each session a /tmp, a /home and processes of its own", async () => {
    await withEmulator({ isolation: "namespace" }, async (_, agb) => {
      const [session, other] = await Promise.all([createSession(agb), createSession(agb)]);
      const onHost = join("/tmp", `agb-host-${process.pid}`);
      writeFileSync(onHost, "the host's", { mode: 0o644 });
      try {
        const mark = await startProcesses(session);
        const mine = `mine-${process.pid}`;
        await sh(session, `echo mine > /tmp/${mine}; echo mine > ~/mine; mkdir -p /home/sync-test`);
        expect(await sh(other, "ls -A /tmp")).not.toContain("mine");
        expect(await sh(other, "find /home")).not.toMatch(/mine|sync-test/);
        expect(await sh(other, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).not.toContain(mark);
        expect(await sh(session, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).toContain(mark);
        expect((await tryShell(session, `cat ${onHost}`)).success).toBe(false);
        expect((await session.file.readFile(onHost)).success).toBe(false);
        expect((await session.file.readFile(`/proc/1/root${onHost}`)).success).toBe(false);
        expect(existsSync(`/tmp/${mine}`)).toBe(false);
      } finally {
        rmSync(onHost);
      }
    });
  });

  const base = asRoot ? "/home" : homedir().startsWith("/home/") ? homedir() : undefined;
  const underHome = needs(absenceOf("root", base, "nothing under /home can be written"));
  const venv = needs(absenceOf("python3", which("python3")));

  (base ? venv : underHome).it(
    "shows an interpreter under /home at its own path, read-only, and nothing beside it",
    async () => {
      mkdirSync(base ?? "", { recursive: true });
      const directory = mkdtempSync(join(base ?? "", "agb-spec-"));
      chmodSync(directory, 0o755);
      try {
        execFileSync("python3", ["-m", "venv", "--without-pip", join(directory, "venv")], { stdio: "pipe" });
        writeFileSync(join(directory, "private"), "not for sessions", { mode: 0o644 });
        const python = join(directory, "venv", "bin", "python3");
        await withEmulator({ isolation: "namespace", python }, async (_, agb) => {
          const session = await createSession(agb);
          const { logs } = must(await session.code.run("import sys; print(sys.prefix)", "python"));
          expect(logs.stdout.join("").trim()).toBe(join(directory, "venv"));
          expect((await tryShell(session, `touch ${directory}/venv/new`)).success).toBe(false);
          expect((await tryShell(session, `cat ${directory}/private`)).success).toBe(false);
        });
        expect(existsSync(join(directory, "venv", "new"))).toBe(false);
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );
});

/** Starts processes in a session in every way there is; gives what marks them, once they run. */
async function startProcesses(session: Session): Promise<string> {
  const mark = sleepMark();
  await sh(session, `nohup sleep ${mark} > /dev/null 2>&1 & setsid sleep ${mark} > /dev/null 2>&1 &`);
  const code = `import subprocess\nfor new in (False, True): subprocess.Popen(["sleep", "${mark}"], start_new_session=new)`;
  must(await session.code.run(code, "python"));
  const detached = `require("child_process").spawn("sleep", ["${mark}"], { detached: true, stdio: "ignore" }).unref()`;
  must(await session.code.run(detached, "javascript"));
  await sh(session, `setsid env -i /bin/sleep ${mark} < /dev/null > /dev/null 2>&1 &`);
  await until("six processes run", () => processesWith(`sleep ${mark}`).length === 6);
  return mark;
}

/** Starts the command line in a mode; gives it with a client. */
async function startProgram(
  isolation: EmulatorIsolation,
  env: NodeJS.ProcessEnv,
): Promise<{ program: Running; agb: AGB }> {
  const program = startNode("bin/agb-emulator.js", ["--port", "0", "--json", "--isolation", isolation], env);
  const { url, apiKey } = JSON.parse(await program.line(/^\{/));
  return { program, agb: clientOf({ url, apiKey } as Emulator) };
}

function processState(pid: number): { state: string } {
  return { state: execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).trim() };
}
