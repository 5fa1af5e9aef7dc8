/** Node's own `fetch`: what a program without any library has. */

import { openByHand } from "./wire.mjs";

export function open({ url, apiKey }) {
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  return openByHand(async (path, query, body) => {
    const answer = await fetch(`${url}${path}?${new URLSearchParams(query)}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return answer.json();
  });
}
