/**
 * Which native client and session a call goes to.
 *
 * Callers may assign the public fields of an `AGB` or a `Session` at any time, and may hand in an object of their own
 * instead of a `Session`; both work because the fields are read at each call. Where they are as the native side knows
 * them, which is nearly always, nothing but the call itself crosses.
 */

import { Client } from "../client";
import { type Config, configurationSources, loadConfig } from "../config";
import { errorOf, failureToldBy, invalidArgument, SessionError } from "../errors";
import {
  type NativeAgb,
  type NativeExitOptions,
  type NativeFailure,
  type NativeHttpClient,
  type NativeRoute,
  type NativeSession,
  native,
} from "../native";
import type { SessionLike } from "../session-like";
import type { McpTool } from "../types";
import { VERSION } from "../version";
import { isFailure } from "./call";
import { notText } from "./check";
import { watchSignalListeners } from "./exit";
import { openHttp } from "./http";
import { isGivenBack } from "./loan";
import { failing, reporting } from "./stand-in";

/** Where a tool call goes, as far as the session decides it. */
interface Route {
  linkUrl: string;
  token: string;
  toolList: string;
  tools: { name: string; server: string }[];
  wsUrl: string;
}

interface OpenClient {
  native: NativeAgb;
  /** The same client for requests of any kind, once it was asked for. */
  http?: NativeHttpClient;
  apiKey: string;
  endpoint: string;
  timeoutMs: number;
  exit: NativeExitOptions | undefined;
}

interface BoundSession {
  native: NativeSession;
  agb: NativeAgb;
  id: string;
  route: Route;
}

const clients = new WeakMap<object, OpenClient>();
/** The low-level clients that belong to no `AGB`. */
const lonely = new WeakMap<Client, Config & { http: NativeHttpClient }>();
const sessions = new WeakMap<SessionLike, BoundSession>();

/** Gives what stands before a native session, for calls with this route. */
export type Facing = (route: NativeRoute | undefined) => NativeSession;

const facings = new WeakMap<SessionLike, Facing>();

/** What an `AGB` is made from. */
export interface Sources {
  apiKey?: string;
  config?: { endpoint?: string; timeoutMs?: number };
  envFile?: string;
  exit?: NativeExitOptions;
}

/**
 * Opens a native client from what the program, the environment and `.env` say.
 * @throws {AuthenticationError} without an API key
 * @throws {AGBError} when the configuration can't be used
 */
export function openAgb({ apiKey, config, envFile, exit }: Sources): NativeAgb {
  return open(configurationSources(config, envFile), apiKey, exit);
}

/** Opens a native client with this key and no other: were it empty, the environment might have one that nobody meant. */
function openAgbWith(apiKey: string, config: Config, exit: NativeExitOptions | undefined): NativeAgb {
  const { endpoint, timeoutMs, environment } = configurationSources(config, undefined);
  const { AGB_API_KEY: _, ...withoutKey } = environment;
  return open({ endpoint, timeoutMs, environment: withoutKey }, apiKey, exit);
}

type NativeOptions = Parameters<typeof native.openAgb>[0];

function open(
  sources: Omit<NativeOptions, "language" | "version">,
  apiKey: string | undefined,
  exit: NativeExitOptions | undefined,
): NativeAgb {
  const fault = notText({ apiKey: apiKey ?? "" });
  if (fault) throw invalidArgument(fault);
  const opened = native.openAgb({
    ...sources,
    apiKey: apiKey || undefined,
    language: "typescript",
    version: VERSION,
    releaseOnExit: exit,
  });
  if (isFailure(opened)) throw errorOf(opened);
  if (exit) watchSignalListeners();
  return reporting(opened);
}

/** Remembers which native client stands behind a `Client`. */
export function bindClient(client: Client, opened: NativeAgb, exit?: NativeExitOptions): void {
  const { apiKey, endpoint, timeoutMs } = opened;
  clients.set(client, { native: opened, apiKey, endpoint, timeoutMs, exit });
}

/** The native client for asynchronous calls. Where it can't be had, each call fails. */
export function agbTargetOf(client: unknown, apiKey: string): NativeAgb {
  try {
    return nativeAgbOf(client, apiKey);
  } catch (error) {
    return failing(failureToldBy(error));
  }
}

/**
 * The native client for what a `Client` and an API key say now; a new one when they have changed.
 * @throws {AGBError} when they can't be used
 */
export function nativeAgbOf(client: unknown, apiKey: string): NativeAgb {
  const key = typeof client === "object" && client !== null ? client : undefined;
  const config: Config | undefined = key instanceof Client ? key.config : undefined;
  const known = key && clients.get(key);
  if (known && known.apiKey === apiKey && isAs(known, config)) return known.native;

  const exit = known?.exit;
  const opened = openAgbWith(apiKey, config ?? loadConfig(), exit);
  // Keyed by what the caller configured, so that the next call finds it under the same words.
  const { endpoint, timeoutMs } = config ?? opened;
  if (key) clients.set(key, { native: opened, apiKey, endpoint, timeoutMs, exit });
  return opened;
}

/** The native client for the requests of a `Client`: over the connections of its `AGB`, if it has one. */
export function nativeHttpOf(client: Client): NativeHttpClient {
  const { config } = client;
  const known = clients.get(client);
  if (known && isAs(known, config)) {
    known.http ??= reporting(known.native.httpClient());
    return known.http;
  }
  const alone = lonely.get(client);
  if (alone && isAs(alone, config)) return alone.http;
  const http = openHttp(config);
  lonely.set(client, { http, endpoint: config.endpoint, timeoutMs: config.timeoutMs });
  return http;
}

function isAs(known: Config, config: Config | undefined): boolean {
  return config === undefined || (known.endpoint === config.endpoint && known.timeoutMs === config.timeoutMs);
}

/** Remembers which native session, of which client, stands behind a session that was just made. */
export function bindSession(session: SessionLike, bound: NativeSession, agb: NativeAgb): void {
  sessions.set(session, { native: reporting(bound), agb, id: session.getSessionId(), route: routeOf(session) });
}

/** Sees to it that the calls of a session are made as `facing` makes them. */
export function faceSession(session: SessionLike, facing: Facing): void {
  facings.set(session, facing);
}

/** Whom a call goes to. */
export interface Target {
  native: NativeSession;
  /** The session's route, where it differs from what the native session knows. */
  route: NativeRoute | undefined;
  /** Why no call will succeed. */
  failure?: NativeFailure;
}

/**
 * The native session of an asynchronous call. Where it can't be had, the call fails.
 * @throws {SessionError} when the session was given back to its pool
 */
export function targetOf(session: SessionLike): Target {
  refuseGivenBack(session);
  try {
    return openTargetOf(session);
  } catch (error) {
    const failure = failureToldBy(error);
    return { native: failing(failure), route: undefined, failure };
  }
}

/**
 * The native session of a synchronous call.
 * @throws {AGBError} when it can't be had
 */
export function openTargetOf(session: SessionLike): Target {
  const bound = boundSession(session);
  const route = isRoute(bound.route, session) ? undefined : routeOf(session);
  return { native: facings.get(session)?.(route) ?? bound.native, route };
}

/**
 * The native session itself.
 * @throws {AGBError} when it can't be had
 */
export function nativeOf(session: SessionLike): NativeSession {
  return boundSession(session).native;
}

/** @throws {SessionError} for a session that was given back to its pool */
export function refuseGivenBack(session: SessionLike): void {
  if (!isGivenBack(session)) return;
  const text = `the session ${session.getSessionId()} was given back to its pool; somebody else may have it`;
  throw new SessionError(text, { kind: "InvalidArgument" });
}

function boundSession(session: SessionLike): BoundSession {
  refuseGivenBack(session);
  const id = session.getSessionId();
  const fault = notText({ sessionId: id });
  if (fault) throw invalidArgument(fault);
  const agb = nativeAgbOf(session.getClient(), session.getApiKey());
  const known = sessions.get(session);
  if (known && known.agb === agb && known.id === id) return known;

  const route: Route = { linkUrl: "", token: "", toolList: "", tools: [], wsUrl: "" };
  const bound: BoundSession = { native: reporting(agb.attach(id)), agb, id, route };
  sessions.set(session, bound);
  return bound;
}

function routeOf(session: SessionLike): Route {
  const tools = toolsOf(session).map((tool) => ({ name: tool?.name ?? "", server: tool?.server ?? "" }));
  const texts = { linkUrl: session.linkUrl ?? "", token: session.token ?? "", wsUrl: session.wsUrl ?? "" };
  const fault = notText(texts) ?? tools.map(notText).find((text) => text !== undefined);
  if (fault) throw invalidArgument(fault);
  return { ...texts, tools, toolList: toolListOf(session) };
}

function isRoute(route: Route, session: SessionLike): boolean {
  if (route.linkUrl !== (session.linkUrl ?? "") || route.token !== (session.token ?? "")) return false;
  if (route.toolList !== toolListOf(session) || route.wsUrl !== (session.wsUrl ?? "")) return false;
  const tools = toolsOf(session);
  return (
    route.tools.length === tools.length &&
    route.tools.every((tool, index) => tool.name === tools[index]?.name && tool.server === tools[index]?.server)
  );
}

function toolsOf(session: SessionLike): McpTool[] {
  return Array.isArray(session.mcpTools) ? session.mcpTools : [];
}

function toolListOf(session: SessionLike): string {
  return typeof session.toolList === "string" ? session.toolList : "";
}
