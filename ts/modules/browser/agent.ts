import { BaseService } from "../../base-service";
import { BrowserError } from "../../errors";
import type { NativeFindings, NativePage, Outcome } from "../../native";
import type { SessionLike } from "../../session-like";
import { isFailure, present } from "../../support/call";
import { jsonOf, kindOf, notNumber, notText, optional, optionalNumber } from "../../support/check";
import { targetOf } from "../../support/target";
import { browserErrorOf } from "./failure";

/** What the agent shall do. */
export interface ActOptions {
  /** In words. */
  action: string;
  /**
   * For `actAsync`: how long to wait, in seconds (default 300). The service's tool gets it, too, in a unit that is not
   * known; `waitTimeoutS` is for the wait alone.
   */
  timeout?: number;
  /** For `actAsync`: how long to wait, in seconds. Default: `timeout`. The service's tool does not get it. */
  waitTimeoutS?: number;
  /** Values for the placeholders in `action`. */
  variables?: Record<string, string>;
  useVision?: boolean;
  iframes?: boolean;
  /** Milliseconds. */
  domSettleTimeoutMs?: number;
}

/** How an action went. */
export interface ActResult {
  success: boolean;
  /** What was done, or why it failed. */
  message: string;
}

/** What the agent shall look for. */
export interface ObserveOptions {
  /** In words. */
  instruction: string;
  useVision?: boolean;
  /** Look only inside this element. */
  selector?: string;
  /** For `observeAsync`: how long to wait, in seconds (default 300). */
  timeout?: number;
  /** For `observeAsync`: the same as `timeout`, and before it. */
  waitTimeoutS?: number;
  iframes?: boolean;
  /** Milliseconds. */
  domSettleTimeoutMs?: number;
}

/** An element that the agent found, and what can be done with it; `act` takes it as it is. */
export interface ObserveResult {
  selector: string;
  description: string;
  method: string;
  arguments: Record<string, unknown>;
}

/** What the agent shall read. */
export interface ExtractOptions {
  /** In words. */
  instruction: string;
  /** The JSON schema of the data. */
  schema: Record<string, unknown>;
  useTextExtract?: boolean;
  /** Read only inside this element. */
  selector?: string;
  useVision?: boolean;
  /** For `extractAsync`: how long to wait, in seconds (default 300). */
  timeout?: number;
  /** For `extractAsync`: the same as `timeout`, and before it. */
  waitTimeoutS?: number;
  maxPage?: number;
  iframe?: boolean;
  /** Milliseconds. */
  domSettleTimeoutMs?: number;
}

/** What the agent read. */
export interface ExtractResult<T = unknown> {
  success: boolean;
  data: T | null;
}

/** What the agent needs of a browser. */
export interface BrowserLike {
  isInitialized(): boolean;
}

/** Elements that were found, or none because the tool failed. */
type Observation = { success: boolean; results: ObserveResult[] };

/**
 * What a language model of the service does in a session's browser. The browser has to be initialized first; every
 * method but `close` throws a `BrowserError` else.
 */
export class BrowserAgent extends BaseService {
  readonly #browser: BrowserLike;

  constructor(session: SessionLike, browser: BrowserLike) {
    super(session);
    this.#browser = browser;
  }

  /**
   * Opens an address and gives the service's words on it.
   * @throws {BrowserError} `Navigation failed: …`
   */
  async navigate(url: string): Promise<string> {
    this.#requireBrowser("navigate");
    if (typeof url !== "string") throw new BrowserError(`Failed to navigate: url must be a string, got ${kindOf(url)}`);
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserNavigate(route, url);
    if (isFailure(outcome)) throw browserErrorOf(outcome);
    return outcome.data;
  }

  /**
   * Takes a picture of a page: base64, or a data URL.
   *
   * @param options `quality` from 0 to 100 (default 80); `clip` in pixels; `timeout` in milliseconds
   * @throws {BrowserError} `Screenshot failed: …`
   */
  async screenshot(
    options: {
      fullPage?: boolean;
      quality?: number;
      clip?: { x: number; y: number; width: number; height: number };
      timeout?: number;
      contextId?: number;
      pageId?: string;
    } = {},
  ): Promise<string> {
    this.#requireBrowser("screenshot");
    const { fullPage, quality, clip, timeout, contextId, pageId } = options ?? {};
    const fault = notNumber({ quality, timeout });
    if (fault) throw new BrowserError(fault);
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserScreenshot(route, {
      page: pageOf(contextId, pageId),
      fullPage: Boolean(fullPage ?? true),
      quality: optionalNumber(quality) ?? 80,
      clip: clip ? objectText({ clip }) : undefined,
      timeoutMs: optionalNumber(timeout),
    });
    if (isFailure(outcome)) throw browserErrorOf(outcome);
    return outcome.data;
  }

  /** Ends the agent's work in the browser; false where the service does not confirm it. */
  async close(): Promise<boolean> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserClose(route);
    return !isFailure(outcome) && outcome.isConfirmed;
  }

  /** Does something on a page, and waits for its end in one call of at most 60 seconds. */
  async act(actionInput: ActOptions | ObserveResult, contextId = 0, pageId?: string): Promise<ActResult> {
    this.#requireBrowser("act");
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserAct(route, objectText({ actionInput }), pageOf(contextId, pageId));
    if (isFailure(outcome)) return { success: false, message: outcome.errorMessage };
    return { success: outcome.success, message: outcome.message };
  }

  /**
   * Does something on a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
   * @throws {BrowserError} when the task did not start, or was not done in time
   */
  async actAsync(actionInput: ActOptions | ObserveResult, contextId = 0, pageId?: string): Promise<ActResult> {
    this.#requireBrowser("actAsync");
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserActAsync(route, objectText({ actionInput }), pageOf(contextId, pageId));
    if (isFailure(outcome)) throw browserErrorOf(outcome);
    return { success: outcome.success, message: outcome.message };
  }

  /**
   * Looks for elements of a page, in one call of at most 60 seconds.
   * @throws {BrowserError} when the answer can't be read
   */
  async observe(options: ObserveOptions, contextId = 0, pageId?: string): Promise<Observation> {
    this.#requireBrowser("observe");
    const { native, route } = targetOf(this.session);
    const results = dataOf<ObserveResult[]>(
      await native.browserObserve(route, objectText({ options }), pageOf(contextId, pageId)),
    );
    return { success: results !== undefined, results: results ?? [] };
  }

  /**
   * Looks for elements of a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
   * @throws {BrowserError} when the task did not start, was not done in time, or its answer can't be read
   */
  async observeAsync(options: ObserveOptions, contextId = 0, pageId?: string): Promise<Observation> {
    this.#requireBrowser("observeAsync");
    const { native, route } = targetOf(this.session);
    const results = dataOf<ObserveResult[]>(
      await native.browserObserveAsync(route, objectText({ options }), pageOf(contextId, pageId)),
    );
    return { success: true, results: results ?? [] };
  }

  /**
   * Reads data from a page, in one call of at most 60 seconds.
   * @throws {BrowserError} when the answer can't be read
   */
  async extract<T = unknown>(options: ExtractOptions, contextId = 0, pageId?: string): Promise<ExtractResult<T>> {
    this.#requireBrowser("extract");
    const { native, route } = targetOf(this.session);
    const data = dataOf<T>(await native.browserExtract(route, objectText({ options }), pageOf(contextId, pageId)));
    return data === undefined ? { success: false, data: null } : { success: true, data };
  }

  /**
   * Reads data from a page as a task of the service, for as long as `waitTimeoutS` or `timeout` says.
   * @throws {BrowserError} when the task did not start, was not done in time, or its answer can't be read
   */
  async extractAsync<T = unknown>(options: ExtractOptions, contextId = 0, pageId?: string): Promise<ExtractResult<T>> {
    this.#requireBrowser("extractAsync");
    const { native, route } = targetOf(this.session);
    const data = dataOf<T>(await native.browserExtractAsync(route, objectText({ options }), pageOf(contextId, pageId)));
    return { success: true, data: data ?? null };
  }

  override toJSON(): Record<string, unknown> {
    return super.toJSON();
  }

  #requireBrowser(method: string): void {
    if (this.#browser.isInitialized()) return;
    throw new BrowserError(`Browser must be initialized before calling ${method}.`);
  }
}

/**
 * The data of an answer; undefined where the tool failed.
 * @throws {BrowserError} for a call that failed otherwise, and for an answer that can't be read
 */
function dataOf<T>(outcome: Outcome<NativeFindings>): T | undefined {
  if (isFailure(outcome)) throw browserErrorOf(outcome);
  return outcome.data === undefined || outcome.data === null ? undefined : JSON.parse(outcome.data);
}

/** @throws {BrowserError} for ids of the wrong kind */
function pageOf(contextId: number | null | undefined, pageId: string | null | undefined): NativePage {
  const fault = notNumber({ contextId }) ?? notText(present({ pageId }));
  if (fault) throw new BrowserError(fault);
  return { contextId: optionalNumber(contextId) ?? 0, pageId: optional(pageId) };
}

/** An argument that has to be an object, as JSON text. */
function objectText(argument: Record<string, unknown>): string {
  const [[name, value]] = Object.entries(argument);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BrowserError(`${name} must be an object, got ${kindOf(value)}`);
  }
  const fault = notNumber({ waitTimeoutS: (value as { waitTimeoutS?: unknown }).waitTimeoutS });
  if (fault) throw new BrowserError(fault);
  const json = jsonOf(value);
  if ("fault" in json) throw new BrowserError(`${name} can't be sent: ${json.fault}`);
  return json.text;
}
