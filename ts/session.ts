import { callTool } from "./base-service";
import type { Client } from "./client";
import { ContextManager } from "./context-manager";
import { AGBError, errorOf, invalidArgument, SessionError } from "./errors";
import {
  HOLD_AGAIN,
  type KeepAliveOptions,
  type KeepAliveStatus,
  keepAliveStatusOf,
  lifecycleOf,
  nativeKeepAlive,
  type SessionEvents,
  SessionHold,
  type SessionLifecycle,
  SessionListeners,
  watchEventLoopFor,
} from "./lifecycle";
import { Browser } from "./modules/browser/browser";
import { Code } from "./modules/code";
import { Command } from "./modules/command";
import { Computer } from "./modules/computer/computer";
import { FileSystem } from "./modules/filesystem";
import type { NativeFoundSession, NativeKeepAliveOptions, NativeSession } from "./native";
import { LISTEN_AGAIN, PushListener, type PushMessage } from "./push";
import { type Recoverable, Recovery, type RecreateOptions } from "./recovery";
import { failed, isFailure, refused } from "./support/call";
import { jsonOf, notNumber, notText, optional, optionalNumber } from "./support/check";
import { inspectAs } from "./support/inspect";
import { giveBack, isGivenBack } from "./support/loan";
import { sharedText } from "./support/shared-text";
import {
  bindSession,
  faceSession,
  nativeAgbOf,
  nativeOf,
  openTargetOf,
  refuseGivenBack,
  targetOf,
} from "./support/target";
import type {
  DeleteResult,
  McpTool,
  McpToolResult,
  McpToolsResult,
  OperationResult,
  SessionMetricsResult,
  SessionStatusResult,
} from "./types";

/** What a session needs of the `AGB` that it belongs to. */
export interface SessionAGB {
  apiKey: string;
  client: Client;
}

/**
 * An isolated machine in the cloud. It is released after `idleReleaseTimeout` seconds without a request, at the latest
 * 30 minutes after it was created; delete it when done.
 */
export class Session {
  resourceUrl = "";
  imageId = "";
  appInstanceId = "";
  resourceId = "";
  linkUrl = "";
  wsUrl = "";
  token = "";
  /** The tools as the service sent them: JSON text. */
  toolList = "";
  mcpTools: McpTool[] = [];

  command: Command;
  file: FileSystem;
  code: Code;
  browser: Browser;
  computer: Computer;
  context: ContextManager;

  readonly #agb: SessionAGB;
  #sessionId: string;
  readonly #listeners = new SessionListeners(() => nativeOf(this));
  readonly #holds = new Set<SessionHold>();
  readonly #pushListeners = new Set<PushListener>();
  /** What the program has said of the keep-alive after the creation; `null`: nothing. */
  #keepAlive: NativeKeepAliveOptions | "stopped" | null = null;
  #isDetached = false;
  /** The native session itself: what calls go to stands before it, and the native client does not take that. */
  #made: NativeSession | undefined;
  #recovery: Recovery | undefined;

  /** Sessions are made by `agb.create` and `agb.get`; one made here speaks to an existing session of that id. */
  constructor(agb: SessionAGB, sessionId: string) {
    this.#agb = agb;
    this.#sessionId = sessionId;
    this.command = new Command(this);
    this.file = new FileSystem(this);
    this.code = new Code(this);
    this.browser = new Browser(this);
    this.computer = new Computer(this);
    this.context = new ContextManager(this);
  }

  /** A session that the service has made or found. @internal */
  static found(agb: SessionAGB, found: NativeFoundSession): Session {
    const session = new Session(agb, found.sessionId);
    session.#become(found);
    return session;
  }

  /** Has this session replaced when it is lost. @internal */
  static recover(session: Session, { create, restore }: Pick<Recoverable, "create"> & RecreateOptions<Session>): void {
    const recovery = new Recovery(
      {
        current: () => nativeOf(session),
        create,
        adopt: (found) => session.#replace(found),
        restore: async () => {
          await nativeOf(session).connectListeners();
          await restore?.(session);
        },
        recreated: (event) => session.#listeners.emit("recreated", event),
      },
      () => session.#sessionId,
    );
    session.#recovery = recovery;
    faceSession(session, (route) => recovery.facing(route));
  }

  #become(found: NativeFoundSession): void {
    // First what may throw.
    const agb = nativeAgbOf(this.#agb.client, this.#agb.apiKey);
    this.#sessionId = found.sessionId;
    this.resourceUrl = found.resourceUrl;
    this.imageId = found.imageId;
    this.appInstanceId = found.appInstanceId;
    this.resourceId = found.resourceId;
    this.linkUrl = found.linkUrl;
    this.wsUrl = found.wsUrl;
    this.token = found.token;
    this.toolList = sharedText(found.toolList);
    this.mcpTools = JSON.parse(found.mcpTools);
    this.#made = found.session;
    bindSession(this, found.session, agb);
  }

  /** Another session takes the place of this one; listeners, also of pushes, holds and the keep-alive go over to it. */
  #replace(found: NativeFoundSession): void {
    const lost = this.#made;
    this.#become(found);
    this.#listeners.moved();
    for (const hold of this.#holds) hold[HOLD_AGAIN](found.session.hold());
    for (const listener of this.#pushListeners) listener[LISTEN_AGAIN](found.session);
    if (this.#isDetached) found.session.detach();
    if (this.#keepAlive === "stopped") found.session.stopKeepAlive();
    else if (this.#keepAlive) {
      watchEventLoopFor(this.#keepAlive);
      found.session.startKeepAlive(this.#keepAlive);
    }
    if (lost) found.session.endKeepAliveWith(lost);
  }

  getSessionId(): string {
    return this.#sessionId;
  }

  /** The API key of the client; a `SessionLike` has it. */
  getApiKey(): string {
    return this.#agb.apiKey;
  }

  /** The low-level client; a `SessionLike` has it. */
  getClient(): Client {
    return this.#agb.client;
  }

  /** The client that made this session. */
  getAgb(): SessionAGB {
    return this.#agb;
  }

  /**
   * Sets the idle timer back to its full time, and does nothing else. Fails when the session is gone; then create a new
   * one.
   */
  async keepAlive(): Promise<OperationResult> {
    const outcome = await targetOf(this).native.keepAlive();
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true };
  }

  /** The session's status on the wire: `RUNNING` while it lives. Asking does not keep it alive. */
  async getStatus(): Promise<SessionStatusResult> {
    const outcome = await targetOf(this).native.status();
    if (isFailure(outcome)) {
      return failed(outcome, { httpStatusCode: outcome.httpStatusCode ?? 0, code: outcome.code, status: "" });
    }
    const { requestId, httpStatusCode, code, status } = outcome;
    return { requestId, httpStatusCode, code, success: true, status };
  }

  /**
   * Deletes the session and waits until it is gone, at most 300 seconds.
   *
   * @param syncContext store what its mounts hold first. If that fails the session is deleted all the same, and the
   *   result says so with `success: false`
   */
  async delete(syncContext = false): Promise<DeleteResult> {
    const outcome = await targetOf(this).native.delete(Boolean(syncContext));
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true };
  }

  /**
   * Lets the session live on when the program ends, though its `AGB` has `releaseOnExit`.
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  detach(): void {
    openTargetOf(this).native.detach();
    this.#isDetached = true;
  }

  /**
   * Has the session released when the program ends, though it was not created by it, or was detached.
   * @throws {AGBError} when its `AGB` has no `releaseOnExit`
   */
  adopt(): void {
    if (!openTargetOf(this).native.adopt()) {
      throw new AGBError("adopt() needs an AGB with releaseOnExit: nothing would release the session");
    }
    this.#isDetached = false;
  }

  /**
   * Where the session is in its life and what is left of it, without a request. It goes by the calls of this process;
   * what others do with the session it does not see.
   *
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  get lifecycle(): SessionLifecycle {
    return lifecycleOf(openTargetOf(this).native.lifecycle());
  }

  /**
   * Keeps the session alive from now on, whatever the program does: beats come from a thread of their own after some of
   * the idle timeout has passed without activity, and are repeated quickly when they fail. It ends with the session, at
   * the latest 30 minutes after its creation, and with the process, which it does not keep running. Called again, it goes
   * on with the new options.
   *
   * @throws {AGBError} for an option out of range, and for a session from `agb.get` without `idleReleaseTimeout`
   * @throws {SessionError} when the session is known to be gone
   */
  startKeepAlive(options: KeepAliveOptions = {}): void {
    const read = nativeKeepAlive(options ?? true);
    if ("fault" in read) throw invalidArgument(read.fault);
    const native = read.native ?? {};
    const failure = openTargetOf(this).native.startKeepAlive(native);
    if (failure) throw errorOf(failure);
    this.#keepAlive = native;
  }

  /**
   * Ends the keep-alive; nothing happens where there is none.
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  stopKeepAlive(): void {
    openTargetOf(this).native.stopKeepAlive();
    this.#keepAlive = "stopped";
  }

  /**
   * How the keep-alive is doing; `null` when none was started.
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  keepAliveStatus(): KeepAliveStatus | null {
    const status = openTargetOf(this).native.keepAliveStatus();
    return status ? keepAliveStatusOf(status) : null;
  }

  /**
   * Holds the session until `release()` or the end of the `using` block: in the mode `whileHeld` it is kept alive
   * meanwhile.
   *
   * @param reason what for, for those who debug it
   * @throws {AGBError} when the API key or the configuration can't be used
   */
  hold(reason = ""): SessionHold {
    const hold = new SessionHold(String(reason), openTargetOf(this).native.hold(), () => this.#holds.delete(hold));
    this.#holds.add(hold);
    return hold;
  }

  /**
   * Hears of the session's life. Listeners don't keep the process running; what one throws is logged, and the others are
   * called all the same.
   *
   * @param event `active` and `idle`: a call began, the last one ended; `expiring`: a time is running out;
   *   `keepAliveFailed`; `released`; `releaseFailed`: it could not be deleted at the end of its block;
   *   `recreated`: it was lost, and another one has taken its place (with `recreate` of `agb.open`)
   * @throws {TypeError} for another event, or a listener that is no function
   */
  on<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this {
    this.#listeners.add(event, listener, false);
    return this;
  }

  /** As {@link on}, for the next time alone. */
  once<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this {
    this.#listeners.add(event, listener, true);
    return this;
  }

  /** Takes a listener of {@link on} or {@link once} away. */
  off<Event extends keyof SessionEvents>(event: Event, listener: (...args: SessionEvents[Event]) => unknown): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /**
   * Hears the messages that the service pushes over the session's WebSocket, which is opened for it, kept while somebody
   * listens, and opened again when it breaks, at most ten times in a row; a line in the log says when it is given up.
   * Listeners don't keep the process running; what the callback throws is logged. They end with the session; with
   * `recreate` of `agb.open` they go over to the new one: `restore` need not listen again.
   *
   * @param target who the messages are for; for messages to all clients, who sends them
   * @throws {WsError} when the connection can't be made
   * @throws {SessionError} when the session is gone, or was given back to its pool meanwhile
   * @throws {AGBError} without target or callback, for a session without WebSocket, and when the API key or the
   *   configuration can't be used
   */
  async onPush(target: string, callback: (message: PushMessage) => unknown): Promise<PushListener> {
    const listener = await PushListener.open(this, target, callback, (closed) => {
      this.#pushListeners.delete(closed);
    });
    this.#pushListeners.add(listener);
    if (isGivenBack(this)) listener.close();
    refuseGivenBack(this);
    return listener;
  }

  /**
   * Deletes the session at the end of an `await using` block; one that is gone already is no failure. One that could not
   * be deleted is not kept alive any longer. A session of a pool is given back instead.
   *
   * @throws {SessionError} when it could not be deleted; the event `releaseFailed` tells it, too
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (giveBack(this)) return this.#closeListeners();
    await this.#recovery?.end();
    const { native, failure } = targetOf(this);
    if (!failure) {
      const { state, confirmed } = native.lifecycle();
      if (state === "released" && confirmed) return;
    }
    const outcome = await native.delete(false);
    if (!isFailure(outcome) || outcome.kind === "SessionNotFound") return;
    // Nobody will try again.
    native.stopKeepAlive();
    const error = new SessionError(outcome.errorMessage, errorOf(outcome).extra);
    this.#listeners.emit("releaseFailed", error);
    throw error;
  }

  #closeListeners(): void {
    this.#listeners.close();
    for (const listener of this.#pushListeners) listener.close();
  }

  /** Where the session's screen can be seen, and what a viewer needs. The URL grants access; it is valid for 30 minutes. */
  async info(): Promise<OperationResult> {
    const outcome = await targetOf(this).native.info();
    if (isFailure(outcome)) return failed(outcome, {});
    const { requestId, sessionId, resourceUrl, desktop } = outcome;
    return { requestId, success: true, data: { sessionId, resourceUrl, ...desktop } };
  }

  /**
   * Replaces the session's labels but those of this package. Of a session that was not created here these are asked for
   * first, once; where they can't be read nothing is set.
   */
  async setLabels(labels: Record<string, string>): Promise<OperationResult> {
    const fault = labelFault(labels);
    // The surface's result of a refusal has no request id.
    if (fault) return { success: false, errorMessage: fault };
    const json = jsonOf(labels);
    if ("fault" in json) return { success: false, errorMessage: `Failed to set labels: ${json.fault}` };
    const outcome = await targetOf(this).native.setLabels(json.text);
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true };
  }

  /** The session's labels, in `data`. */
  async getLabels(): Promise<OperationResult> {
    const outcome = await targetOf(this).native.labels();
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, data: JSON.parse(outcome.data) };
  }

  /**
   * A URL, in `data`, that reaches a port of the session from outside.
   *
   * @param protocolType `https` or `wss`
   * @param port 30100 to 30199
   */
  async getLink(protocolType?: string, port?: number): Promise<OperationResult> {
    const fault = notText({ protocolType: protocolType ?? "" }) ?? notNumber({ port });
    if (fault) return refused(fault, {});
    const outcome = await targetOf(this).native.link(optional(protocolType), optionalNumber(port));
    if (isFailure(outcome)) return failed(outcome, {});
    return { requestId: outcome.requestId, success: true, data: outcome.data };
  }

  /**
   * Calls a tool of the session by name.
   *
   * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
   * @param connectTimeout how long connecting may take, in milliseconds
   */
  async callMcpTool(
    toolName: string,
    args: Record<string, unknown>,
    readTimeout?: number,
    connectTimeout?: number,
  ): Promise<McpToolResult> {
    return callTool(this, toolName, args, readTimeout, connectTimeout);
  }

  /**
   * Lists the tools of an image.
   *
   * @param imageId default: the image of this session
   */
  async listMcpTools(imageId?: string): Promise<McpToolsResult> {
    const image = imageId || this.imageId;
    if (!image) throw new Error("imageId is required. Provide it as a parameter or set it on the session.");
    const fault = notText({ imageId: image });
    if (fault) return refused(fault, { tools: [] });
    const outcome = await targetOf(this).native.listTools(image);
    if (isFailure(outcome)) return failed(outcome, { tools: [] as McpTool[] });
    return { requestId: outcome.requestId, success: true, tools: JSON.parse(outcome.data) };
  }

  /**
   * Load and traffic of the session's machine.
   *
   * @param readTimeout how long the call may take, in milliseconds; default: the configured time-out
   * @param connectTimeout how long connecting may take, in milliseconds
   */
  async getMetrics(readTimeout?: number, connectTimeout?: number): Promise<SessionMetricsResult> {
    const { native, route } = targetOf(this);
    const outcome = await native.metrics(route, optionalNumber(readTimeout), optionalNumber(connectTimeout));
    if (isFailure(outcome)) return failed(outcome, { metrics: undefined, raw: {} });
    const { requestId, metrics, raw } = outcome;
    return { requestId, success: true, metrics: { ...metrics }, raw: JSON.parse(raw) };
  }

  toJSON(): Record<string, unknown> {
    return {
      sessionId: this.#sessionId,
      resourceUrl: this.resourceUrl,
      imageId: this.imageId,
      appInstanceId: this.appInstanceId,
      resourceId: this.resourceId,
    };
  }
}

/** Why labels can't be set; undefined when they can. The order of the checks is the surface's. */
function labelFault(labels: unknown): string | undefined {
  if (Array.isArray(labels)) return "Labels cannot be an array. Please provide a valid labels object.";
  if (typeof labels !== "object" || labels === null) {
    return "Labels cannot be null, undefined, or invalid type. Please provide a valid labels object.";
  }
  const entries = Object.entries(labels);
  if (entries.length === 0) return "Labels cannot be empty. Please provide at least one label.";
  for (const [key, value] of entries) {
    if (key.trim() === "") return "Label keys cannot be empty. Please provide valid keys.";
    if (value === null || value === undefined || (typeof value === "string" && value.trim() === "")) {
      return "Label values cannot be empty. Please provide valid values.";
    }
  }
  return undefined;
}

inspectAs(Session, (session) => ({
  sessionId: session.getSessionId(),
  imageId: session.imageId,
  appInstanceId: session.appInstanceId,
  resourceId: session.resourceId,
}));
