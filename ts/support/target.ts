/**
 * Which native client and session a call goes to.
 *
 * Callers may assign the public fields of an `AGB` or a `Session` at any time, and may hand in an object of their own
 * instead of a `Session`; both work because the fields are read at each call. Where they are as the native side knows
 * them, which is nearly always, nothing but the call itself crosses.
 */

import { Client } from "../client";
import { type Config, configurationSources, loadConfig } from "../config";
import { errorOf, SessionError } from "../errors";
import {
  type NativeAgb,
  type NativeExitOptions,
  type NativeHttpClient,
  type NativeRoute,
  type NativeSession,
  native,
} from "../native";
import type { SessionLike } from "../session-like";
import type { McpTool } from "../types";
import { VERSION } from "../version";
import { isFailure } from "./call";
import { watchSignalListeners } from "./exit";
import { openHttp } from "./http";
import { isGivenBack } from "./loan";

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
 * Opens a native client.
 * @throws {AuthenticationError} without an API key
 * @throws {AGBError} when the configuration can't be used
 */
export function openAgb({ apiKey, config, envFile, exit }: Sources): NativeAgb {
  const opened = native.openAgb({
    ...configurationSources(config, envFile),
    apiKey: apiKey || undefined,
    language: "typescript",
    version: VERSION,
    releaseOnExit: exit,
  });
  if (isFailure(opened)) throw errorOf(opened);
  if (exit) watchSignalListeners();
  return opened;
}

/** Remembers which native client stands behind a `Client`. */
export function bindClient(client: Client, opened: NativeAgb, exit?: NativeExitOptions): void {
  const { apiKey, endpoint, timeoutMs } = opened;
  clients.set(client, { native: opened, apiKey, endpoint, timeoutMs, exit });
}

/** The native client for what a `Client` and an API key say now; a new one when they have changed. */
export function nativeAgbOf(client: unknown, apiKey: string): NativeAgb {
  const key = typeof client === "object" && client !== null ? client : undefined;
  const config: Config | undefined = key instanceof Client ? key.config : undefined;
  const known = key && clients.get(key);
  if (known && known.apiKey === apiKey && isAs(known, config)) return known.native;

  const exit = known?.exit;
  const opened = openAgb({ apiKey, config: config ?? loadConfig(), exit });
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
    known.http ??= known.native.httpClient();
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

/** Remembers which native session stands behind a session that was just made. */
export function bindSession(session: SessionLike, bound: NativeSession): void {
  const agb = nativeAgbOf(session.getClient(), session.getApiKey());
  sessions.set(session, { native: bound, agb, id: session.getSessionId(), route: routeOf(session) });
}

/** Sees to it that the calls of a session are made as `facing` makes them. */
export function faceSession(session: SessionLike, facing: Facing): void {
  facings.set(session, facing);
}

/** The native session of a call, and its route where that differs from what the native session knows. */
export function targetOf(session: SessionLike): { native: NativeSession; route: NativeRoute | undefined } {
  const bound = boundSession(session);
  const route = isRoute(bound.route, session) ? undefined : routeOf(session);
  return { native: facings.get(session)?.(route) ?? bound.native, route };
}

/** The native session itself. */
export function nativeOf(session: SessionLike): NativeSession {
  return boundSession(session).native;
}

function boundSession(session: SessionLike): BoundSession {
  if (isGivenBack(session)) {
    const text = `the session ${session.getSessionId()} was given back to its pool; somebody else may have it`;
    throw new SessionError(text, { kind: "InvalidArgument" });
  }
  const agb = nativeAgbOf(session.getClient(), session.getApiKey());
  const id = session.getSessionId();
  const known = sessions.get(session);
  if (known && known.agb === agb && known.id === id) return known;

  const route: Route = { linkUrl: "", token: "", toolList: "", tools: [], wsUrl: "" };
  const bound: BoundSession = { native: agb.attach(id), agb, id, route };
  sessions.set(session, bound);
  return bound;
}

function routeOf(session: SessionLike): Route {
  const tools = toolsOf(session).map(({ name, server }) => ({ name: name ?? "", server: server ?? "" }));
  return {
    linkUrl: session.linkUrl ?? "",
    token: session.token ?? "",
    toolList: toolListOf(session),
    tools,
    wsUrl: session.wsUrl ?? "",
  };
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
