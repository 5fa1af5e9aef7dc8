/** Java and R in the emulator, as users run them. */

import { AGB, CreateSessionParams, Emulator, type Session } from "agbcloud-native";

import { needs, noJdk, noR } from "./support/needs";

let emulator: Emulator;
let session: Session;

beforeAll(async () => {
  emulator = await Emulator.start();
  const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
  const created = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1" }));
  if (!created.session) throw new Error(created.errorMessage);
  session = created.session;
});

afterAll(async () => {
  await emulator.close();
});

const main = (result: Awaited<ReturnType<Session["code"]["run"]>>) =>
  result.results.find(({ isMainResult }) => isMainResult)?.text;

const jdk = needs(noJdk);
const r = needs(noR);

jdk.it("Java keeps its variables between runs and shows the last value", async () => {
  const first = await session.code.run('int counter = 42;\nSystem.out.println("Java is supported");', "java");
  expect(first).toMatchObject({ success: true, errorMessage: "", results: [] });
  expect(first.logs.stdout.join("")).toBe("Java is supported\n");
  const second = await session.code.run("counter + 8", "java");
  expect([second.success, main(second)]).toEqual([true, "50"]);
  expect(second.executionTime).toBeGreaterThan(0);
});

jdk.it("a failing Java run says why, and one over its limit keeps the state", async () => {
  const failed = await session.code.run("int[] none = {}; none[1] = 2;", "java");
  expect(failed.success).toBe(false);
  expect(failed.errorMessage).toContain("ArrayIndexOutOfBoundsException");
  await session.code.run("int kept = 7;", "java");
  const late = await session.code.run("while (true) {}", "java", 1);
  expect(late).toMatchObject({ success: false });
  expect(late.errorMessage).toContain("timeout after 1 s");
  expect(main(await session.code.run("kept", "java"))).toBe("7");
});

r.it("R keeps its variables between runs, shows the last value and its plots", async () => {
  expect(await session.code.run("y <- 99", "R")).toMatchObject({ success: true, results: [] });
  const second = await session.code.run("cat(y)", "r");
  expect(second.logs.stdout.join("")).toBe("99");
  expect(main(await session.code.run("summary(c(1, 2, 3))", "r"))).toContain("Median");
  const plot = await session.code.run("plot(1:3)", "r");
  expect(plot.results[0]?.png).toMatch(/^iVBOR/);
});

r.it("a failing R run says why, and one over its limit keeps the state", async () => {
  const failed = await session.code.run("stop('no such luck')", "r");
  expect(failed.success).toBe(false);
  expect(failed.errorMessage).toContain("no such luck");
  await session.code.run("kept <- 7", "r");
  const late = await session.code.run("repeat {}", "r", 1);
  expect(late.errorMessage).toContain("timeout after 1 s");
  expect(main(await session.code.run("kept", "r"))).toBe("[1] 7");
});
