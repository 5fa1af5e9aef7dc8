import { logWarn } from "../../logger";
import { FINGERPRINT_DIRECTORY } from "../../session-params";
import { kindOf } from "../../support/check";
import { FingerprintFormat } from "./fingerprint";
import { type BrowserProxy, BrowserProxyClass } from "./proxy";

/** The size of the page, in pixels. */
export interface BrowserViewport {
  width: number;
  height: number;
}

/** The size of the screen, in pixels. */
export interface BrowserScreen {
  width: number;
  height: number;
}

/** What the service shall make a fingerprint of. */
export interface BrowserFingerprint {
  devices?: ("desktop" | "mobile")[];
  operatingSystems?: ("windows" | "macos" | "linux" | "android" | "ios")[];
  locales?: string[];
}

/** How a session's browser is started; everything may be left out. */
export interface BrowserOption {
  /** Not sent: the service keeps the browser's data where it always does. */
  persistentPath?: string;
  /** Hide that the browser is driven by a program. Default false. */
  useStealth?: boolean;
  userAgent?: string;
  viewport?: BrowserViewport;
  screen?: BrowserScreen;
  fingerprint?: BrowserFingerprint;
  /** A whole fingerprint to use. */
  fingerprintFormat?: FingerprintFormat;
  /**
   * Keep the fingerprint for the next session with the same `BrowserFingerprintContext`. It is stored by
   * `session.delete(true)`: a plain `delete()` does not keep it.
   */
  fingerprintPersistent?: boolean;
  /** Solve slider captchas. Default false. */
  solveCaptchas?: boolean;
  /** At most one. */
  proxies?: BrowserProxy[];
  /** Where the extensions are inside the session. Default `/tmp/extensions/`. */
  extensionPath?: string;
  /** Further arguments of the browser's command line. */
  cmdArgs?: string[];
  /** The page to open first. */
  defaultNavigateUrl?: string;
  browserType?: "chrome" | "chromium";
}

const DEFAULT_EXTENSION_PATH = "/tmp/extensions/";
/** Where the service keeps a fingerprint inside the session: where its context is mounted. */
const FINGERPRINT_PATH = `${FINGERPRINT_DIRECTORY}/fingerprint.json`;

/** Browser options, checked. */
export class BrowserOptionClass implements BrowserOption {
  persistentPath?: string;
  useStealth?: boolean;
  userAgent?: string;
  viewport?: BrowserViewport;
  screen?: BrowserScreen;
  fingerprint?: BrowserFingerprint;
  fingerprintFormat?: FingerprintFormat;
  fingerprintPersistent?: boolean;
  fingerprintPersistPath?: string;
  solveCaptchas?: boolean;
  proxies?: BrowserProxy[];
  extensionPath?: string;
  cmdArgs?: string[];
  defaultNavigateUrl?: string;
  browserType?: "chrome" | "chromium";

  /** @throws {Error} for options that can't be used */
  constructor(options: Partial<BrowserOption> = {}) {
    const given = options ?? {};
    this.persistentPath = given.persistentPath ?? undefined;
    this.useStealth = given.useStealth ?? false;
    this.userAgent = given.userAgent ?? undefined;
    this.viewport = given.viewport ?? undefined;
    this.screen = given.screen ?? undefined;
    this.fingerprint = given.fingerprint ?? undefined;
    this.fingerprintFormat = given.fingerprintFormat ? readFormat(given.fingerprintFormat) : undefined;
    this.fingerprintPersistent = given.fingerprintPersistent ?? false;
    this.fingerprintPersistPath = this.fingerprintPersistent ? FINGERPRINT_PATH : undefined;
    this.solveCaptchas = given.solveCaptchas ?? false;
    this.proxies = readProxies(given.proxies);
    this.extensionPath = given.extensionPath ?? DEFAULT_EXTENSION_PATH;
    this.cmdArgs = given.cmdArgs ?? undefined;
    this.defaultNavigateUrl = given.defaultNavigateUrl ?? undefined;
    this.browserType = given.browserType ?? undefined;
    check(this);
  }

  /**
   * The option map as it is sent.
   * @throws {Error} for options that were changed to something that can't be used
   */
  toMap(): Record<string, unknown> {
    check(this);
    const map: Record<string, unknown> = {};
    const add = (name: string, value: unknown) => {
      if (value !== undefined && value !== null && value !== "") map[name] = value;
    };
    const simulation = process.env.AGB_BROWSER_BEHAVIOR_SIMULATE;
    if (simulation) map.behaviorSimulate = simulation !== "0";
    map.useStealth = this.useStealth ?? false;
    add("userAgent", this.userAgent);
    add("viewport", this.viewport && sizeOf(this.viewport));
    add("screen", this.screen && sizeOf(this.screen));
    add("fingerprint", this.fingerprint && fingerprintMap(this.fingerprint));
    add("fingerprintRawData", this.fingerprintFormat && encoded(this.fingerprintFormat));
    add("fingerprintPersistPath", this.fingerprintPersistent ? FINGERPRINT_PATH : undefined);
    add("solveCaptchas", this.solveCaptchas);
    add(
      "proxies",
      readProxies(this.proxies)?.map((proxy) => proxy.toMap()),
    );
    add("extensionPath", this.extensionPath);
    add("cmdArgs", this.cmdArgs);
    add("defaultNavigateUrl", this.defaultNavigateUrl);
    add("browserType", this.browserType);
    return map;
  }

  /**
   * Takes over the options of a plain object, among them `fingerprintRawData` (base64) as another way to give a
   * `fingerprintFormat`, and `fingerprintPersistPath` as another way to say `fingerprintPersistent`. What it does not
   * name gets its default. Nothing is changed by null.
   *
   * @throws {Error} for options that can't be used
   */
  fromMap(m: Record<string, unknown> | null | undefined): BrowserOptionClass {
    if (m === null || m === undefined) return this;
    if (typeof m !== "object") throw new Error(`options must be an object, got ${kindOf(m)}`);
    const fingerprintFormat = m.fingerprintFormat
      ? readFormat(m.fingerprintFormat)
      : readRawFormat(m.fingerprintRawData);
    const fingerprintPersistent = Boolean(m.fingerprintPersistent || m.fingerprintPersistPath);
    const options: Partial<BrowserOption> = { ...m, fingerprintFormat, fingerprintPersistent };
    return Object.assign(this, new BrowserOptionClass(options));
  }
}

function check({ proxies, cmdArgs, browserType }: BrowserOptionClass): void {
  if (isGiven(proxies)) checkProxyList(proxies);
  if (isGiven(cmdArgs) && !Array.isArray(cmdArgs)) throw new Error("cmdArgs must be a list");
  if (isGiven(browserType) && browserType !== "chrome" && browserType !== "chromium") {
    throw new Error("browserType must be 'chrome' or 'chromium'");
  }
}

function checkProxyList(proxies: unknown): asserts proxies is unknown[] {
  if (!Array.isArray(proxies)) throw new Error("proxies must be a list");
  if (proxies.length > 1) throw new Error("proxies list length must be limited to 1");
}

/** Proxies as the class has them; plain objects become checked ones, and one without a type is dropped. */
function readProxies(proxies: BrowserProxy[] | null | undefined): BrowserProxy[] | undefined {
  if (!isGiven(proxies)) return undefined;
  checkProxyList(proxies);
  const read = proxies.map((proxy: BrowserProxy) => {
    if (typeof proxy?.toMap === "function") return proxy;
    return BrowserProxyClass.fromMap(proxy as unknown as Record<string, unknown>);
  });
  const known = read.filter((proxy) => proxy !== null);
  if (known.length < read.length) logWarn("A browser proxy without a type was dropped");
  return known;
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

function sizeOf({ width, height }: BrowserViewport): BrowserViewport {
  return { width, height };
}

function fingerprintMap({ devices, operatingSystems, locales }: BrowserFingerprint): Record<string, unknown> {
  return {
    ...(devices ? { devices } : {}),
    ...(operatingSystems ? { operatingSystems } : {}),
    ...(locales ? { locales } : {}),
  };
}

/** Base64 of the fingerprint's JSON; one that can't be written is left out. */
function encoded(format: FingerprintFormat): string | undefined {
  try {
    return Buffer.from(format.toJson(), "utf8").toString("base64");
  } catch (error) {
    logWarn(`A browser fingerprint was left out, as it can't be written: ${String(error)}`);
    return undefined;
  }
}

function readFormat(data: unknown): FingerprintFormat | undefined {
  if (data instanceof FingerprintFormat) return data;
  try {
    return FingerprintFormat.load(data as string | Record<string, unknown>);
  } catch (error) {
    logWarn(`A browser fingerprint was left out, as it can't be read: ${String(error)}`);
    return undefined;
  }
}

function readRawFormat(base64: unknown): FingerprintFormat | undefined {
  if (typeof base64 !== "string" || base64 === "") return undefined;
  return readFormat(Buffer.from(base64, "base64").toString("utf8"));
}
