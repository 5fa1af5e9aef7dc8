/** Browser options, proxies and fingerprints: data that is checked here and sent as a map. No browser is needed. */

import { inspect } from "node:util";

import {
  type BrowserOption,
  BrowserOptionClass,
  BrowserProxyClass,
  type BrowserProxyType,
  FingerprintFormat,
} from "agbcloud-native";
import { withoutAgbVariables } from "./support/environment";

const PROXY = { type: "custom", server: "http://proxy:1" } as never;

describe("proxies", () => {
  const REFUSED: [string, ConstructorParameters<typeof BrowserProxyClass>, string][] = [
    ["custom without server", ["custom"], "server is required for custom proxy type"],
    ["built-in without strategy", ["built-in"], "strategy is required for built-in proxy type"],
    [
      "built-in with a strategy of managed ones",
      ["built-in", undefined, undefined, undefined, "sticky"],
      "strategy must be restricted or polling for built-in proxy type",
    ],
    [
      "polling with no proxies",
      ["built-in", undefined, undefined, undefined, "polling", 0],
      "pollsize must be greater than 0 for polling strategy",
    ],
    ["managed without strategy", ["managed"], "strategy is required for managed proxy type"],
    [
      "managed with a strategy of built-in ones",
      ["managed", undefined, undefined, undefined, "restricted", undefined, "u"],
      "strategy must be polling, sticky, rotating, or matched for managed proxy type",
    ],
    [
      "managed without user",
      ["managed", undefined, undefined, undefined, "sticky"],
      "userId is required for managed proxy type",
    ],
    [
      "matched with nothing to match",
      ["managed", undefined, undefined, undefined, "matched", undefined, "u"],
      "at least one of isp, country, province, or city is required for matched strategy",
    ],
    ["another type", ["other" as BrowserProxyType], "proxy_type must be custom, built-in, or managed"],
    ["a type of every object", ["toString" as BrowserProxyType], "proxy_type must be custom, built-in, or managed"],
  ];

  it.each(REFUSED)("refuse %s", (_, args, message) => {
    expect(() => new BrowserProxyClass(...args)).toThrow(new Error(message));
  });

  it("send what their type knows", () => {
    const custom = new BrowserProxyClass("custom", "http://p:1", "user", "secret", "polling", 3);
    expect(JSON.stringify(custom.toMap())).toBe(
      '{"type":"custom","server":"http://p:1","username":"user","password":"secret"}',
    );
    const none = undefined;
    expect(new BrowserProxyClass("built-in", none, none, none, "restricted", 3).toMap()).toEqual({
      type: "built-in",
      strategy: "restricted",
    });
    expect(new BrowserProxyClass("built-in", none, none, none, "polling").toMap()).toEqual({
      type: "built-in",
      strategy: "polling",
    });
    const managed = new BrowserProxyClass("managed", none, none, none, "matched", none, "u", "isp", "", none, "city");
    expect(JSON.stringify(managed.toMap())).toBe(
      '{"type":"managed","strategy":"matched","userId":"u","isp":"isp","city":"city"}',
    );
  });

  it("are read from plain objects", () => {
    for (const nothing of [null, undefined, {}, { type: "" }, "custom" as never]) {
      expect(BrowserProxyClass.fromMap(nothing)).toBeNull();
    }
    expect(BrowserProxyClass.fromMap({ type: "built-in", strategy: "polling", pollsize: 0 })?.toMap()).toEqual({
      type: "built-in",
      strategy: "polling",
      pollsize: 10,
    });
    expect(() => BrowserProxyClass.fromMap({ type: "tunnel" })).toThrow("Unsupported proxy type: tunnel");
  });

  it("don't show their password", () => {
    const proxy = new BrowserProxyClass("custom", "http://p:1", "user", "hunter2");

    expect(proxy.password).toBe("hunter2");
    expect(inspect({ proxies: [proxy] }, { depth: 5 })).not.toContain("hunter2");
  });
});

describe("options", () => {
  it("have defaults, and send these alone when nothing was given", () => {
    const option = new BrowserOptionClass();

    expect(JSON.stringify(option.toMap())).toBe(
      '{"useStealth":false,"solveCaptchas":false,"extensionPath":"/tmp/extensions/"}',
    );
    expect(option.fingerprintPersistent).toBe(false);
  });

  it("send everything in the service's order", () => {
    const option = new BrowserOptionClass({
      browserType: "chrome",
      defaultNavigateUrl: "chrome://version/",
      cmdArgs: [],
      extensionPath: "/x/",
      proxies: [new BrowserProxyClass("custom", "http://p:1")],
      solveCaptchas: true,
      fingerprintPersistent: true,
      fingerprint: { devices: ["desktop"], operatingSystems: ["linux"], locales: ["de"] },
      screen: { width: 3, height: 4 },
      viewport: { width: 1, height: 2 },
      userAgent: "Me/1",
      useStealth: true,
      persistentPath: "/never/sent",
    });

    expect(JSON.stringify(option.toMap())).toBe(
      '{"useStealth":true,"userAgent":"Me/1","viewport":{"width":1,"height":2},"screen":{"width":3,"height":4},' +
        '"fingerprint":{"devices":["desktop"],"operatingSystems":["linux"],"locales":["de"]},' +
        '"fingerprintPersistPath":"/tmp/agb_browser_fingerprint/fingerprint.json","solveCaptchas":true,' +
        '"proxies":[{"type":"custom","server":"http://p:1"}],"extensionPath":"/x/","cmdArgs":[],' +
        '"defaultNavigateUrl":"chrome://version/","browserType":"chrome"}',
    );
  });

  describe("and the environment", () => {
    withoutAgbVariables();

    it.each([
      ["0", false],
      ["1", true],
      ["", undefined],
    ])("AGB_BROWSER_BEHAVIOR_SIMULATE=%j gives %j", (value, simulate) => {
      process.env.AGB_BROWSER_BEHAVIOR_SIMULATE = value;
      expect(new BrowserOptionClass().toMap().behaviorSimulate).toBe(simulate);
    });
  });

  const REFUSED: [Record<string, unknown>, string][] = [
    [{ proxies: PROXY }, "proxies must be a list"],
    [{ proxies: [PROXY, PROXY] }, "proxies list length must be limited to 1"],
    [{ cmdArgs: "--a" }, "cmdArgs must be a list"],
    [{ browserType: "firefox" }, "browserType must be 'chrome' or 'chromium'"],
    [{ proxies: [{ type: "tunnel" }] }, "Unsupported proxy type: tunnel"],
    [{ proxies: [{ type: "custom" }] }, "server is required for custom proxy type"],
  ];

  it.each(REFUSED)("are refused alike as %j, however they are given", (options, message) => {
    expect(() => new BrowserOptionClass(options as Partial<BrowserOption>)).toThrow(new Error(message));
    expect(() => new BrowserOptionClass().fromMap(options)).toThrow(new Error(message));
    const changed = Object.assign(new BrowserOptionClass(), options);
    expect(() => changed.toMap()).toThrow(new Error(message));
  });

  it("are the same from a plain object, and null changes nothing", () => {
    const plain = { viewport: { width: 1, height: 2 }, proxies: [PROXY], userAgent: null };

    expect(new BrowserOptionClass().fromMap(plain).toMap()).toEqual(
      new BrowserOptionClass({ viewport: { width: 1, height: 2 }, proxies: [PROXY] }).toMap(),
    );
    const option = new BrowserOptionClass({ useStealth: true });
    expect(option.fromMap(null)).toBe(option);
    expect(option.useStealth).toBe(true);
  });

  it("drop a proxy without a type, as the reference does", () => {
    expect(new BrowserOptionClass().fromMap({ proxies: [{ server: "x" }] }).toMap()).toMatchObject({ proxies: [] });
  });

  it("take a fingerprint as an instance, a plain object or base64, and drop what can't be read", () => {
    const format = FingerprintFormat.fromDict({ fingerprint: { navigator: { userAgent: "Ünï/1" } } });
    const base64 = Buffer.from(format.toJson(), "utf8").toString("base64");
    const sent = (options: Record<string, unknown>) => new BrowserOptionClass().fromMap(options).toMap();

    for (const options of [
      { fingerprintFormat: format },
      { fingerprintFormat: format.toDict() },
      { fingerprintRawData: base64 },
    ]) {
      expect(sent(options).fingerprintRawData).toBe(base64);
    }
    for (const options of [{ fingerprintRawData: "???" }, { fingerprintFormat: "[" }, { fingerprintFormat: 7 }]) {
      expect(sent(options)).not.toHaveProperty("fingerprintRawData");
    }
    expect(sent({ fingerprintPersistPath: "/mine" }).fingerprintPersistPath).toBe(
      "/tmp/agb_browser_fingerprint/fingerprint.json",
    );
  });
});

describe("fingerprints", () => {
  it("have defaults for everything that is absent or empty", () => {
    const { fingerprint, headers } = FingerprintFormat.fromDict({ fingerprint: { screen: { colorDepth: 0 } } });

    expect(headers).toEqual({});
    expect(fingerprint.screen).toMatchObject({ colorDepth: 24, pixelDepth: 24, devicePixelRatio: 1, hasHDR: false });
    expect(fingerprint.navigator).toMatchObject({ hardwareConcurrency: 8, languages: [], userAgent: "" });
    expect(fingerprint.navigator).not.toHaveProperty("deviceMemory");
    expect(fingerprint.navigator.extraProperties).toEqual({
      vendorFlavors: [],
      isBluetoothSupported: false,
      pdfViewerEnabled: true,
      installedApps: [],
    });
    expect(fingerprint.videoCard).toEqual({ renderer: "Unknown", vendor: "Unknown" });
    expect(fingerprint).not.toHaveProperty("battery");
    expect(Object.keys(fingerprint)).toEqual([
      ..."screen navigator videoCodecs audioCodecs pluginsData videoCard multimediaDevices fonts mockWebRTC".split(" "),
    ]);
  });

  it("keep real data of other shapes than their types, and drop brands that are none", () => {
    const data = {
      fingerprint: {
        navigator: {
          userAgentData: { brands: [{ brand: "A", version: "1", more: 1 }, "B", null] },
          extraProperties: { pdfViewerEnabled: false },
        },
        pluginsData: { plugins: [1], mimeTypes: [] },
        multimediaDevices: { speakers: [] },
        battery: { charging: true },
      },
      headers: { accept: "*/*" },
    };
    const read = FingerprintFormat.load(JSON.stringify(data)).toDict();

    expect(read.fingerprint.navigator.userAgentData.brands).toEqual([{ brand: "A", version: "1" }]);
    expect(read.fingerprint.navigator.extraProperties.pdfViewerEnabled).toBe(false);
    expect(read.fingerprint).toMatchObject({
      pluginsData: { plugins: [1], mimeTypes: [] },
      multimediaDevices: { speakers: [] },
      battery: { charging: true },
    });
    expect(read.headers).toEqual({ accept: "*/*" });
    expect(FingerprintFormat.load(read).toJson()).toBe(JSON.stringify(read, null, 2));
    expect(FingerprintFormat.load(read).toJson(0)).toBe(JSON.stringify(read));
  });

  it("are made of their parts", () => {
    const { screen, navigator, videoCard } = FingerprintFormat.fromDict({}).fingerprint;

    expect(FingerprintFormat.create(screen, navigator, videoCard, { a: "b" }).toDict()).toEqual(
      FingerprintFormat.fromDict({ headers: { a: "b" } }).toDict(),
    );
  });

  it("refuse what is no object", () => {
    for (const data of [null, [], 7, undefined]) {
      expect(() => FingerprintFormat.fromDict(data as never)).toThrow("Invalid data: expected an object");
    }
    expect(() => FingerprintFormat.load("[]")).toThrow("Invalid data: expected an object");
    expect(() => FingerprintFormat.fromJson("{")).toThrow(SyntaxError);
  });
});
