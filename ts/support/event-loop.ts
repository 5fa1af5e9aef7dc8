/**
 * Tells the native side that the event loop runs, which it can't see by itself. The only timer of the facade that comes again.
 */

import { native } from "../native";

const TICK_MS = 200;
let ticking = false;

/** From now on, until no keep-alive wants to know any more. It does not keep the process running. */
export function watchEventLoop(): void {
  native.eventLoopRuns();
  if (ticking) return;
  ticking = true;
  const timer = setInterval(() => {
    if (native.eventLoopRuns()) return;
    clearInterval(timer);
    ticking = false;
  }, TICK_MS);
  timer.unref();
}
