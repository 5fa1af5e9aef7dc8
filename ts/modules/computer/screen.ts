import { BaseService } from "../../base-service";
import { ScreenError } from "../../errors";
import type { NativeFailure } from "../../native";
import { failed, isFailure, present, refused } from "../../support/call";
import { notText } from "../../support/check";
import { targetOf } from "../../support/target";
import type { OperationResult, ScreenSize, ScreenshotResult } from "../../types";

/**
 * The screen of a session's desktop. A session either has a link, and then pictures come as bytes
 * ({@link betaTakeScreenshot}), or it has none, and then they come as URLs ({@link capture}).
 */
export class ScreenController extends BaseService {
  /** Takes a picture; its URL is in `data`. For sessions without `linkUrl`. */
  async capture(): Promise<OperationResult> {
    if (this.session.linkUrl) {
      const hint = "Please use `betaTakeScreenshot()` instead.";
      return refused(`This cloud environment does not support \`screen.capture()\`. ${hint}`, { data: undefined });
    }
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerCapture(route);
    if (isFailure(outcome)) return failed(outcome, { data: undefined });
    return { requestId: outcome.requestId, success: true, data: outcome.data };
  }

  /** How large the screen is, in pixels. */
  async getSize(): Promise<ScreenSize> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerScreenSize(route);
    if (isFailure(outcome)) return failed(outcome, { width: 0, height: 0, dpiScalingFactor: 1.0 });
    const { requestId, width, height, dpiScalingFactor } = outcome;
    return { requestId, success: true, width, height, dpiScalingFactor };
  }

  /**
   * Takes a picture; its bytes are in `data`. For sessions with `linkUrl`.
   *
   * @param format `png` or `jpeg` (`jpg` is another name)
   * @throws {ScreenError} for a session without `linkUrl`, when no picture could be taken, or the answer holds none
   * @throws {Error} for another format
   */
  async betaTakeScreenshot(format = "png"): Promise<ScreenshotResult> {
    if (!this.session.linkUrl) {
      const hint = "Please use `capture()` instead.";
      throw new ScreenError(`This cloud environment does not support \`betaTakeScreenshot()\`. ${hint}`);
    }
    const words = { format: format ?? "png" };
    const fault = notText(words);
    if (fault) throw new Error(fault);
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerTakeScreenshot(route, words.format);
    if (isFailure(outcome)) throw screenshotError(outcome);
    const { requestId, kind: type, mimeType, width, height } = outcome;
    // The bytes stay where native code put them; only the view is made here, so that it is a Buffer of this realm.
    const { buffer, byteOffset, byteLength } = outcome.data;
    const data = Buffer.from(buffer, byteOffset, byteLength);
    return present({ requestId, success: true, errorMessage: "", type, data, mimeType, width, height });
  }
}

function screenshotError(failure: NativeFailure): Error {
  const { kind, errorMessage, requestId, code, httpStatusCode, retryable, attempts } = failure;
  if (kind === "InvalidArgument") return new Error(errorMessage);
  return new ScreenError(errorMessage, { kind, requestId, code, httpStatusCode, retryable, attempts });
}
