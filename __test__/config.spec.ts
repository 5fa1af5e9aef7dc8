/** Configuration on its own: what `loadConfig` and `defaultConfig` resolve to. */

import { AGB, AGBError, defaultConfig, loadConfig } from "agbcloud-native";
import { ok, reply, withServer } from "./support/answers";
import { inDirectory, withoutAgbVariables } from "./support/environment";

withoutAgbVariables();

const DEFAULTS = { endpoint: "sdk-api.agb.cloud", timeoutMs: 60_000 };

it("defaultConfig is the public service and a minute, whatever is set", () => {
  Object.assign(process.env, { AGB_ENDPOINT: "env.example", AGB_TIMEOUT_MS: "5" });
  expect(defaultConfig()).toEqual(DEFAULTS);
  const changed = defaultConfig();
  changed.endpoint = "mine";
  expect(defaultConfig()).toEqual(DEFAULTS);
});

it("loadConfig without anything set is the default", () => {
  inDirectory({}, () => {
    expect(loadConfig()).toEqual(DEFAULTS);
    expect(loadConfig({})).toEqual(DEFAULTS);
    expect(loadConfig(undefined, undefined)).toEqual(DEFAULTS);
    expect(loadConfig(null as never, null as never)).toEqual(DEFAULTS);
  });
});

it("loadConfig prefers code to environment to .env to the default", () => {
  inDirectory({ ".env": "AGB_ENDPOINT=dot.example\nAGB_TIMEOUT_MS=1000\n" }, () => {
    expect(loadConfig()).toEqual({ endpoint: "dot.example", timeoutMs: 1000 });
    process.env.AGB_TIMEOUT_MS = "2000";
    expect(loadConfig()).toEqual({ endpoint: "dot.example", timeoutMs: 2000 });
    process.env.AGB_ENDPOINT = "env.example";
    expect(loadConfig({ timeoutMs: 3000 })).toEqual({ endpoint: "env.example", timeoutMs: 3000 });
    expect(loadConfig({ endpoint: "code.example" })).toEqual({ endpoint: "code.example", timeoutMs: 2000 });
  });
});

it("loadConfig reads the file that it is told, and names one that can't be read", () => {
  inDirectory({ ".env": "AGB_ENDPOINT=dot.example", "other.env": "AGB_TIMEOUT_MS=7000" }, (directory) => {
    expect(loadConfig({}, `${directory}/other.env`)).toEqual({ endpoint: "sdk-api.agb.cloud", timeoutMs: 7000 });
    expect(() => loadConfig({}, "absent.env")).toThrow(AGBError);
    expect(() => loadConfig({}, "absent.env")).toThrow(/absent\.env/);
  });
});

it("loadConfig needs no key and leaves the environment alone", () => {
  inDirectory({ ".env": "AGB_ENDPOINT=dot.example\nSPEC_OTHER=1" }, () => {
    const before = { ...process.env };
    loadConfig();
    expect({ ...process.env }).toEqual(before);
  });
});

it.each(["many", "-1", "0", "NaN"])("refuses AGB_TIMEOUT_MS=%s wherever it comes from, and names it", (text) => {
  inDirectory({ ".env": `AGB_TIMEOUT_MS=${text}` }, () => {
    expect(() => loadConfig()).toThrow(AGBError);
    expect(() => loadConfig()).toThrow(text);
    expect(loadConfig({ timeoutMs: 5 }).timeoutMs).toBe(5);
  });
});

it("the variable AGB_API_ENDPOINT means nothing, as in the reference", () => {
  inDirectory({}, () => {
    process.env.AGB_API_ENDPOINT = "wrong.example";
    expect(loadConfig()).toEqual(DEFAULTS);
  });
});

it("a bare host is reached by https, an URL as it is written", async () => {
  await withServer(
    (_, response) => reply(response, 200, ok([])),
    async ({ url, requests }) => {
      const bare = new AGB({ apiKey: "k", config: { endpoint: new URL(url).host, timeoutMs: 5000 } });
      // The server speaks no TLS: reaching it by https must fail.
      expect(await bare.list()).toMatchObject({ success: false });
      expect(requests).toEqual([]);
      expect(bare.config.endpoint).toBe(new URL(url).host);
      const full = new AGB({ apiKey: "k", config: { endpoint: url } });
      expect(await full.list()).toMatchObject({ success: true });
      expect(requests).toHaveLength(1);
    },
  );
});
