import { BaseService } from "../../base-service";
import { failed, isFailure } from "../../support/call";
import { targetOf } from "../../support/target";
import type { BoolResult, CursorPosition } from "../../types";
import { flag, numberOf } from "./answer";

/** A button of the mouse; the last is a double click. */
export enum MouseButton {
  LEFT = "left",
  RIGHT = "right",
  MIDDLE = "middle",
  DOUBLE_LEFT = "double_left",
}

/** Where to scroll to. */
export enum ScrollDirection {
  UP = "up",
  DOWN = "down",
  LEFT = "left",
  RIGHT = "right",
}

/** The mouse of a session's desktop. Places are in pixels from the upper left corner. */
export class MouseController extends BaseService {
  /** Clicks at a place. */
  async click(x: number, y: number, button: MouseButton = MouseButton.LEFT): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerClick(route, numberOf(x), numberOf(y), String(button ?? MouseButton.LEFT)));
  }

  /** Moves the mouse. */
  async move(x: number, y: number): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    return flag(await native.computerMove(route, numberOf(x), numberOf(y)));
  }

  /**
   * Moves the mouse from one place to another while a button is down.
   *
   * @param button any but `DOUBLE_LEFT`
   */
  async drag(
    startX: number,
    startY: number,
    endX: number,
    endY: number,
    button: MouseButton = MouseButton.LEFT,
  ): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    const [fromX, fromY, toX, toY] = [numberOf(startX), numberOf(startY), numberOf(endX), numberOf(endY)];
    return flag(await native.computerDrag(route, fromX, fromY, toX, toY, String(button ?? MouseButton.LEFT)));
  }

  /**
   * Turns the wheel at a place.
   *
   * @param amount steps of the wheel, at least 1
   */
  async scroll(x: number, y: number, direction: ScrollDirection = ScrollDirection.UP, amount = 1): Promise<BoolResult> {
    const { native, route } = targetOf(this.session);
    const to = String(direction ?? ScrollDirection.UP);
    return flag(await native.computerScroll(route, numberOf(x), numberOf(y), to, numberOf(amount ?? 1)));
  }

  /** Where the mouse is. */
  async getPosition(): Promise<CursorPosition> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerCursorPosition(route);
    if (isFailure(outcome)) return failed(outcome, { x: 0, y: 0 });
    const { requestId, x, y } = outcome;
    return { requestId, success: true, x, y };
  }
}
