// @ts-check

/** MCP tools: everything a session does is a tool with a JSON schema, and a program may call each by its name. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("MCP tools");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const { tools } = succeeded(await session.listMcpTools());
  show("tools of this image", tools.length);
  for (const { name, description, inputSchema } of tools.slice(0, 3)) {
    show(`  ${name}`, `(${Object.keys(Object(inputSchema.properties)).join(", ")}) ${description}`);
  }

  // session.command and the other modules do this for you, and read the answer. Here it comes as text.
  const called = succeeded(await session.callMcpTool("shell", { command: "echo $((6 * 7))", timeout_ms: 10_000 }));
  show("shell", called.data);

  // Arguments are checked against the schema, and tools that an image lacks are named.
  const wrong = await session.callMcpTool("shell", { timeout_ms: 10_000 });
  show("shell without a command", `success ${wrong.success}: ${wrong.errorMessage}`);
  const missing = await session.callMcpTool("make_coffee", {});
  show("make_coffee", `success ${missing.success}: ${missing.errorMessage}`);
} finally {
  await agb.delete(session);
}

await service.end();
