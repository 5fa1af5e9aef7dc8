// @ts-check

/** What the examples of the desktop share: a window to work in, and waiting for what happens there. */

import { setTimeout as sleep } from "node:timers/promises";

import { succeeded } from "./service.mjs";

const LONGEST_WAIT_MS = 30_000;

/**
 * What a look gives as soon as it gives something; undefined after half a minute in which it has not.
 *
 * @template T
 * @param {() => Promise<T | undefined>} look
 * @returns {Promise<T | undefined>}
 */
export async function eventually(look) {
  const end = Date.now() + LONGEST_WAIT_MS;
  while (Date.now() < end) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(100);
  }
  return undefined;
}

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

  const found = await eventually(async () => {
    const { windows } = succeeded(await window.listRootWindows(20_000));
    return windows.find(({ pid }) => pids.includes(pid));
  });
  if (!found) throw new Error(`${command} has not opened a window`);
  return found;
}

/**
 * The text of a file as soon as it is there: what happens on a desktop takes its time.
 *
 * @param {import("agbcloud-native").Session} session
 * @param {string} path
 */
export async function untilThere(session, path) {
  const text = await eventually(async () => {
    const { success, content } = await session.file.readFile(path);
    return success ? content.trim() : undefined;
  });
  if (text === undefined) throw new Error(`${path} has not come about`);
  return text;
}
