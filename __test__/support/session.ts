/** Sessions, and results that a test can't go on without. */

import { type AGB, CreateSessionParams, type CreateSessionParamsOptions, type Session } from "agbcloud-native";
import { CODE_IMAGE, sessionOf } from "./emulator";

/** A new session of the code image, or of what `options` say. */
export async function createSession(agb: AGB, options: CreateSessionParamsOptions = {}): Promise<Session> {
  return sessionOf(await agb.create(new CreateSessionParams({ imageId: CODE_IMAGE, ...options })));
}

/** A result that has to be a success for the test to go on. */
export function must<Result extends { success: boolean; errorMessage?: string }>(result: Result): Result {
  if (!result.success) throw new Error(`the call failed: ${result.errorMessage || JSON.stringify(result)}`);
  return result;
}
