// @ts-check

/** The keyboard of a session's desktop: type text, press keys together, hold them and let go. */

import { AGB } from "agbcloud-native";

import { openTerminal, untilThere } from "./support/desktop.mjs";
import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Keyboard");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-computer-use-ubuntu-2204" }));
try {
  const { keyboard, window } = session.computer;

  // What is typed goes to the active window: a terminal.
  const terminal = await openTerminal(session);
  succeeded(await window.activate(terminal.window_id ?? 0));

  succeeded(await keyboard.type("this was a mistake"));
  succeeded(await keyboard.press(["Ctrl", "u"]));
  show("typed, and taken back", "with Ctrl and u, which empties the line");

  succeeded(await keyboard.type("echo 'typed: äöü' > new; mv new typed.txt"));
  succeeded(await keyboard.press("Enter"));
  show("the session has", await untilThere(session, "typed.txt"));

  // Held until it is let go: what is pressed between becomes capitals.
  succeeded(await keyboard.type("echo "));
  succeeded(await keyboard.press("Shift", true));
  for (const key of ["o", "k"]) succeeded(await keyboard.press(key));
  succeeded(await keyboard.release("Shift"));
  succeeded(await keyboard.type(" > new; mv new held.txt\n"));
  show("with Shift held", await untilThere(session, "held.txt"));
} finally {
  await agb.delete(session);
}

await service.end();
