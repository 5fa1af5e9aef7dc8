/** What a run of code says while it goes on. */

import type { CodeEvent } from "agbcloud-native";

/** All events of a stream, once it has ended. */
export async function eventsOf(stream: AsyncIterable<CodeEvent>): Promise<CodeEvent[]> {
  const events: CodeEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}
