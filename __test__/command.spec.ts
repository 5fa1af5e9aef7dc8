import { existsSync } from "node:fs";
import type { AGB, Emulator, Session } from "agbcloud-native";
import { clientOf, startEmulator } from "./support/emulator";
import { withToolAnswer } from "./support/fake-service";
import { allGone, processesWith, sleepMark } from "./support/processes";
import { createSession, must } from "./support/session";
import { until } from "./support/wait";

/** Generous, where the limit is not what is tested: the default of one second is short for a busy machine. */
const LIMIT_MS = 30_000;

let emulator: Emulator;
let agb: AGB;
let session: Session;

beforeAll(async () => {
  emulator = await startEmulator();
  agb = clientOf(emulator);
  session = await createSession(agb);
});
afterAll(() => emulator?.close());

const sh = (command: string, cwd?: string, envs?: Record<string, string>) =>
  session.command.execute(command, LIMIT_MS, cwd, envs);

describe("what a command gives", () => {
  it("is its output, errors and exit code", async () => {
    const result = await sh("echo out; echo err >&2");
    expect(result).toEqual({
      requestId: expect.stringMatching(/./),
      success: true,
      output: "out\nerr\n",
      exitCode: 0,
      stdout: "out\n",
      stderr: "err\n",
      traceId: "",
    });
  });

  it("is the same by each of its names", async () => {
    for (const run of [session.command.execute, session.command.run, session.command.exec]) {
      expect((await run.call(session.command, "echo hello", LIMIT_MS)).output).toBe("hello\n");
    }
    const { exec } = session.command;
    expect((await exec("echo detached", LIMIT_MS)).output).toBe("detached\n");
  });

  it.each(["whoami", "uname -a", "date", "ls -la"])("%j prints something", async (command) => {
    expect(must(await sh(command)).output.trim()).not.toBe("");
  });

  it("is a failure with the exit code when that is not 0", async () => {
    const result = await sh("echo out; echo err >&2; exit 7");
    expect(result).toMatchObject({
      success: false,
      exitCode: 7,
      stdout: "out\n",
      stderr: "err\n",
      output: "out\nerr\n",
    });
    expect(result.errorMessage).toBe("err\n");
    expect(result.requestId).not.toBe("");
    expect(result.traceId).not.toBe("");
  });

  it("says something even of a failure that printed nothing", async () => {
    const result = await sh("exit 3");
    expect(result).toMatchObject({ success: false, exitCode: 3, output: "" });
    expect(result.errorMessage).toBeTruthy();
  });

  it("names a program that does not exist", async () => {
    const result = await sh("nonexistent_cmd_xyz");
    expect(result).toMatchObject({ success: false, exitCode: 127 });
    expect(result.stderr).toContain("nonexistent_cmd_xyz: not found");
    expect(result.errorMessage).toContain("nonexistent_cmd_xyz: not found");
  });

  it("names a path that does not exist", async () => {
    const result = await sh("ls /nonexistent/path");
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain("/nonexistent/path");
  });

  it("is exit code 1 for a grep without a match", async () => {
    expect(await sh("echo abc | grep xyz")).toMatchObject({ success: false, exitCode: 1, output: "" });
  });

  it.each(["curl --max-time 1 http://127.0.0.1:9", "ping -c 1 -W 1 127.0.0.1", "nslookup localhost 127.0.0.1"])(
    "%j answers, whatever it can do here",
    async (command) => {
      const result = await sh(command);
      expect(result.success).toBe(result.exitCode === 0);
    },
  );

  it.each(["123", '"abc"', "null", "true", "[1,2]", "{}", '{"stdout":"fake","exit_code":7}'])(
    "is %s as it was printed, though it is JSON",
    async (text) => {
      const result = must(await sh('printf "%s" "$TEXT"', undefined, { TEXT: text }));
      expect(result).toMatchObject({ output: text, stdout: text, exitCode: 0 });
    },
  );

  it("is text of every script, also large", async () => {
    expect((await sh("printf 'héllo 世界 👋'")).output).toBe("héllo 世界 👋");
    const { stdout } = must(await sh("i=0; while [ $i -lt 20000 ]; do echo '世界 👋 line'; i=$((i+1)); done"));
    expect(stdout).toBe("世界 👋 line\n".repeat(20_000));
  });

  it("does 1 GiB of dd within its limit", async () => {
    must(await session.command.execute("dd if=/dev/zero of=/dev/null bs=1M count=1024", 300_000));
  });
});

describe("the shell", () => {
  it("is a fresh one each time; files survive, variables and directories don't", async () => {
    must(await sh("cd /; export LOST=1; lost=1; echo kept > ~/kept.txt"));
    expect(must(await sh('echo "[$LOST$lost]"; cat kept.txt')).output).toBe("[]\nkept\n");
  });

  it("runs chains, pipes, scripts and bash", async () => {
    expect(must(await sh('export V=1 && echo "v=$V" | tr v w')).output).toBe("w=1\n");
    expect(must(await sh("echo 'echo $BASH_VERSION' > ~/file.sh; bash ~/file.sh")).output).toMatch(/^\d+\.\d+/);
  });

  it("is an ordinary user's", async () => {
    expect(await sh("cat /etc/shadow")).toMatchObject({ success: false });
    await sh("echo x > /root/command-spec-x; echo x > /etc/command-spec-x");
    for (const directory of ["/root", "/etc"]) expect(existsSync(`${directory}/command-spec-x`)).toBe(false);
    must(
      await sh(`echo x > /tmp/command-spec-${process.pid} && mkdir -p ~/a/b && rm /tmp/command-spec-${process.pid}`),
    );
  });

  it("begins in an absolute directory of its own, its home", async () => {
    const { stdout } = must(await sh('pwd; echo "$HOME"'));
    const [directory, home] = stdout.trim().split("\n");
    expect(directory).toMatch(/^\//);
    expect(home).toBe(directory);
  });

  it("begins in cwd, which may have spaces and quotes", async () => {
    expect(must(await sh("pwd", "/tmp")).output.trim()).toBe("/tmp");
    const home = must(await sh("pwd")).stdout.trim();
    const odd = `${home}/a dir; with 'quotes' "two" $HOME`;
    must(await session.file.createDirectory(odd));
    expect(must(await sh("pwd", odd)).output).toBe(`${odd}\n`);
  });

  it("does not begin in a cwd that does not exist, and says so", async () => {
    const result = await sh("pwd", "/no/such/directory");
    expect(result.success).toBe(false);
    expect(result.errorMessage).toContain("/no/such/directory");
  });

  it("has envs, whatever is in them, for this call alone", async () => {
    const envs = {
      TEST_VAR: "plain",
      QUOTES: `it's "quoted"`,
      SHELL_TEXT: "; echo hacked && $(id) `id` | cat",
      LINES: "one\ntwo",
      EMPTY: "",
      UNICODE: "wörld 世界 👋",
    };
    const names = Object.keys(envs);
    const printing = names.map((name) => `printf '%s\\0' "$${name}"`).join("; ");
    const { stdout } = must(await sh(printing, undefined, envs));
    expect(stdout).toBe(names.map((name) => `${envs[name as keyof typeof envs]}\0`).join(""));
    expect(must(await sh('echo "[$TEST_VAR]"')).output).toBe("[]\n");
  });

  it("has a PATH and a home, and none of the emulator's secrets", async () => {
    const { stdout } = must(await sh("env"));
    expect(stdout).toMatch(/^PATH=.+/m);
    expect(stdout).not.toContain(emulator.apiKey);
    expect(stdout).not.toMatch(/^AGB_(API_KEY|ENDPOINT)/m);
  });

  it("refuses envs that are no strings, by throwing, and sends nothing", async () => {
    emulator.clearJournal();
    const envs = { GOOD: "1", BAD: 2 } as unknown as Record<string, string>;
    await expect(session.command.execute("env", LIMIT_MS, undefined, envs)).rejects.toThrow(
      "Invalid environment variables: all keys and values must be strings",
    );
    expect(emulator.journal()).toEqual([]);
  });

  it("has an empty standard input", async () => {
    expect(must(await sh("cat; echo end")).output).toBe("end\n");
  });
});

describe("the time limit", () => {
  it("is one second unless told otherwise", async () => {
    emulator.clearJournal();
    await session.command.execute("true");
    const [call] = emulator.journal();
    expect(JSON.stringify(call?.body)).toMatch(/timeout_ms\W+1000\b/);
  });

  it("kills the command and everything it has started, and says so", async () => {
    const mark = sleepMark();
    const result = await session.command.execute(`(sleep ${mark} & sleep ${mark} | cat) & sleep ${mark}`, 1_000);
    expect(result.success).toBe(false);
    expect(result.exitCode).not.toBe(0);
    expect(result.errorMessage).toMatch(/timeout/i);
    await allGone(mark);
  });

  it("kills a command that ignores signals", async () => {
    const mark = sleepMark();
    const command = `trap '' TERM INT HUP; while :; do sleep ${mark}; done`;
    expect((await session.command.execute(command, 1_000)).errorMessage).toMatch(/timeout/i);
    await allGone(mark);
  });

  it("leaves the session usable", async () => {
    await session.command.execute("sleep 100", 500);
    expect(must(await sh("echo alive")).output).toBe("alive\n");
  });
});

describe("a background process", () => {
  it("lets its command return at once, and goes on", async () => {
    const mark = sleepMark();
    must(await sh(`nohup sleep ${mark} &`));
    expect(processesWith(mark)).not.toEqual([]);
    must(await sh(`nohup sh -c 'while :; do echo beat >> ~/beats; sleep 0.05; done' > /dev/null 2>&1 &`));
    const beats = async () => Number((await sh("cat ~/beats 2> /dev/null | wc -l")).stdout);
    await until("the process beats", async () => (await beats()) > 0);
    const before = await beats();
    await until("it goes on", async () => (await beats()) > before);
  });

  it("is seen and ended by a later command", async () => {
    const mark = sleepMark();
    const { stdout } = must(await sh(`nohup sleep ${mark} > /dev/null 2>&1 & echo $!`));
    must(await sh(`kill ${stdout.trim()}`));
    await allGone(mark);
  });
});

it("runs many commands at once in one session", async () => {
  const results = await Promise.all(Array.from({ length: 20 }, (_, i) => sh(`echo ${i}; exit ${i % 3}`)));
  expect(results.map(({ stdout, exitCode }) => [stdout, exitCode])).toEqual(results.map((_, i) => [`${i}\n`, i % 3]));
});

it("fails on a deleted session, with a message and a request id", async () => {
  const gone = await createSession(agb);
  must(await gone.delete());
  const result = await gone.command.execute("echo hello");
  expect(result).toMatchObject({ success: false, output: "", exitCode: -1, stdout: "", stderr: "", traceId: "" });
  expect(result.errorMessage).toMatch(/session/i);
  expect(result.requestId).not.toBe("");
});

describe("answers in other forms", () => {
  const run = (text: string, isError = false) =>
    withToolAnswer({ text, isError }, (fake) => fake.command.execute("any"));

  it.each(["plain text", "123", '"abc"', "null", "[1]"])("takes %s for the output", async (text) => {
    expect(await run(text)).toEqual({
      requestId: "r-ok",
      success: true,
      output: text,
      exitCode: 0,
      stdout: text,
      stderr: "",
      traceId: "",
    });
  });

  it("takes a result with an exit code for what it says", async () => {
    const text = JSON.stringify({ stdout: "o", stderr: "e", exit_code: 2, traceId: "t" });
    const result = await run(text);
    expect(result).toMatchObject({ success: false, output: "oe", exitCode: 2, traceId: "t" });
    expect(result.errorMessage).toBeUndefined();
    expect(await run(text, true)).toMatchObject({ success: false, output: "oe", exitCode: 2, errorMessage: "e" });
  });

  it("reads errorCode where exit_code is missing", async () => {
    const text = JSON.stringify({ stdout: "", stderr: "", errorCode: 5 });
    expect(await run(text, true)).toMatchObject({ success: false, exitCode: 5, errorMessage: text });
  });

  it("takes the text of a failure for the message", async () => {
    expect(await run("Execution failed. Error code:-1 Error message: [timeout]", true)).toMatchObject({
      success: false,
      output: "",
      exitCode: -1,
      errorMessage: "Execution failed. Error code:-1 Error message: [timeout]",
    });
  });
});
