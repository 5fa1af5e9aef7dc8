import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Emulator } from "agbcloud-native";
import { CLOSED_ADDRESS } from "./support/answers";
import { startEmulator } from "./support/emulator";
import { ROOT, runNode, startNode } from "./support/processes";
import { until } from "./support/wait";

const PROGRAM = "examples/quickstart.mjs";
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

describe("offline", () => {
  it("runs the main job and tells it as a timeline", async () => {
    const { code, stdout, stderr } = await runNode(PROGRAM);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(version);
    expect(stdout).toMatch(/the emulator's view/);

    // Clock, state, time left, what, and what happened.
    const expected = [
      /s +created +(5[5-9]|60) s +create +session\S* from agb-code-space-1, idle timeout 60 s/,
      /s +idle +\d+ s +python +printed “python counts 10 primes”/,
      /s +idle +\d+ s +python +its state survives: math\.prod\(primes\) is 6469693230/,
      /s +idle +\d+ s +javascript +sorted: \[ ?1, 2, 3 ?\]/,
      /s +idle +\d+ s +shell +\w+, \S+, \//,
      /s +idle +\d+ s +files +wrote and read “héllo wörld 👋”; the shell counts 19 bytes/,
      /s +idle +(5[5-9]|60) s +keepAlive\(\) +timer back to 60 s/,
      /s +idle +([5-9]|1[0-5]) s +… +45 s later/,
      /s +released +– +… +20 s later: released/,
      /s +released +– +code\.run +on a released session: success false, “.*not found.*”/,
      /s +created +(5[5-9]|60) s +create +session/,
      /s +released +– +delete +gone at once/,
      /✓ No session is left\./,
    ];
    const lines = stdout.split("\n");
    let from = 0;
    for (const line of expected) {
      const found = lines.findIndex((candidate, index) => index >= from && line.test(candidate));
      if (found < 0) throw new Error(`no line like ${line} after line ${from} of\n${stdout}`);
      from = found + 1;
    }
    expect(stdout.trimEnd().endsWith("✓ No session is left.")).toBe(true);
  });

  it("needs no proxy for what is on this machine", async () => {
    const { code, stdout } = await runNode(PROGRAM, [], { HTTP_PROXY: CLOSED_ADDRESS, ALL_PROXY: CLOSED_ADDRESS });
    expect([code, stdout.trimEnd().split("\n").at(-1)?.trim()]).toEqual([0, "✓ No session is left."]);
  });

  it("prints a clock that never goes back, and a minute more than the time it took", async () => {
    const { stdout } = await runNode(PROGRAM);
    const clock = [...stdout.matchAll(/^ +(\d+\.\d) s {2}/gm)].map(([, seconds]) => Number(seconds));
    expect(clock.length).toBeGreaterThan(10);
    expect(clock).toEqual([...clock].sort((a, b) => a - b));
    expect(clock.at(-1)).toBeGreaterThan(65);
  });
});

describe("--cloud", () => {
  let emulator: Emulator;
  beforeAll(async () => {
    emulator = await startEmulator();
  });
  afterEach(() => emulator?.faults.clear());
  afterAll(() => emulator?.close());

  it("runs the same job on the service of AGB_ENDPOINT, and waits until the session is released", async () => {
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    await program.line(/Now waiting until the service releases the session: about 60 s/);
    const [session] = emulator.sessions();
    expect(session).toMatchObject({ idleReleaseTimeout: 60, labels: { made_by: "quickstart" } });
    await emulator.advance(65_000);

    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(emulator.url);
    expect(stdout).toMatch(/s +RUNNING +create /);
    expect(stdout).toMatch(/released, because nobody kept it alive/);
    expect(stdout).toMatch(/on a released session: success false, “.+”/);
    expect(stdout).toContain("✓ No session is left.");
    // Only what a client can know: no state but the status on the wire.
    expect(stdout).not.toMatch(/ (idle|active) +\d/);
    emulator.expectNoLiveSessions();
    expect(emulator.sessions()).toHaveLength(2);
  });

  it("says that it needs a key, and sends nothing", async () => {
    const { code, stdout, stderr } = await runNode(PROGRAM, ["--cloud"], { AGB_ENDPOINT: emulator.url });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("AGB_API_KEY");
  });

  it("says what went wrong with a wrong key", async () => {
    const env = { ...emulator.env, AGB_API_KEY: "wrong" };
    const { code, stderr } = await runNode(PROGRAM, ["--cloud"], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/quickstart failed: create: .+/);
  });

  it("takes a look that failed for no release", async () => {
    emulator.faults.add({ kind: "status", operation: "getSessionInfo", status: 500, count: "always" });
    const looks = () => emulator.journal().filter(({ operation }) => operation === "getSessionInfo").length;
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    await program.line(/Now waiting/);
    const before = looks();
    await until("it has looked twice", () => looks() >= before + 2);
    expect(program.printed.stdout).not.toMatch(/released, because/);

    emulator.faults.clear();
    await emulator.advance(65_000);
    const { code, stdout } = await program.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/on a released session: success false/);
    emulator.expectNoLiveSessions();
  });

  it("deletes the session when it still runs code after its release", async () => {
    const body = { success: true, code: "ok", requestId: "r", data: { status: "FINISH" } };
    emulator.faults.add({ kind: "status", operation: "getSessionInfo", status: 200, body, count: "always" });
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    const { code, stderr, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.not.stringContaining("No session is left") });
    expect(stderr).toMatch(/still runs code/);
    emulator.expectNoLiveSessions();
  });

  it("deletes its sessions when its terminal is closed", async () => {
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    await program.line(/Now waiting/);
    program.child.stdout?.destroy();
    program.child.stderr?.destroy();
    program.child.kill("SIGHUP");
    expect((await program.ended).code).toBe(129);
    emulator.expectNoLiveSessions();
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("deletes its sessions on %s while it waits", async (signal, expected) => {
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    await program.line(/Now waiting/);
    program.child.kill(signal);
    const { code, stdout } = await program.ended;
    expect(code).toBe(expected);
    expect(stdout).toMatch(/deleted session\S+$/m);
    emulator.expectNoLiveSessions();
  });

  it("deletes its sessions on SIGINT while it works, and also when it comes twice", async () => {
    emulator.faults.add({ operation: "releaseSessionAsync", kind: "delay", ms: 3_000 });
    const before = emulator.sessions().length;
    const program = startNode(PROGRAM, ["--cloud"], emulator.env);
    // The session is made; the program may not even know it yet.
    await until("its session is there", () => emulator.sessions().length > before);
    program.child.kill("SIGINT");
    await program.line(/deleting what is left/);
    program.child.kill("SIGINT");
    await program.line(/still deleting/);
    expect((await program.ended).code).toBe(130);
    emulator.expectNoLiveSessions();
  });
});
