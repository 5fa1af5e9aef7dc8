// @one-isolation: what is tested is the process that calls, not how its sessions are kept apart.

import type { Emulator } from "agbcloud-native";
import { startEmulator, withEmulator } from "./support/emulator";
import { processesWith, runModule, runNode, sleepMark } from "./support/processes";
import { until } from "./support/wait";

const STRESS_ROUNDS = 20;

let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator?.close());

describe("a program", () => {
  it("ends by itself with a session and an emulator open, and leaves nothing running", async () => {
    const mark = sleepMark();
    const { code, signal, stdout, stderr } = await runNode("__test__/programs/exits.mjs", [mark]);
    expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: "42\n", stderr: "" });
    await until("its sessions' processes are gone", () => processesWith(`sleep ${mark}`).length === 0);
  });

  it("is held by a pending call, and by nothing after it", async () => {
    const { code, stdout } = await runNode("__test__/programs/pending.mjs", [], emulator.env);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "main is over\ndone\n" });
  });

  it("is not held by a client that has never called", async () => {
    const { code, stdout } = await runModule(
      'import { AGB } from "agbcloud-native"; new AGB("key"); console.log("over");',
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: "over\n" });
  });

  it("may call process.exit with calls in flight", async () => {
    const { code, signal } = await runModule(
      `import { AGB } from "agbcloud-native";
       const { session } = await new AGB().create({ imageId: "agb-code-space-1" });
       for (let i = 0; i < 50; i += 1) session.command.execute("sleep 0.5", 30_000);
       setTimeout(() => process.exit(7), 100);`,
      emulator.env,
    );
    expect({ code, signal }).toEqual({ code: 7, signal: null });
  });

  it("sees no unhandled rejection when the service is gone", async () => {
    const { code, stdout, stderr } = await runModule(
      `import { AGB, Emulator } from "agbcloud-native";
       process.on("unhandledRejection", (reason) => { console.log("unhandled", reason); process.exitCode = 9; });
       const emulator = await Emulator.start();
       const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
       const { session } = await agb.create({ imageId: "agb-code-space-1" });
       const calls = Array.from({ length: 20 }, () => session.command.execute("sleep 5", 30_000));
       const listed = agb.list();
       await emulator.close();
       const results = await Promise.all([...calls, listed, session.keepAlive(), agb.delete(session)]);
       console.log(results.every(({ success, errorMessage }) => success || errorMessage !== ""));`,
    );
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: "true\n" });
  });
});

describe("worker threads", () => {
  it("use the package like the main thread, and end by themselves", async () => {
    const { code, stdout, stderr } = await runNode("__test__/programs/worker.mjs");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual(["14", "28", "42"].map((answer) => ({ answers: [answer], code: 0 })));
  });

  it(`may be terminated with calls in flight, ${STRESS_ROUNDS} times out of ${STRESS_ROUNDS}`, async () => {
    await withEmulator({}, async (stressed) => {
      for (let round = 1; round <= STRESS_ROUNDS; round += 1) {
        const { code, signal, stdout, stderr } = await runNode("__test__/programs/stress.mjs", [], stressed.env);
        expect({ round, code, signal, stderr }).toEqual({ round, code: 0, signal: null, stderr: "" });
        const { inFlight, success, result } = JSON.parse(stdout);
        expect({ success, result }).toEqual({ success: true, result: "42" });
        expect(Math.min(...inFlight)).toBeGreaterThan(0);
      }
      stressed.expectNoLiveSessions();
    });
  }, 600_000);
});
