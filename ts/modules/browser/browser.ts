import { BaseService } from "../../base-service";
import { BrowserError } from "../../errors";
import { logWarn } from "../../logger";
import type { SessionLike } from "../../session-like";
import { failed, isFailure } from "../../support/call";
import { targetOf } from "../../support/target";
import type { BoolResult } from "../../types";
import { BrowserAgent } from "./agent";
import { browserErrorOf } from "./failure";
import { type BrowserOption, BrowserOptionClass } from "./options";
import { screenshotOf } from "./page-screenshot";

/** A session's browser, for Playwright and for the service's own agent. */
export class Browser extends BaseService {
  /** What a language model does in the browser. */
  agent: BrowserAgent;

  /** The browser that runs, of one session: another one that takes its place has none. */
  #running: { sessionId: string; option: BrowserOptionClass } | undefined;
  #starting: { sessionId: string; end: Promise<boolean> } | undefined;

  constructor(session: SessionLike) {
    super(session);
    this.agent = new BrowserAgent(session, this);
  }

  /**
   * Starts the browser. One that is started already stays as it is; calls at the same time share one start.
   *
   * @returns false when the options can't be used or the browser did not start; why is logged as a warning
   */
  async initialize(option: BrowserOptionClass | BrowserOption): Promise<boolean> {
    if (this.isInitialized()) return true;
    const sessionId = this.session.getSessionId();
    if (this.#starting?.sessionId === sessionId) return this.#starting.end;
    const end = this.#start(option).finally(() => {
      if (this.#starting?.end === end) this.#starting = undefined;
    });
    this.#starting = { sessionId, end };
    return end;
  }

  /** Another name of {@link initialize}. */
  async initializeAsync(option: BrowserOptionClass | BrowserOption): Promise<boolean> {
    return this.initialize(option);
  }

  async #start(option: BrowserOptionClass | BrowserOption): Promise<boolean> {
    try {
      const checked = checkedOption(option);
      const outcome = await targetOf(this.session).native.browserInitialize(JSON.stringify(checked.toMap()));
      if (isFailure(outcome)) throw browserErrorOf(outcome);
      const { sessionId } = outcome;
      if (sessionId !== this.session.getSessionId())
        throw new BrowserError("its session was lost and replaced meanwhile");
      this.#running = { sessionId, option: checked };
      return true;
    } catch (error) {
      logWarn(`The browser could not be initialized: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  /**
   * Stops the browser; `initialize` starts a new one. When stopping fails, the browser counts as running still, so that
   * it can be tried again.
   *
   * @throws {BrowserError} when the browser is not initialized
   */
  async destroy(): Promise<BoolResult> {
    if (!this.isInitialized()) throw new BrowserError("Browser is not initialized. Cannot destroy browser.");
    const { native, route } = targetOf(this.session);
    const outcome = await native.browserDestroy(route);
    if (!isFailure(outcome)) {
      this.#running = undefined;
      return { requestId: outcome.requestId, success: true, data: true };
    }
    // With the session, its browser is gone, too.
    if (outcome.kind === "SessionNotFound") this.#running = undefined;
    return failed(outcome, { data: false });
  }

  /**
   * The address for Playwright's `connectOverCDP`. It grants access and expires: ask for it each time.
   *
   * @throws {BrowserError} when the browser is not initialized, or the service gives no address
   */
  async getEndpointUrl(): Promise<string> {
    if (!this.isInitialized()) throw new BrowserError("Browser is not initialized. Cannot access endpoint URL.");
    const outcome = await targetOf(this.session).native.browserCdpLink();
    if (isFailure(outcome)) throw browserErrorOf(outcome);
    return outcome.data;
  }

  /**
   * Takes a picture of a Playwright page after scrolling through it, so that what loads late is there.
   *
   * @param page a page that Playwright gave
   * @param fullPage the whole page, not only what is in view
   * @param options options of Playwright's `page.screenshot`; they win
   * @throws {BrowserError} when the browser is not initialized
   * @throws {Error} without a page, and when the picture can't be taken
   */
  async screenshot(page: unknown, fullPage = false, options: Record<string, unknown> = {}): Promise<Uint8Array> {
    if (!this.isInitialized()) throw new BrowserError("Browser must be initialized before calling screenshot.");
    return screenshotOf(page, fullPage, options ?? {});
  }

  /** The options that the browser was initialized with; null while it is not. */
  getOption(): BrowserOptionClass | null {
    return this.#running?.sessionId === this.session.getSessionId() ? this.#running.option : null;
  }

  isInitialized(): boolean {
    return this.getOption() !== null;
  }
}

/** One path for both ways to give options: the same defaults, the same checks. */
function checkedOption(option: BrowserOptionClass | BrowserOption): BrowserOptionClass {
  if (option instanceof BrowserOptionClass) return option;
  return new BrowserOptionClass().fromMap(option as Record<string, unknown>);
}
