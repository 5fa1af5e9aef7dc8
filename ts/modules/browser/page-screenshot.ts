/**
 * The picture of a Playwright page: the one thing about browsers that only JavaScript can do, as the page is the
 * caller's object.
 */

/** What is needed of a Playwright page. */
interface Page {
  evaluate(script: string): Promise<unknown>;
  waitForLoadState(state: "domcontentloaded"): Promise<void>;
  waitForTimeout(ms: number): Promise<void>;
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  screenshot(options: Record<string, unknown>): Promise<Uint8Array>;
}

const TIMEOUT_MS = 60_000;
const MAX_SCROLLS = 8;
const SCROLL_PAUSE_MS = 1200;
const LAST_PAUSE_MS = 1500;
const WIDTH = 1920;
const MAX_HEIGHT = 10_000;

// As text, so that nothing that instruments functions gets into the page.
const SCROLL_DOWN = "window.scrollTo(0, document.body.scrollHeight)";
const HEIGHT = "document.body.scrollHeight";
const FULL_HEIGHT = "Math.max(document.body.scrollHeight, document.documentElement.scrollHeight)";
const LOAD_LAZY = `
  for (const image of document.querySelectorAll("img[data-src]")) {
    if (!image.src) image.src = image.dataset.src;
  }
  for (const element of document.querySelectorAll("[data-bg]")) {
    if (!element.style.backgroundImage) element.style.backgroundImage = "url(" + JSON.stringify(element.dataset.bg) + ")";
  }
`;

/**
 * Scrolls down until nothing more is loaded, then takes the picture.
 * @throws {Error} without a page, and when the picture can't be taken
 */
export async function screenshotOf(
  page: unknown,
  fullPage: boolean,
  options: Record<string, unknown>,
): Promise<Uint8Array> {
  if (page === undefined || page === null) throw new Error("Page cannot be null or undefined");
  try {
    return await scrollAndTake(page as Page, fullPage, options);
  } catch (error) {
    const why = (error as Error | undefined)?.message ?? String(error);
    throw new Error(`Failed to capture screenshot: ${why}`, { cause: error });
  }
}

async function scrollAndTake(page: Page, fullPage: boolean, options: Record<string, unknown>): Promise<Uint8Array> {
  await page.evaluate(SCROLL_DOWN);
  await page.waitForLoadState("domcontentloaded");
  await scrollToTheEnd(page);
  await page.evaluate(LOAD_LAZY);
  await page.waitForTimeout(LAST_PAUSE_MS);
  const height = Number(await page.evaluate(FULL_HEIGHT)) || MAX_HEIGHT;
  await page.setViewportSize({ width: WIDTH, height: Math.min(height, MAX_HEIGHT) });
  return page.screenshot({
    animations: "disabled",
    caret: "hide",
    scale: "css",
    fullPage,
    ...options,
    timeout: options.timeout || TIMEOUT_MS,
    type: options.type || "png",
  });
}

async function scrollToTheEnd(page: Page): Promise<void> {
  let last = await page.evaluate(HEIGHT);
  for (let round = 0; round < MAX_SCROLLS; round++) {
    await page.evaluate(SCROLL_DOWN);
    await page.waitForTimeout(SCROLL_PAUSE_MS);
    const height = await page.evaluate(HEIGHT);
    if (height === last) return;
    last = height;
  }
}
