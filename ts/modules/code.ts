import { BaseService } from "../base-service";
import type { NativeExecution } from "../native";
import { failed, isFailure, present, refused } from "../support/call";
import { notText, optionalNumber } from "../support/check";
import { targetOf } from "../support/target";
import { unavailableMessage } from "../support/unavailable";
import type { EnhancedCodeExecutionResult, ExecutionResult } from "../types";

/** How a streamed run tells what happens. */
interface RunOptions {
  streamBeta?: boolean;
  onStdout?: (chunk: string) => void;
  onStderr?: (chunk: string) => void;
  onError?: (err: unknown) => void;
}

/** Runs programs in a session. Each language keeps its state from one run to the next. */
export class Code extends BaseService {
  /**
   * Runs a program and waits for its end.
   *
   * @param language `python`, `javascript`, `java` or `r`; `py`, `python3`, `js`, `node` and `nodejs` work too
   * @param timeoutS how long it may run, in seconds
   * @param options `streamBeta` is not in this version yet
   */
  async run(code: string, language: string, timeoutS = 60, options?: RunOptions): Promise<EnhancedCodeExecutionResult> {
    const fault = notText({ code, language });
    if (fault) return refused(fault, emptyExecution());
    if (options?.streamBeta) return refused(unavailableMessage("code.run with streamBeta"), emptyExecution());

    const { native, route } = targetOf(this.session);
    const outcome = await native.codeRun(route, code, language, optionalNumber(timeoutS) ?? 60);
    if (isFailure(outcome)) return failed(outcome, emptyExecution());
    return executionOf(outcome);
  }
}

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
    results: Array.from(results, ({ text, html, markdown, png, jpeg, svg, json, latex, chart, isMainResult }) =>
      present({ text, html, markdown, png, jpeg, svg, json: parsed(json), latex, chart: parsed(chart), isMainResult }),
    ),
    error: error && { ...error },
    errorMessage,
  });
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json);
}
