/**
 * What runs in the page whose browser's fingerprint is taken. Text, so that nothing that instruments functions gets
 * into the page; gives the `fingerprint` part of a `FingerprintFormat`.
 */
export const FINGERPRINT_SCRIPT = `(async () => {
  const orElse = (read, other) => {
    try {
      return read() ?? other;
    } catch {
      return other;
    }
  };
  const text = (value) => (value === undefined || value === null ? "" : String(value));

  const screenData = {
    availHeight: screen.availHeight,
    availWidth: screen.availWidth,
    availTop: screen.availTop,
    availLeft: screen.availLeft,
    colorDepth: screen.colorDepth,
    height: screen.height,
    pixelDepth: screen.pixelDepth,
    width: screen.width,
    devicePixelRatio: window.devicePixelRatio,
    pageXOffset: window.pageXOffset,
    pageYOffset: window.pageYOffset,
    innerHeight: window.innerHeight,
    outerHeight: window.outerHeight,
    outerWidth: window.outerWidth,
    innerWidth: window.innerWidth,
    screenX: window.screenX,
    clientWidth: document.documentElement.clientWidth,
    clientHeight: document.documentElement.clientHeight,
    hasHDR: matchMedia("(dynamic-range: high)").matches,
  };

  const agent = navigator.userAgentData;
  const wanted = ["architecture", "bitness", "fullVersionList", "model", "platformVersion", "uaFullVersion"];
  const more = agent ? await agent.getHighEntropyValues(wanted).catch(() => ({})) : {};
  const brand = ({ brand, version }) => ({ brand, version });
  const navigatorData = {
    userAgent: navigator.userAgent,
    userAgentData: {
      brands: orElse(() => agent.brands.map(brand), []),
      mobile: orElse(() => agent.mobile, false),
      platform: orElse(() => agent.platform, ""),
      architecture: text(more.architecture),
      bitness: text(more.bitness),
      fullVersionList: orElse(() => more.fullVersionList.map(brand), []),
      model: text(more.model),
      platformVersion: text(more.platformVersion),
      uaFullVersion: text(more.uaFullVersion),
    },
    doNotTrack: text(navigator.doNotTrack),
    appCodeName: navigator.appCodeName,
    appName: navigator.appName,
    appVersion: navigator.appVersion,
    oscpu: text(navigator.oscpu),
    webdriver: text(navigator.webdriver),
    language: navigator.language,
    languages: Array.from(navigator.languages),
    platform: navigator.platform,
    deviceMemory: navigator.deviceMemory,
    hardwareConcurrency: navigator.hardwareConcurrency,
    product: navigator.product,
    productSub: navigator.productSub,
    vendor: navigator.vendor,
    vendorSub: navigator.vendorSub,
    maxTouchPoints: navigator.maxTouchPoints,
    extraProperties: {
      vendorFlavors: ["chrome", "safari", "opr"].filter((name) => name in window),
      isBluetoothSupported: "bluetooth" in navigator,
      globalPrivacyControl: navigator.globalPrivacyControl,
      pdfViewerEnabled: navigator.pdfViewerEnabled,
      installedApps: [],
    },
  };

  const plays = (kind, types) => {
    const element = document.createElement(kind);
    return Object.fromEntries(Object.entries(types).map(([name, type]) => [name, element.canPlayType(type)]));
  };
  const videoCodecs = plays("video", {
    ogg: 'video/ogg; codecs="theora"',
    h264: 'video/mp4; codecs="avc1.42E01E"',
    webm: 'video/webm; codecs="vp8, vorbis"',
  });
  const audioCodecs = plays("audio", {
    ogg: 'audio/ogg; codecs="vorbis"',
    mp3: "audio/mpeg",
    wav: 'audio/wav; codecs="1"',
    m4a: "audio/x-m4a",
    aac: "audio/aac",
  });

  const mime = ({ type, suffixes, description, enabledPlugin }) => ({
    type,
    suffixes,
    description,
    enabledPlugin: enabledPlugin ? enabledPlugin.name : "",
  });
  const pluginsData = {
    plugins: Array.from(navigator.plugins, (plugin) => ({
      name: plugin.name,
      description: plugin.description,
      filename: plugin.filename,
      mimeTypes: Array.from(plugin, mime),
    })),
    mimeTypes: Array.from(navigator.mimeTypes, ({ type }) => type),
  };

  const power = navigator.getBattery ? await navigator.getBattery().catch(() => undefined) : undefined;
  const battery = power && {
    charging: power.charging,
    chargingTime: Number.isFinite(power.chargingTime) ? power.chargingTime : null,
    dischargingTime: Number.isFinite(power.dischargingTime) ? power.dischargingTime : null,
    level: power.level,
  };

  const videoCard = orElse(() => {
    const gl = document.createElement("canvas").getContext("webgl");
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    return {
      renderer: gl.getParameter(names.UNMASKED_RENDERER_WEBGL),
      vendor: gl.getParameter(names.UNMASKED_VENDOR_WEBGL),
    };
  }, {});

  const listed = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices().catch(() => []) : [];
  const devices = (kind) =>
    listed.filter((device) => device.kind === kind).map(({ deviceId, kind, label, groupId }) => ({
      deviceId,
      kind,
      label,
      groupId,
    }));
  const multimediaDevices = {
    speakers: devices("audiooutput"),
    micros: devices("audioinput"),
    webcams: devices("videoinput"),
  };

  const families = ["Arial", "Calibri", "Courier New", "DejaVu Sans", "Georgia", "Helvetica", "Liberation Sans",
    "Menlo", "Noto Sans", "Roboto", "Segoe UI", "Times New Roman", "Ubuntu", "Verdana"];
  const canvas = orElse(() => document.createElement("canvas").getContext("2d"), undefined);
  const width = (family) => {
    canvas.font = "72px " + family;
    return canvas.measureText("mmmmmmmmmmlli").width;
  };
  const differs = (family) =>
    ["monospace", "serif", "sans-serif"].some((base) => width("'" + family + "', " + base) !== width(base));
  const fonts = canvas ? families.filter(differs) : [];

  return {
    screen: screenData,
    navigator: navigatorData,
    videoCodecs,
    audioCodecs,
    pluginsData,
    battery,
    videoCard,
    multimediaDevices,
    fonts,
    mockWebRTC: false,
  };
})()`;
