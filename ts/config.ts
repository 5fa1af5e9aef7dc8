/**
 * Configuration: what the program, the environment and `.env` say. Precedence and defaults are the native client's.
 */

import { errorOf, invalidArgument } from "./errors";
import { type NativeFailure, native } from "./native";
import { isFailure } from "./support/call";
import { kindOf, notObject, notText } from "./support/check";

/** Where the service is and how long a request may take. */
export interface Config {
  /** Host or URL of the service; a bare host is reached by https. */
  endpoint: string;
  /** How long a request may take, in milliseconds. */
  timeoutMs: number;
}

/** What a program may set; the rest comes from the environment, `.env` and the defaults. */
export interface ConfigOptions {
  /** Host or URL of the service. Default: `AGB_ENDPOINT`, else `sdk-api.agb.cloud`. */
  endpoint?: string;
  /** How long a request may take, in milliseconds. Default: `AGB_TIMEOUT_MS`, else 60,000. */
  timeoutMs?: number;
}

/** The variables that the native client is told about; it never reads the process's environment itself. */
const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/**
 * The variables of this moment that concern the client. Read here because native code sees neither jest's copy of
 * `process.env` nor a worker's.
 * @internal
 */
export function relevantEnvironment(): Record<string, string> {
  const relevant: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const concerns =
      name.startsWith("AGB_") || name === "NODE_EXTRA_CA_CERTS" || PROXY_VARIABLES.includes(name.toUpperCase());
    if (concerns && value !== undefined) relevant[name] = value;
  }
  return relevant;
}

/**
 * What the native client resolves options from.
 * @throws {AGBError} for a value of the wrong kind
 * @internal
 */
export function configurationSources(options: ConfigOptions | undefined, envFile: string | undefined) {
  const fault = configFault(options, envFile);
  if (fault) throw invalidArgument(fault);
  return {
    endpoint: options?.endpoint ?? undefined,
    timeoutMs: options?.timeoutMs ?? undefined,
    envFile: envFile ?? undefined,
    directory: process.cwd(),
    environment: relevantEnvironment(),
  };
}

function configFault(options: ConfigOptions | null | undefined, envFile: unknown): string | undefined {
  const { endpoint, timeoutMs } = options ?? {};
  const fault =
    notObject({ config: options }) ?? notText({ "config.endpoint": endpoint ?? "", envFile: envFile ?? "" });
  // Which numbers can be used says the native client.
  if (fault || typeof (timeoutMs ?? 0) === "number") return fault;
  return `config.timeoutMs must be a number, got ${kindOf(timeoutMs)}`;
}

/** The configuration when nothing is set anywhere: the public service, 60 seconds. */
export function defaultConfig(): Config {
  const { endpoint, timeoutMs } = native.defaultConfig();
  return { endpoint, timeoutMs };
}

/**
 * Resolves a configuration: `customConfig` before the environment before `.env` before the defaults.
 *
 * @param customEnvPath a file to read instead of `.env` in the current directory
 * @throws {AGBError} when a value can't be used
 */
export function loadConfig(customConfig?: ConfigOptions, customEnvPath?: string): Config {
  const loaded: Config | NativeFailure = native.loadConfig(configurationSources(customConfig, customEnvPath));
  if (isFailure(loaded)) throw errorOf(loaded);
  return { endpoint: loaded.endpoint, timeoutMs: loaded.timeoutMs };
}
