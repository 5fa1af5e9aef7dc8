/**
 * Members of the surface that this version does not have yet: any use fails at once, by name, before a request is sent.
 */

import { AGBError } from "../errors";
import { VERSION } from "../version";

/** What the use of `member` says. */
export function unavailableMessage(member: string): string {
  return `${member} is not available yet in version ${VERSION} of agbcloud-native`;
}

/** Gives `target` the members `names`, each of which throws when it is used. */
export function defineUnavailable(target: object, path: string, names: readonly string[]): void {
  for (const name of names) {
    Object.defineProperty(target, name, {
      get() {
        throw new AGBError(unavailableMessage(`${path}.${name}`), { kind: "Unavailable" });
      },
      enumerable: false,
      configurable: true,
    });
  }
}
