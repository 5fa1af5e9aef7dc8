/** Under this name an object says how `console.log` and `util.inspect` show it. */
const CUSTOM = Symbol.for("nodejs.util.inspect.custom");

type Inspect = (value: unknown, options: object) => string;

/**
 * Makes `console.log` show what `view` picks: no key, no token, no link that grants access.
 */
export function inspectAs<T extends object>(type: { prototype: T }, view: (value: T) => Record<string, unknown>): void {
  Object.defineProperty(type.prototype, CUSTOM, {
    value(this: T, _depth: number, options: object, inspect: Inspect) {
      return `${this.constructor.name} ${inspect(view(this), options)}`;
    },
    enumerable: false,
  });
}
