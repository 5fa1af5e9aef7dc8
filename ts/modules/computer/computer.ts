import { defineUnavailable } from "../../support/unavailable";

/** A session's desktop. Not in this version yet: every use says so. */
export class Computer {
  constructor() {
    defineUnavailable(this, "session.computer", [
      "app",
      "keyboard",
      "keyPress",
      "mouse",
      "mouseClick",
      "screen",
      "screenshot",
      "window",
    ]);
  }

  toJSON(): Record<string, unknown> {
    return { type: "Computer" };
  }
}
