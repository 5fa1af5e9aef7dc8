import { AGB, CreateSessionParams, Emulator } from "agbcloud-native";

let emulator: Emulator;
let agb: AGB;

beforeAll(async () => {
  emulator = await Emulator.start();
  agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
});

afterAll(async () => {
  await emulator.close();
});

test("a session is released when nobody uses it for its idle timeout", async () => {
  const created = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 60 }));
  if (!created.session) throw new Error(created.errorMessage);

  const run = await created.session.code.run("print(6 * 7)", "python");
  expect(run.logs.stdout.join("")).toBe("42\n");

  await emulator.advance(66_000); // 66 seconds of the emulator's time, at once
  const late = await created.session.keepAlive();
  expect(late.success).toBe(false);
  expect(late.errorMessage).toContain("not found");
});

test("no session is left over", () => {
  emulator.expectNoLiveSessions();
});
