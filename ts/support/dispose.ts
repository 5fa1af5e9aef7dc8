/**
 * `Symbol.dispose` and `Symbol.asyncDispose` where the runtime lacks them (jest 29's realm does), so that
 * `await using` finds the methods of this package's classes. Imported before any class is made.
 */

for (const name of ["dispose", "asyncDispose"] as const) {
  if (Symbol[name] === undefined) {
    Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`), enumerable: false });
  }
}
