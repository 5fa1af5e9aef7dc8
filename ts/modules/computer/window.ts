import { BaseService } from "../../base-service";
import { failed, isFailure, present } from "../../support/call";
import { targetOf } from "../../support/target";
import type { BoolResult, WindowInfo, WindowInfoResult, WindowListResult } from "../../types";
import { flag, numberOf } from "./answer";

/** The windows of a session's desktop, each known by its `window_id`. */
export class WindowManager extends BaseService {
  /**
   * The windows that are open.
   *
   * @param timeoutMs how long the service may look for them, in milliseconds
   */
  async listRootWindows(timeoutMs = 3000): Promise<WindowListResult> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerWindows(route, numberOf(timeoutMs ?? 3000));
    if (isFailure(outcome)) return failed(outcome, { windows: [] as WindowInfo[] });
    return { requestId: outcome.requestId, success: true, windows: JSON.parse(outcome.data) };
  }

  /** The window that has the keyboard. */
  async getActiveWindow(): Promise<WindowInfoResult> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerActiveWindow(route);
    if (isFailure(outcome)) return failed(outcome, {});
    const window: WindowInfo | null = JSON.parse(outcome.data);
    return present({ requestId: outcome.requestId, success: true, window: window ?? undefined });
  }

  /** Brings a window to the front and gives it the keyboard. */
  async activate(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerActivateWindow(route, numberOf(windowId)));
  }

  /** Closes a window. */
  async close(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerCloseWindow(route, numberOf(windowId)));
  }

  /** Makes a window as large as the screen allows. */
  async maximize(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerMaximizeWindow(route, numberOf(windowId)));
  }

  /** Puts a window away; {@link restore} or {@link activate} brings it back. */
  async minimize(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerMinimizeWindow(route, numberOf(windowId)));
  }

  /** Gives a window its own size and place back. */
  async restore(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerRestoreWindow(route, numberOf(windowId)));
  }

  /** Gives a window another size, in pixels. */
  async resize(windowId: number, width: number, height: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerResizeWindow(route, numberOf(windowId), numberOf(width), numberOf(height)));
  }

  /** Lets a window fill the whole screen, without its frame. */
  async fullscreen(windowId: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerFullscreenWindow(route, numberOf(windowId)));
  }

  /** Keeps the active window in front, or lets the others come forward again. */
  async focusMode(on: boolean): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerFocusMode(route, Boolean(on)));
  }
}
