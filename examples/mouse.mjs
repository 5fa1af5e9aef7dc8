// @ts-check

/** The mouse of a session's desktop: move it, click, drag and scroll. */

import { AGB, MouseButton, ScrollDirection } from "agbcloud-native";

import { eventually, openTerminal } from "./support/desktop.mjs";
import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Mouse");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-computer-use-ubuntu-2204" }));
try {
  const { mouse, screen } = session.computer;

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
  show("clicked on the terminal", `it is the active window: ${await becomesActive(terminal.window_id)}`);

  // By its title bar a window is dragged to another place.
  succeeded(await mouse.drag(left + 100, top - 10, left + 300, top + 140));
  const { right, down } = await movement(left, top);
  show("dragged it", `${right} pixels to the right and ${down} down`);

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

/**
 * Whether a window becomes the active one: the window manager takes its time.
 *
 * @param {number | null | undefined} id
 */
async function becomesActive(id) {
  const isActive = await eventually(async () => {
    const { window } = succeeded(await session.computer.window.getActiveWindow());
    return window?.window_id === id || undefined;
  });
  return isActive ?? false;
}

/**
 * How far the active window has moved from a place, as soon as it has: the window manager takes its time.
 *
 * @param {number} left
 * @param {number} top
 */
async function movement(left, top) {
  const moved = await eventually(async () => {
    const { window } = succeeded(await session.computer.window.getActiveWindow());
    const right = (window?.absolute_upper_left_x ?? left) - left;
    const down = (window?.absolute_upper_left_y ?? top) - top;
    return right !== 0 || down !== 0 ? { right, down } : undefined;
  });
  if (!moved) throw new Error("the window has not moved");
  return moved;
}
