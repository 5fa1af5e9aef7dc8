/**
 * Events that come when they come, for a reader that takes them one by one.
 */

/** A queue with one reader. */
export class EventQueue<Event> {
  #events: Event[] = [];
  #end: { error?: { reason: unknown } } | undefined;
  #wake: () => void = () => {};

  /** Adds an event; after the end it is dropped. */
  push(event: Event): void {
    if (this.#end) return;
    this.#events.push(event);
    this.#wake();
  }

  /** No more events come; the reader takes what is there. */
  close(): void {
    this.#end ??= {};
    this.#wake();
  }

  /** No more events come; the reader takes what is there, and then the error. */
  fail(reason: unknown): void {
    this.#end ??= { error: { reason } };
    this.#wake();
  }

  /** The reader takes the error at once: what is there is not of interest any more. */
  abort(reason: unknown): void {
    this.#events = [];
    this.#end = { error: { reason } };
    this.#wake();
  }

  /** The events until the end. */
  async *read(): AsyncGenerator<Event, void, void> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.#end?.error) {
        throw this.#end.error.reason;
      } else if (this.#end) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
