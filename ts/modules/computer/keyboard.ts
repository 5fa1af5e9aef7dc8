import { BaseService } from "../../base-service";
import { refused } from "../../support/call";
import { notText, notTexts } from "../../support/check";
import { targetOf } from "../../support/target";
import type { BoolResult } from "../../types";
import { flag } from "./answer";

/** The keyboard of a session's desktop: what it types goes to the active window. */
export class KeyboardController extends BaseService {
  /** Types a text. */
  async type(text: string): Promise<BoolResult> {
    const fault = notText({ text });
    if (fault) return refused(fault, { data: false });
    const { native, route } = targetOf(this.session);
    return flag(await native.computerType(route, text));
  }

  /**
   * Presses keys together, for example `["Ctrl", "a"]`.
   *
   * @param hold keep them down until {@link release}
   */
  async press(keys: string | string[], hold = false): Promise<BoolResult> {
    const list = listOf(keys);
    const fault = notTexts({ keys: list });
    if (fault) return refused(fault, { data: false });
    const { native, route } = targetOf(this.session);
    return flag(await native.computerPress(route, list, Boolean(hold)));
  }

  /** Lets go of keys. */
  async release(keys: string | string[]): Promise<BoolResult> {
    const list = listOf(keys);
    const fault = notTexts({ keys: list });
    if (fault) return refused(fault, { data: false });
    const { native, route } = targetOf(this.session);
    return flag(await native.computerRelease(route, list));
  }
}

function listOf(keys: string | string[]): string[] {
  return Array.isArray(keys) ? keys : [keys];
}
