import type { SessionLike } from "../../session-like";
import type { BoolResult, OperationResult } from "../../types";
import { ApplicationManager } from "./app";
import { KeyboardController } from "./keyboard";
import { type MouseButton, MouseController } from "./mouse";
import { ScreenController } from "./screen";
import { WindowManager } from "./window";

/** A session's desktop. */
export class Computer {
  mouse: MouseController;
  keyboard: KeyboardController;
  window: WindowManager;
  app: ApplicationManager;
  screen: ScreenController;

  constructor(session: SessionLike) {
    this.mouse = new MouseController(session);
    this.keyboard = new KeyboardController(session);
    this.window = new WindowManager(session);
    this.app = new ApplicationManager(session);
    this.screen = new ScreenController(session);
  }

  /** @deprecated Use `screen.capture()`, or `screen.betaTakeScreenshot()` for a session with `linkUrl`. */
  async screenshot(): Promise<OperationResult> {
    return this.screen.capture();
  }

  /** @deprecated Use `mouse.click()`. */
  async mouseClick(x: number, y: number, button?: MouseButton): Promise<BoolResult> {
    return this.mouse.click(x, y, button);
  }

  /** @deprecated Use `keyboard.press()`. */
  async keyPress(key: string): Promise<BoolResult> {
    return this.keyboard.press(key);
  }

  toJSON(): Record<string, unknown> {
    return { type: "Computer" };
  }
}
