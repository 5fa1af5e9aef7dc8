import { inspectAs } from "../../support/inspect";

/** Where a proxy comes from: your own server, or one of the service's pools. */
export type BrowserProxyType = "custom" | "built-in" | "managed";

/** How the service chooses among its proxies. */
export type BrowserProxyStrategy = "restricted" | "polling" | "sticky" | "rotating" | "matched";

/** A proxy that the browser goes through. */
export interface BrowserProxy {
  type: BrowserProxyType;
  server?: string;
  username?: string;
  password?: string;
  strategy?: BrowserProxyStrategy;
  pollsize?: number;
  userId?: string;
  isp?: string;
  country?: string;
  province?: string;
  city?: string;
  toMap(): Record<string, unknown>;
}

/** What `fromMap` uses where a map names no pool size. */
const DEFAULT_POLLSIZE = 10;
const MANAGED_STRATEGIES: readonly unknown[] = ["polling", "sticky", "rotating", "matched"];

/**
 * A proxy whose settings fit its type:
 * - `custom`: `server`, with `username` and `password` where it asks for them
 * - `built-in`: `strategy` `restricted` or `polling`, the latter with `pollsize`
 * - `managed`: `strategy` `polling`, `sticky`, `rotating` or `matched`, and `userId`; `matched` needs at least one of
 *   `isp`, `country`, `province`, `city`
 */
export class BrowserProxyClass implements BrowserProxy {
  type: BrowserProxyType;
  server?: string;
  username?: string;
  password?: string;
  strategy?: BrowserProxyStrategy;
  pollsize?: number;
  userId?: string;
  isp?: string;
  country?: string;
  province?: string;
  city?: string;

  /** @throws {Error} when something is missing or does not fit the type */
  constructor(
    proxyType: BrowserProxyType,
    server?: string,
    username?: string,
    password?: string,
    strategy?: BrowserProxyStrategy,
    pollsize?: number,
    userId?: string,
    isp?: string,
    country?: string,
    province?: string,
    city?: string,
  ) {
    this.type = proxyType;
    this.server = server;
    this.username = username;
    this.password = password;
    this.strategy = strategy;
    this.pollsize = pollsize;
    this.userId = userId;
    this.isp = isp;
    this.country = country;
    this.province = province;
    this.city = city;
    check(this);
  }

  /** The settings as they are sent: those of the proxy's type. */
  toMap(): Record<string, unknown> {
    const { type, strategy } = this;
    switch (type) {
      case "custom":
        return { type, server: this.server, ...given(this, ["username", "password"]) };
      case "built-in": {
        const hasPollsize = strategy === "polling" && this.pollsize !== undefined && this.pollsize !== null;
        return { type, strategy, ...(hasPollsize ? { pollsize: this.pollsize } : {}) };
      }
      default:
        return { type, ...given(this, ["strategy", "userId", "isp", "country", "province", "city"]) };
    }
  }

  /**
   * The proxy of a plain object; null for what is none, or names no type.
   * @throws {Error} for an unknown type, and what the constructor refuses
   */
  static fromMap(m: Record<string, unknown> | null | undefined): BrowserProxyClass | null {
    if (typeof m !== "object" || m === null || !m.type) return null;
    if (m.type !== "custom" && m.type !== "built-in" && m.type !== "managed") {
      throw new Error(`Unsupported proxy type: ${String(m.type)}`);
    }
    const text = (name: string) => (m[name] ?? undefined) as string | undefined;
    return new BrowserProxyClass(
      m.type,
      text("server"),
      text("username"),
      text("password"),
      text("strategy") as BrowserProxyStrategy | undefined,
      (m.pollsize as number | undefined) || DEFAULT_POLLSIZE,
      text("userId"),
      text("isp"),
      text("country"),
      text("province"),
      text("city"),
    );
  }
}

// Whoever logs the options must not log the password of a proxy.
inspectAs(BrowserProxyClass, ({ password, ...proxy }) =>
  password === undefined ? { ...proxy } : { ...proxy, password: "***" },
);

/** The members that are set. */
function given(proxy: BrowserProxy, names: readonly (keyof BrowserProxy)[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => proxy[name]).map((name) => [name, proxy[name]]));
}

function check(proxy: BrowserProxy): void {
  if (!Object.hasOwn(CHECKS, proxy.type)) throw new Error("proxy_type must be custom, built-in, or managed");
  const fault = CHECKS[proxy.type](proxy);
  if (fault) throw new Error(fault);
}

const CHECKS: Record<BrowserProxyType, (proxy: BrowserProxy) => string | undefined> = {
  custom: ({ server }) => (server ? undefined : "server is required for custom proxy type"),
  "built-in": ({ strategy, pollsize }) => {
    if (!strategy) return "strategy is required for built-in proxy type";
    if (strategy !== "restricted" && strategy !== "polling") {
      return "strategy must be restricted or polling for built-in proxy type";
    }
    const isTooSmall = pollsize !== undefined && pollsize !== null && !(pollsize > 0);
    return strategy === "polling" && isTooSmall ? "pollsize must be greater than 0 for polling strategy" : undefined;
  },
  managed: (proxy) => {
    if (!proxy.strategy) return "strategy is required for managed proxy type";
    if (!MANAGED_STRATEGIES.includes(proxy.strategy)) {
      return "strategy must be polling, sticky, rotating, or matched for managed proxy type";
    }
    if (!proxy.userId) return "userId is required for managed proxy type";
    const hasPlace = proxy.isp || proxy.country || proxy.province || proxy.city;
    return proxy.strategy === "matched" && !hasPlace
      ? "at least one of isp, country, province, or city is required for matched strategy"
      : undefined;
  },
};
