import { native } from "./native";

/** The version of this package. */
export const VERSION: string = native.version();

/** The version of this package. */
export function getSdkVersion(): string {
  return VERSION;
}

/** Was this package built for release? */
export function isReleaseVersion(): boolean {
  return native.isRelease();
}
