import { AGB, CreateSessionParams, Emulator, type Session } from "agbcloud-native";

/** The code under test. */
async function total(session: Session, numbers: number[]): Promise<number> {
  const run = await session.code.run(`sum(${JSON.stringify(numbers)})`, "python");
  if (!run.success) throw new Error(run.errorMessage);
  return Number(run.results[0]?.text);
}

describe("total", () => {
  let emulator: Emulator;
  let agb: AGB;
  let session: Session;

  beforeAll(async () => {
    emulator = await Emulator.start();
    agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
  });
  afterAll(() => emulator.close());

  beforeEach(async () => {
    const created = await agb.create(new CreateSessionParams({ imageId: "agb-code-space-1", idleReleaseTimeout: 60 }));
    if (!created.session) throw new Error(created.errorMessage);
    session = created.session;
  });
  afterEach(async () => {
    await agb.delete(session);
    emulator.expectNoLiveSessions(); // names every session that a test forgot
  });

  it("adds", async () => {
    expect(await total(session, [1, 2, 39])).toBe(42);
  });

  it("says why it can't when its session was released", async () => {
    await emulator.advance(65_000); // nobody calls for 65 s of the emulator's time; takes moments
    expect((await session.keepAlive()).success).toBe(false);
    await expect(total(session, [1])).rejects.toThrow("not found");
  });
});
