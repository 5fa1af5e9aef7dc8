/**
 * Waits for the program's own code, which may never come to its end. The only timer of the facade besides that of
 * `event-loop.ts`: such code has no deadline, and nobody else knows that it is being waited for.
 */

/** What `promise` gives, or what `instead` gives after `ms`. It keeps the process running meanwhile. */
export async function atMost<T>(ms: number, promise: Promise<T>, instead: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(instead()), ms);
  });
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
