/**
 * Sessions that a pool has lent: each is given back once, and is of no use afterwards.
 */

import type { NativeLent } from "../native";

const loans = new WeakMap<object, NativeLent>();
const givenBack = new WeakSet<object>();

/** Remembers that a session was lent. */
export function lend(session: object, lent: NativeLent): void {
  loans.set(session, lent);
}

/** Gives a session of a pool back; says whether it is one. Calling twice is fine. */
export function giveBack(session: object): boolean {
  const lent = loans.get(session);
  if (!lent) return false;
  givenBack.add(session);
  lent.giveBack();
  return true;
}

/** Gives a session of a pool back to be deleted; nothing happens when it was given back already. */
export function discard(session: object): void {
  givenBack.add(session);
  loans.get(session)?.discard();
}

/** Was the session of a pool, and is no longer? */
export function isGivenBack(session: object): boolean {
  return givenBack.has(session);
}
