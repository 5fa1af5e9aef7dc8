/** Gates: where a test says when something goes on, it need not be quicker than a delay. */

import { type IncomingMessage, request } from "node:http";
import { AGB, type Emulator } from "agbcloud-native";
import { type SeenRequest, withServer } from "./answers";

/** Lets those pass who wait for it, once it is open. */
export interface Gate {
  open: () => void;
  passed: Promise<void>;
}

export function gate(): Gate {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

/** A creation of a session that is held up. */
export interface HeldCreation {
  /** It has come, and where its answer is held, the session is there. */
  reached: Promise<void>;
  letGo: () => void;
}

/**
 * Runs `work` with a client of the emulator that reaches it through a server between. `hold` has the next creation wait
 * there: `before` it is made, or `after` it, before it is answered.
 */
export function withHeldCreations<T>(
  emulator: Emulator,
  work: (agb: AGB, hold: (when: "before" | "after") => HeldCreation) => Promise<T>,
): Promise<T> {
  let next: { when: "before" | "after"; reached: Gate; released: Gate } | undefined;
  return withServer(
    async (seen, response) => {
      const held = seen.path === "/mcp/createSession" ? next : undefined;
      if (held) next = undefined;
      const wait = async () => {
        held?.reached.open();
        await held?.released.passed;
      };
      if (held?.when === "before") await wait();
      const answer = await forward(seen, emulator.url);
      if (held?.when === "after") await wait();
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
    ({ url }) =>
      work(new AGB({ apiKey: emulator.apiKey, config: { endpoint: url } }), (when) => {
        const [reached, released] = [gate(), gate()];
        next = { when, reached, released };
        return { reached: reached.passed, letGo: released.open };
      }),
  );
}

function forward({ method, path, query, headers, body }: SeenRequest, to: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(`${to}${path}?${query}`, { method, headers, agent: false }, resolve).on("error", reject).end(body);
  });
}
