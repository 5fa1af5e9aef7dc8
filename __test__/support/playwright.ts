/**
 * Playwright, with the types of what the specs use: its own need the types of a browser's page, which the specs are
 * compiled without.
 */

/** A page of a browser. */
export interface Page {
  title(): Promise<string>;
  evaluate(script: string): Promise<unknown>;
  waitForFunction(script: string): Promise<unknown>;
  close(): Promise<void>;
}

/** A browser, started or connected to. */
export interface RemoteBrowser {
  contexts(): { pages(): Page[] }[];
  newPage(): Promise<Page>;
  newBrowserCDPSession(): Promise<{ send(method: string): Promise<unknown> }>;
  isConnected(): boolean;
  once(event: "disconnected", listener: () => void): void;
  close(): Promise<void>;
}

interface Playwright {
  chromium: {
    connectOverCDP(url: string): Promise<RemoteBrowser>;
    launch(options: { executablePath?: string; args: string[] }): Promise<RemoteBrowser>;
  };
}

export const { chromium } = require("playwright-core") as Playwright;

/** The first page of the first context, which a session's browser always has. */
export function firstPage(browser: RemoteBrowser): Page {
  const page = browser.contexts()[0]?.pages()[0];
  if (!page) throw new Error("the browser has no page");
  return page;
}
