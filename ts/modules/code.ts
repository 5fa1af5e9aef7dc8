import { BaseService } from "../base-service";
import { invalidArgument, socketErrorOf } from "../errors";
import type { native as library, NativeCodeEvent, NativeExecution, NativeStreamed } from "../native";
import { cancelBy, cancellable, notSignal, onAbort } from "../support/abort";
import { failed, isFailure, present, refusal, refused } from "../support/call";
import { guarded, notCallback } from "../support/callback";
import { notText, optionalNumber } from "../support/check";
import { EventQueue } from "../support/event-queue";
import { targetOf } from "../support/target";
import type { CodeEvent, CodeStreamOptions, EnhancedCodeExecutionResult, ExecutionResult } from "../types";

/** How a program is run, and how a streamed run tells what happens. */
interface RunOptions {
  /** Run it over the session's WebSocket, and call the functions meanwhile? Default: false. */
  streamBeta?: boolean;
  /** Called with what the program prints, as it prints it. */
  onStdout?: (chunk: string) => void;
  /** The same for standard error. */
  onStderr?: (chunk: string) => void;
  /** Called with what the service says of the program's failure, or with the error of a stream that broke. */
  onError?: (err: unknown) => void;
  /** Ends the wait: the promise rejects with its reason, and the program may run on. */
  signal?: AbortSignal;
}

/** One run, and how it is given up. */
interface Call {
  code: string;
  language: string;
  timeoutS: number | null | undefined;
  cancel: InstanceType<typeof library.NativeCancel>;
}

const DEFAULT_TIMEOUT_S = 60;
const NO_WEB_SOCKET = "WebSocket streaming is not supported by this session";

/** Runs programs in a session. Each language keeps its state from one run to the next. */
export class Code extends BaseService {
  /**
   * Runs a program and waits for its end.
   *
   * @param language `python`, `javascript`, `java` or `r`; `py`, `python3`, `js`, `node` and `nodejs` work too
   * @param timeoutS how long it may run, in seconds
   * @param options with `streamBeta`, the three functions are called while the program runs, the last time before the
   * promise resolves: `onStdout` and `onStderr` with what it prints, `onError` with how it or its stream failed. An aborted
   * `signal` ends the wait: the promise rejects with its reason, and the program may run on
   */
  async run(
    code: string,
    language: string,
    timeoutS = DEFAULT_TIMEOUT_S,
    options?: RunOptions,
  ): Promise<EnhancedCodeExecutionResult> {
    const { streamBeta, signal, ...callbacks } = options ?? {};
    const fault = notText({ code, language }) ?? notSignal(signal);
    if (fault) return refused(fault, emptyExecution());
    if (signal?.aborted) throw signal.reason;

    const result = await cancellable(signal, (cancel) => {
      const call = { code, language, timeoutS, cancel };
      return streamBeta ? this.#runStreamed(call, callbacks, signal) : this.#runAtOnce(call);
    });
    // Only the signal cancels it.
    if (!result) throw signal?.reason;
    return result;
  }

  async #runAtOnce({ code, language, timeoutS, cancel }: Call): Promise<EnhancedCodeExecutionResult | undefined> {
    const { native, route } = targetOf(this.session);
    const limitS = optionalNumber(timeoutS) ?? DEFAULT_TIMEOUT_S;
    const outcome = await native.codeRun(route, code, language, limitS, cancel);
    if (isFailure(outcome)) return failed(outcome, emptyExecution());
    return outcome ? executionOf(outcome) : undefined;
  }

  async #runStreamed(
    call: Call,
    { onStdout, onStderr, onError }: Omit<RunOptions, "streamBeta" | "signal">,
    signal: AbortSignal | null | undefined,
  ): Promise<EnhancedCodeExecutionResult | undefined> {
    const fault = notCallback({ onStdout, onStderr, onError });
    if (fault) return refused(fault, emptyExecution());

    const tellStdout = guarded("onStdout", onStdout);
    const tellStderr = guarded("onStderr", onStderr);
    const tellError = guarded("onError", onError);
    let hasToldError = false;
    const streamed = await this.#stream(call, (event) => {
      if (signal?.aborted) return;
      if (event.kind === "stdout") tellStdout(event.chunk ?? "");
      if (event.kind === "stderr") tellStderr(event.chunk ?? "");
      if (event.kind !== "error") return;
      hasToldError = true;
      tellError(parsed(event.payload));
    });
    if (!streamed) return undefined;

    const { execution, failure } = streamed;
    if (!failure) return executionOf(execution);
    // What is refused before anything is sent is no error of a stream.
    if (!hasToldError && failure.kind !== "InvalidArgument") tellError(socketErrorOf(failure));
    const { executionTime, logs, results, error } = executionOf(execution);
    return present(failed(failure, { executionTime, logs, results, error }));
  }

  /**
   * Runs a program and gives what happens as it happens: output as it is printed, displayed values, errors, and at last
   * the event `end` with the same result as {@link run}.
   *
   * The program starts with the first look at the stream. Leaving the loop early gives it up: it is interrupted, unless
   * another stream of the session runs at the same time, or somebody listens to pushes. The protocol has no word for it but
   * the end of the connection.
   *
   * @param language as for {@link run}
   * @throws {WsError} while it is read, when the connection can't be made, breaks or is incomplete; a program that
   *   fails does not throw
   * @throws {SessionError} when the session is gone
   * @throws {AGBError} for arguments, for a session without WebSocket, and when the API key or the configuration can't
   *   be used; an aborted `signal` throws its reason
   */
  async *stream(code: string, language: string, options?: CodeStreamOptions): AsyncGenerator<CodeEvent, void, void> {
    const { timeoutS, signal } = options ?? {};
    const fault = notText({ code, language }) ?? notSignal(signal);
    if (fault) throw invalidArgument(fault);
    if (signal?.aborted) throw signal.reason;

    const cancel = cancelBy(signal);
    const events = new EventQueue<CodeEvent>();
    const removeListener = onAbort(signal, () => {
      events.abort(signal?.reason);
      cancel.cancel();
    });
    try {
      const run = this.#stream({ code, language, timeoutS, cancel }, (event) => events.push(eventOf(event)));
      run.then(
        (streamed) => finish(events, streamed),
        (error) => events.fail(error),
      );
      yield* events.read();
    } finally {
      removeListener();
      cancel.cancel();
    }
  }

  async #stream(
    { code, language, timeoutS, cancel }: Call,
    onEvent: (event: NativeCodeEvent) => void,
  ): Promise<NativeStreamed | null | undefined> {
    if (typeof this.session.wsUrl !== "string") return { execution: NO_EXECUTION, failure: refusal(NO_WEB_SOCKET) };
    const { native, route } = targetOf(this.session);
    const limit = optionalNumber(timeoutS) ?? DEFAULT_TIMEOUT_S;
    const streamed = await native.codeStream(route, code, language, limit, cancel, onEvent);
    return streamed && isFailure(streamed) ? { execution: NO_EXECUTION, failure: streamed } : streamed;
  }
}

/** Puts the last event of a stream, or its failure, behind the others. */
function finish(events: EventQueue<CodeEvent>, streamed: NativeStreamed | null | undefined): void {
  if (streamed?.failure) {
    events.fail(socketErrorOf(streamed.failure));
    return;
  }
  if (streamed) events.push({ type: "end", result: executionOf(streamed.execution) });
  events.close();
}

function eventOf({ kind, chunk, result, error }: NativeCodeEvent): CodeEvent {
  if (result) return { type: "result", result: resultOf(result) };
  if (error) return { type: "error", error: { ...error } };
  return { type: kind === "stderr" ? "stderr" : "stdout", chunk: chunk ?? "" };
}

const NO_EXECUTION: NativeExecution = {
  requestId: "",
  success: false,
  executionTime: 0,
  stdout: [],
  stderr: [],
  results: [],
  errorMessage: NO_WEB_SOCKET,
};

function emptyExecution() {
  return {
    executionTime: 0,
    logs: { stdout: [] as string[], stderr: [] as string[] },
    results: [] as ExecutionResult[],
  };
}

function executionOf(execution: NativeExecution): EnhancedCodeExecutionResult {
  const { requestId, success, executionCount, executionTime, stdout, stderr, results, error, errorMessage } = execution;
  return present({
    requestId,
    success,
    executionCount,
    executionTime,
    logs: { stdout: [...stdout], stderr: [...stderr] },
    results: Array.from(results, resultOf),
    error: error && { ...error },
    errorMessage,
  });
}

function resultOf(result: NativeExecution["results"][number]): ExecutionResult {
  const { text, html, markdown, png, jpeg, svg, json, latex, chart, isMainResult } = result;
  return present({
    text,
    html,
    markdown,
    png,
    jpeg,
    svg,
    json: parsed(json),
    latex,
    chart: parsed(chart),
    isMainResult,
  });
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json);
}
