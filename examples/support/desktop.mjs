// @ts-check

/** What the examples of the desktop share: a window to work in, and waiting for what happens there. */

import { setTimeout as sleep } from "node:timers/promises";

import { succeeded } from "./service.mjs";

const LONGEST_WAIT_MS = 30_000;

/**
 * Starts a terminal and waits for its window.
 *
 * @param {import("agbcloud-native").Session} session
 */
export async function openTerminal(session) {
  const { app, window } = session.computer;
  const installed = succeeded(await app.listInstalled()).data;
  const command = installed.find(({ name }) => /term/i.test(name ?? ""))?.start_cmd ?? "xterm";
  const { data: processes } = succeeded(await app.start(command));
  const pids = processes.map(({ pid }) => pid);

  const end = Date.now() + LONGEST_WAIT_MS;
  while (Date.now() < end) {
    const { windows } = succeeded(await window.listRootWindows(20_000));
    const found = windows.find(({ pid }) => pids.includes(pid));
    if (found) return found;
    await sleep(100);
  }
  throw new Error(`${command} has not opened a window`);
}

/**
 * The text of a file as soon as it is there: what happens on a desktop takes its time.
 *
 * @param {import("agbcloud-native").Session} session
 * @param {string} path
 */
export async function untilThere(session, path) {
  const end = Date.now() + LONGEST_WAIT_MS;
  while (Date.now() < end) {
    const { success, content } = await session.file.readFile(path);
    if (success) return content.trim();
    await sleep(100);
  }
  throw new Error(`${path} has not come about`);
}
