import { BaseService } from "../base-service";
import type { SessionLike } from "../session-like";
import { failed, isFailure, present, refused } from "../support/call";
import { notText, optional, optionalNumber } from "../support/check";
import { targetOf } from "../support/target";
import type { CommandResult } from "../types";

/** Runs shell commands in a session, each in a fresh shell. */
export class Command extends BaseService {
  /** Another name of {@link execute}. */
  run: Command["execute"];
  /** Another name of {@link execute}. */
  exec: Command["execute"];

  constructor(session: SessionLike) {
    super(session);
    this.run = this.execute.bind(this);
    this.exec = this.execute.bind(this);
  }

  /**
   * Runs a command and waits for its end.
   *
   * @param timeoutMs how long it may run, in milliseconds; one second unless you say more
   * @param cwd directory to run in; default: the session's home
   * @param envs variables for this command alone
   * @throws {Error} when a value of `envs` is not a string
   */
  async execute(
    command: string,
    timeoutMs = 1000,
    cwd?: string,
    envs?: Record<string, string>,
  ): Promise<CommandResult> {
    if (envs && Object.values(envs).some((value) => typeof value !== "string")) {
      throw new Error("Invalid environment variables: all keys and values must be strings");
    }
    const fault = notText({ command, cwd: cwd ?? "" });
    if (fault) return refused(fault, NOTHING);

    const { native, route } = targetOf(this.session);
    const variables = envs ? Object.entries(envs).map(([name, value]) => ({ name, value })) : undefined;
    const outcome = await native.commandExecute(
      route,
      command,
      optionalNumber(timeoutMs) ?? 1000,
      optional(cwd),
      variables,
    );
    if (isFailure(outcome)) return failed(outcome, NOTHING);
    const { requestId, success, output, exitCode, stdout, stderr, traceId, errorMessage } = outcome;
    return present({ requestId, success, output, exitCode, stdout, stderr, traceId, errorMessage });
  }
}

/** What a command that never ran gave. */
const NOTHING = { output: "", exitCode: -1, stdout: "", stderr: "", traceId: "" };
