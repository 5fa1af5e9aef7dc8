// @ts-check

/** Keeping a session alive while the program thinks, and hearing of its life. */

import { AGB } from "agbcloud-native";

import { show, start } from "./support/service.mjs";

const service = await start("Keep-alive");
const agb = new AGB();
const IDLE_TIMEOUT_S = 60;

/**
 * Lets time pass: on the emulator its clock is moved, on the real service one has to wait.
 *
 * @param {number} seconds
 */
const pass = (seconds) =>
  service.emulator
    ? service.emulator.advance(seconds * 1_000)
    : new Promise((resolve) => setTimeout(resolve, seconds * 1_000));

// Beats come from a thread of their own, so that neither a long computation nor a slow answer of a model stops them.
const session = await agb.open({
  imageId: "agb-code-space-1",
  idleReleaseTimeout: IDLE_TIMEOUT_S,
  autoKeepAlive: { mode: "whileHeld" },
});
try {
  const released = new Promise((resolve) => session.once("released", resolve));
  session.on("expiring", ({ what }) => show("expiring", `the ${what} time is running out`));

  const hold = session.hold("a question to a model");
  await pass(3 * IDLE_TIMEOUT_S);
  const status = session.keepAliveStatus();
  show("held for three minutes", `${session.lifecycle.state}, after ${status?.beats} beats`);
  hold.release();

  await pass(IDLE_TIMEOUT_S + 10);
  const { reason } = await released;
  show("then let go", `${session.lifecycle.state}: ${reason}`);
} finally {
  await session[Symbol.asyncDispose]();
}

await service.end();
