import { type EmulatorFault, type EmulatorFaults, type EmulatorFaultUse, faultJson, faultsOf } from "./emulator-faults";
import { AGBError, errorOf, invalidArgument } from "./errors";
import { type NativeEmulator, native } from "./native";
import { isFailure, present } from "./support/call";
import { jsonOf, kindOf, notObject, notText, notTexts, notWhole } from "./support/check";
import { inspectAs } from "./support/inspect";
import { reporting } from "./support/stand-in";
import { VERSION } from "./version";

/** As far as the clients' clock goes. */
const LONGEST_ADVANCE_MS = 100 * 365 * 24 * 3_600_000;

/** How sessions are kept apart: by Linux namespaces, or not beyond an ordinary user's rights. */
export type EmulatorIsolation = "namespace" | "plain";

/** How an emulator is started; everything may be left out. */
export interface EmulatorOptions {
  /** Port on 127.0.0.1. Default 0: any free one. */
  port?: number;
  /** The key that clients must send. Default: a random one. */
  apiKey?: string;
  /** Makes ids and tokens the same in every run. Default: random ones. */
  seed?: number;
  /** How many sessions may be alive at once. Default: no limit. */
  maxSessions?: number;
  /** The longest request body, in bytes. Default: 16 MiB. */
  maxBodyBytes?: number;
  /** The longest answer of a tool, in bytes. Default: 16 MiB. */
  maxOutputBytes?: number;
  /** How sessions are kept apart. Default: `namespace` where a trial shows that it works, else `plain`. */
  isolation?: EmulatorIsolation;
  /** The Python interpreter. Default: found on `PATH`. */
  python?: string;
  /** The Node.js interpreter. Default: the one that runs this program. */
  node?: string;
  /** The Chromium that browser images start. Default: the one that `CHROMIUM_PATH` names, else found on `PATH`. */
  chromium?: string;
  /** Further image ids to accept, with the tools of `agb-code-space-1`. */
  images?: string[];
  /** Do sessions get a link URL, on which clients call tools directly? Default: as the image does. */
  linkUrl?: boolean;
  /** Faults that strike from the start. Default: none. */
  faults?: EmulatorFault[];
}

/** A session as the emulator sees it. */
export interface EmulatorSession {
  id: string;
  imageId: string;
  /** `created` until the first call, `active` during a call, `idle` between calls, `releasing`, then `released`. */
  state: "created" | "active" | "idle" | "releasing" | "released";
  /** What `getStatus` answers: `RUNNING`, `DELETING`, `FINISH`; `NOT_FOUND` once the session is forgotten. */
  wireStatus: string;
  /** ISO 8601, by the emulator's clock. */
  createdAt: string;
  /** Seconds. */
  idleReleaseTimeout: number;
  /** Seconds until the session is released if nothing happens; 0 once it is. */
  timeLeft: number;
  /** Seconds until the session ends whatever happens; 0 once it has. */
  lifetimeLeft: number;
  /** The last request that used the session. */
  lastCall?: { operation: string; at: string };
  /** Why the session ended, once it has. */
  endReason?: string;
  labels: Record<string, string>;
}

/** What the browser agent answers to some of its calls, as there is no model here. */
export interface EmulatorAgentAnswer {
  /** To which calls, in both of their forms. */
  tool: "act" | "observe" | "extract";
  /** Only to those whose action or instruction contains this text. */
  containing?: string;
  /**
   * The answer: for `act` a text, or an object with `steps` and `success`; for `observe` a list of elements; for
   * `extract` the data.
   */
  answer?: unknown;
  /** The call fails with this text instead. */
  error?: string;
  /** How often a task is looked at before it is done. Default 0. */
  pendingLooks?: number;
  /** How often this answer is given. Default: always. */
  times?: number;
}

/** A request that the emulator has answered. */
export interface EmulatorRequest {
  /** Counts from 1. */
  seq: number;
  /** ISO 8601, by the emulator's clock. */
  at: string;
  method: string;
  path: string;
  /** The operation, for example `createSession`; `callTool` for a tool on either route. */
  operation: string;
  /** The tool, for a tool call. */
  tool?: string;
  sessionId?: string;
  requestId: string;
  /** Status of the HTTP answer; 0 when a fault let none out. */
  status: number;
  /** `ok`, or the error code; `unanswered` or `unreadable` when a fault made it so. */
  code: string;
  success: boolean;
  /** Milliseconds of real time. */
  durationMs: number;
  /** Did it set the session's idle timer back? */
  resetsIdleTimer: boolean;
  query: Record<string, unknown>;
  /** The JSON body, without secrets; absent when there was none or it was long. */
  body?: unknown;
  /** The fault that struck it, and what was done all the same. */
  fault?: EmulatorFaultUse;
}

/**
 * The service on this machine: real sessions with real interpreters, a real shell and real files, on 127.0.0.1, for
 * trying, testing and working offline.
 *
 * ```ts
 * const emulator = await Emulator.start();
 * const agb = new AGB({ apiKey: emulator.apiKey, config: { endpoint: emulator.url } });
 * // …
 * await emulator.close();
 * ```
 */
export class Emulator {
  readonly #native: NativeEmulator;
  /** Lets requests fail, to see what a program makes of it. */
  readonly faults: EmulatorFaults;

  private constructor(started: NativeEmulator) {
    this.#native = started;
    this.faults = faultsOf(started);
  }

  /**
   * Starts an emulator.
   * @throws {AGBError} when it can't be started, for example because the port is taken
   */
  static async start(options: EmulatorOptions = {}): Promise<Emulator> {
    const fault = optionFault(options ?? {});
    if (fault) throw invalidArgument(fault);
    const defaults = { node: process.execPath, chromium: process.env.CHROMIUM_PATH || undefined };
    const faults = options?.faults?.map(faultJson);
    const started = await native.startEmulator(present({ ...defaults, ...options, faults }));
    if (isFailure(started)) throw errorOf(started);
    return new Emulator(reporting(started));
  }

  /** The address, for `config.endpoint` or `AGB_ENDPOINT`. */
  get url(): string {
    return this.#native.url;
  }

  /** The key that clients must send. */
  get apiKey(): string {
    return this.#native.apiKey;
  }

  /** The variables that make a client of this process or of another one use this emulator. */
  get env(): { AGB_ENDPOINT: string; AGB_API_KEY: string } {
    return { AGB_ENDPOINT: this.url, AGB_API_KEY: this.apiKey };
  }

  /** How sessions are kept apart and why, and the interpreters found: lines for a person. */
  get summary(): string {
    return this.#native.summary;
  }

  /** How sessions are kept apart. */
  get isolation(): EmulatorIsolation {
    return this.#native.isolation as EmulatorIsolation;
  }

  /**
   * Moves the time of session timers forward, for this emulator and the clients of this process that use it, and waits
   * until everything that was due in between is done. Real work (commands, requests, their deadlines) stays in real
   * time.
   *
   * @param ms milliseconds, a hundred years at most
   * @throws {AGBError} for any other number
   */
  async advance(ms: number): Promise<void> {
    if (!(Number.isFinite(ms) && ms >= 0 && ms <= LONGEST_ADVANCE_MS)) {
      throw invalidArgument(
        `advance takes milliseconds, from 0 to ${LONGEST_ADVANCE_MS} (100 years), got ${String(ms)}`,
      );
    }
    await this.#native.advance(ms);
  }

  /** The sessions, also those released a while ago, oldest first. */
  sessions(): EmulatorSession[] {
    return Array.from(this.#native.sessions(), ({ lastCall, labels, ...session }) =>
      present({
        ...session,
        state: session.state as EmulatorSession["state"],
        lastCall: lastCall && { ...lastCall },
        labels: JSON.parse(labels),
      }),
    );
  }

  /** The requests answered so far, oldest first. */
  journal(): EmulatorRequest[] {
    return Array.from(this.#native.journal(), ({ query, body, fault, ...request }) =>
      present({
        ...request,
        query: JSON.parse(query),
        body: body === undefined ? undefined : JSON.parse(body),
        fault: fault && (present({ ...fault }) as EmulatorFaultUse),
      }),
    );
  }

  /**
   * Says what the browser agent answers from now on, in the order in which the answers are tried; none makes it need a
   * model again.
   * @throws {AGBError} for answers that can't be used
   */
  scriptBrowserAgent(answers: EmulatorAgentAnswer[]): void {
    const fault = scriptFault(answers);
    if (fault) throw invalidArgument(fault);
    const failure = this.#native.scriptBrowserAgent(
      answers.map(({ answer, ...rest }) =>
        present({ ...rest, answer: answer === undefined ? undefined : JSON.stringify(answer) }),
      ),
    );
    if (failure) throw errorOf(failure);
  }

  /**
   * Pushes a message to every client that has a WebSocket to the session open: they hear it under the name of `source`.
   *
   * @param source not empty: nobody can listen to that
   * @returns how many these are; none for a session that is unknown or released
   * @throws {AGBError} for what is no message
   */
  push(sessionId: string, source: string, data: Record<string, unknown>): number {
    const fault = messageFault(sessionId, source, data);
    if (fault) throw invalidArgument(fault);
    const json = jsonOf(data);
    if ("fault" in json) throw invalidArgument(`data must be JSON: ${json.fault}`);
    const pushed = this.#native.push(sessionId, source, json.text);
    if (isFailure(pushed)) throw errorOf(pushed);
    return pushed.clients;
  }

  /** Forgets the requests answered so far. */
  clearJournal(): void {
    this.#native.clearJournal();
  }

  /**
   * Throws when a session is still alive, and names each with its creation time and last call: a test that forgot to
   * delete its sessions finds them by it.
   */
  expectNoLiveSessions(): void {
    const live = this.sessions().filter(({ state }) => state !== "released" && state !== "releasing");
    if (live.length === 0) return;
    const lines = live.map(({ id, imageId, createdAt, lastCall }) => {
      const last = lastCall ? `last call ${lastCall.operation} at ${lastCall.at}` : "no call since";
      return `  ${id} (${imageId}), created at ${createdAt}, ${last}`;
    });
    const sessions = live.length === 1 ? "1 session is" : `${live.length} sessions are`;
    throw new AGBError(`${sessions} still alive; delete every session when done:\n${lines.join("\n")}`);
  }

  /** Stops listening and ends all sessions with everything that runs in them. Closing twice is fine. */
  async close(): Promise<void> {
    await this.#native.close();
  }

  /** Closes, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  toJSON(): Record<string, unknown> {
    return { url: this.url, isolation: this.isolation, version: VERSION };
  }
}

/** The first option that is not of its type, as a message; undefined when all are. */
function optionFault(options: EmulatorOptions): string | undefined {
  const { port, seed, maxSessions, maxBodyBytes, maxOutputBytes, images, linkUrl } = options;
  const { apiKey, isolation, python, node, chromium, faults } = options;
  if (faults !== undefined && faults !== null && !Array.isArray(faults)) {
    return `faults must be an array, got ${kindOf(faults)}`;
  }
  if (apiKey === "") return "apiKey must not be empty; leave it out for a random one";
  if (linkUrl !== undefined && linkUrl !== null && typeof linkUrl !== "boolean") {
    return `linkUrl must be true or false, got ${kindOf(linkUrl)}`;
  }
  return (
    notWhole({ port }, 65_535) ??
    notWhole({ seed, maxSessions, maxBodyBytes, maxOutputBytes }) ??
    notText(present({ apiKey, isolation, python, node, chromium })) ??
    notTexts({ images })
  );
}

/** What is wrong with a message to push, as a message. */
function messageFault(sessionId: unknown, source: unknown, data: unknown): string | undefined {
  if (source === "") return "source must not be empty: nobody can listen to that";
  if (data === undefined || data === null) return `data must be an object, got ${kindOf(data)}`;
  return notText({ sessionId, source }) ?? notObject({ data });
}

/** What is wrong with a script of the browser agent, as a message. */
function scriptFault(answers: EmulatorAgentAnswer[]): string | undefined {
  if (!Array.isArray(answers)) return `answers must be an array, got ${kindOf(answers)}`;
  for (const answer of answers) {
    if (typeof answer !== "object" || answer === null) return `an answer must be an object, got ${kindOf(answer)}`;
    const { tool, containing, error, pendingLooks, times } = answer;
    const fault =
      notText({ tool, ...present({ containing, error }) }) ?? notWhole({ pendingLooks, times }, 0xffff_ffff);
    if (fault) return fault;
  }
  return undefined;
}

inspectAs(Emulator, (emulator) => emulator.toJSON());
