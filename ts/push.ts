/** Messages that the service pushes over a session's WebSocket, and those who listen to them. */

import { invalidArgument, socketErrorOf } from "./errors";
import type { NativePush, NativePushListener, NativeSession } from "./native";
import type { SessionLike } from "./session-like";
import { isFailure } from "./support/call";
import { guarded } from "./support/callback";
import { isGivenBack } from "./support/loan";
import { targetOf } from "./support/target";

/** A message that belongs to no call. */
export interface PushMessage {
  /** The message's own id. */
  requestId: string;
  /** Who it is for; for messages to all clients, who sent it. */
  target: string;
  /** What it says. */
  data: Record<string, unknown>;
}

/** To listen anew, on another session. */
export const LISTEN_AGAIN = Symbol("listen again");

/** Listens to what is pushed to one target, until `close()` or the end of the `using` block. */
export class PushListener {
  /** Whose messages it hears. */
  readonly target: string;
  readonly #session: SessionLike;
  readonly #call: (message: PushMessage) => void;
  readonly #onClose: (listener: PushListener) => void;
  #native: NativePushListener | undefined;
  #isClosed = false;

  private constructor(
    session: SessionLike,
    target: string,
    callback: (message: PushMessage) => unknown,
    onClose: (listener: PushListener) => void,
  ) {
    this.#session = session;
    this.target = target;
    this.#call = guarded(`A listener of pushes to '${target}'`, callback);
    this.#onClose = onClose;
  }

  /** Connects, and listens. @internal */
  static async open(
    session: SessionLike,
    target: string,
    callback: (message: PushMessage) => unknown,
    onClose: (listener: PushListener) => void,
  ): Promise<PushListener> {
    const { native, route } = targetOf(session);
    if (typeof target !== "string" || target === "") throw invalidArgument("target must be a non-empty string");
    if (typeof callback !== "function") throw invalidArgument("callback must be a function");
    const listener = new PushListener(session, target, callback, onClose);
    const opened = await native.onPush(route, target, (push) => listener.#tell(push));
    if (isFailure(opened)) throw socketErrorOf(opened);
    listener.#native = opened;
    return listener;
  }

  /** Ends it: the callback is not called any more. Calling twice is fine. */
  close(): void {
    this.#isClosed = true;
    this.#native?.close();
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Goes over to a session whose connection is still to be made. @internal */
  [LISTEN_AGAIN](native: NativeSession): void {
    this.#native?.close();
    this.#native = native.listen(this.target, (push) => this.#tell(push));
  }

  #tell({ requestId, target, data }: NativePush): void {
    // What comes after a session was given back to its pool is for the next one who has it.
    if (this.#isClosed || isGivenBack(this.#session)) return;
    this.#call({ requestId, target, data: JSON.parse(data) });
  }
}
