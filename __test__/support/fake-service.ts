/** A service that answers each tool call with a text of the test's choice: for answers that the emulator never gives. */

import { AGB, type Session } from "agbcloud-native";
import { ok, reply, sessionData, withServer } from "./answers";
import { createSession } from "./session";

/** What a tool call is answered with. */
export interface ToolAnswer {
  text: string;
  isError?: boolean;
}

/** Runs `work` with a session of a service whose tools all answer the same. */
export function withToolAnswer<T>(
  { text, isError = false }: ToolAnswer,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return withServer(
    ({ path }, response) => {
      const isCreation = path === "/mcp/createSession";
      reply(response, 200, ok(isCreation ? sessionData() : { isError, content: [{ type: "text", text }] }));
    },
    async ({ url }) => work(await createSession(new AGB({ apiKey: "any", config: { endpoint: url } }))),
  );
}
