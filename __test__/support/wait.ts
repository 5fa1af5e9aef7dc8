/** Looks at a condition again and again until it holds; throws, naming `what`, when it never does. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 40_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Nothing of this process's JavaScript runs meanwhile. */
export function blockEventLoop(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}
