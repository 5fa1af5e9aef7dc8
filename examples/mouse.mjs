// @ts-check

/** The mouse of a session's desktop: move it, click, drag and scroll. */

import { AGB, MouseButton, ScrollDirection } from "agbcloud-native";

import { openTerminal, untilThere } from "./support/desktop.mjs";
import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Mouse");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-computer-use-ubuntu-2204" }));
try {
  const { keyboard, mouse, screen, window } = session.computer;

  const { width, height } = succeeded(await screen.getSize());
  show("the screen", `${width} × ${height} pixels`);
  succeeded(await mouse.move(width / 2, height / 2));
  const { x, y } = succeeded(await mouse.getPosition());
  show("moved to the middle", `${x}, ${y}`);

  // A click gives a window the keyboard.
  const terminal = await openTerminal(session);
  const left = terminal.absolute_upper_left_x ?? 0;
  const top = terminal.absolute_upper_left_y ?? 0;
  succeeded(await mouse.click(left + 50, top + 50));
  const { window: active } = succeeded(await window.getActiveWindow());
  show("clicked on the terminal", `it is the active window: ${active?.window_id === terminal.window_id}`);

  // Dragging across a line marks it; the middle button puts what is marked where the keyboard writes.
  succeeded(await keyboard.type("clear; echo touch dragged.txt; touch printed.txt\n"));
  await untilThere(session, "printed.txt");
  succeeded(await mouse.drag(left + 2, top + 6, left + 400, top + 6));
  succeeded(await mouse.click(left + 200, top + 200, MouseButton.MIDDLE));
  succeeded(await keyboard.press("Enter"));
  await untilThere(session, "dragged.txt");
  show("dragged and pasted", "the line that the terminal had printed, which it ran");

  succeeded(await mouse.scroll(left + 350, top + 250, ScrollDirection.DOWN, 3));
  succeeded(await mouse.click(width - 5, height - 5, MouseButton.RIGHT));
  show("scrolled, clicked", "with the right button, which opens the menu of the desktop");

  // What no mouse can do is refused before anything is sent.
  const refused = await mouse.scroll(10, 10, ScrollDirection.UP, -1);
  show("scrolled by -1", `success ${refused.success}: ${refused.errorMessage}`);
} finally {
  await agb.delete(session);
}

await service.end();
