/**
 * Takes the fingerprint of a browser on this machine: drives Playwright, which only JavaScript can do. Playwright is
 * the caller's: `playwright` or `playwright-core`, whichever is installed.
 */

import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { errorOf } from "../../errors";
import { logWarn } from "../../logger";
import { native } from "../../native";
import { isFailure } from "../../support/call";
import { FingerprintFormat } from "./fingerprint";
import { FINGERPRINT_SCRIPT } from "./fingerprint-script";

/** What is needed of Playwright. */
interface Page {
  evaluate(script: string): Promise<unknown>;
  goto(url: string): Promise<{ json(): Promise<unknown> } | null>;
}

interface LocalBrowser {
  newContext(options: { viewport: null }): Promise<{ newPage(): Promise<Page> }>;
  close(): Promise<void>;
}

interface Playwright {
  chromium: { launch(options: Record<string, unknown>): Promise<LocalBrowser> };
}

const PACKAGES = ["playwright", "playwright-core"];
const DEFAULT_FILE = "fingerprint_output.json";

/** The headers that tell browsers apart. */
const HEADERS = [
  "sec-ch-ua",
  "sec-ch-ua-mobile",
  "sec-ch-ua-platform",
  "upgrade-insecure-requests",
  "user-agent",
  "accept",
  "sec-fetch-site",
  "sec-fetch-mode",
  "sec-fetch-user",
  "sec-fetch-dest",
  "accept-encoding",
  "accept-language",
];

/** Makes fingerprints of a browser on this machine, for `BrowserOption.fingerprintFormat`. Nobody else is asked. */
export class BrowserFingerprintGenerator {
  readonly #headless: boolean;
  readonly #useChromeChannel: boolean;

  /**
   * `headless` (default false); `useChromeChannel` (default true) takes Google Chrome, else Playwright's Chromium. The
   * browser that `CHROMIUM_PATH` names comes before both.
   */
  constructor(options: { headless?: boolean; useChromeChannel?: boolean } = {}) {
    this.#headless = options?.headless ?? false;
    this.#useChromeChannel = options?.useChromeChannel ?? true;
  }

  /** The fingerprint; null when it can't be taken, which is logged as a warning with what to do. */
  async generateFingerprint(): Promise<FingerprintFormat | null> {
    try {
      return await this.#generate();
    } catch (error) {
      logWarn(`The fingerprint could not be taken: ${messageOf(error)}`);
      return null;
    }
  }

  /** The same, written to a file as JSON; false when that can't be done. */
  async generateFingerprintToFile(outputFilename = DEFAULT_FILE): Promise<boolean> {
    const format = await this.generateFingerprint();
    if (!format) return false;
    try {
      await writeFile(outputFilename, format.toJson(), "utf8");
      return true;
    } catch (error) {
      logWarn(`The fingerprint could not be written: ${messageOf(error)}`);
      return false;
    }
  }

  /** What a page can learn of its browser, for `FingerprintFormat.fromDict`. */
  // biome-ignore lint/suspicious/noExplicitAny: a Playwright page of any version; the surface has the same type
  async extractFingerprintData(page: any): Promise<Record<string, unknown>> {
    return (await (page as Page).evaluate(FINGERPRINT_SCRIPT)) as Record<string, unknown>;
  }

  /** The headers that the page's browser sends when it opens an address; none after any error. */
  // biome-ignore lint/suspicious/noExplicitAny: a Playwright page of any version; the surface has the same type
  async extractHeadersData(page: any): Promise<Record<string, string>> {
    try {
      const echo = await native.startHeaderEcho();
      if (isFailure(echo)) throw errorOf(echo);
      const response = await (page as Page).goto(echo.url);
      if (!response) throw new Error("the page gave no answer");
      const { headers } = (await response.json()) as { headers: Record<string, string> };
      return Object.fromEntries(HEADERS.filter((name) => headers[name]).map((name) => [name, headers[name] ?? ""]));
    } catch (error) {
      logWarn(`The headers of the browser could not be read: ${messageOf(error)}`);
      return {};
    }
  }

  async #generate(): Promise<FingerprintFormat> {
    const browser = await loadPlaywright().chromium.launch({
      headless: this.#headless,
      // Chromium refuses to run as root with its sandbox.
      args: ["--start-maximized", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
      ...this.#whichBrowser(),
    });
    try {
      const context = await browser.newContext({ viewport: null });
      const page = await context.newPage();
      const fingerprint = await this.extractFingerprintData(page);
      const headers = await this.extractHeadersData(page);
      return FingerprintFormat.fromDict({ fingerprint, headers });
    } finally {
      await browser.close();
    }
  }

  #whichBrowser(): { executablePath?: string; channel?: string } {
    const executablePath = process.env.CHROMIUM_PATH;
    if (executablePath) return { executablePath };
    return this.#useChromeChannel ? { channel: "chrome" } : {};
  }
}

/** The Playwright of the program, or of this package. */
function loadPlaywright(): Playwright {
  const places = [createRequire(join(process.cwd(), "package.json")), require];
  for (const load of places) {
    for (const name of PACKAGES) {
      const found = installed(load, name);
      if (found) return load(found) as Playwright;
    }
  }
  throw new Error(`Playwright is not installed; run \`npm install ${PACKAGES[1]}\``);
}

function installed(load: NodeJS.Require, name: string): string | undefined {
  try {
    return load.resolve(name);
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return (error as Error | undefined)?.message ?? String(error);
}
