// @one-isolation: no program runs in its sessions.

/** The browser agent, which answers what a test has told the emulator, as there is no model here. */

import { AGBError, BrowserAgent, BrowserError, type Session } from "agbcloud-native";
import { useEmulator } from "./support/emulator";

const spec = useEmulator();

let session: Session;
let agent: BrowserAgent;

beforeAll(async () => {
  session = await spec.create({ imageId: "agb-browser-use-1" });
  // What the agent does is the service's matter: no browser of this machine is needed for it.
  agent = new BrowserAgent(session, { isInitialized: () => true });
});
afterEach(() => spec.emulator.scriptBrowserAgent([]));
afterAll(() => session.delete());

/** The arguments of the last tool call. */
function lastArguments(): Record<string, unknown> {
  const { body } = spec.emulator.journal().at(-1) as { body: { args: Record<string, unknown> } };
  return body.args;
}

const SCHEMA = { type: "object", properties: { price: { type: "number" } } };

describe("without a script", () => {
  it("needs a model, and says so", async () => {
    const needsModel = expect.stringContaining("needs a model");

    expect(await agent.act({ action: "buy" })).toEqual({ success: false, message: needsModel });
    expect(await agent.extract({ instruction: "price", schema: SCHEMA })).toEqual({ success: false, data: null });
    expect(await agent.observe({ instruction: "buttons" })).toEqual({ success: false, results: [] });
    for (const task of [
      agent.actAsync({ action: "buy" }),
      agent.observeAsync({ instruction: "buttons" }),
      agent.extractAsync({ instruction: "price", schema: SCHEMA }),
    ]) {
      await expect(task).rejects.toBeInstanceOf(BrowserError);
    }
    await expect(agent.actAsync({ action: "buy" })).rejects.toThrow(/^Failed to start act task: .*needs a model/);
  });
});

describe("with a script", () => {
  it("acts, in one call and as a task", async () => {
    spec.emulator.scriptBrowserAgent([
      { tool: "act", containing: "sell", error: "no seller" },
      { tool: "act", answer: "bought", pendingLooks: 2 },
    ]);

    expect(await agent.act({ action: "buy it" })).toEqual({ success: true, message: "bought" });
    expect(await agent.act({ action: "sell it" })).toEqual({ success: false, message: "no seller" });
    expect(await agent.actAsync({ action: "buy it" })).toEqual({ success: true, message: '["bought"]' });
    const looks = spec.emulator.journal().filter(({ tool }) => tool === "page_use_get_act_result");
    expect(looks).toHaveLength(3);
  });

  it("sends what was given under the tool's names, and an observed element as its method", async () => {
    spec.emulator.scriptBrowserAgent([{ tool: "act", answer: "ok" }]);

    await agent.act(
      { action: "type %a%", variables: { a: "b" }, timeout: 9, useVision: true, domSettleTimeoutMs: 3 },
      0,
      "PAGE",
    );
    expect(lastArguments()).toEqual({
      context_id: 0,
      page_id: "PAGE",
      action: "type %a%",
      variables: { a: "b" },
      timeout: 9,
      use_vision: true,
      dom_settle_timeout_ms: 3,
    });
    await agent.act({ selector: "#a", description: "a button", method: "click", arguments: { n: 1 } });
    expect(lastArguments()).toEqual({ context_id: 0, action: '{"method":"click","arguments":{"n":1}}' });
  });

  it("observes and extracts, in one call and as a task", async () => {
    const element = { selector: "#a", description: "a button", method: "click", arguments: '{"n":1}' };
    spec.emulator.scriptBrowserAgent([
      { tool: "observe", answer: [element], pendingLooks: 1 },
      { tool: "extract", answer: { price: 7 }, pendingLooks: 1 },
    ]);
    const found = { success: true, results: [{ ...element, arguments: { n: 1 } }] };

    expect(await agent.observe({ instruction: "buttons" })).toEqual(found);
    expect(await agent.observeAsync({ instruction: "buttons", timeout: 30 })).toEqual(found);
    const options = { instruction: "price", schema: SCHEMA, maxPage: 2 };
    expect(await agent.extract<{ price: number }>(options)).toEqual({ success: true, data: { price: 7 } });
    expect(lastArguments()).toEqual({
      context_id: 0,
      instruction: "price",
      field_schema: `schema: ${JSON.stringify(SCHEMA)}`,
      max_page: 2,
    });
    expect(await agent.extractAsync(options)).toEqual({ success: true, data: { price: 7 } });
  });

  it("a task that is not done in time fails by its name", async () => {
    spec.emulator.scriptBrowserAgent([{ tool: "act", answer: "late", pendingLooks: 1_000_000 }]);

    await expect(agent.actAsync({ action: "buy", timeout: 0.2 })).rejects.toMatchObject({
      name: "BrowserError",
      message: expect.stringMatching(/^Task act-task-\d+:buy timeout after 0\.2s$/),
      extra: { kind: "Timeout" },
    });
    await expect(agent.actAsync({ action: "buy", timeout: 60, waitTimeoutS: 0.1 })).rejects.toThrow(/after 0\.1s$/);
    const wrong = { action: "buy", waitTimeoutS: "1" } as never;
    await expect(agent.actAsync(wrong)).rejects.toThrow("waitTimeoutS must be a finite number, got string");
  });

  it("an answer that can't be read is an error", async () => {
    spec.emulator.scriptBrowserAgent([
      { tool: "observe", answer: "no list" },
      { tool: "extract", answer: "{" },
    ]);

    await expect(agent.observe({ instruction: "x" })).rejects.toThrow(
      new BrowserError("Failed to parse the observe result: it is not valid JSON"),
    );
    await expect(agent.extract({ instruction: "x", schema: {} })).rejects.toBeInstanceOf(BrowserError);
  });

  it("takes a script only if it can be followed", () => {
    for (const answer of [
      { tool: "dance" },
      { tool: "act", times: -1 },
      { tool: "act", pendingLooks: 0.5 },
      7,
      { tool: "act", times: "1" },
    ]) {
      expect(() => spec.emulator.scriptBrowserAgent([answer as never])).toThrow(AGBError);
    }
  });
});

it("refuses what is no object, and an address that is no text, before anything is sent", async () => {
  const requests = await spec.requestsOf(async () => {
    for (const call of [
      () => agent.act(null as never),
      () => agent.observe("x" as never),
      () => agent.extractAsync([] as never),
      () => agent.navigate(7 as never),
      () => agent.act({ action: "x" }, "0" as never),
      () => agent.observe({ instruction: "x" }, 0, 7 as never),
      () => agent.screenshot({ quality: Number.NaN }),
    ]) {
      await expect(call()).rejects.toBeInstanceOf(BrowserError);
    }
  });

  expect(requests).toEqual([]);
});

it("the page tools say that no browser runs", async () => {
  await expect(agent.navigate("http://127.0.0.1/")).rejects.toThrow(/^Navigation failed: the browser is not running/);
  await expect(agent.screenshot()).rejects.toThrow(/^Screenshot failed: the browser is not running/);
  expect(await agent.close()).toBe(true);
});

it("ends a task's looks when the session is gone", async () => {
  const gone = await spec.create({ imageId: "agb-browser-use-1" });
  await gone.delete();
  const lost = new BrowserAgent(gone, { isInitialized: () => true });

  await expect(lost.observeAsync({ instruction: "x" })).rejects.toBeInstanceOf(BrowserError);
  expect(await lost.observe({ instruction: "x" })).toEqual({ success: false, results: [] });
  expect(await lost.close()).toBe(false);
  expect(lost.toJSON()).toEqual({ sessionId: gone.getSessionId() });
});
