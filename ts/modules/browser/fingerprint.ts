/** A browser's name and version, as it tells them to servers. */
export interface Brand {
  brand: string;
  version: string;
}

/** What a page can learn of the screen and the window. */
export interface ScreenFingerprint {
  availHeight: number;
  availWidth: number;
  availTop: number;
  availLeft: number;
  colorDepth: number;
  height: number;
  pixelDepth: number;
  width: number;
  devicePixelRatio: number;
  pageXOffset: number;
  pageYOffset: number;
  innerHeight: number;
  outerHeight: number;
  outerWidth: number;
  innerWidth: number;
  screenX: number;
  clientWidth: number;
  clientHeight: number;
  hasHDR: boolean;
}

/** What `navigator.userAgentData` tells. */
export interface UserAgentData {
  brands: Brand[];
  mobile: boolean;
  platform: string;
  architecture: string;
  bitness: string;
  fullVersionList: Brand[];
  model: string;
  platformVersion: string;
  uaFullVersion: string;
}

/** Further facts of a browser. */
export interface ExtraProperties {
  vendorFlavors: string[];
  isBluetoothSupported: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: as the surface has it
  globalPrivacyControl?: any;
  pdfViewerEnabled: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: as the surface has it
  installedApps: any[];
}

/** What `navigator` tells. */
export interface NavigatorFingerprint {
  userAgent: string;
  userAgentData: UserAgentData;
  doNotTrack: string;
  appCodeName: string;
  appName: string;
  appVersion: string;
  oscpu: string;
  webdriver: string;
  language: string;
  languages: string[];
  platform: string;
  deviceMemory?: number;
  hardwareConcurrency: number;
  product: string;
  productSub: string;
  vendor: string;
  vendorSub: string;
  maxTouchPoints?: number;
  extraProperties: ExtraProperties;
}

/** What WebGL tells of the graphics card. */
export interface VideoCard {
  renderer: string;
  vendor: string;
}

/** Everything by which a page may recognise a browser. */
export interface Fingerprint {
  screen: ScreenFingerprint;
  navigator: NavigatorFingerprint;
  videoCodecs: Record<string, string>;
  audioCodecs: Record<string, string>;
  pluginsData: Record<string, string>;
  battery?: Record<string, string>;
  videoCard: VideoCard;
  multimediaDevices: string[];
  fonts: string[];
  mockWebRTC: boolean;
  slim?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: data of any origin; the surface has the same type
type Data = Record<string, any>;

/** A browser's fingerprint and the headers it sends, for `BrowserOption.fingerprintFormat`. */
export class FingerprintFormat {
  fingerprint: Fingerprint;
  headers: Record<string, string>;

  constructor(fingerprint: Fingerprint, headers: Record<string, string>) {
    this.fingerprint = fingerprint;
    this.headers = headers;
  }

  /**
   * Reads a fingerprint from JSON text or from an object of the same shape.
   * @throws {Error} when it is neither
   */
  static load(data: string | Data): FingerprintFormat {
    return typeof data === "string" ? FingerprintFormat.fromJson(data) : FingerprintFormat.fromDict(data);
  }

  /**
   * Reads a fingerprint from JSON text.
   * @throws {SyntaxError} when it is no JSON
   * @throws {Error} when it is no object
   */
  static fromJson(jsonStr: string): FingerprintFormat {
    return FingerprintFormat.fromDict(JSON.parse(jsonStr));
  }

  /**
   * Reads a fingerprint from an object. What is absent or empty gets its default.
   * @throws {Error} when it is no object
   */
  static fromDict(data: Data): FingerprintFormat {
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
      throw new Error("Invalid data: expected an object");
    }
    const { fingerprint, headers } = data;
    return new FingerprintFormat(readFingerprint(fingerprint || {}), headers || {});
  }

  /** A fingerprint of its parts. */
  static create(
    screen: ScreenFingerprint,
    navigator: NavigatorFingerprint,
    videoCard: VideoCard,
    headers: Record<string, string>,
    videoCodecs: Record<string, string> = {},
    audioCodecs: Record<string, string> = {},
    pluginsData: Record<string, string> = {},
    battery?: Record<string, string>,
    multimediaDevices: string[] = [],
    fonts: string[] = [],
    mockWebRTC = false,
    slim?: boolean,
  ): FingerprintFormat {
    return new FingerprintFormat(
      {
        screen,
        navigator,
        videoCodecs,
        audioCodecs,
        pluginsData,
        battery,
        videoCard,
        multimediaDevices,
        fonts,
        mockWebRTC,
        slim,
      },
      headers,
    );
  }

  /** The same as a plain object, without what is not known. */
  toDict(): Data {
    return JSON.parse(JSON.stringify({ fingerprint: this.fingerprint, headers: this.headers }));
  }

  /** The same as JSON text, indented by `indent` spaces. */
  toJson(indent = 2): string {
    return JSON.stringify(this.toDict(), null, indent);
  }
}

function readFingerprint(data: Data): Fingerprint {
  return defined({
    screen: readScreen(data.screen || {}),
    navigator: readNavigator(data.navigator || {}),
    videoCodecs: data.videoCodecs || {},
    audioCodecs: data.audioCodecs || {},
    pluginsData: data.pluginsData || {},
    battery: data.battery || undefined,
    videoCard: readVideoCard(data.videoCard || {}),
    multimediaDevices: data.multimediaDevices || [],
    fonts: data.fonts || [],
    mockWebRTC: data.mockWebRTC || false,
    slim: data.slim || undefined,
  });
}

function readScreen(data: Data): ScreenFingerprint {
  return {
    availHeight: data.availHeight || 0,
    availWidth: data.availWidth || 0,
    availTop: data.availTop || 0,
    availLeft: data.availLeft || 0,
    colorDepth: data.colorDepth || 24,
    height: data.height || 0,
    pixelDepth: data.pixelDepth || 24,
    width: data.width || 0,
    devicePixelRatio: data.devicePixelRatio || 1,
    pageXOffset: data.pageXOffset || 0,
    pageYOffset: data.pageYOffset || 0,
    innerHeight: data.innerHeight || 0,
    outerHeight: data.outerHeight || 0,
    outerWidth: data.outerWidth || 0,
    innerWidth: data.innerWidth || 0,
    screenX: data.screenX || 0,
    clientWidth: data.clientWidth || 0,
    clientHeight: data.clientHeight || 0,
    hasHDR: data.hasHDR || false,
  };
}

function readNavigator(data: Data): NavigatorFingerprint {
  return defined({
    userAgent: data.userAgent || "",
    userAgentData: readUserAgentData(data.userAgentData || {}),
    doNotTrack: data.doNotTrack || "",
    appCodeName: data.appCodeName || "",
    appName: data.appName || "",
    appVersion: data.appVersion || "",
    oscpu: data.oscpu || "",
    webdriver: data.webdriver || "",
    language: data.language || "",
    languages: data.languages || [],
    platform: data.platform || "",
    deviceMemory: data.deviceMemory || undefined,
    hardwareConcurrency: data.hardwareConcurrency || 8,
    product: data.product || "",
    productSub: data.productSub || "",
    vendor: data.vendor || "",
    vendorSub: data.vendorSub || "",
    maxTouchPoints: data.maxTouchPoints || undefined,
    extraProperties: readExtraProperties(data.extraProperties || {}),
  });
}

function readUserAgentData(data: Data): UserAgentData {
  return {
    brands: readBrands(data.brands),
    mobile: data.mobile || false,
    platform: data.platform || "",
    architecture: data.architecture || "",
    bitness: data.bitness || "",
    fullVersionList: readBrands(data.fullVersionList),
    model: data.model || "",
    platformVersion: data.platformVersion || "",
    uaFullVersion: data.uaFullVersion || "",
  };
}

function readBrands(data: unknown): Brand[] {
  if (!Array.isArray(data)) return [];
  const brands = data.filter((brand) => typeof brand === "object" && brand !== null);
  return brands.map(({ brand, version }) => ({ brand: brand || "", version: version || "" }));
}

function readExtraProperties(data: Data): ExtraProperties {
  return defined({
    vendorFlavors: data.vendorFlavors || [],
    isBluetoothSupported: data.isBluetoothSupported || false,
    globalPrivacyControl: data.globalPrivacyControl || undefined,
    pdfViewerEnabled: data.pdfViewerEnabled !== false,
    installedApps: data.installedApps || [],
  });
}

function readVideoCard(data: Data): VideoCard {
  return { renderer: data.renderer || "Unknown", vendor: data.vendor || "Unknown" };
}

/** Leaves out what is undefined. */
function defined<T extends object>(data: T): T {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)) as T;
}
