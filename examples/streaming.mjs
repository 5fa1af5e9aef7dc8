// @ts-check

/** Streaming: what a program prints, while it still runs; by callbacks, or as a loop. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Streaming outputs");
const agb = new AGB();

const COUNTDOWN = `
import sys, time
for n in (3, 2, 1):
    print(n, flush=True)
    time.sleep(0.1)
print("lift-off", file=sys.stderr)
"in orbit"
`;

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  // With callbacks. The last one has returned when the promise resolves.
  const run = succeeded(
    await session.code.run(COUNTDOWN, "python", 60, {
      streamBeta: true,
      onStdout: (chunk) => show("  onStdout", chunk.trim()),
      onStderr: (chunk) => show("  onStderr", chunk.trim()),
      onError: (error) => show("  onError", error),
    }),
  );
  show("and at the end", run.results[0]?.text);

  // As a loop, with everything that happens in order.
  for await (const event of session.code.stream(COUNTDOWN, "python")) {
    switch (event.type) {
      case "stdout":
      case "stderr":
        show(`  ${event.type}`, event.chunk.trim());
        break;
      case "result":
        show("  result", event.result.text);
        break;
      case "error":
        show("  error", event.error.value);
        break;
      case "end":
        show("  end", `success ${event.result.success}`);
        break;
      default:
    }
  }

  // Leaving the loop gives the program up. Its interpreter lives on with what it knew.
  for await (const event of session.code.stream("n = 0\nwhile True:\n    n += 1\n    print(n)", "python")) {
    if (event.type === "stdout") break;
  }
  const left = succeeded(await session.code.run("n > 0", "python"));
  show("left an endless loop", `it had counted: ${left.results[0]?.text}`);
} finally {
  await agb.delete(session);
}

await service.end();
