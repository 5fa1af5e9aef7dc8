// @ts-check

/** Commands: a shell with a directory and variables of its own, its two outputs, its exit code and its time limit. */

import { AGB } from "agbcloud-native";

import { sessionOf, show, start, succeeded } from "./support/service.mjs";

const service = await start("Commands");
const agb = new AGB();

const session = sessionOf(await agb.create({ imageId: "agb-code-space-1" }));
try {
  const { command } = session;

  // The time limit is in milliseconds, and only one second unless you say more.
  const hello = succeeded(await command.execute("echo hello; echo careful >&2", 10_000));
  show("standard output", hello.stdout.trim());
  show("standard error", hello.stderr.trim());

  // Each command has a fresh shell: directory and variables are said with it.
  succeeded(await command.execute("mkdir -p /tmp/shop && echo apples > /tmp/shop/list", 10_000));
  const placed = succeeded(
    await command.execute('echo "$CUSTOMER buys $(cat list) in $PWD"', 10_000, "/tmp/shop", { CUSTOMER: "somebody" }),
  );
  show("with cwd and envs", placed.stdout.trim());
  const fresh = succeeded(await command.execute('echo "[$CUSTOMER]"', 10_000));
  show("the next one has neither", fresh.stdout.trim());

  // A command that fails is a result, too.
  const failed = await command.execute("ls /no/such/place", 10_000);
  show("a failed command", `success ${failed.success}, exit code ${failed.exitCode}: ${failed.stderr.trim()}`);

  const slow = await command.execute("sleep 60", 200);
  show("one that takes too long", `success ${slow.success}: ${slow.errorMessage}`);
} finally {
  await agb.delete(session);
}

await service.end();
