/**
 * Requests on their way to the native client, and its records on their way back.
 */

import { type Config, configurationSources } from "../config";
import { errorOf } from "../errors";
import type { HttpResponse } from "../http-client";
import { type NativeHttpClient, type NativeHttpRecord, native } from "../native";
import { detailed, isFailure } from "./call";
import { optionalNumber } from "./check";
import { reporting } from "./stand-in";

/** A body as it is sent. */
export type HttpBody = string | Uint8Array;

/** One request. */
export interface HttpRequest {
  /** Absent for one of the service's own endpoints, whose method the native client knows. */
  method?: string;
  endpoint: string;
  authorization: string;
  headers: Record<string, unknown>;
  params: Record<string, unknown>;
  body: HttpBody | undefined;
  readTimeout: number | undefined;
  connectTimeout: number | undefined;
}

/**
 * Opens a native client with connections of its own.
 * @throws {AGBError} when the configuration can't be used
 */
export function openHttp(config: Config): NativeHttpClient {
  const opened = native.openHttpClient(configurationSources(config, undefined));
  if (isFailure(opened)) throw errorOf(opened);
  return reporting(opened);
}

/**
 * Sends a request.
 * @throws {AGBError} when it can't be sent as it is
 */
export async function sendHttp(client: NativeHttpClient, request: HttpRequest): Promise<HttpResponse> {
  const outcome = await client.send({
    ...request,
    headers: fields(request.headers),
    params: fields(request.params),
    readTimeout: optionalNumber(request.readTimeout),
    connectTimeout: optionalNumber(request.connectTimeout),
  });
  if (isFailure(outcome)) throw errorOf(outcome);
  return responseOf(outcome);
}

/** Names and values as text, without those that are absent. */
function fields(members: Record<string, unknown>): { name: string; value: string }[] {
  return Object.entries(members).flatMap(([name, member]) => {
    const value = memberText(member);
    return value === undefined ? [] : [{ name, value }];
  });
}

function memberText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function responseOf({ statusCode, url, success, requestId, ...record }: NativeHttpRecord): HttpResponse {
  const headers = Object.fromEntries(record.headers.map(({ name, value }) => [name, value]));
  const json = record.json === undefined ? null : JSON.parse(record.json);
  const response: HttpResponse = { statusCode, url, headers, success, json, requestId };
  if (record.text !== undefined) response.text = record.text;
  return detailed(response, { attempts: record.attempts, retryable: record.retryable });
}
