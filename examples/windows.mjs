// @ts-check

/** The windows of a session's desktop: find them, change their size, put them away, bring them back, close them. */

import { AGB } from "agbcloud-native";

import { openTerminal } from "./support/desktop.mjs";
import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Windows");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-computer-use-ubuntu-2204" }));
try {
  const { app, screen, window } = session.computer;

  const terminal = await openTerminal(session);
  const id = terminal.window_id ?? 0;
  show("opened", `“${terminal.title}”, ${terminal.width} × ${terminal.height} pixels`);

  succeeded(await window.maximize(id));
  succeeded(await window.restore(id));
  succeeded(await window.resize(id, 600, 400));
  show("maximized, restored", "and made about 600 × 400");

  succeeded(await window.minimize(id));
  succeeded(await window.activate(id));
  const { window: active } = succeeded(await window.getActiveWindow());
  show("put away, brought back", `it is the active window: ${active?.window_id === id}`);

  // A picture of it all. Sessions without a link have it as a URL instead: screen.capture().
  const { data, mimeType } = succeeded(await screen.betaTakeScreenshot());
  show("a picture", `${mimeType}, ${(data?.length ?? 0) > 1_000 ? "more than a kilobyte" : "empty"}`);

  const { data: visible } = succeeded(await app.getVisible());
  show("applications in sight", visible.map(({ pname }) => pname).join(", "));
  succeeded(await window.close(id));
  const { windows } = succeeded(await window.listRootWindows(20_000));
  show("closed", `${windows.length} windows are left`);
} finally {
  await agb.delete(session);
}

await service.end();
