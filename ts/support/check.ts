/**
 * Argument checks: what the types promise, for callers that TypeScript does not check.
 */

/** The first of the named values that is not a string, as a message; undefined when all are. */
export function notText(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "string") return `${name} must be a string, got ${kindOf(value)}`;
  }
  return undefined;
}

/** The first of the named values that was given and is no finite number, as a message; undefined when there is none. */
export function notNumber(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || Number.isFinite(value)) continue;
    return `${name} must be a finite number, got ${typeof value === "number" ? String(value) : kindOf(value)}`;
  }
  return undefined;
}

/** The first of the named values that was given and is no whole number from 0 to `most`, as a message; undefined when there is none. */
export function notWhole(values: Record<string, unknown>, most = Number.MAX_SAFE_INTEGER): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null) continue;
    if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most) continue;
    const got = typeof value === "number" ? String(value) : kindOf(value);
    return `${name} must be a whole number from 0 to ${most}, got ${got}`;
  }
  return undefined;
}

/** The first of the named values that was given and is no list of strings, as a message; undefined when there is none. */
export function notTexts(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null) continue;
    if (!Array.isArray(value)) return `${name} must be an array, got ${kindOf(value)}`;
    const fault = notText(Object.fromEntries(value.map((item, index) => [`${name}[${index}]`, item])));
    if (fault) return fault;
  }
  return undefined;
}

/** The first of the named values that was given and is no boolean, as a message; undefined when there is none. */
export function notBoolean(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || typeof value === "boolean") continue;
    return `${name} must be a boolean, got ${kindOf(value)}`;
  }
  return undefined;
}

/** The first of the named values that was given and is no object, as a message; undefined when there is none. */
export function notObject(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || (typeof value === "object" && !Array.isArray(value))) continue;
    return `${name} must be an object, got ${kindOf(value)}`;
  }
  return undefined;
}

/** The first of the named values that is not a function, as a message; undefined when all are. */
export function notFunction(values: Record<string, unknown>): string | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "function") return `${name} must be a function, got ${kindOf(value)}`;
  }
  return undefined;
}

/** The JSON text of a value, or why it has none (a cycle, a BigInt). */
export function jsonOf(value: unknown): { text: string } | { fault: string } {
  try {
    return { text: JSON.stringify(value) ?? "null" };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

/** Drops null, which callers write for "not given" and native code would refuse. */
export function optional<T>(value: T | null | undefined): T | undefined {
  return value ?? undefined;
}

/** A number that may be left out; anything that is no number becomes NaN, which the native client refuses by name. */
export function optionalNumber(value: number | null | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "number" ? value : Number.NaN;
}

/** How a message names what a value is. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}
