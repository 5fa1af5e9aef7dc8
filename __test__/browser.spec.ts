/** A session's browser: a real Chromium, and what is said without one. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  BrowserError,
  BrowserFingerprintGenerator,
  type Browser as BrowserModule,
  BrowserOptionClass,
  type Emulator,
  FingerprintFormat,
  type Session,
} from "agbcloud-native";
import { reply, withServer } from "./support/answers";
import { clientOf, sessionOf, useEmulator, withEmulator } from "./support/emulator";
import { CHROMIUM, needs, noChromium } from "./support/needs";
import { chromium, firstPage, type RemoteBrowser } from "./support/playwright";
import { allGone, processesWith, startNode } from "./support/processes";
import { must } from "./support/session";
import { until } from "./support/wait";

const IMAGE = "agb-browser-use-1";
const withChromium = needs(noChromium);

const PAGE = `<!doctype html><title>Shop</title><body style="margin:0;height:3000px;background:teal">
<h1 style="margin:0">Hello</h1><img data-src="/late.png"><p data-bg="/back.png">x</p></body>`;

const spec = useEmulator();

/** A session of the browser image. */
const create = () => spec.create({ imageId: IMAGE });

describe("before it is initialized", () => {
  let browser: BrowserModule;
  let session: Session;

  beforeAll(async () => {
    session = await create();
    browser = session.browser;
  });
  afterAll(() => session.delete());

  it("says so, by what was tried, and sends nothing", async () => {
    const requests = await spec.requestsOf(async () => {
      for (const [call, message] of [
        [() => browser.destroy(), "Browser is not initialized. Cannot destroy browser."],
        [() => browser.getEndpointUrl(), "Browser is not initialized. Cannot access endpoint URL."],
        [() => browser.screenshot({}), "Browser must be initialized before calling screenshot."],
        [() => browser.agent.navigate("x"), "Browser must be initialized before calling navigate."],
        [() => browser.agent.screenshot(), "Browser must be initialized before calling screenshot."],
        [() => browser.agent.act({ action: "x" }), "Browser must be initialized before calling act."],
        [() => browser.agent.actAsync({ action: "x" }), "Browser must be initialized before calling actAsync."],
        [() => browser.agent.observe({ instruction: "x" }), "Browser must be initialized before calling observe."],
        [
          () => browser.agent.extractAsync({ instruction: "x", schema: {} }),
          "Browser must be initialized before calling extractAsync.",
        ],
      ] as [() => Promise<unknown>, string][]) {
        await expect(call()).rejects.toMatchObject({ name: "BrowserError", message });
      }
    });

    expect(requests).toEqual([]);
    expect([browser.isInitialized(), browser.getOption()]).toEqual([false, null]);
  });

  it("is not initialized by options that can't be used, and nothing is sent", async () => {
    const requests = await spec.requestsOf(async () => {
      for (const option of [
        { browserType: "firefox" },
        { cmdArgs: "--x" },
        { proxies: [{ type: "tunnel" }] },
        { proxies: [1, 2] },
        "chrome",
      ]) {
        expect(await browser.initialize(option as never)).toBe(false);
      }
    });

    expect(requests).toEqual([]);
  });
});

it("is not on a code image, and initialize gives false", async () => {
  const session = await spec.create();
  const requests = await spec.requestsOf(async () => {
    expect(await session.browser.initialize({})).toBe(false);
  });

  expect(requests).toMatchObject([{ path: "/browser/init", status: 400, success: false }]);
  await session.delete();
});

it("says what to install where there is no Chromium", async () => {
  await withEmulator({ chromium: "/no/such/chromium" }, async (emulator, agb) => {
    const { session } = await agb.create({ imageId: IMAGE });

    expect(await session?.browser.initialize({})).toBe(false);
    const answer = await fetch(`${emulator.url}/browser/init?sessionId=${session?.getSessionId()}`, {
      method: "POST",
      headers: { authorization: `Bearer ${emulator.apiKey}` },
    });
    const { message } = (await answer.json()) as { message: string };
    expect([answer.status, message]).toEqual([501, expect.stringContaining("/no/such/chromium")]);
  });
});

describe("on the wire", () => {
  /** Runs `work` with a session of a service that answers the browser's endpoints as `answers` say. */
  async function withService(
    answers: Record<string, (index: number) => unknown>,
    work: (session: Session, requests: { path: string; query: URLSearchParams; body: string }[]) => Promise<void>,
  ): Promise<void> {
    const counts: Record<string, number> = {};
    await withServer(
      ({ path }, response) => {
        const index = counts[path] ?? 0;
        counts[path] = index + 1;
        const data = path === "/mcp/createSession" ? { sessionId: "s-1", success: true } : answers[path]?.(index);
        reply(response, 200, { success: true, code: "ok", requestId: "r", data });
      },
      async (server) => {
        const agb = clientOf({ url: server.url, apiKey: "ako-key" } as never);
        const { session } = await agb.create({ imageId: IMAGE });
        if (!session) throw new Error("no session");
        await work(session, server.requests);
      },
    );
  }

  it("one start serves calls at the same time, and a started browser stays as it is", async () => {
    await withService({ "/browser/init": () => ({ port: 7 }) }, async ({ browser }, requests) => {
      const option = new BrowserOptionClass({ useStealth: true });
      expect(await Promise.all([browser.initialize(option), browser.initializeAsync({})])).toEqual([true, true]);
      expect(await browser.initialize({ userAgent: "other" })).toBe(true);

      expect(browser.getOption()).toBe(option);
      const starts = requests.filter(({ path }) => path === "/browser/init");
      expect(starts).toHaveLength(1);
      expect(starts[0].body).toBe("{}");
      expect(Object.fromEntries(starts[0].query)).toEqual({
        sessionId: "s-1",
        persistentPath: "/tmp/agb_browser_data",
        browserOption: '{"useStealth":true,"solveCaptchas":false,"extensionPath":"/tmp/extensions/"}',
      });
    });
  });

  it("an answer without a port is no start, and it can be tried again", async () => {
    const answers = { "/browser/init": (index: number) => (index === 0 ? {} : { port: 0 }) };
    await withService(answers, async ({ browser }) => {
      expect(await browser.initialize({})).toBe(false);
      expect(browser.isInitialized()).toBe(false);
      expect(await browser.initialize({})).toBe(true);
    });
  });

  it("the address is asked for each time, as it expires", async () => {
    const answers = {
      "/browser/init": () => ({ port: 1 }),
      "/internet/getCdpLink": (index: number) => ({ url: index < 2 ? `ws://x/${index}` : "" }),
    };
    await withService(answers, async ({ browser }) => {
      await browser.initialize({});
      expect(await browser.getEndpointUrl()).toBe("ws://x/0");
      expect(await browser.getEndpointUrl()).toBe("ws://x/1");
      await expect(browser.getEndpointUrl()).rejects.toThrow(
        expect.objectContaining({ name: "BrowserError", message: "Failed to get CDP link: No URL in response" }),
      );
    });
  });

  it("a browser that could not be stopped counts as running, and one that was does not", async () => {
    const answers = {
      "/browser/init": () => ({ port: 1 }),
      "/mcp": (index: number) => ({ isError: index === 0, content: [{ type: "text", text: "it hangs" }] }),
    };
    await withService(answers, async ({ browser }) => {
      await browser.initialize({});
      const failed = await browser.destroy();
      expect(failed).toEqual({ requestId: "r", success: false, data: false, errorMessage: "it hangs" });
      expect(browser.isInitialized()).toBe(true);
      expect(await browser.destroy()).toEqual({ requestId: "r", success: true, data: true });
      expect([browser.isInitialized(), browser.getOption()]).toEqual([false, null]);
    });
  });

  it("a picture of a page goes through the page that the caller gave", async () => {
    await withService({ "/browser/init": () => ({ port: 1 }) }, async ({ browser }) => {
      await browser.initialize({});
      const calls: unknown[] = [];
      let height = 500;
      const page = {
        evaluate: async (script: string) => (script.includes("scrollHeight") ? height : undefined),
        waitForLoadState: async (state: string) => calls.push(state),
        waitForTimeout: async (ms: number) => {
          calls.push(ms);
          height = Math.min(height * 30, 20_000);
        },
        setViewportSize: async (size: unknown) => calls.push(size),
        screenshot: async (options: unknown) => {
          calls.push(options);
          return new Uint8Array([1]);
        },
      };

      expect(await browser.screenshot(page, true, { type: "jpeg", quality: 5 })).toEqual(new Uint8Array([1]));
      expect(calls).toEqual([
        "domcontentloaded",
        1200,
        1200,
        1200,
        1500,
        { width: 1920, height: 10_000 },
        {
          animations: "disabled",
          caret: "hide",
          scale: "css",
          fullPage: true,
          timeout: 60_000,
          type: "jpeg",
          quality: 5,
        },
      ]);
      await expect(browser.screenshot(null)).rejects.toThrow(new Error("Page cannot be null or undefined"));
      const broken = { evaluate: () => Promise.reject(new Error("gone")) };
      await expect(browser.screenshot(broken)).rejects.toThrow(/^Failed to capture screenshot: gone$/);
    });
  });
});

withChromium.describe("a real browser", () => {
  /** Without isolation, what other specs keep in /tmp/extensions would change the pages. */
  const NO_EXTENSIONS = "/tmp/no-extensions/";
  let site: Server;
  let address: string;

  beforeAll(async () => {
    site = createServer((request, response) => {
      response.writeHead(200, { "Content-Type": "text/html", "Set-Cookie": "seen=yes; Max-Age=3600" });
      response.end(request.url === "/cookie" ? `<title>${request.headers.cookie ?? "none"}</title>` : PAGE);
    });
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
  });
  afterAll(() => new Promise((resolve) => site.close(resolve)));

  it("is driven by Playwright and by the agent's tools alike", async () => {
    const session = await create();
    const { browser } = session;
    expect(
      await browser.initialize({
        viewport: { width: 900, height: 600 },
        userAgent: "Spec/1",
        extensionPath: NO_EXTENSIONS,
      }),
    ).toBe(true);
    const remote = await chromium.connectOverCDP(await browser.getEndpointUrl());
    const page = firstPage(remote);

    expect(await browser.agent.navigate(address)).toContain(address);
    expect(await page.title()).toBe("Shop");
    expect(await page.evaluate("navigator.userAgent")).toBe("Spec/1");

    const picture = Buffer.from(await browser.agent.screenshot({ quality: 50 }), "base64");
    expect(picture.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
    const clip = { x: 0, y: 0, width: 40, height: 30 };
    const part = Buffer.from(await browser.agent.screenshot({ fullPage: false, clip }), "base64");
    expect(part.length).toBeLessThan(picture.length);

    const png = Buffer.from(await browser.screenshot(page, true));
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([1920, 3000]);
    expect(await page.evaluate("document.querySelector('img').getAttribute('src')")).toContain("/late.png");

    expect(await browser.agent.close()).toBe(true);
    expect(await browser.destroy()).toMatchObject({ success: true, data: true });
    await session.delete();
  }, 120_000);

  describe("reached by the debugging protocol", () => {
    const disconnected = (remote: RemoteBrowser) =>
      new Promise<void>((resolve) => (remote.isConnected() ? remote.once("disconnected", resolve) : resolve()));

    it("is there for whoever has the address, which leads through the emulator", async () => {
      const session = await create();
      await session.browser.initialize({});
      const url = new URL(await session.browser.getEndpointUrl());
      const here = new URL(spec.emulator.url);
      expect([url.protocol, url.host, url.pathname]).toEqual(["ws:", here.host, `/cdp/${session.getSessionId()}`]);

      for (const wrong of ["token=", "token=x", ""]) {
        await expect(chromium.connectOverCDP(`${url.origin}${url.pathname}?${wrong}`)).rejects.toThrow("401");
      }
      const plain = await fetch(String(url).replace("ws:", "http:"));
      expect([plain.status, await plain.json()]).toEqual([400, expect.objectContaining({ code: "InvalidParameter" })]);
      await session.delete();
      await expect(chromium.connectOverCDP(String(url))).rejects.toThrow("400");
    }, 120_000);

    it("stops with the session, and with the browser", async () => {
      const session = await create();
      await session.browser.initialize({});
      const first = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      const second = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      await second.close();
      expect(await firstPage(first).evaluate("1 + 1")).toBe(2);

      await session.browser.destroy();
      await disconnected(first);
      await session.browser.initialize({});
      const third = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      await session.delete();
      await disconnected(third);
    }, 120_000);

    it("has ended when Chromium crashes, and starts again as the error says", async () => {
      const session = await create();
      await session.browser.initialize({});
      const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      const cdp = await remote.newBrowserCDPSession();
      await cdp.send("Browser.crash").catch(() => undefined);
      await disconnected(remote);
      const hasAddress = async () => Boolean(await session.browser.getEndpointUrl().catch(() => false));
      await until("the browser has ended", async () => !(await hasAddress()));
      expect(await session.browser.initialize({})).toBe(true);
      const advice = /Chromium has ended unexpectedly; destroy it, then initialize it again/;
      await expect(session.browser.agent.navigate("about:blank")).rejects.toThrow(advice);
      await expect(session.browser.getEndpointUrl()).rejects.toThrow(advice);

      expect(await session.browser.destroy()).toMatchObject({ success: true });
      expect(await session.browser.initialize({})).toBe(true);
      expect(await session.browser.agent.navigate("about:blank")).toContain("about:blank");
      await session.delete();
    }, 120_000);

    it("uses the session by what it says, and not by being open", async () => {
      await withEmulator({}, async (emulator, agb) => {
        const session = sessionOf(await agb.create({ imageId: IMAGE, idleReleaseTimeout: 300 }));
        await session.browser.initialize({});
        const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
        const page = firstPage(remote);
        const state = () => emulator.sessions().find(({ id }) => id === session.getSessionId());
        for (let round = 0; round < 3; round += 1) {
          await emulator.advance(200_000);
          expect(await page.evaluate("6 * 7")).toBe(42);
          expect(state()).toMatchObject({ state: "idle", lastCall: { operation: "cdp" } });
          expect(state()?.timeLeft).toBeGreaterThan(200);
        }

        await emulator.advance(302_000);
        await disconnected(remote);
        expect(state()?.endReason).toBe("idle timeout");

        await until("the end is in the journal", () => emulator.journal().some(({ method }) => method === "WS"));
        const lines = emulator.journal().filter(({ operation }) => operation === "cdp");
        expect(lines).toEqual([
          expect.objectContaining({ method: "GET", status: 101, success: true, resetsIdleTimer: true }),
          expect.objectContaining({ method: "WS", success: true, resetsIdleTimer: true }),
        ]);
        expect(lines[0]?.query).toEqual({ token: "***" });
        const counts = lines[1]?.body as { sent: number; received: number } | undefined;
        expect(counts?.sent).toBeGreaterThan(3);
        expect(counts?.received).toBeGreaterThan(3);
        expect(JSON.stringify(lines)).not.toContain("devtools");
      });
    }, 120_000);

    it("lets large messages through", async () => {
      const session = await create();
      await session.browser.initialize({});
      const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      const text = "x".repeat(20 << 20);
      expect(await firstPage(remote).evaluate(`"${text}".length`)).toBe(20 << 20);
      expect(await firstPage(remote).evaluate("'y'.repeat(20 << 20)")).toBe("y".repeat(20 << 20));
      await remote.close();
      await session.delete();
    }, 120_000);
  });

  it("has the same address by getLink without arguments", async () => {
    const session = await create();
    expect(await session.getLink()).toMatchObject({ success: false });
    await session.browser.initialize({});
    expect(must(await session.getLink()).data).toBe(await session.browser.getEndpointUrl());
    await session.delete();
  }, 120_000);

  it("is the screen of its session, also before it is initialized", async () => {
    const session = await create();
    const { screen } = session.computer;
    const sizes = async (format: string) => {
      const { data, mimeType, width = 0, height = 0, type } = await screen.betaTakeScreenshot(format);
      expect({ type, mimeType }).toEqual({ type: "screenshot", mimeType: `image/${format}` });
      expect(data?.length).toBeGreaterThan(1_000);
      return { width, height };
    };
    const before = await sizes("png");
    expect(before.width).toBeGreaterThan(0);
    expect(before.height).toBeGreaterThan(0);
    await expect(session.browser.agent.navigate(address)).rejects.toThrow(/initialized/);

    expect(await session.browser.initialize({ viewport: { width: 900, height: 600 } })).toBe(true);
    await session.browser.agent.navigate(address);
    expect(await sizes("png")).toMatchObject({ width: 900 });
    expect(await sizes("jpeg")).toMatchObject({ width: 900 });
    await session.delete();
  }, 120_000);

  it("says where it can't go, and which page is not there", async () => {
    const session = await create();
    const { browser } = session;
    await browser.initialize({});

    await expect(browser.agent.navigate("http://no-such-host.invalid/")).rejects.toMatchObject({
      name: "BrowserError",
      message: expect.stringMatching(/^Navigation failed: net::ERR_.* at http:\/\/no-such-host\.invalid\/$/),
    });
    await expect(browser.agent.screenshot({ pageId: "NOPE" })).rejects.toThrow(
      new BrowserError("Screenshot failed: there is no page NOPE"),
    );
    await session.delete();
  }, 120_000);

  it("keeps its cookies over a stop and a start in one session, and no session sees another's", async () => {
    const [one, other] = await Promise.all([create(), create()]);
    const cookieIn = async ({ browser }: Session) => {
      await browser.agent.navigate(`${address}cookie`);
      const remote = await chromium.connectOverCDP(await browser.getEndpointUrl());
      const title = await firstPage(remote).title();
      await remote.close();
      return title;
    };
    await Promise.all([
      one.browser.initialize({ extensionPath: NO_EXTENSIONS }),
      other.browser.initialize({ extensionPath: NO_EXTENSIONS }),
    ]);
    await one.browser.agent.navigate(address);
    expect(await cookieIn(one)).toBe("seen=yes");
    expect(await cookieIn(other)).toBe("none");

    await one.browser.destroy();
    expect(await one.browser.initialize({ extensionPath: NO_EXTENSIONS })).toBe(true);
    expect(await cookieIn(one)).toBe("seen=yes");
    await Promise.all([one.delete(), other.delete()]);
  }, 180_000);

  it("ends with its session", async () => {
    const session = await create();
    const mark = `--spec-${session.getSessionId()}`;
    await session.browser.initialize({ cmdArgs: [mark] });
    expect(processesWith(mark).length).toBeGreaterThan(0);

    await session.delete();

    await allGone(mark);
    await expect(session.browser.getEndpointUrl()).rejects.toMatchObject({ name: "BrowserError" });
    expect(session.browser.isInitialized()).toBe(true);
    expect(await session.browser.destroy()).toMatchObject({ success: false, data: false });
    expect([session.browser.isInitialized(), session.browser.getOption()]).toEqual([false, null]);
    await expect(session.browser.destroy()).rejects.toThrow("Browser is not initialized. Cannot destroy browser.");
  }, 120_000);

  it("ends with its emulator, also when that is killed", async () => {
    const program = startNode("bin/agb-emulator.js", ["--port", "0", "--json"]);
    const agb = clientOf(JSON.parse(await program.line(/^\{/)) as Emulator);
    const { session } = await agb.create({ imageId: IMAGE });
    const mark = `--spec-${session?.getSessionId()}`;
    expect(await session?.browser.initialize({ cmdArgs: [mark] })).toBe(true);
    expect(processesWith(mark).length).toBeGreaterThan(0);

    program.child.kill("SIGKILL");
    await program.ended;

    await allGone(mark);
  }, 120_000);

  it("loads the extensions that are in the session", async () => {
    const session = await create();
    const { browser, file } = session;
    // Not below the home: the browser is told where the extensions are inside the session.
    const directory = "mkdir -p $TMPDIR/extensions/one && cd $TMPDIR/extensions && pwd";
    const { output } = must(await session.command.run(directory, 30_000));
    const extensionPath = output.trim();
    const manifest = {
      manifest_version: 3,
      name: "One",
      version: "1",
      content_scripts: [{ matches: ["<all_urls>"], js: ["mark.js"] }],
    };
    await file.writeFile(`${extensionPath}/one/manifest.json`, JSON.stringify(manifest));
    await file.writeFile(`${extensionPath}/one/mark.js`, "document.title = 'marked';");
    await browser.initialize({ extensionPath });

    const remote = await chromium.connectOverCDP(await browser.getEndpointUrl());
    const page = firstPage(remote);
    await browser.agent.navigate(address);
    await page.waitForFunction("document.title === 'marked'");
    await remote.close();
    await session.delete();
  }, 120_000);

  it("gives its fingerprint, and nobody outside this machine is asked", async () => {
    const local = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-background-networking"],
    });
    try {
      const page = await local.newPage();
      const generator = new BrowserFingerprintGenerator({ headless: true });
      const fingerprint = (await generator.extractFingerprintData(page)) as { navigator: { userAgent: string } };
      const headers = await generator.extractHeadersData(page);

      expect(fingerprint).toMatchObject({ screen: { colorDepth: 24 }, navigator: { language: expect.any(String) } });
      expect(headers["user-agent"]).toBe(fingerprint.navigator.userAgent);
      expect(headers).toMatchObject({ "sec-fetch-mode": "navigate", accept: expect.stringContaining("text/html") });
      expect(Object.keys(headers)).not.toContain("host");

      await page.close();
      expect(await generator.extractHeadersData(page)).toEqual({});
    } finally {
      await local.close();
    }
  }, 120_000);

  describe("generates the fingerprint of the browser that CHROMIUM_PATH names", () => {
    const before = process.env.CHROMIUM_PATH;
    const generator = new BrowserFingerprintGenerator({ headless: true });
    let directory = "";
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "agb-fingerprint-"));
    });
    beforeEach(() => {
      process.env.CHROMIUM_PATH = CHROMIUM;
    });
    afterAll(() => {
      rmSync(directory, { recursive: true, force: true });
      if (before === undefined) delete process.env.CHROMIUM_PATH;
      else process.env.CHROMIUM_PATH = before;
    });

    it("as an object", async () => {
      const format = await generator.generateFingerprint();
      expect(format?.fingerprint).toMatchObject({
        screen: { colorDepth: 24 },
        navigator: { language: expect.any(String) },
      });
      expect(format?.headers["user-agent"]).toBe(format?.fingerprint.navigator.userAgent);
    }, 120_000);

    it("as a file, which can be loaded", async () => {
      const file = join(directory, "fingerprint.json");
      expect(await generator.generateFingerprintToFile(file)).toBe(true);
      const { fingerprint, headers } = FingerprintFormat.load(readFileSync(file, "utf8"));
      expect(fingerprint.navigator.userAgent).toMatch(/Chrom/);
      expect(headers).toHaveProperty("user-agent");
      expect(await generator.generateFingerprintToFile(join(directory, "none", "f.json"))).toBe(false);
    }, 120_000);

    it("gives nothing when there is no such browser, and writes nothing", async () => {
      process.env.CHROMIUM_PATH = join(directory, "no-chromium");
      expect(await generator.generateFingerprint()).toBeNull();
      const other = join(directory, "other.json");
      expect(await generator.generateFingerprintToFile(other)).toBe(false);
      expect(existsSync(other)).toBe(false);
    }, 120_000);
  });
});
