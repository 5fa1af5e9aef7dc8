import { BaseService } from "../../base-service";
import type { NativeFailure } from "../../native";
import { failed, isFailure, refused } from "../../support/call";
import { notText } from "../../support/check";
import { targetOf } from "../../support/target";
import type {
  AppOperationResult,
  InstalledAppInfo,
  InstalledAppListResult,
  ProcessInfo,
  ProcessListResult,
} from "../../types";
import { numberOf } from "./answer";

/** The applications of a session's desktop. */
export class ApplicationManager extends BaseService {
  /**
   * Starts an application.
   *
   * @param command as in `start_cmd` of {@link listInstalled}
   * @param workDirectory where it starts; default: where the service starts it
   * @param activity part of the application to begin with, where it has such parts
   * @returns its processes
   */
  async start(command: string, workDirectory = "", activity = ""): Promise<ProcessListResult> {
    const words = { command, workDirectory: workDirectory ?? "", activity: activity ?? "" };
    const fault = notText(words);
    if (fault) return refused(fault, { data: [] as ProcessInfo[] });
    const { native, route } = targetOf(this.session);
    return processes(await native.computerStartApp(route, command, words.workDirectory, words.activity));
  }

  /**
   * The applications that can be started.
   *
   * @param startMenu those of the start menu
   * @param desktop those on the desktop
   * @param ignoreSystemApps leave out those of the system itself
   */
  async listInstalled(startMenu = true, desktop = false, ignoreSystemApps = true): Promise<InstalledAppListResult> {
    const { native, route } = targetOf(this.session);
    const outcome = await native.computerInstalledApps(
      route,
      Boolean(startMenu ?? true),
      Boolean(desktop),
      Boolean(ignoreSystemApps ?? true),
    );
    if (isFailure(outcome)) return failed(outcome, { data: [] as InstalledAppInfo[] });
    return { requestId: outcome.requestId, success: true, data: JSON.parse(outcome.data) };
  }

  /** The processes that show a window. */
  async getVisible(): Promise<ProcessListResult> {
    const { native, route } = targetOf(this.session);
    return processes(await native.computerVisibleApps(route));
  }

  /** Ends an application by the name of its process. */
  async stopByPname(processName: string): Promise<AppOperationResult> {
    const fault = notText({ processName });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return stopped(await native.computerStopAppByName(route, processName));
  }

  /** Ends an application by the number of its process. */
  async stopByPid(pid: number): Promise<AppOperationResult> {
    const { native, route } = targetOf(this.session);
    return stopped(await native.computerStopAppByPid(route, numberOf(pid)));
  }

  /** Ends an application by a command that does it, such as `kill -9 <pid>`. */
  async stopByCmd(stopCmd: string): Promise<AppOperationResult> {
    const fault = notText({ stopCmd });
    if (fault) return refused(fault, {});
    const { native, route } = targetOf(this.session);
    return stopped(await native.computerStopAppByCommand(route, stopCmd));
  }
}

function processes(outcome: { requestId: string; data: string } | NativeFailure): ProcessListResult {
  if (isFailure(outcome)) return failed(outcome, { data: [] as ProcessInfo[] });
  return { requestId: outcome.requestId, success: true, data: JSON.parse(outcome.data) };
}

function stopped(outcome: { requestId: string } | NativeFailure): AppOperationResult {
  if (isFailure(outcome)) return failed(outcome, {});
  // The surface's result has an empty text here where others have none.
  return { requestId: outcome.requestId, success: true, errorMessage: "" };
}
