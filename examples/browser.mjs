// @ts-check

/** A browser in a session, driven by Playwright: `npm install playwright-core`. No browser is needed on this machine. */

import { AGB } from "agbcloud-native";
import { chromium } from "playwright-core";

import { sessionOf, show, start } from "./support/service.mjs";

const service = await start("Browser");
const agb = new AGB();

const SHOP = `data:text/html,<title>Corner shop</title>
<input placeholder="your name"><button onclick="document.querySelector('p').textContent =
  'Good morning, ' + document.querySelector('input').value">Enter</button><p></p>`;

const session = sessionOf(await agb.create({ imageId: "agb-browser-use-1" }));
try {
  const { browser } = session;
  if (!(await browser.initialize({ viewport: { width: 1280, height: 720 } }))) {
    throw new Error("the browser did not start; the warning says why");
  }

  // The address grants access and expires: ask for it when you need it.
  const remote = await chromium.connectOverCDP(await browser.getEndpointUrl());
  const page = remote.contexts()[0]?.pages()[0];
  if (!page) throw new Error("the browser has no page");
  show("connected", `Chromium ${remote.version().split(".")[0]}`);

  await page.goto(SHOP);
  show("opened", await page.title());
  await page.getByPlaceholder("your name").fill("stranger");
  await page.getByRole("button", { name: "Enter" }).click();
  show("it says", await page.locator("p").textContent());

  // Scrolls through the page first, so that what loads late is in the picture.
  const picture = Buffer.from(await browser.screenshot(page, true));
  show("a picture", `${picture.subarray(1, 4)}, ${picture.readUInt32BE(16)} pixels wide`);

  await remote.close();
  const stopped = await browser.destroy();
  show("stopped", stopped.success);
} finally {
  await agb.delete(session);
}

await service.end();
