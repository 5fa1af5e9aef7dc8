/**
 * What a session's browser has from contexts: its extensions, its cookies and its
 * fingerprint. One file, so one test at a time: with plain
 * isolation the places of these mounts are this machine's.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  BrowserContext,
  BrowserFingerprintContext,
  type BrowserOption,
  ExtensionOption,
  ExtensionsService,
  FingerprintFormat,
  type Session,
} from "agbcloud-native";
import { useEmulator } from "./support/emulator";
import { needs, noChromium } from "./support/needs";
import { chromium, firstPage } from "./support/playwright";
import { must } from "./support/session";
import { zipOf } from "./support/zip";

const IMAGE = "agb-browser-use-1";
const FOLDER = "/tmp/extensions";
const withChromium = needs(noChromium);

const spec = useEmulator();
let site: Server;
let address: string;
/** A fresh directory of this machine. */
let here: string;
let last = 0;

beforeAll(async () => {
  here = mkdtempSync(join(tmpdir(), "agb-browser-context-"));
  site = createServer((request, response) => {
    const age = request.url === "/forget" ? 0 : 3600;
    response.writeHead(200, { "Content-Type": "text/html", "Set-Cookie": `seen=yes; Max-Age=${age}` });
    response.end(`<title>${request.headers.cookie ?? "none"}</title>`);
  });
  await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
});
afterAll(() => {
  rmSync(here, { recursive: true, force: true });
  site.closeAllConnections();
  site.close();
});

async function freshContext(): Promise<string> {
  last += 1;
  const { context } = must(await spec.agb.context.create(`browser-context-${last}`));
  return context?.id ?? "";
}

const createWith = (browserContext: BrowserContext) => spec.create({ imageId: IMAGE, browserContext });

describe("extensions", () => {
  const service = () => new ExtensionsService(spec.agb, `extensions-${++last}`);

  function zipFile(name: string, content: Buffer | string): string {
    const path = join(here, name);
    writeFileSync(path, content);
    return path;
  }

  const manifest = {
    manifest_version: 3,
    name: "One",
    version: "1",
    content_scripts: [{ matches: ["<all_urls>"], js: ["js/mark.js"] }],
  };
  const FILES = { "manifest.json": JSON.stringify(manifest), "js/mark.js": "document.title = 'marked';" };

  const contextWith = async (ids: string[], contextId: string) =>
    new BrowserContext(await freshContext(), true, new ExtensionOption(contextId, ids));

  it("the chosen extensions arrive as directories, and the browser's context with them", async () => {
    const extensions = service();
    const one = await extensions.create(zipFile("one.zip", zipOf(FILES)));
    const unchosen = await extensions.create(zipFile("other.zip", zipOf(FILES)));
    const noZip = await extensions.create(zipFile("text.zip", "this is no zip file"));
    const context = await contextWith([one.id, noZip.id], extensions.contextId);

    const created: Session[] = [];
    const requests = await spec.requestsOf(async () => {
      created.push(await createWith(context));
    });
    const session = created[0] as Session;
    const request = requests.find(({ operation }) => operation === "createSession");
    const sent = JSON.parse(JSON.stringify(request?.body ?? {})).persistenceDataList as {
      contextId: string;
      path: string;
      policy: string;
    }[];
    expect(sent.map(({ contextId, path }) => [contextId, path])).toEqual([
      [extensions.contextId, "/tmp/extensions/"],
      [context.contextId, "/tmp/agb_browser_data"],
    ]);
    expect(JSON.parse(sent[0]?.policy ?? "")).toMatchObject({
      uploadPolicy: { autoUpload: false },
      deletePolicy: { syncLocalFile: false },
      bwList: {
        whiteLists: [
          { path: one.id, excludePaths: [] },
          { path: noZip.id, excludePaths: [] },
        ],
      },
    });

    const run = async (command: string) => must(await session.command.execute(command, 60_000)).stdout;
    const directory = one.id.replace(/\.zip$/, "");
    expect(await run(`cat ${FOLDER}/${directory}/manifest.json`)).toBe(FILES["manifest.json"]);
    expect(await run(`cat ${FOLDER}/${directory}/js/mark.js`)).toBe(FILES["js/mark.js"]);
    expect((await run(`ls ${FOLDER}`))?.trim().split("\n").sort()).toEqual([directory, noZip.id].sort());
    await session.delete();

    // Nothing has come back, and nothing has gone.
    const ids = (await extensions.list()).map(({ id }) => id);
    expect(ids.sort()).toEqual([one.id, unchosen.id, noZip.id].sort());
    await extensions.cleanup();
  }, 120_000);

  withChromium.it(
    "they are loaded",
    async () => {
      const extensions = service();
      const { id } = await extensions.create(zipFile("one.zip", zipOf(FILES)));
      const session = await createWith(await contextWith([id], extensions.contextId));
      expect(await session.browser.initialize({})).toBe(true);

      const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      const page = firstPage(remote);
      await session.browser.agent.navigate(address);
      await page.waitForFunction("document.title === 'marked'");
      await remote.close();
      await session.delete();
      await extensions.cleanup();
    },
    120_000,
  );
});

withChromium.describe("a browser with a context", () => {
  /** What a session's browser has of the site, at its first visit. */
  async function visit(session: Session): Promise<{ cookie: string; stored: unknown }> {
    expect(await session.browser.initialize({})).toBe(true);
    await session.browser.agent.navigate(address);
    const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
    const page = firstPage(remote);
    const seen = { cookie: await page.title(), stored: await page.evaluate("localStorage.getItem('kept')") };
    await page.evaluate("localStorage.setItem('kept', 'here')");
    await remote.close();
    return seen;
  }
  it.each([true, false])(
    "keeps its cookies for the next session (delete with sync: %p)",
    async (syncContext) => {
      const [context, other] = [await freshContext(), await freshContext()];
      const first = await createWith(new BrowserContext(context));
      expect(await visit(first)).toEqual({ cookie: "none", stored: null });
      expect(await first.delete(syncContext)).toMatchObject({ success: true });

      const second = await createWith(new BrowserContext(context));
      // The mount's white list names the cookies, and not what pages store.
      expect(await visit(second)).toEqual({ cookie: "seen=yes", stored: null });
      expect(await second.delete()).toMatchObject({ success: true });

      const stranger = await createWith(new BrowserContext(other));
      expect(await visit(stranger)).toEqual({ cookie: "none", stored: null });
      await stranger.delete();
    },
    180_000,
  );

  it("keeps what is synchronised only, where nothing is stored at the end", async () => {
    const context = new BrowserContext(await freshContext(), false);
    const first = await createWith(context);
    await visit(first);
    // It writes its cookies at the latest when it stops.
    await first.browser.destroy();
    expect(await first.delete(true)).toMatchObject({ success: true });
    const second = await createWith(context);
    expect(await visit(second)).toMatchObject({ cookie: "seen=yes" });
    await second.browser.agent.navigate(`${address}forget`);
    await second.delete();
    const third = await createWith(context);
    expect(await visit(third)).toMatchObject({ cookie: "seen=yes" });
    await third.delete();
  }, 180_000);

  it("keeps a fingerprint for the next session, where it is stored before the release", async () => {
    const fingerprintContext = new BrowserFingerprintContext(await freshContext());
    const browserContext = new BrowserContext(await freshContext(), false, undefined, fingerprintContext);
    /** The user agent of a new session's browser. */
    const agentOf = async (option: BrowserOption, syncContext: boolean): Promise<unknown> => {
      const session = await createWith(browserContext);
      expect(await session.browser.initialize({ ...option, fingerprintPersistent: true })).toBe(true);
      const remote = await chromium.connectOverCDP(await session.browser.getEndpointUrl());
      const agent = await firstPage(remote).evaluate("navigator.userAgent");
      await remote.close();
      expect(await session.delete(syncContext)).toMatchObject({ success: true });
      return agent;
    };
    const ofSystem = (system: "windows" | "macos") => ({ fingerprint: { operatingSystems: [system] } });
    // Its mount stores nothing by itself.
    expect(await agentOf(ofSystem("macos"), false)).toContain("Mac");
    const windows = await agentOf(ofSystem("windows"), true);
    expect(windows).toContain("Windows");
    const raw = { fingerprint: { navigator: { userAgent: "Given/1" } }, headers: {} };
    expect(await agentOf({ fingerprintFormat: FingerprintFormat.fromDict(raw) }, true)).toBe(windows);
    expect(await agentOf({}, true)).toBe(windows);
  }, 180_000);
});
